//! Who turns an engine whose requests are picked here: books what was served, evaluates, hands out new weights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use jiff::SignedDuration;
use ledger::PPM;
use models::schedule::FlavourShare;
use models::{Feedback, Precision, ScheduleId, Timestamp};

use super::handle::{Handle, Shared};
use super::lanes::{MAX_NAMES, Table, Tally, Totals};
use super::shares::Share;
use crate::answers::Tick;
use crate::board::Published;
use crate::engine::Engine;
use crate::journal::{Answer, Input, Record, StoreError};
use crate::time::later;

/// What was served is booked at least this often.
const SETTLE_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// After how long a store that failed is tried again.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(1);
/// The longest window of one report, seconds; and one of no length, which a report cannot have.
const LONGEST_WINDOW: f64 = 86_400.0;
const NO_TIME: f64 = 1e-6;

/// Makes records durable, all or none.
type Keep = Box<dyn FnMut(&[Record]) -> Result<(), StoreError> + Send>;

/// An engine and the handles of its schedules.
///
/// Whoever owns it calls [`Driver::tick`] when [`Tick::next_due`] says, or lets a thread (feature `thread`) or a task
/// (feature `tokio`) do so. Each turn books what was recorded, evaluates what is due, and publishes to the handles.
pub struct Driver {
    engine: Engine,
    routed: BTreeMap<ScheduleId, Routed>,
    checks_credit: bool,
    keep: Option<Keep>,
    failure: Option<StoreError>,
    /// When what could not be written down is tried again.
    retry_at: Option<Timestamp>,
    /// When all that was served was booked last.
    settled_at: Option<Timestamp>,
    unbooked: u64,
}

/// A schedule somebody has a handle of.
struct Routed {
    shared: Arc<Shared>,
    ids: BTreeMap<Arc<str>, u16>,
    /// What the lanes have.
    published: Option<Arc<Published>>,
    /// The flavours they have, and how many sets of them there were.
    flavours: Vec<usize>,
    list: u64,
    tables: u64,
    /// What was counted by the last time, and is booked.
    booked: Totals,
    /// Up to when what was served is booked.
    settled_at: Option<Timestamp>,
    /// What the budget had above its floor when credit was granted last, ppm x requests.
    credit: i64,
}

/// What was served of a schedule and is not booked.
struct Served {
    id: ScheduleId,
    totals: Totals,
    reports: Vec<Feedback>,
    /// Whether nobody else had a handle before it was counted: nothing will be added.
    is_last: bool,
}

/// Of which schedules what was served is booked.
#[derive(Clone, Copy)]
enum Which {
    /// Those that are evaluated now.
    Due,
    All,
}

