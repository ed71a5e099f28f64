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
use models::{CarbonTarget, ScheduleId};
use providers::{CircuitState, LinkStatus};

use super::families::{FAMILIES, Family, Samples, escape};
use super::savings;
use crate::forecasts::Provider;

/// About how much text is made at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// One series of each provider: name, type, help, value.
type OfProvider = (&'static str, &'static str, &'static str, fn(&LinkStatus) -> u64);

const PROVIDERS: [OfProvider; 2] = [
    (
        "carbon_provider_calls_total",
        "counter",
        "Calls to a provider, logins among them, as its quota counts them.",
        |status| status.calls,
    ),
    (
        "carbon_provider_left_alone",
        "gauge",
        "1 while a provider is not asked, since it failed again and again or asked for it.",
        |status| u64::from(matches!(status.circuit, CircuitState::Open { .. })),
    ),
];

pub(super) struct Exposition {
    /// Process-wide series, already text; sent first.
    process: Option<String>,
    views: Vec<(ScheduleId, Arc<View>)>,
    family: usize,
    schedule: usize,
}

impl Exposition {
    pub(super) fn new(
        mut process: String,
        views: Vec<(ScheduleId, Arc<View>)>,
        ages: Vec<(CarbonTarget, f64)>,
        providers: &[Provider],
    ) -> Self {
        let _ = write!(
            process,
            "# HELP scheduler_schedules Schedules configured.\n# TYPE scheduler_schedules gauge\nscheduler_schedules {}\n",
            views.len()
        );
        process.push_str("# HELP carbon_forecast_age_seconds Time since the newest forecast was received.\n");
        process.push_str("# TYPE carbon_forecast_age_seconds gauge\n");
        for (target, age) in ages {
            process.push_str("carbon_forecast_age_seconds{target=\"");
            escape(target.as_str(), &mut process);
            let _ = writeln!(process, "\"}} {age}");
        }
        for (name, kind, help, value) in PROVIDERS {
            let _ = writeln!(process, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for provider in providers {
                let _ =
                    writeln!(process, "{name}{{provider=\"{}\"}} {}", provider.name, value(&provider.status));
            }
        }
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
