//! The interleavings of two threads that pick, record, and have weights published, by loom: the very code of
//! `engine::routing`, built of loom's atomics in place of the processor's, and of its locks in place of ours.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where something is wrong")]
#![expect(dead_code, reason = "the model does not ask for everything")]
#![expect(unreachable_pub, reason = "the files are another crate's")]

#[path = "../../src/routing/claims.rs"]
mod claims;
#[path = "../../src/routing/lanes.rs"]
mod lanes;
#[path = "../../src/routing/shares.rs"]
mod shares;
mod sync;

use claims::Claims;
use lanes::{Lanes, Table, Tally};
use loom::thread;
use shares::Share;
use sync::{Arc, AtomicU64};

/// Runs two acts at once over every interleaving with at most three switches that a thread did not ask for (more find
/// nothing that these do not, as a rule, and take hours), and has `check` look at what came of it. Each of the two is
/// the act of the thread that began once: loom remembers one access to each number, and where a thread reads before it
/// writes, as a lane's owner does, another's read before that is forgotten.
fn explore(
    begin: impl Fn() -> Lanes + Send + Sync + 'static,
    acts: [fn(&Lanes); 2],
    check: impl Fn(&Lanes) + Send + Sync + 'static,
) {
    let (begin, check) = (std::sync::Arc::new(begin), std::sync::Arc::new(check));
    for [first, second] in [acts, [acts[1], acts[0]]] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        let (begin, check) = (std::sync::Arc::clone(&begin), std::sync::Arc::clone(&check));
        builder.check(move || {
            let lanes = Arc::new(begin());
            let other = Arc::clone(&lanes);
            let thread = thread::spawn(move || second(&other));
            first(&lanes);
            thread.join().unwrap();
            check(&lanes);
        });
    }
}

/// The first flavour costs nothing, the second `cost`.
fn table(number: u64, weights: [u16; 2], cost: u32) -> Arc<Table> {
    let shares = vec![Share::new(0, 0, weights[0], 0), Share::new(1, 1, weights[1], cost)];
    Arc::new(Table { number, list: 1, shares })
}

fn lanes(own: usize, common: usize, table: Arc<Table>) -> Lanes {
    let lanes = Lanes::new(own, common);
    lanes.make_room(2);
    lanes.publish(table);
    lanes
}

fn pick_and_record(lanes: &Lanes, thread: usize, error: Option<u32>) -> Share {
    let share = lanes.pick(thread, shares::next).expect("it is published");
    lanes.record(thread, share, error);
    share
}

fn requests(tallies: &[Tally]) -> u64 {
    tallies.iter().map(|tally| tally.plain + tally.measured).sum()
}

#[test]
fn nothing_is_lost_while_weights_change_and_they_are_seen_once_they_are_published() {
    let picks = |lanes: &Lanes| {
        pick_and_record(lanes, 0, None);
        pick_and_record(lanes, 0, None);
    };
    let publishes = |lanes: &Lanes| lanes.publish(table(2, [0, 1_000], 0));
    explore(
        || lanes(1, 0, table(1, [1_000, 0], 0)),
        [picks, publishes],
        |lanes| {
            // Whoever learns of the publication, here by the join, picks by it.
            assert_eq!(pick_and_record(lanes, 0, None).id(), 1);
            assert_eq!(requests(&lanes.totals().tallies), 3);
        },
    );
}

#[test]
fn a_table_is_seen_whole() {
    let picks = |lanes: &Lanes| {
        let share = pick_and_record(lanes, 0, None);
        // The second table has other costs along with other weights.
        assert_eq!(share.cost(), if share.id() == 0 { 0 } else { 70 });
    };
    let publishes = |lanes: &Lanes| lanes.publish(table(2, [0, 1_000], 70));
    let begin = || {
        let lanes = lanes(1, 0, table(1, [1_000, 0], 50));
        lanes.grant(1_000);
        lanes
    };
    explore(begin, [picks, publishes], |_| {});
}

#[test]
fn threads_that_share_a_lane_lose_nothing_and_wait_for_nobody_to_pick() {
    let picks = |lanes: &Lanes| {
        pick_and_record(lanes, 0, None);
    };
    explore(
        || lanes(0, 1, table(1, [500, 500], 0)),
        [picks, picks],
        |lanes| {
            assert_eq!(requests(&lanes.totals().tallies), 2);
        },
    );
}

#[test]
fn what_belongs_together_is_seen_together() {
    let begin = || {
        let lanes = lanes(1, 0, table(1, [0, 1_000], 100));
        lanes.grant(200);
        lanes
    };
    let counts = |lanes: &Lanes| {
        pick_and_record(lanes, 0, Some(7));
    };
    let looks = |lanes: &Lanes| {
        let seen = lanes.totals();
        let tally = seen.tallies[1];
        assert_eq!(tally.errors, 7 * tally.measured);
        assert_eq!(seen.taken, 100 * tally.measured);
    };
    explore(begin, [counts, looks], |lanes| {
        assert_eq!(lanes.totals().tallies[1], Tally { plain: 0, measured: 1, errors: 7 });
    });
}

#[test]
fn credit_is_spent_once() {
    let begin = || {
        let lanes = lanes(2, 0, table(1, [0, 1_000], 100));
        lanes.grant(150);
        lanes
    };
    let one = |lanes: &Lanes| {
        pick_and_record(lanes, 0, None);
    };
    let other = |lanes: &Lanes| {
        pick_and_record(lanes, 1, None);
    };
    explore(begin, [one, other], |lanes| {
        assert_eq!(lanes.totals().taken, 100);
        // What is left is somewhere, in a lane or before them, and none of it twice.
        lanes.grant(50);
        pick_and_record(lanes, 0, None);
        pick_and_record(lanes, 1, None);
        assert_eq!(lanes.totals().taken, 200);
    });
}

#[test]
fn a_request_that_was_not_served_gives_back_what_it_took() {
    let begin = || {
        let lanes = lanes(1, 0, table(1, [0, 1_000], 100));
        lanes.grant(100);
        lanes
    };
    let abandons = |lanes: &Lanes| {
        let share = lanes.pick(0, shares::next).unwrap();
        lanes.abandon(0, share);
    };
    let looks = |lanes: &Lanes| {
        let taken = lanes.totals().taken;
        assert!(taken == 0 || taken == 100);
    };
    explore(begin, [abandons, looks], |lanes| {
        assert_eq!((lanes.totals().taken, requests(&lanes.totals().tallies)), (100, 0));
    });
}

#[test]
fn a_lane_goes_from_thread_to_thread_with_all_that_was_counted() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let lanes = Arc::new(lanes(2, 0, table(1, [1_000, 0], 0)));
        let claims = Arc::new(Claims(AtomicU64::new(0)));
        let life = |lanes: Arc<Lanes>, claims: Arc<Claims>| {
            let own = claims.claim(2).expect("there are two for two");
            pick_and_record(&lanes, own, None);
            claims.give_up(own);
        };
        let (others, theirs) = (Arc::clone(&lanes), Arc::clone(&claims));
        let thread = thread::spawn(move || life(others, theirs));
        life(Arc::clone(&lanes), Arc::clone(&claims));
        thread.join().unwrap();
        assert_eq!(requests(&lanes.totals().tallies), 2);
        assert_eq!((claims.claim(1), claims.claim(1)), (Some(0), None));
    });
}
