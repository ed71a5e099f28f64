//! The guarantee of the error budget, and what breaks weaker wordings of it.
//!
//! Truth is kept beside the budget, in whole ppm x requests, so every claim is checked exactly.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use ledger::{
    Before, Bounds, BudgetSettings, CreditLedger, ErrorBudget, PostingId, Report, ServedAt, guarded_error,
};
use models::Timestamp;
use proptest::prelude::*;

const PPM: i128 = 1_000_000;
const INTERVAL: i64 = 60;

fn plain(ppm: i128) -> f64 {
    ppm as f64 / PPM as f64
}

#[expect(clippy::cast_possible_truncation, reason = "amounts of tests are far below 2^53")]
fn exact(amount: f64) -> i128 {
    (amount * PPM as f64).round() as i128
}

/// What happens in one interval.
#[derive(Debug, Clone, Copy)]
struct Interval {
    /// The target in force, ppm.
    target: u32,
    /// Requests expected in a window.
    in_window: u32,
    overdraft: f64,
    /// Of what the guard allows, how much is published, in [0, 1].
    used: f64,
    /// The most that may come, as the guard believes.
    n_up: u32,
    arrivals: u32,
    /// In how many reports they are told of.
    reports: u32,
    /// Of the published error, how much is served, in [0, 1].
    realised: f64,
}

/// Some calm minute: all of the guard is used.
const CALM: Interval = Interval {
    target: 50_000,
    in_window: 20_000,
    overdraft: 0.0,
    used: 1.0,
    n_up: 150,
    arrivals: 100,
    reports: 1,
    realised: 1.0,
};

/// A report on its way.
#[derive(Debug, Clone)]
struct Post {
    id: PostingId,
    /// Which one it is, as its sender counts.
    number: usize,
    from: Timestamp,
    at: Timestamp,
    served: [ServedAt; 2],
}

/// A budget, the truth about what it counts, and reports it has not heard of yet.
struct World {
    budget: ErrorBudget,
    credits: CreditLedger,
    now: Timestamp,
    /// Target less error over all that was served, ppm x requests.
    saved: i128,
    /// The deepest floor and the largest surprise so far.
    overdraft: i128,
    surprise: i128,
    on_the_way: VecDeque<Post>,
    /// Reports that come later than those, if ever.
    delayed: Vec<Post>,
    sent: usize,
    /// The numbers that were heard, and the ends of their windows.
    heard: BTreeMap<usize, Timestamp>,
    /// At each report: what was saved, and the capacity.
    prefixes: Vec<(i128, i128)>,
}

impl World {
    #[expect(clippy::unwrap_used, reason = "an empty ledger is within these bounds")]
    fn new() -> Self {
        let mut budget = ErrorBudget::new(BudgetSettings::default());
        budget.serve(None, Timestamp::UNIX_EPOCH, &[]);
        Self {
            budget,
            credits: CreditLedger::new(Bounds::new(-0.5, 0.5).unwrap(), SignedDuration::from_secs(300)),
            now: Timestamp::UNIX_EPOCH,
            saved: 0,
            overdraft: 0,
            surprise: 0,
            on_the_way: VecDeque::new(),
            delayed: Vec::new(),
            sent: 0,
            heard: BTreeMap::new(),
            prefixes: vec![(0, 0)],
        }
    }

