//! Who reports what was served: routers that post, or a poll of their counters. Never both of the same time.
//!
//! The two cannot be told apart afterwards, and requests counted twice earn their credit twice. So whoever
//! posts is believed, and is not polled; and what a poll has counted, no post counts again.

use jiff::SignedDuration;
use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::earlier;

/// How long after a post nobody is polled.
pub const POSTS_WIN: SignedDuration = SignedDuration::from_hours(1);

/// Up to when what was served is accounted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reports {
    /// When the schedule was first published: nothing before it is about it.
    begun: Option<Timestamp>,
    /// When the last post was received that had something to say: a repeat says nothing of who posts now.
    posted: Option<Timestamp>,
    /// When the last one was that was counted: what was served until then is told.
    told: Option<Timestamp>,
    /// Up to when was polled.
    polled: Option<Timestamp>,
    /// Whether something was served since the last report that was counted, and told by one that was not.
    #[serde(default)]
    untold: bool,
}

/// Whether a schedule may be polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polling {
    /// What was served from this instant on is not accounted for.
    Wanted {
        /// First instant that nobody has told about.
        from: Timestamp,
    },
    /// A router posts: what it says is all there is to count.
    Posted {
        /// When it last had something to say.
        at: Timestamp,
    },
}

impl Reports {
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.begun.get_or_insert(now);
    }

    /// A post arrived about time that nobody told of before; it was `counted`, unless it is also about time
    /// that was polled. Either way its router is polled no more, or all of its posts would go that way.
    pub(crate) fn post(&mut self, counted: bool, now: Timestamp) {
        self.posted = self.posted.max(Some(now));
        if counted {
            self.told = self.posted;
        }
    }

    /// A poll counted what was served up to `end`.
    pub(crate) fn poll(&mut self, end: Timestamp) {
        self.polled = self.polled.max(Some(end));
    }

    /// A report was not counted, and said something (`told`) that no other one says.
    pub(crate) fn untold(&mut self, told: bool) {
        self.untold |= told;
    }

    /// Whether such reports stand before the one that is counted now.
    pub(crate) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.untold)
    }

    /// Whether a poll has counted a part of what was served from `start` on.
    pub(crate) fn polled_beyond(&self, start: Timestamp) -> bool {
        self.polled.is_some_and(|polled| start < polled)
    }

    /// Whether polls have counted all that was served before `end`, as far as anybody will.
    pub(crate) fn polled_until(&self, end: Timestamp) -> bool {
        self.polled.is_some_and(|polled| end <= polled)
    }

    /// Whether the schedule may be polled at `now`.
    pub(crate) fn polling(&self, now: Timestamp) -> Polling {
        match self.posted {
            // A post from the future was received before the clock was set back.
            Some(at) if earlier(now, POSTS_WIN) < at => Polling::Posted { at },
            _ => Polling::Wanted { from: self.begun.max(self.told).max(self.polled).unwrap_or(now) },
        }
    }
}
