//! The front door of one schedule: whom to serve a request by, and what was served.

use std::fmt;
use std::sync::Arc;

use ledger::error_ppm;
use models::hash::{fnv_1a, mixed};
use models::{Precision, ScheduleId};

use super::lanes::{COMMON, Lanes, OWN};
use super::shares::{self, Cell, Share};
use super::threads::lane;
use crate::board::{Board, Published};

/// A sticky key: whoever has the same one is served by the same flavour, as long as the weights allow.
///
/// The same on every machine and in every version. Put in what a share of all users is to be taken of: a user's
/// or a session's name. Put in the day, too, and it is somebody else's turn tomorrow.
///
/// ```
/// use engine::routing::Key;
///
/// assert_eq!(Key::new("user-17"), Key::new("user-17"));
/// assert_ne!(Key::new("user-17"), Key::new("user-18"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key that some bytes make, by FNV-1a.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(mixed(fnv_1a(0, bytes.as_ref().iter().copied())))
    }
}

/// What every handle of a schedule shares with the driver.
pub(super) struct Shared {
    pub(super) id: ScheduleId,
    pub(super) lanes: Lanes,
    /// Every flavour's name there ever was; a reference to one is good as long as the handle is.
    pub(super) names: boxcar::Vec<Arc<str>>,
    pub(super) board: Arc<Board>,
    /// Which users are served best differs from schedule to schedule.
    salt: u64,
}

impl Shared {
    pub(super) fn new(id: ScheduleId, board: Arc<Board>) -> Self {
        let salt = mixed(id.spread().to_bits());
        Self { id, lanes: Lanes::new(OWN, COMMON), names: boxcar::Vec::new(), board, salt }
    }

    fn name(&self, share: Share) -> &str {
        self.names.get(share.id()).map_or("", |name| &**name)
    }
}

/// One schedule, for whoever serves its requests. Cheap to clone; clones count together.
///
/// Picking takes no lock, waits for nobody, allocates nothing and knows no clock: a pick goes by the weights that the
/// [`Driver`](super::Driver) published last. Nor does recording, for 32 threads at once; further ones share 8 places, where
/// a pick that finds none free goes to the best flavour, and a record waits for a few nanoseconds.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Whom to serve the next request by: the flavour that is furthest behind its weight. None where there is no
    /// schedule (yet, or any more), or no flavour of it is enabled: serve by the best flavour then.
    ///
    /// What a thread picked so differs from the weights by at most `m - 1` requests a flavour, at any moment, for `m`
    /// flavours, by half of that if it picks alone, whatever the weights changed to meanwhile; what several picked, by that
    /// for each of them, up to 40. Only another set of flavours begins anew. What is [redirected](Pick::is_redirected)
    /// counts as what it stands in for.
    #[inline]
    pub fn pick(&self) -> Option<Pick<'_>> {
        self.draw(shares::next)
    }

    /// As [`Handle::pick`], with the caller's randomness, even over all of `u64`: nobody can tell who is next, and
    /// what is served cannot fall into step with what is asked for. At most `3 (m - 1) / 2` requests from the weights,
    /// as is a mixture of the two.
    #[inline]
    pub fn pick_random(&self, random: u64) -> Option<Pick<'_>> {
        self.draw(|cells| shares::by_chance(cells, random))
    }

    /// Whom to serve the owner of a key by: always the same flavour while the weights stay (and there is credit, where it
    /// is checked). Where they change, a key moves in the order of precision, only as their boundaries pass it: to nothing
    /// more precise where the more precise ones are given less, and by no more keys than there is traffic that moves past
    /// a boundary.
    ///
    /// Every key has the chance of the weights; what is realised depends on who asks how often. Of `n` requests by
    /// keys that ask alike often, `k` each, a flavour of weight `w` gets `n w` with a standard deviation of
    /// `sqrt(n k w (1 - w))`. Picks by key do not count in what [`Handle::pick`] evens out.
    #[inline]
    pub fn pick_for(&self, key: Key) -> Option<Pick<'_>> {
        let hash = mixed(key.0 ^ self.shared.salt);
        self.draw(|cells| shares::of_key(cells, hash))
    }

    /// Counts requests that were served without being picked one by one, as in a batch, by the name of a flavour;
    /// `precision` is their mean where it was measured.
    ///
    /// # Errors
    ///
    /// [`UnknownFlavour`]: the schedule never had it enabled while there was a handle; nothing is counted then.
    pub fn record(
        &self,
        flavour: &str,
        requests: u32,
        precision: Option<Precision>,
    ) -> Result<(), UnknownFlavour> {
        let id = self.shared.names.iter().find(|(_, name)| &***name == flavour).map(|(id, _)| id);
        let id = id.ok_or_else(|| UnknownFlavour {
            name: models::json::excerpt(flavour),
            known: self.shared.names.iter().map(|(_, name)| name.to_string()).collect(),
        })?;
        let error = precision.map(|precision| error_ppm(precision.error()));
        self.shared.lanes.record_many(lane(), id, requests, error);
        Ok(())
    }

    /// The current schedule, whole: weights, validity, and why. None where there is none.
    pub fn schedule(&self) -> Option<Arc<Published>> {
        self.shared.board.view(&self.shared.id)?.published().cloned()
    }

    /// Which schedule it is.
    pub fn id(&self) -> &ScheduleId {
        &self.shared.id
    }

    /// Credit that picks may still take at least, requests x error, where the driver has them
    /// [checked](super::Driver::checking_credit); 0 otherwise.
    pub fn credit(&self) -> f64 {
        self.shared.lanes.credit() as f64 / f64::from(ledger::PPM)
    }

    #[inline]
    fn draw(&self, choose: impl Fn(&[Cell]) -> Option<&Cell>) -> Option<Pick<'_>> {
        let share = self.shared.lanes.pick(lane(), choose)?;
        Some(Pick { handle: self, share })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.shared.id).finish()
    }
}