    /// Publishes, and lets everybody be served. Answers the error published, in ppm.
    fn publish(&mut self, interval: &Interval) -> i128 {
        let target = plain(interval.target.into());
        self.budget.reconfigure(BudgetSettings { overdraft: interval.overdraft, ..self.budget.settings() });
        self.budget.expect(target, interval.in_window.into());
        self.budget.end(self.now);
        self.overdraft = self.overdraft.max(exact(-self.budget.floor()));
        let most = guarded_error(target, self.budget.spendable(), interval.n_up.into(), 0.0);
        let error = exact(most * interval.used);
        let id = self.credits.post(self.now, target, plain(error));
        self.budget.begin(id, self.now, target, plain(error), interval.n_up.into());

        let excess = (error - i128::from(interval.target)).max(0);
        let beyond = i128::from(interval.arrivals.saturating_sub(interval.n_up));
        self.surprise = self.surprise.max(excess * beyond);
        for part in 0..interval.reports {
            // Every part has its mean at or below what was published.
            let requests =
                interval.arrivals / interval.reports + u32::from(part < interval.arrivals % interval.reports);
            if requests == 0 {
                continue;
            }
            let total = exact(plain(i128::from(requests) * error) * interval.realised);
            let total = total.min(i128::from(requests) * error);
            let wrong = u64::try_from(total / PPM).unwrap_or(0);
            let served = [
                ServedAt { requests: wrong, error: 1.0 },
                ServedAt { requests: u64::from(requests) - wrong, error: 0.0 },
            ];
            let bound = |parts: u32| {
                self.now
                    + SignedDuration::from_secs(INTERVAL * i64::from(parts) / i64::from(interval.reports))
            };
            let (from, at) = (bound(part), bound(part + 1));
            self.on_the_way.push_back(Post { id, number: self.sent, from, at, served });
            self.sent += 1;
            self.saved += i128::from(requests) * i128::from(interval.target) - i128::from(wrong) * PPM;
        }
        self.now += SignedDuration::from_secs(INTERVAL);
        error
    }

    /// Books the next report.
    fn report(&mut self) {
        if let Some(report) = self.on_the_way.pop_front() {
            self.budget.serve(Some(report.id), report.at, &report.served);
        }
    }

    /// Books one of numbered reports: what is missing between those that were heard may still come.
    fn report_numbered(&mut self, post: &Post) {
        self.heard.insert(post.number, post.at);
        let gaps = self.heard.iter().zip(self.heard.iter().skip(1));
        let awaited: Vec<_> = gaps
            .filter(|((before, _), (after, _))| **before + 1 < **after)
            .map(|((_, from), (_, to))| (*from, *to))
            .collect();
        self.budget.report(&Report {
            interval: Some(post.id),
            from: post.from,
            to: post.at,
            before: Before::Told,
            awaited: &awaited,
            served: &post.served,
        });
    }

    /// An interval whose reports are all booked before the next one begins; checked at each.
    fn live(&mut self, interval: &Interval) -> Result<i128, TestCaseError> {
        let before = self.saved;
        let error = self.publish(interval);
        let after = self.saved;
        let mut saved = before;
        while let Some(report) = self.on_the_way.front() {
            let [wrong, right] = report.served;
            saved += i128::from(wrong.requests + right.requests) * i128::from(interval.target);
            saved -= i128::from(wrong.requests) * PPM;
            self.report();
            prop_assert!(exact(self.budget.balance()) <= saved, "a balance above what was saved");
            self.check(saved)?;
        }
        prop_assert_eq!(saved, after);
        Ok(error)
    }

    /// The two claims, at a moment when so much is saved.
    fn check(&mut self, saved: i128) -> Result<(), TestCaseError> {
        let least = -self.overdraft - self.surprise;
        prop_assert!(saved >= least, "{saved} since the start, expected at least {least}");
        for (before, capacity) in &self.prefixes {
            let change = saved - before;
            prop_assert!(change >= least - capacity, "{change}, expected at least {}", least - capacity);
        }
        self.prefixes.push((saved, exact(self.budget.capacity())));
        Ok(())
    }
}

