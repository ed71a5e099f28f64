//! Counts that were polled: the same requests are never counted twice, whoever else tells of them.

use crate::world::{World, secs};
use engine::{Polled, Polling};
use models::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn world() -> World {
    let mut world = World::new();
    world.put(json!({"policy": "p100", "creditMin": -10}));
    world
}

fn served(world: &World) -> u64 {
    world.published().schedule.budget.unwrap().served_requests
}

fn poll(world: &mut World, window: (Timestamp, Timestamp), counts: &[(&str, u64)]) -> Polled {
    let counts: Vec<_> = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    world.engine.poll(&world.id, window, &counts, world.now).unwrap()
}

fn counted() -> Polled {
    Polled::Counted { unknown: Vec::new() }
}

#[test]
fn windows_follow_one_another_from_the_first_schedule_on() {
    let mut world = world();
    let begun = world.now;
    assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Wanted { from: begun }));
    world.pass(secs(30));
    let first = (begun, begun + secs(30));
    assert_eq!(poll(&mut world, first, &[("precision-70", 90)]), counted());
    assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Wanted { from: first.1 }));
    // Again, in part, before the schedule was, in the future, backwards: nothing.
    for (from, to) in [(0, 30), (29, 30), (-60, 0), (30, 31), (30, 30), (30, 20)] {
        let window = (begun + secs(from), begun + secs(to));
        assert_eq!(poll(&mut world, window, &[("precision-70", 90)]), Polled::Refused, "{from} {to}");
    }
    world.pass(secs(30));
    assert_eq!(poll(&mut world, (first.1, first.1 + secs(30)), &[("precision-70", 10)]), counted());
    world.pass(secs(60));
    assert_eq!(served(&world), 100);
    let unknown = models::ScheduleId::new("no", "such").unwrap();
    assert!(world.engine.poll(&unknown, first, &[], world.now).is_err());
    assert!(world.engine.polling(&unknown, world.now).is_err());
}

#[test]
fn flavours_that_are_not_the_schedules_are_answered_and_not_counted() {
    let mut world = world();
    let begun = world.now;
    world.pass(secs(30));
    let counts = [("precision-70", 90), ("nope", 7), ("", 3)];
    let unknown = vec![("nope".to_owned(), 7), (String::new(), 3)];
    assert_eq!(poll(&mut world, (begun, begun + secs(30)), &counts), Polled::Counted { unknown });
    world.pass(secs(60));
    assert_eq!(served(&world), 90);
    assert_eq!(world.published().totals.mean_error, Some(0.3));
}

/// What may be spent after a minute at the worst flavour, as a poll tells of it.
fn spendable_after(tell: impl Fn(&mut World, Timestamp)) -> f64 {
    let mut world = World::new();
    world.put(json!({"policy": "receding-horizon", "creditMin": -10}));
    for _ in 0..30 {
        let from = world.now;
        world.pass(secs(60));
        let window = (from, world.now);
        poll(&mut world, window, &[("precision-100", 100)]);
        world.engine.tick(window.1);
    }
    world.manual(json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 60}));
    let from = world.now;
    world.pass(secs(60));
    tell(&mut world, from);
    world.pass(secs(60));
    world.json()["diagnostics"]["budget_credit"].as_f64().unwrap()
}

#[test]
fn what_a_poll_could_not_tell_is_not_spent_again() {
    let told = |world: &mut World, from: Timestamp, counts: &[(&str, u64)]| {
        let window = (from, world.now);
        poll(world, window, counts);
    };
    let nothing = spendable_after(|world, from| told(world, from, &[]));
    let unknown = spendable_after(|world, from| told(world, from, &[("nope", 100)]));
    // A minute that was never asked for.
    let skipped = spendable_after(|world, _| {
        let window = (world.now, world.now + secs(10));
        world.pass(secs(10));
        poll(world, window, &[]);
    });
    // A hundred a minute came; a half more is reckoned with, at 0.25 beyond the target.
    let held = 0.99 * 150.0 * 0.25;
    assert!(nothing - unknown > held && nothing - skipped > held, "{nothing} {unknown} {skipped}");
}

#[test]
fn whoever_posts_is_not_polled_for_an_hour_and_then_from_the_last_post_on() {
    let mut world = world();
    let begun = world.now;
    world.pass(secs(60));
    world.feedback(json!({"window_seconds": 60, "flavour_counts": {"precision-100": 10}}));
    let posted = world.now;
    assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Posted { at: posted }));
    world.pass(secs(3_599));
    let window = (posted, world.now);
    assert_eq!(poll(&mut world, window, &[("precision-100", 1)]), Polled::Refused);
    world.pass(secs(1));
    assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Wanted { from: posted }));
    let now = world.now;
    assert_eq!(poll(&mut world, (begun, now), &[("precision-100", 1)]), Polled::Refused);
    assert_eq!(poll(&mut world, (posted, now), &[("precision-100", 1)]), counted());
}