/// A flavour that a handle does not know.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a flavour of this schedule: expected one of {}", known.join(", "))]
pub struct UnknownFlavour {
    /// The name, cut to what a message can bear.
    pub name: String,
    /// Every name there is, and was.
    pub known: Vec<String>,
}

/// One request on its way: by whom it is to be served. Dropped without a word it was not served; forgotten
/// ([`std::mem::forget`]) it is on its way for ever, with the credit it took.
#[must_use = "record it once it is served: what is not recorded was not served"]
pub struct Pick<'a> {
    handle: &'a Handle,
    share: Share,
}

impl<'a> Pick<'a> {
    /// The flavour's name.
    pub fn flavour(&self) -> &'a str {
        self.handle.shared.name(self.share)
    }

    /// Where the flavour stands among the schedule's, counted from 0 in the order of the configuration.
    pub fn position(&self) -> usize {
        self.share.position()
    }

    /// Whether the best flavour serves in place of another: because there was no credit for that one, or, beyond 32
    /// threads, because nobody could be asked at once.
    pub fn is_redirected(&self) -> bool {
        self.share.is_instead()
    }

    /// It was served, as precisely as the flavour is configured.
    #[inline]
    pub fn record(self) {
        self.close(None);
    }

    /// It was served, and this is how precisely.
    #[inline]
    pub fn record_precision(self, precision: Precision) {
        self.close(Some(error_ppm(precision.error())));
    }

    /// The same pick with a handle of its own, to go along with a stream or a task of its own.
    pub fn into_owned(self) -> OwnedPick {
        let owned = OwnedPick { handle: self.handle.clone(), share: self.share };
        // It is the other's to close.
        std::mem::forget(self);
        owned
    }

    #[inline]
    fn close(self, error: Option<u32>) {
        self.handle.shared.lanes.record(lane(), self.share, error);
        // It is no request on its way any more.
        std::mem::forget(self);
    }
}

impl Drop for Pick<'_> {
    #[inline]
    fn drop(&mut self) {
        self.handle.shared.lanes.abandon(lane(), self.share);
    }
}

impl fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("flavour", &self.flavour())
            .field("is_redirected", &self.is_redirected())
            .finish_non_exhaustive()
    }
}

/// A [`Pick`] that holds a handle of its own. Dropped without a word it was not served.
#[derive(Debug)]
#[must_use = "record it once it is served: what is not recorded was not served"]
pub struct OwnedPick {
    handle: Handle,
    share: Share,
}

impl OwnedPick {
    /// The flavour's name.
    pub fn flavour(&self) -> &str {
        self.handle.shared.name(self.share)
    }

    /// As [`Pick::position`].
    pub fn position(&self) -> usize {
        self.share.position()
    }

    /// As [`Pick::is_redirected`].
    pub fn is_redirected(&self) -> bool {
        self.share.is_instead()
    }

    /// It was served, as precisely as the flavour is configured.
    pub fn record(self) {
        self.close(None);
    }

    /// It was served, and this is how precisely.
    pub fn record_precision(self, precision: Precision) {
        self.close(Some(error_ppm(precision.error())));
    }

    fn close(mut self, error: Option<u32>) {
        self.handle.shared.lanes.record(lane(), self.share, error);
        // What is dropped now has taken nothing.
        self.share = self.share.instead();
    }
}

impl Drop for OwnedPick {
    fn drop(&mut self) {
        self.handle.shared.lanes.abandon(lane(), self.share);
    }
}