fn interval(beyond: bool) -> impl Strategy<Value = Interval> {
    let share = || prop_oneof![3 => Just(1.0), 2 => 0.0..1.0_f64, 1 => Just(0.0)];
    let overdraft = prop_oneof![3 => Just(0.0), 1 => 0.0..1.0_f64];
    let target = prop_oneof![3 => Just(50_000_u32), 1 => 0..=1_000_000_u32];
    let in_window = prop_oneof![3 => Just(20_000_u32), 1 => 0..50_000_u32];
    (target, in_window, overdraft, share(), 0..1_000_u32, 0..3_000_u32, share(), 1..5_u32, share()).prop_map(
        move |(target, in_window, overdraft, used, n_up, arrivals, part, reports, realised)| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most n_up")]
            let arrivals = if beyond { arrivals } else { (f64::from(n_up) * part) as u32 };
            Interval { target, in_window, overdraft, used, n_up, arrivals, reports, realised }
        },
    )
}

proptest! {
    #[test]
    fn within_what_may_come_nothing_is_overspent(intervals in prop::collection::vec(interval(false), 1..80)) {
        let mut world = World::new();
        for interval in &intervals {
            world.live(interval)?;
        }
        prop_assert_eq!(world.surprise, 0);
    }

    #[test]
    fn beyond_it_one_surprise_is_overspent_at_most(
        intervals in prop::collection::vec(prop_oneof![interval(false), interval(true)], 1..80),
    ) {
        let mut world = World::new();
        for interval in &intervals {
            world.live(interval)?;
        }
    }

    /// More than the guarantee says: what is held back covers whatever nobody has told of yet.
    #[test]
    fn however_late_reports_are_nothing_is_overspent(
        intervals in prop::collection::vec((interval(false), 0..9_usize), 1..200),
        quiet in 0..60_usize,
    ) {
        let mut world = World::new();
        for (index, (interval, heard)) in intervals.iter().enumerate() {
            world.publish(interval);
            let least = -world.overdraft;
            prop_assert!(world.saved >= least, "{} saved, expected at least {least}", world.saved);
            for _ in 0..if index < quiet { 0 } else { *heard } {
                world.report();
            }
        }
        prop_assert_eq!(world.surprise, 0);
        while !world.on_the_way.is_empty() {
            world.report();
        }
        prop_assert!(exact(world.budget.balance()) <= world.saved);
    }

    /// Reports that are numbered may come out of order, much later, or never: what nobody told of stays held
    /// back, or is taken for spent.
    #[test]
    fn whatever_is_lost_nothing_is_overspent(
        intervals in prop::collection::vec(
            (interval(false), prop::collection::vec((0..4_usize, 0..10_u8, any::<prop::sample::Index>()), 0..9)),
            1..200,
        ),
    ) {
        let mut world = World::new();
        for (interval, arriving) in &intervals {
            world.publish(interval);
            let least = -world.overdraft;
            prop_assert!(world.saved >= least, "{} saved, expected at least {least}", world.saved);
            for (behind, fate, late) in arriving {
                // What went before the first that is heard nobody knows.
                let begun = !world.heard.is_empty();
                let next = world.on_the_way.remove(if begun { *behind } else { 0 });
                match fate {
                    0..2 if begun => {}
                    2..4 if begun => world.delayed.extend(next),
                    _ => next.iter().for_each(|post| world.report_numbered(post)),
                }
                if *fate >= 7 && !world.delayed.is_empty() {
                    let late = world.delayed.swap_remove(late.index(world.delayed.len()));
                    world.report_numbered(&late);
                }
            }
        }
        prop_assert_eq!(world.surprise, 0);
    }

    /// Where all that was missing came in the end, it is as if it had come in time.
    #[test]
    fn what_came_late_costs_nothing_in_the_end(
        intervals in prop::collection::vec(interval(false), 1..25),
        order in prop::collection::vec(any::<prop::sample::Index>(), 100),
    ) {
        let run = |order: &[prop::sample::Index]| {
            let mut world = full();
            for interval in &intervals {
                world.publish(&Interval { used: 0.5, target: 50_000, in_window: 1_000_000, ..*interval });
            }
            world.budget.end(world.now);
            assert!(world.budget.held() > 0.0 || intervals.iter().all(|interval| interval.n_up == 0));
            // The first one is heard first: what goes before it nobody would know.
            let first = world.on_the_way.pop_front();
            if let Some(post) = &first {
                world.report_numbered(post);
            }
            for at in order {
                if world.on_the_way.is_empty() {
                    break;
                }
                let next = world.on_the_way.remove(at.index(world.on_the_way.len()));
                if let Some(post) = &next {
                    world.report_numbered(post);
                }
            }
            while let Some(next) = world.on_the_way.pop_front() {
                world.report_numbered(&next);
            }
            (exact(world.budget.balance()), exact(world.budget.held()))
        };
        prop_assert_eq!(run(&order), run(&[]));
    }

    /// Errors and targets of any number of digits, each rounded by less than a ppm against the schedule.
    #[test]
    fn rounding_is_never_in_favour_of_the_schedule(
        target in 0.0..1.0_f64,
        reports in prop::collection::vec((0..1_000_000_u64, 0.0..1.0_f64), 1..50),
    ) {
        let mut budget = ErrorBudget::new(BudgetSettings::default());
        budget.expect(target, 1e15);
        budget.serve(None, Timestamp::UNIX_EPOCH, &[]);
        budget.expect(target, 1e15);
        let (mut requests, mut saved) = (0.0, 0.0);
        for (count, error) in reports {
            budget.serve(None, Timestamp::UNIX_EPOCH, &[ServedAt { requests: count, error }]);
            requests += count as f64;
            saved += count as f64 * (target - error);
        }
        let rounding = saved - budget.balance();
        prop_assert!((-1e-6..=2e-6 * requests + 1e-6).contains(&rounding), "{rounding} of {requests}");
    }

    /// The guard itself, for every demand up to the one it was told of.
    #[test]
    fn no_demand_costs_more_than_can_be_spent(
        target in 0.0..1.0_f64,
        spendable in 0..2_000_000_000_000_i64,
        n_up in 1..5_000_000_u32,
        part in 0.0..1.0_f64,
    ) {
        let mut budget = ErrorBudget::new(BudgetSettings::default());
        budget.serve(None, Timestamp::UNIX_EPOCH, &[]);
        budget.expect(target, 1e15);
        let error = guarded_error(target, plain(spendable.into()), n_up.into(), 0.0);
        let arrivals = (f64::from(n_up) * part).ceil();
        for arrivals in [f64::from(n_up), arrivals, 1.0] {
            let mut budget = budget.clone();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most n_up")]
            let requests = arrivals as u64;
            budget.serve(None, Timestamp::UNIX_EPOCH, &[ServedAt { requests, error }]);
            prop_assert!(-exact(budget.balance()) <= i128::from(spendable), "{arrivals} at {error}");
        }
    }
}

