//! A scrape as a body that is written while it is sent: ten thousand schedules make some twenty megabytes
//! of text, of which one piece at a time is in memory.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use engine::View;
use models::ScheduleId;

use super::families::{FAMILIES, Family, Samples};
use super::savings;

/// About how much text is made at a time, in bytes.
const PIECE: usize = 64 * 1024;

pub(super) struct Exposition {
    /// Process-wide series, already text; sent first.
    process: Option<String>,
    views: Vec<(ScheduleId, Arc<View>)>,
    family: usize,
    schedule: usize,
}

impl Exposition {
    /// `process`, and then the series of each of these schedules.
    pub(super) fn new(process: String, views: Vec<(ScheduleId, Arc<View>)>) -> Self {
        Self { process: Some(process), views, family: 0, schedule: 0 }
    }

    /// The next piece of text; nothing at the end.
    fn piece(&mut self) -> Option<String> {
        if let Some(process) = self.process.take() {
            return Some(process);
        }
        let mut text = String::with_capacity(PIECE + PIECE / 4);
        while text.len() < PIECE
            && let Some(family) = FAMILIES.iter().chain(&savings::FAMILIES).nth(self.family)
        {
            if self.schedule == 0 && !self.views.is_empty() {
                let Family { name, kind, help, .. } = family;
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            match self.views.get(self.schedule) {
                Some((id, view)) => {
                    if let Some(published) = view.published() {
                        (family.samples)(&mut Samples { name: family.name, id, published, text: &mut text });
                    }
                    self.schedule += 1;
                }
                None => {
                    self.family += 1;
                    self.schedule = 0;
                }
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

impl MessageBody for Exposition {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().piece().map(|text| Ok(text.into())))
    }
}
