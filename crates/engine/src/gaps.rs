//! Which numbered posts are missing, and what time each of them may be about.
//!
//! The windows of a source's posts follow one another as their numbers do. So what is missing between two
//! that were counted is about no time before the first one's end, and none after the second one's.

use models::Timestamp;
use serde::{Deserialize, Serialize};

/// Most gaps that are told apart: one for each source there can be.
pub(crate) const MAX_GAPS: usize = 256;

/// From and to.
pub(crate) type Span = (Timestamp, Timestamp);

/// The posts that are missing, of all sources of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaps {
    /// At most [`MAX_GAPS`], the one that showed first ahead.
    open: Vec<Gap>,
    /// What those may be about that are not told apart any more: nobody will know when they have come.
    given_up: Option<Span>,
}

/// Numbers in a row of one source, none of them counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Gap {
    source: Box<str>,
    first: u64,
    last: u64,
    span: Span,
}

impl Gaps {
    /// Whether these can be a schedule's: not too many, each of some numbers.
    pub(crate) fn is_sound(&self) -> bool {
        self.open.len() <= MAX_GAPS && self.open.iter().all(|gap| gap.first <= gap.last)
    }

    /// The numbers from `first` to `last` are missing, which are about some of `span`.
    pub(crate) fn open(&mut self, source: &str, (first, last): (u64, u64), span: Span) {
        self.push(Gap { source: source.into(), first, last, span });
    }

    /// A missing number was counted; its window ended at `end`. What is missing before it ended by then, and
    /// what is missing after it began no earlier.
    pub(crate) fn fill(&mut self, source: &str, number: u64, end: Timestamp) {
        let is_in = |gap: &Gap| (gap.first..=gap.last).contains(&number) && *gap.source == *source;
        let Some(index) = self.open.iter().position(is_in) else { return };
        let Gap { source, first, last, span: (from, to) } = self.open.remove(index);
        // An end out of the span breaks the order there should be: then nothing is known but the span.
        let cut = (from <= end && end <= to).then_some(end);
        if first < number {
            let span = (from, cut.unwrap_or(to));
            self.push(Gap { source: source.clone(), first, last: number - 1, span });
        }
        if number < last {
            self.push(Gap { source, first: number + 1, last, span: (cut.unwrap_or(from), to) });
        }
    }

    /// A source is forgotten: what is missing of it may come, and nobody will know.
    pub(crate) fn give_up(&mut self, source: &str) {
        let (gone, open) = std::mem::take(&mut self.open).into_iter().partition(|gap| *gap.source == *source);
        self.open = open;
        let gone: Vec<Gap> = gone;
        for gap in gone {
            self.lose(gap.span);
        }
    }

    /// Forgets what is about no time after `oldest`.
    pub(crate) fn forget(&mut self, oldest: Timestamp) {
        self.open.retain(|gap| gap.span.1 > oldest);
        self.given_up = self.given_up.filter(|span| span.1 > oldest);
    }

    /// The time that missing posts may be about.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.open.iter().map(|gap| gap.span).chain(self.given_up).collect()
    }

    fn push(&mut self, gap: Gap) {
        if self.open.len() == MAX_GAPS {
            let oldest = self.open.remove(0);
            self.lose(oldest.span);
        }
        self.open.push(gap);
    }

    fn lose(&mut self, (from, to): Span) {
        let (first, last) = self.given_up.unwrap_or((from, to));
        self.given_up = Some((from.min(first), to.max(last)));
    }
}