#[test]
fn a_post_about_what_was_polled_is_a_repeat() {
    let mut world = world();
    let begun = world.now;
    world.pass(secs(60));
    let now = world.now;
    assert_eq!(poll(&mut world, (begun, now), &[("precision-100", 100)]), counted());
    world.pass(secs(10));
    let reaching_back = json!({"source": "router", "sequence": 1, "window_seconds": 30,
        "flavour_counts": {"precision-70": 50}});
    assert!(world.feedback(reaching_back.clone()).duplicate);
    world.pass(secs(30));
    assert!(world.feedback(reaching_back).duplicate, "for ever, also by its number");
    let report = world.feedback(json!({"source": "router", "sequence": 2, "window_seconds": 30,
        "flavour_counts": {"precision-100": 5}}));
    assert!(!report.duplicate);
    world.pass(secs(60));
    assert_eq!(served(&world), 105);
}

#[test]
fn who_only_repeats_keeps_no_poll_away() {
    let mut world = world();
    let begun = world.now;
    world.pass(secs(60));
    let post = json!({"source": "router", "sequence": 1, "window_seconds": 60,
        "windowEnd": world.now.to_string(), "flavour_counts": {"precision-100": 10}});
    assert!(!world.feedback(post.clone()).duplicate);
    let posted = world.now;
    for _ in 0..11 {
        // The hour of what was counted runs on: nothing is polled that may be posted yet.
        assert!(world.feedback(post.clone()).duplicate);
        assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Posted { at: posted }));
        world.pass(secs(300));
    }
    world.pass(secs(300));
    assert!(world.feedback(post.clone()).duplicate);
    assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Wanted { from: posted }));
    let now = world.now;
    assert_eq!(poll(&mut world, (begun, now), &[("precision-100", 70)]), Polled::Refused);
    assert_eq!(poll(&mut world, (posted, now), &[("precision-100", 60)]), counted());
    assert!(world.feedback(post).duplicate);
    world.pass(secs(60));
    assert_eq!(served(&world), 70);
}

#[test]
fn a_post_about_what_was_polled_keeps_polls_away_where_it_says_more() {
    let mut world = world();
    let begun = world.now;
    world.pass(secs(60));
    let polled = world.now;
    assert_eq!(poll(&mut world, (begun, polled), &[("precision-100", 100)]), counted());
    world.pass(secs(10));
    let about = |world: &mut World, end: Timestamp| {
        world.feedback(json!({"window_seconds": 30, "windowEnd": end.to_string(), "flavour_counts": {}}))
    };
    for end in [polled - secs(7), polled] {
        assert!(about(&mut world, end).duplicate);
        assert_eq!(world.engine.polling(&world.id, world.now), Ok(Polling::Wanted { from: polled }));
    }
    // A router that posts now: if it were polled on, none of its posts would ever count.
    assert!(about(&mut world, polled + secs(5)).duplicate);
    let now = world.now;
    assert_eq!(world.engine.polling(&world.id, now), Ok(Polling::Posted { at: now }));
    world.pass(secs(25));
    let end = world.now;
    assert!(!about(&mut world, end).duplicate);
}

#[test]
fn notes_are_published_until_there_are_others() {
    let mut world = world();
    world.engine.note(&world.id, vec!["not polled".into()]).unwrap();
    world.pass(secs(60));
    assert!(world.json()["warnings"].as_array().unwrap().contains(&json!("not polled")));
    world.engine.note(&world.id, vec![]).unwrap();
    world.pass(secs(60));
    assert!(!world.json()["warnings"].to_string().contains("not polled"));
}

#[test]
fn a_schedule_is_untouched_until_somebody_asks_something_of_it() {
    let mut world = World::new();
    world.put(json!({}));
    assert!(world.engine.is_untouched(&world.id));
    world.put(json!({"targetError": 0.05}));
    assert!(!world.engine.is_untouched(&world.id), "also where it asks for the default");
    world.engine.reset(&world.id, world.now).unwrap();
    assert!(world.engine.is_untouched(&world.id));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One request a second, polled and posted in any order: no second that a poll has counted is counted
    /// again, and as long as nobody posts none is missed.
    #[test]
    fn no_second_is_counted_twice(
        events in prop::collection::vec((1..900_i64, 0..6_u8, 1..900_i64), 1..80),
    ) {
        let mut world = world();
        let begun = world.now;
        let (mut polled, mut posted) = (Vec::<(Timestamp, Timestamp)>::new(), Vec::new());
        for (step, kind, length) in events {
            world.pass(secs(step));
            let now = world.now;
            if kind == 0 {
                let post = json!({"window_seconds": length, "flavour_counts": {"precision-100": length}});
                if !world.feedback(post).duplicate {
                    posted.push((now - secs(length), now));
                }
            } else if let Polling::Wanted { from } = world.engine.polling(&world.id, now).unwrap() {
                let length = u64::try_from(now.duration_since(from).as_secs()).unwrap();
                prop_assert_eq!(poll(&mut world, (from, now), &[("precision-100", length)]), counted());
                polled.push((from, now));
            }
        }
        for pair in polled.windows(2) {
            prop_assert!(pair[0].1 <= pair[1].0, "{pair:?}");
            prop_assert!(!posted.is_empty() || pair[0].1 == pair[1].0, "a hole: {pair:?}");
        }
        for (from, to) in &polled {
            let apart = |post: &(Timestamp, Timestamp)| post.1 <= *from || *to <= post.0;
            prop_assert!(*from >= begun && posted.iter().all(apart), "{from} {to} {posted:?}");
        }
    }
}