/// A world with all of its capacity banked.
#[expect(clippy::unwrap_used, reason = "saving keeps both claims")]
fn full() -> World {
    let mut world = World::new();
    let saving = Interval { used: 0.0, n_up: 30_000, arrivals: 20_000, ..CALM };
    assert_eq!(world.live(&saving).unwrap(), 0);
    assert_eq!(world.budget.balance(), 1_000.0);
    world
}

#[test]
fn feedback_ten_intervals_late_overspends_nothing() {
    // Ten intervals in a row, each sure that the credit of the first is still there, would spend it ten
    // times.
    let mut world = full();
    let banked = world.saved;
    let errors: Vec<i128> = (0..200)
        .map(|minute| {
            let error = world.publish(&CALM);
            if minute >= 10 {
                world.report();
            }
            assert!(world.saved >= 0, "{} saved after minute {minute}", world.saved);
            error
        })
        .collect();
    assert!(errors[0] > 900_000, "{errors:?}");
    // And what is banked is spent.
    assert!(world.saved < banked / 2, "{} of {banked} saved", world.saved);
}

#[test]
fn no_feedback_with_flat_assumed_demand_mints_and_spends_nothing_twice() {
    // Planned as 100 requests a minute without an error: no credit, as nobody said they were served.
    let mut world = World::new();
    for _ in 0..1_000 {
        world.publish(&Interval { used: 0.0, arrivals: 0, ..CALM });
        assert_eq!(world.budget.spendable(), 0.0);
    }
    // Real demand is what may come at most, and nobody says so: the credit is spent once, then no more,
    // however long ago the intervals are that spent it.
    let mut world = full();
    for _ in 0..1_000 {
        world.publish(&Interval { arrivals: 150, ..CALM });
        assert!(world.saved >= 0, "{}", world.saved);
    }
    // What is left of it is less than a ppm of what may come.
    assert!(world.publish(&CALM) <= 50_000);
    assert!(world.budget.spendable() < 150e-6);
}