impl Driver {
    /// A driver of that engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            routed: BTreeMap::new(),
            checks_credit: false,
            keep: None,
            failure: None,
            retry_at: None,
            settled_at: None,
            unbooked: 0,
        }
    }

    /// The same driver, whose picks are checked against the error budget, request by request: one that may cost
    /// more than there is goes to the best flavour instead ([`Pick::is_redirected`](super::Pick::is_redirected)).
    ///
    /// No surprise in demand can overdraw the budget then, however many requests are on their way, as long as all of
    /// the schedule's traffic is picked from this driver, no flavour errs more than its precision says, the best one no
    /// more than the target, and while requests are on their way neither the target nor a precision falls and nothing
    /// puts the account back: what changes then, they cost beyond what was taken. Credit that is earned is spent from the
    /// next turn on. A manual override is not checked.
    #[must_use]
    pub fn checking_credit(mut self) -> Self {
        self.checks_credit = true;
        self
    }

    /// The same driver, which has everything it does written down before it does it: what it books, its turns, and what
    /// [`Driver::apply`] is given. `keep` is handed the records of one turn, to be made durable all or none, as
    /// [`Store::commit`](crate::journal::Store::commit) does; an engine that is
    /// [recovered](crate::journal::recover) from them is this one. What it refuses is not done: what was recorded
    /// waits for the next turn, a second later, and the handles go on by the weights they have.
    #[must_use]
    pub fn keeping(mut self, keep: impl FnMut(&[Record]) -> Result<(), StoreError> + Send + 'static) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// A handle of a schedule, which may be configured later.
    pub fn handle(&mut self, id: &ScheduleId, now: Timestamp) -> Handle {
        if let Some(routed) = self.routed.get(id) {
            return Handle { shared: Arc::clone(&routed.shared) };
        }
        let routed = Routed::new(id, Arc::clone(self.engine.board()));
        let shared = Arc::clone(&routed.shared);
        // That nothing was served so far is told at once: from here on requests are counted, not time.
        let nothing = routed.served(now);
        self.routed.insert(id.clone(), routed);
        // Where the store refuses it is told with the next turn.
        let _ = self.book(now, nothing.into_iter().collect(), None);
        if let Some(routed) = self.routed.get_mut(id) {
            routed.follow(&self.engine, self.checks_credit);
        }
        Handle { shared }
    }

    /// One turn: books what was served, evaluates what is due, hands out what is new. Booked is what was served of the
    /// schedules that are evaluated, and each 10 s of all.
    pub fn tick(&mut self, now: Timestamp) -> Tick {
        let ticked = match self.settle(now, Which::Due, Some(Input::Tick)) {
            Ok(Some(Answer::Ticked(tick))) => tick,
            // The store refused.
            _ => Tick { evaluated: 0, next_due: None },
        };
        self.publish();
        Tick { evaluated: ticked.evaluated, next_due: self.next_due() }
    }

    /// When to turn next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let settle = self.settled_at.filter(|_| !self.routed.is_empty()).map(|at| later(at, SETTLE_EVERY));
        self.retry_at.or_else(|| self.engine.next_due().into_iter().chain(settle).min())
    }

    /// Changes the engine, at an instant: what was served until then is booked before, and what is new is handed out
    /// after. Of a driver that is [`keeping`](Driver::keeping) records, a change that is to last goes by way of
    /// [`Driver::apply`]; here only that there was one is written down.
    pub fn update<T>(&mut self, now: Timestamp, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        // What the store refuses waits, and shows in `failure`.
        let _ = self.settle(now, Which::All, Some(Input::Unrecorded));
        let answer = change(&mut self.engine, now);
        self.publish();
        answer
    }

    /// Acts upon something that comes in, written down before where this driver is [`keeping`](Driver::keeping) records.
    ///
    /// # Errors
    ///
    /// What `keep` answered; nothing is done then.
    pub fn apply(&mut self, input: Input, now: Timestamp) -> Result<Answer, StoreError> {
        let answer = self.settle(now, Which::All, Some(input));
        self.publish();
        // There is an answer where there is an input.
        answer.map(|answer| answer.unwrap_or(Answer::Unrecorded))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine alone, all that was served booked. Handles go on by the weights they have.
    pub fn into_engine(mut self, now: Timestamp) -> Engine {
        // Also what was served at the very instant of the last time.
        self.routed.values_mut().for_each(|routed| routed.settled_at = None);
        let _ = self.settle(now, Which::All, None);
        self.engine
    }

    /// Why nothing could be written down the last time that something was to be.
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Requests recorded that no account took: their schedule is gone, or their flavour for more than a day (or the store
    /// refused just as that turned out).
    pub fn unbooked(&self) -> u64 {
        self.unbooked
    }

    /// Requests of a schedule that the best flavour served because there was no credit for their own, up to the last time
    /// that what was served was booked.
    pub fn redirected(&self, id: &ScheduleId) -> u64 {
        self.routed.get(id).map_or(0, |routed| routed.booked.redirected)
    }

    /// Books what was served, acts upon `input` after it, and lets go of schedules whose handles are gone. Answers what
    /// the input came to, if there is one.
    fn settle(
        &mut self,
        now: Timestamp,
        which: Which,
        input: Option<Input>,
    ) -> Result<Option<Answer>, StoreError> {
        let is_time = self.settled_at.is_none_or(|at| now < at || now >= later(at, SETTLE_EVERY));
        let all = is_time || matches!(which, Which::All);
        let is_due = |id: &ScheduleId| all || self.engine.due_at(id).is_some_and(|due| due <= now);
        let due = self.routed.iter().filter(|(id, _)| is_due(id));
        let served: Vec<Served> = due.filter_map(|(_, routed)| routed.served(now)).collect();
        let last: Vec<ScheduleId> =
            served.iter().filter(|served| served.is_last).map(|served| served.id.clone()).collect();
        let answer = self.book(now, served, input)?;
        if all {
            self.settled_at = Some(now);
        }
        for id in last {
            self.routed.remove(&id);
        }
        Ok(answer)
    }

    /// Books what was served, and acts upon `input` after it; all of it is written down before, and nothing is done
    /// where the store refuses. Answers what the input came to, if there is one.
    fn book(
        &mut self,
        now: Timestamp,
        served: Vec<Served>,
        input: Option<Input>,
    ) -> Result<Option<Answer>, StoreError> {
        let record = |input: Input| Record { at: now, input };
        let report = |id: &ScheduleId, feedback: &Feedback| {
            record(Input::Feedback { id: id.clone(), feedback: feedback.clone() })
        };
        let reports =
            served.iter().flat_map(|served| served.reports.iter().map(|told| report(&served.id, told)));
        let mut records: Vec<Record> = reports.chain(input.map(record)).collect();
        self.write_down(&records, now)?;
        let last = records.split_off(served.iter().map(|served| served.reports.len()).sum());
        let mut records = records.into_iter();
        for Served { id, totals, reports, .. } in served {
            let answers: Vec<Answer> =
                records.by_ref().take(reports.len()).map(|record| self.engine.apply(&record)).collect();
            // Whatever becomes of the rest of this turn: this is in the account.
            if let Some(routed) = self.routed.get_mut(&id) {
                // What was taken comes back; what was spent of it is in the account by now.
                let taken = totals.taken.wrapping_sub(routed.booked.taken);
                routed.credit = routed.credit.saturating_sub_unsigned(taken);
                routed.booked = totals;
                routed.settled_at = Some(now);
            }
            for (report, answer) in reports.iter().zip(answers) {
                if matches!(answer, Answer::Counted(Err(_))) {
                    self.book_each(&id, report, now);
                }
            }
        }
        Ok(last.first().map(|record| self.engine.apply(record)))
    }

    /// Has records written down, where that is asked for.
    fn write_down(&mut self, records: &[Record], now: Timestamp) -> Result<(), StoreError> {
        let Some(keep) = self.keep.as_mut().filter(|_| !records.is_empty()) else { return Ok(()) };
        let kept = keep(records);
        self.failure = kept.clone().err();
        self.retry_at = kept.is_err().then(|| later(now, RETRY_AFTER));
        kept
    }

    /// Books what a report that was refused as a whole says of each flavour.
    fn book_each(&mut self, id: &ScheduleId, report: &Feedback, now: Timestamp) {
        for (name, requests) in &report.counts {
            let precision = report.precision_of(name).map(|precision| (name.clone(), precision));
            let feedback = Feedback {
                counts: vec![(name.clone(), *requests)],
                precision: precision.into_iter().collect(),
                ..report.clone()
            };
            let record = Record { at: now, input: Input::Feedback { id: id.clone(), feedback } };
            let is_kept = self.write_down(std::slice::from_ref(&record), now).is_ok();
            if !is_kept || !matches!(self.engine.apply(&record), Answer::Counted(Ok(_))) {
                self.unbooked += requests;
            }
        }
    }

    fn publish(&mut self) {
        for routed in self.routed.values_mut() {
            routed.follow(&self.engine, self.checks_credit);
        }
    }
}

impl Routed {
    fn new(id: &ScheduleId, board: Arc<crate::Board>) -> Self {
        Self {
            shared: Arc::new(Shared::new(id.clone(), board)),
            ids: BTreeMap::new(),
            published: None,
            flavours: Vec::new(),
            list: 0,
            tables: 0,
            booked: Totals::default(),
            settled_at: None,
            credit: 0,
        }
    }

    /// What was served since the last time, to be booked; nothing at the very instant of that: demand is requests by
    /// time.
    fn served(&self, now: Timestamp) -> Option<Served> {
        if self.settled_at == Some(now) {
            return None;
        }
        let elapsed = self.settled_at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        let window = Feedback {
            window_seconds: elapsed.clamp(NO_TIME, LONGEST_WINDOW),
            window_end: Some(now),
            ..Feedback::default()
        };
        let (mut measured, mut plain) = (window.clone(), window);
        // Looked at first: what a handle counted before it went is in the totals.
        let is_last = Arc::strong_count(&self.shared) == 1;
        fence(Ordering::Acquire);
        let totals = self.shared.lanes.totals();
        for (index, (_, name)) in self.shared.names.iter().enumerate() {
            let of = |totals: &Totals| totals.tallies.get(index).copied().unwrap_or_default();
            let tally = of(&totals).since(of(&self.booked));
            if tally.plain > 0 {
                plain.counts.push((name.to_string(), tally.plain));
            }
            if let Some(precision) = tally.mean_precision() {
                measured.counts.push((name.to_string(), tally.measured));
                measured.precision.push((name.to_string(), precision));
            }
        }
        // Also where nothing was served: then that is known.
        let reports = if measured.counts.is_empty() { vec![plain] } else { vec![measured, plain] };
        Some(Served { id: self.shared.id.clone(), totals, reports, is_last })
    }

    /// Hands out what the engine published since, and what it has granted.
    fn follow(&mut self, engine: &Engine, checks_credit: bool) {
        let id = self.shared.id.clone();
        let published = engine.published(&id);
        let is_known = match (&published, &self.published) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            _ => false,
        };
        // What there is not any more is taken back before anybody picks by what is new; what there is more, after.
        let credit = engine.credit(&id).unwrap_or_default();
        let more = if checks_credit { credit - self.credit } else { 0 };
        self.shared.lanes.grant(more.min(0));
        if !is_known {
            self.publish(published, |flavour| if checks_credit { engine.cost(&id, flavour) } else { 0 });
        }
        self.shared.lanes.grant(more.max(0));
        self.credit += more;
    }

    fn publish(&mut self, published: Option<Arc<Published>>, cost: impl Fn(&str) -> u32) {
        let mut known = Vec::new();
        if let Some(published) = &published {
            for (position, flavour) in
                (0_u16..).zip(&published.schedule.flavours).filter(|(_, flavour)| flavour.enabled)
            {
                if let Some(id) = self.id_of(&flavour.name) {
                    known.push((id, position, flavour));
                }
            }
            known.sort_by(|(.., one), (.., other)| other.precision.get().total_cmp(&one.precision.get()));
        }
        // The best one serves what flavours without a name would have served, and whatever cannot be afforded. What
        // is overridden by hand may overdraw, and is repaid.
        let others: u16 = known.iter().skip(1).map(|(.., flavour)| flavour.per_mille).sum();
        let is_free = published.as_ref().is_some_and(|published| published.schedule.manual.is_some());
        let share = |(rank, (id, position, flavour)): (usize, &(u16, u16, &FlavourShare))| {
            let is_best = rank == 0;
            let weight = if is_best { 1_000_u16.saturating_sub(others) } else { flavour.per_mille };
            let cost = if is_best || is_free { 0 } else { cost(&flavour.name) };
            Share::new(*id, *position, weight, cost)
        };
        let shares: Vec<Share> = known.iter().enumerate().map(share).collect();
        let mut ids: Vec<usize> = shares.iter().map(|share| share.id()).collect();
        ids.sort_unstable();
        if ids != self.flavours {
            self.list += 1;
            self.flavours = ids;
        }
        self.published = published;
        self.tables += 1;
        self.shared.lanes.publish(Arc::new(Table { number: self.tables, list: self.list, shares }));
    }

    fn id_of(&mut self, name: &Arc<str>) -> Option<u16> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if self.ids.len() >= MAX_NAMES {
            return None;
        }
        // Room first: whoever finds the name may count by it.
        self.shared.lanes.make_room(self.ids.len() + 1);
        let id = u16::try_from(self.shared.names.push(Arc::clone(name))).ok()?;
        self.ids.insert(Arc::clone(name), id);
        Some(id)
    }
}

impl Tally {
    /// What was counted between `before` and this.
    fn since(self, before: Self) -> Self {
        Self {
            plain: self.plain.wrapping_sub(before.plain),
            measured: self.measured.wrapping_sub(before.measured),
            errors: self.errors.wrapping_sub(before.errors),
        }
    }

    /// The mean precision of what was measured.
    fn mean_precision(&self) -> Option<Precision> {
        let error = self.errors as f64 / self.measured as f64 / f64::from(PPM);
        // Nothing is less precise than the least there is; an error of all is one of nearly all.
        (self.measured > 0).then(|| Precision::new((1.0 - error).clamp(1e-9, 1.0)).unwrap_or(Precision::BEST))
    }
}
