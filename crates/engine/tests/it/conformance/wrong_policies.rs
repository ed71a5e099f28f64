//! Policies that each do one thing wrong.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::testing::{self, Invariant};
use policies::{Decision, PlanReport, Policy, PriceUnit, Reason, Situation};

/// A policy of a few functions, right where none of them says otherwise.
struct Made {
    looks_ahead: bool,
    /// Decisions so far.
    count: u64,
    remembers: bool,
    recall: fn(&mut u64, &[u64]),
    decide: Box<Decide>,
}

/// What it decides, after so many decisions.
type Decide = dyn Fn(u64, &Situation<'_>, &mut Decision) + Send + Sync;

impl Policy for Made {
    fn name(&self) -> &'static str {
        "made"
    }

    fn looks_ahead(&self) -> bool {
        self.looks_ahead
    }

    fn memory(&self) -> Vec<u64> {
        self.remembers.then_some(self.count).into_iter().collect()
    }

    fn recall(&mut self, memory: &[u64]) {
        (self.recall)(&mut self.count, memory);
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        (self.decide)(self.count, situation, decision);
        self.count = self.count.wrapping_add(1);
    }
}

fn made(decide: impl Fn(u64, &Situation<'_>, &mut Decision) + Send + Sync + 'static) -> Made {
    let recall = |count: &mut u64, memory: &[u64]| {
        if let &[word] = memory {
            *count = word;
        }
    };
    Made { looks_ahead: false, count: 0, remembers: true, recall, decide: Box::new(decide) }
}

/// One that does everything right before `then` comes.
fn right(then: impl Fn(&Situation<'_>, &mut Decision) + Send + Sync + 'static) -> Made {
    made(move |_, situation, decision| {
        decision.begin(situation.menu);
        decision.shares[0] = 1.0;
        decision.finish(situation.menu);
        then(situation, decision);
    })
}

/// Takes turns, so that what it remembers is seen.
fn turns() -> Made {
    made(|count, situation, decision| {
        decision.begin(situation.menu);
        let turn = usize::try_from(count % decision.shares.len() as u64).unwrap();
        decision.shares[turn] = 1.0;
        decision.finish(situation.menu);
    })
}

/// Everything to the worst flavour, whatever the guard says.
fn worst(situation: &Situation<'_>, decision: &mut Decision) {
    decision.begin(situation.menu);
    *decision.shares.last_mut().unwrap() = 1.0;
    decision.finish(situation.menu);
}

fn looking_ahead(policy: Made) -> Made {
    Made { looks_ahead: true, ..policy }
}

/// Just below the guard: rounded to whole percent, it may be above.
fn to_the_guard(situation: &Situation<'_>, decision: &mut Decision) {
    let hull = situation.menu.hull();
    let least = situation.menu.baseline().error;
    let most = situation.horizon.map_or(least, |horizon| {
        ledger::guarded_error(situation.target_error, horizon.credit, horizon.most_requests, least)
    });
    decision.begin(situation.menu);
    for (entry, share) in hull.mix(most).parts {
        decision.shares[entry] += share;
    }
    decision.finish(situation.menu);
}

fn plan(planned_error: f64) -> PlanReport {
    let unit = PriceUnit::Grams;
    PlanReport { horizon_seconds: 60.0, slots: 1, planned_error, shadow_price: None, unit }
}

type Row = (&'static str, Invariant, fn() -> Made);

const WRONG: [Row; 24] = [
    ("a share for every flavour there might be", Invariant::OneSharePerFlavour, || {
        right(|_, decision| decision.shares.push(0.0))
    }),
    ("no share at all", Invariant::OneSharePerFlavour, || right(|_, decision| decision.shares.clear())),
    ("a share that is not a number", Invariant::SharesAreShares, || {
        right(|situation, decision| decision.shares[0] = 0.0 / (situation.target_error - 0.05))
    }),
    ("a share below 0", Invariant::SharesAreShares, || {
        right(|_, decision| {
            if let [first, second, ..] = decision.shares.as_mut_slice() {
                (*first, *second) = (1.2, -0.2);
            }
        })
    }),
    ("half of the traffic", Invariant::SharesSumToOne, || {
        right(|situation, decision| decision.shares[0] = if situation.now.is_none() { 0.5 } else { 1.0 })
    }),
    ("a precision of its own", Invariant::SharesSumToOne, || {
        right(|_, decision| decision.avg_precision = 0.77)
    }),
    ("an endless figure", Invariant::FiguresAreFinite, || {
        right(|situation, decision| {
            let ratio = situation.balance / situation.bounds.max();
            decision.diagnostics.push(("ratio".into(), ratio));
        })
    }),
    ("more than all the credit", Invariant::FiguresAreFinite, || {
        right(|situation, decision| decision.allowance = Some(situation.balance * 3.0))
    }),
    ("a plan beyond all errors", Invariant::FiguresAreFinite, || {
        right(|situation, decision| decision.plan = Some(plan(situation.target_error * 2.0)))
    }),
    ("a bound that is none", Invariant::FiguresAreFinite, || {
        right(|_, decision| decision.most_error = Some(f64::INFINITY))
    }),
    ("an empty reason", Invariant::FiguresAreFinite, || {
        right(|_, decision| decision.reason = Reason::Other("".into()))
    }),
    ("diagnostics added to those that were there", Invariant::DecisionsAreWhole, || {
        made(|_, situation, decision| {
            decision.shares = vec![1.0; situation.menu.entries().len()];
            decision.finish(situation.menu);
            decision.note("flavours", 3.0);
            (decision.allowance, decision.most_error, decision.plan) = (None, None, None);
            decision.reason = Reason::Unsaid;
        })
    }),
    ("an allowance left from another", Invariant::DecisionsAreWhole, || {
        made(|_, situation, decision| {
            let before = decision.allowance;
            worst(situation, decision);
            decision.allowance = before;
        })
    }),
    ("a count of all policies together", Invariant::SameSituationsSameDecisions, || {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        right(|_, decision| decision.note("count", COUNT.fetch_add(1, Ordering::Relaxed) as f64))
    }),
    ("a turn that is not remembered", Invariant::MemoryGoesOn, || Made { remembers: false, ..turns() }),
    ("a turn that is not recalled", Invariant::MemoryGoesOn, || Made { recall: |_, _| (), ..turns() }),
    ("a memory of any words", Invariant::ForeignMemoryIsLeft, || Made {
        recall: |count, memory| *count = memory.iter().fold(0, |sum, word| sum.wrapping_add(*word)),
        ..turns()
    }),
    ("a word of memory taken for granted", Invariant::PolicyNeverPanics, || Made {
        recall: |count, memory| {
            if memory.len() < 2 {
                *count = memory[0];
            }
        },
        ..turns()
    }),
    ("a memory that is believed", Invariant::SharesAreShares, || Made {
        recall: |count, memory| {
            if let &[word] = memory {
                *count = word;
            }
        },
        ..made(|count, situation, decision| {
            decision.begin(situation.menu);
            decision.shares[0] = 1.0;
            decision.finish(situation.menu);
            if count > 1_000_000 {
                decision.shares[0] = f64::from_bits(count);
            }
        })
    }),
    ("a second flavour taken for granted", Invariant::PolicyNeverPanics, || {
        right(|_, decision| {
            decision.shares[1] = 0.0;
        })
    }),
    ("a forecast taken for granted", Invariant::PolicyNeverPanics, || {
        right(|situation, decision| decision.note("now", situation.now.unwrap()))
    }),
    ("a horizon and no guard", Invariant::KeepsToTheGuard, || {
        looking_ahead(made(|_, situation, decision| worst(situation, decision)))
    }),
    ("the guard, and nothing for whole weights", Invariant::KeepsToTheGuard, || {
        looking_ahead(made(|_, situation, decision| to_the_guard(situation, decision)))
    }),
    ("the guard, and more for whole weights", Invariant::KeepsToTheGuard, || {
        looking_ahead(made(|_, situation, decision| {
            to_the_guard(situation, decision);
            decision.most_error = Some(1.0);
        }))
    }),
];

#[test]
fn what_a_policy_does_wrong_is_found_and_named() {
    let mut messages = String::new();
    for (what, invariant, make) in WRONG {
        let violation = testing::policy(move |_| Box::new(make())).expect_err(what);
        assert_eq!(violation.invariant, invariant, "{what}: {violation}");
        if invariant == Invariant::SameSituationsSameDecisions {
            // How often was counted before depends on what else runs.
            continue;
        }
        writeln!(messages, "{what}\n  {violation}").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn policies_that_do_nothing_wrong_are_not_refused() {
    let fine: [fn() -> Made; 3] = [
        turns,
        || {
            looking_ahead(made(|_, situation, decision| {
                to_the_guard(situation, decision);
                decision.most_error = situation.horizon.map(|horizon| {
                    let least = situation.menu.baseline().error;
                    ledger::guarded_error(
                        situation.target_error,
                        horizon.credit,
                        horizon.most_requests,
                        least,
                    )
                });
            }))
        },
        // Nothing that is rounded: no bound is needed.
        || looking_ahead(right(|_, _| ())),
    ];
    for make in fine {
        testing::policy(move |_| Box::new(make())).unwrap();
    }
}

/// A memory that grows has no one length: no number of words is foreign to it.
#[test]
fn a_history_of_many_lengths_may_be_recalled() {
    #[derive(Default)]
    struct Trail(Vec<u64>);

    impl Policy for Trail {
        fn name(&self) -> &'static str {
            "trail"
        }

        fn memory(&self) -> Vec<u64> {
            self.0.clone()
        }

        fn recall(&mut self, memory: &[u64]) {
            if memory.len() <= 4 {
                self.0 = memory.to_vec();
            }
        }

        fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
            decision.begin(situation.menu);
            let mean: f64 = self.0.iter().map(|word| f64::from_bits(*word) % 1.0).sum();
            decision.shares[0] = 1.0;
            if let Some(last) = decision.shares.last_mut() {
                *last += mean;
            }
            decision.finish(situation.menu);
            self.0.truncate(3);
            self.0.insert(0, situation.now.unwrap_or(0.5).to_bits());
        }
    }
    let count = Arc::new(AtomicU64::new(0));
    let made = Arc::clone(&count);
    testing::policy(move |_| {
        made.fetch_add(1, Ordering::Relaxed);
        Box::new(Trail::default())
    })
    .unwrap();
    assert!(count.load(Ordering::Relaxed) > 100);
}