#[test]
fn half_a_day_of_expected_traffic_that_never_comes_is_no_income_and_costs_nothing() {
    let mut world = full();
    let before = world.budget.balance();
    // Routers post nothing for empty windows.
    for minute in 0..720 {
        let used = if minute % 2 == 0 { 0.0 } else { 1.0 };
        world.publish(&Interval { used, arrivals: 0, ..CALM });
        assert!(world.budget.balance() <= before && world.budget.spendable() >= 0.0);
    }
    assert!(world.budget.spendable() < before / 2.0);
    // The first report that comes again says that nothing was spent.
    world.publish(&Interval { used: 0.0, arrivals: 1, ..CALM });
    world.report();
    world.budget.end(world.now);
    assert_eq!((world.budget.balance(), world.budget.spendable()), (before, before));
}

#[test]
fn whole_percent_weights_posted_as_their_unrounded_plan_are_booked_as_served() {
    // The plan errs by 0.0549, the weights published in its place by 0.06: ten hours of that are 3,000
    // requests x error, of which the plan knows 2,745.
    let mut world = full();
    let mut balance = 1_000.0;
    for _ in 0..600 {
        let id = world.credits.post(world.now, 0.05, 0.0549);
        world.budget.begin(id, world.now, 0.05, 0.0549, 150.0);
        world.now += SignedDuration::from_secs(INTERVAL);
        world.budget.serve(Some(id), world.now, &[ServedAt { requests: 100, error: 0.06 }]);
        balance -= 1.0;
        assert_eq!(world.budget.balance(), balance);
        assert_eq!(guarded_error(0.05, world.budget.spendable() - 400.0, 100.0, 0.0) > 0.0, balance > 400.0);
        assert!(world.budget.spendable() <= balance);
    }
    // Weights rounded towards precision where the guard binds: never more than it allows.
    assert_eq!(world.budget.served_error(), 3_600.0);
}

#[test]
fn a_put_that_tightens_the_target_takes_back_nothing_and_gives_nothing() {
    let mut world = full();
    // Published under a target of 0.05, reported after a PUT made it 0.01: booked with 0.05.
    let loose = Interval { used: 0.0, ..CALM };
    let tight = Interval { target: 10_000, in_window: 100_000, used: 0.0, ..CALM };
    world.publish(&Interval { arrivals: 200, n_up: 200, realised: 0.5, ..CALM });
    world.publish(&tight);
    world.report();
    world.report();
    assert_eq!(exact(world.budget.balance()), world.saved);
    // And the other way round: what was served under 0.01 earns no more by the target that came next.
    world.publish(&tight);
    world.publish(&loose);
    let before = exact(world.budget.balance());
    world.report();
    assert_eq!(exact(world.budget.balance()) - before, 100 * 10_000);
    world.report();
    assert_eq!(exact(world.budget.balance()), world.saved);
    // A capacity that shrinks with the target takes credit, and makes no debt.
    world.publish(&Interval { target: 1_000, ..tight });
    assert_eq!((world.budget.balance(), world.budget.capacity()), (100.0, 100.0));
}
