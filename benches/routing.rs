//! What does it cost to ask which flavour is to serve a request, and to say that it did?
//!
//! Beside it stands what many services pay for every request already: the check of a rate limiter. What two threads
//! get through is measured against one of them in the same run.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "constants in range; a bench may stop where one is not"
)]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use benches::{Question, print, routed};
use engine::routing::{Handle, Key};
use governor::{Quota, RateLimiter};
use models::Precision;

/// Requests that each thread sends.
const REQUESTS: u32 = 2_000_000;
/// Times that each number of threads is tried; the best of them counts, since a neighbour can only slow it down.
const ROUNDS: usize = 9;

fn main() {
    let question = Question::ask("What does a request cost that asks which flavour is to serve it?");
    let limiter = RateLimiter::direct(Quota::per_second(NonZeroU32::MAX));
    let check = question.measure("(governor: a direct check)", || {
        black_box(limiter.check()).expect("the quota is large");
    });
    for (policy, count, what) in [
        ("constant-mix", 3, "2 of 3 flavours"),
        ("round-robin", 3, "3 of 3 flavours"),
        ("round-robin", 10, "10 of 10"),
    ] {
        let handle = routed(policy, count, false);
        let both = question.measure(&format!("pick and record, {what}"), || pick_and_record(&handle));
        print(&format!("  -> {:.2} of a check\n", both / check));
    }
    let plain = routed("constant-mix", 3, false);
    question.measure("pick alone", || drop(black_box(plain.pick())));
    question.measure("record alone, by name", || plain.record("flavour-0", 1, None).unwrap());
    let mut random = 0_u64;
    question.measure("pick by chance and record", || {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        plain.pick_random(random).unwrap().record();
    });
    let key = Key::new("user-17");
    question.measure("pick by key and record", || plain.pick_for(black_box(key)).unwrap().record());
    question.measure("pick, its name, and record", || {
        let pick = plain.pick().unwrap();
        black_box(pick.flavour());
        pick.record();
    });
    let precision = Precision::new(0.9).unwrap();
    question.measure("pick and record a measured precision", || {
        plain.pick().unwrap().record_precision(precision);
    });
    let checked = routed("constant-mix", 3, true);
    question.measure("pick with credit checked, and record", || pick_and_record(&checked));
    question.measure("the current schedule", || drop(black_box(plain.schedule())));

    print("\n  What do two threads get through, of what one does?\n\n");
    let limiter = Arc::new(limiter);
    let of = |what: &str, work: Arc<dyn Fn() + Send + Sync>| {
        print(&format!("  {what:<52} {:>11.2}x\n", at_once(2, &work) / at_once(1, &work)));
    };
    let shared = Arc::clone(&limiter);
    of("(governor: a direct check)", Arc::new(move || drop(black_box(shared.check()))));
    let (one, other) = (routed("constant-mix", 3, false), routed("constant-mix", 3, true));
    let (pick, record) = (routed("constant-mix", 3, false), routed("constant-mix", 3, false));
    of("pick alone", Arc::new(move || drop(black_box(pick.pick()))));
    of("record alone, by name", Arc::new(move || record.record("flavour-0", 1, None).unwrap()));
    of("pick and record", Arc::new(move || pick_and_record(&one)));
    of("pick with credit checked, and record", Arc::new(move || pick_and_record(&other)));
}

fn pick_and_record(handle: &Handle) {
    black_box(handle.pick()).expect("it is configured").record();
}

/// Calls per second that so many threads make together, at their best.
fn at_once(threads: usize, work: &Arc<dyn Fn() + Send + Sync>) -> f64 {
    let once = || {
        let (ready, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    ready.wait();
                    for _ in 0..REQUESTS {
                        work();
                    }
                    done.wait();
                });
            }
            ready.wait();
            let started = Instant::now();
            done.wait();
            f64::from(REQUESTS) * threads as f64 / started.elapsed().as_secs_f64()
        })
    };
    (0..ROUNDS).map(|_| once()).fold(0.0, f64::max)
}
