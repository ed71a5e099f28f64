//! Who turns an engine whose requests are picked here: books what was served, evaluates, hands out new weights.

use std::collections::BTreeMap;
use std::sync::Arc;

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
/// The shortest and longest window of one report, seconds.
const WINDOW: (f64, f64) = (0.001, 86_400.0);

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
    settled_at: Option<Timestamp>,
    unbooked: u64,
}

/// A schedule somebody has a handle of.
struct Routed {
    shared: Arc<Shared>,
    ids: BTreeMap<Arc<str>, u16>,
    /// What the lanes have.
    published: Option<Arc<Published>>,
    /// The list of flavours they have, the most precise first, and how many lists there were.
    flavours: Vec<Arc<str>>,
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
            settled_at: None,
            unbooked: 0,
        }
    }

    /// The same driver, whose picks are checked against the error budget, request by request: one that may cost
    /// more than there is goes to the best flavour instead ([`Pick::is_redirected`](super::Pick::is_redirected)).
    ///
    /// No surprise in demand can overdraw the budget then, however many requests are on their way, as long as all of
    /// the schedule's traffic is picked from this driver, and no flavour errs more than its precision says, the best
    /// one within the target. Credit that is earned is spent from the next turn on. A manual override is not checked.
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
        self.book(now, nothing.into_iter().collect(), None);
        if let Some(routed) = self.routed.get_mut(id) {
            routed.follow(&self.engine, self.checks_credit);
        }
        Handle { shared }
    }

    /// One turn: books what was served, evaluates what is due, hands out what is new.
    pub fn tick(&mut self, now: Timestamp) -> Tick {
        let ticked = match self.settle(now, Some(Input::Tick)) {
            Some(Answer::Ticked(tick)) => tick,
            // The store refused: it is tried again.
            _ => Tick { evaluated: 0, next_due: Some(later(now, RETRY_AFTER)) },
        };
        self.publish();
        let settle = (!self.routed.is_empty()).then(|| later(now, SETTLE_EVERY));
        Tick { evaluated: ticked.evaluated, next_due: ticked.next_due.into_iter().chain(settle).min() }
    }

    /// When to turn next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let settle = self.settled_at.filter(|_| !self.routed.is_empty()).map(|at| later(at, SETTLE_EVERY));
        self.engine.next_due().into_iter().chain(settle).min()
    }

    /// Changes the engine, at an instant: what was served until then is booked before, and what is new is handed out
    /// after. Of a driver that is [`keeping`](Driver::keeping) records, a change that is to last goes by way of
    /// [`Driver::apply`].
    pub fn update<T>(&mut self, now: Timestamp, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        self.settle(now, None);
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
        let answer = self.settle(now, Some(input));
        self.publish();
        // One or the other: who refused said why.
        answer
            .ok_or_else(|| self.failure.clone().unwrap_or_else(|| StoreError::Io("nothing was kept".into())))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine alone, all that was served booked. Handles go on by the weights they have.
    pub fn into_engine(mut self, now: Timestamp) -> Engine {
        self.settle(now, None);
        self.engine
    }

    /// Why nothing could be written down the last time that something was to be.
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Requests recorded that no account took: their schedule is gone, or their flavour for more than a day.
    pub fn unbooked(&self) -> u64 {
        self.unbooked
    }

    /// Requests of a schedule that the best flavour served because there was no credit for their own.
    pub fn redirected(&self, id: &ScheduleId) -> u64 {
        self.routed.get(id).map_or(0, |routed| routed.booked.redirected)
    }

    /// Books what was served, acts upon `input` after it, and lets go of schedules whose handles are gone. Answers what
    /// the input came to; none where the store refused, or there is no input.
    fn settle(&mut self, now: Timestamp, input: Option<Input>) -> Option<Answer> {
        let served = self.routed.values().filter_map(|routed| routed.served(now)).collect();
        let mut answers = self.book(now, served, input)?;
        self.settled_at = Some(now);
        // Nobody else has it: what is counted by now was the last of it.
        self.routed.retain(|_, routed| Arc::strong_count(&routed.shared) > 1);
        answers.pop()
    }

    /// Books what was served, and acts upon `input` after it. Answers what that came to; nothing where the store refused.
    fn book(&mut self, now: Timestamp, served: Vec<Served>, input: Option<Input>) -> Option<Vec<Answer>> {
        let reports = served.iter().flat_map(|served| {
            let report =
                |feedback: &Feedback| Input::Feedback { id: served.id.clone(), feedback: feedback.clone() };
            served.reports.iter().map(report)
        });
        let inputs: Vec<Input> = reports.chain(input).collect();
        let mut answers = self.act(now, inputs)?.into_iter();
        let mut refused = Vec::new();
        for Served { id, totals, reports } in served {
            refused.extend(
                reports
                    .into_iter()
                    .zip(answers.by_ref())
                    .filter(|(_, answer)| matches!(answer, Answer::Counted(Err(_))))
                    .map(|(report, _)| (id.clone(), report)),
            );
            if let Some(routed) = self.routed.get_mut(&id) {
                // What was taken comes back; what was spent of it is in the account by now.
                routed.credit -= i64::try_from(totals.taken - routed.booked.taken).unwrap_or(i64::MAX);
                routed.booked = totals;
                routed.settled_at = Some(now);
            }
        }
        for (id, report) in refused {
            self.book_each(&id, &report, now);
        }
        Some(answers.collect())
    }

    /// Has inputs written down, and acts upon them. None where the store refused.
    fn act(&mut self, at: Timestamp, inputs: Vec<Input>) -> Option<Vec<Answer>> {
        let records: Vec<Record> = inputs.into_iter().map(|input| Record { at, input }).collect();
        if let Some(keep) = self.keep.as_mut().filter(|_| !records.is_empty()) {
            self.failure = keep(&records).err();
            if self.failure.is_some() {
                return None;
            }
        }
        Some(records.iter().map(|record| self.engine.apply(record)).collect())
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
            let answers = self.act(now, vec![Input::Feedback { id: id.clone(), feedback }]);
            if !matches!(answers.as_deref(), Some([Answer::Counted(Ok(_))])) {
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
            window_seconds: elapsed.clamp(WINDOW.0, WINDOW.1),
            window_end: Some(now),
            ..Feedback::default()
        };
        let (mut measured, mut plain) = (window.clone(), window);
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
        Some(Served { id: self.shared.id.clone(), totals, reports })
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
        if !is_known {
            self.publish(published, |flavour| if checks_credit { engine.cost(&id, flavour) } else { 0 });
        }
        if let Some(credit) = engine.credit(&id).filter(|_| checks_credit) {
            self.shared.lanes.grant(credit - self.credit);
            self.credit = credit;
        }
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
        let share = |(rank, (id, position, flavour)): (u16, &(u16, u16, &FlavourShare))| {
            let is_best = rank == 0;
            let weight = if is_best { 1_000_u16.saturating_sub(others) } else { flavour.per_mille };
            let cost = if is_best || is_free { 0 } else { cost(&flavour.name) };
            Share::new(*id, *position, rank, weight, cost)
        };
        let shares: Vec<Share> = (0..).zip(&known).map(share).collect();
        let name = |share: &Share| self.shared.names.get(share.id()).cloned();
        let order: Vec<Arc<str>> = shares.iter().filter_map(name).collect();
        if order != self.flavours {
            self.list += 1;
            self.flavours = order;
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
        let id = u16::try_from(self.shared.names.push(Arc::clone(name))).ok()?;
        self.ids.insert(Arc::clone(name), id);
        Some(id)
    }
}

impl Tally {
    /// What was counted between `before` and this.
    fn since(self, before: Self) -> Self {
        Self {
            plain: self.plain - before.plain,
            measured: self.measured - before.measured,
            errors: self.errors - before.errors,
        }
    }

    /// The mean precision of what was measured.
    fn mean_precision(&self) -> Option<Precision> {
        let error = self.errors as f64 / self.measured as f64 / f64::from(PPM);
        // Nothing is less precise than the least there is; an error of all is one of nearly all.
        (self.measured > 0).then(|| Precision::new((1.0 - error).clamp(1e-9, 1.0)).unwrap_or(Precision::BEST))
    }
}
