//! When upstream is asked, how often, and what is kept when it does not answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Slot, Timestamp};
use proptest::prelude::*;
use providers::circuit::LONGEST_RETRY_AFTER;
use providers::{
    Answer, Asked, Attempt, AttemptError, Chain, Fetch, FetchError, Fixed, Job, LegacyForecast, RefreshError,
    Refresher, Request, UkCarbonIntensity, Wanted,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn target(name: &str) -> CarbonTarget {
    CarbonTarget::from(name)
}

fn wanted<const N: usize>(targets: [(&str, i64); N]) -> BTreeMap<CarbonTarget, Wanted> {
    let wanted = |(name, ttl)| (target(name), Wanted { ttl: seconds(ttl), timeout: seconds(2) });
    targets.into_iter().map(wanted).collect()
}

fn refresher(seed: u64) -> Refresher {
    Refresher::new(vec![Arc::new(UkCarbonIntensity::default())], seed)
}

fn forecast(grams: f64, now: Timestamp) -> Answer {
    let slot = Slot::new(now, now.checked_add(seconds(1_800)).unwrap(), CarbonIntensity::new(grams).unwrap());
    Forecast::new("test", None, now, vec![slot]).unwrap().into()
}

fn failure(name: &str, problem: AttemptError) -> RefreshError {
    RefreshError { target: target(name), attempts: vec![Attempt { provider: "test".into(), problem }] }
}

fn unreachable(name: &str) -> RefreshError {
    let error = FetchError::Connection { url: "http://x".into(), problem: "connection refused".into() };
    failure(name, error.into())
}

fn overloaded(name: &str, wait: i64) -> RefreshError {
    let error = FetchError::Status {
        url: "http://x".into(),
        status: 503,
        retry_after: Some(seconds(wait)),
        excerpt: String::new(),
    };
    failure(name, error.into())
}

/// Fails the target's job that is due at `now`; how long until it is due again.
fn fail_once(refresher: &mut Refresher, error: RefreshError, now: Timestamp) -> SignedDuration {
    let job = refresher.take_due(now).unwrap();
    assert_eq!(refresher.finish(&job.target, Err(error), now), None);
    refresher.status(&job.target).unwrap().due.unwrap().duration_since(now)
}

#[test]
fn one_call_per_lifetime_however_often_it_is_wanted() {
    let mut refresher = refresher(1);
    let all = wanted([("national", 300)]);
    let mut calls = 0;
    for second in 0..3_600 {
        let now = at(second);
        refresher.want(&all, now);
        while let Some(job) = refresher.take_due(now) {
            calls += 1;
            assert!(refresher.take_due(now).is_none(), "one in flight");
            assert!(refresher.finish(&job.target, Ok(forecast(100.0, now)), now).is_some());
        }
    }
    assert_eq!(calls, 12);
}

#[test]
fn targets_are_taken_in_order_of_need_with_their_own_settings() {
    let mut refresher = refresher(1);
    assert!(refresher.take_due(at(0)).is_none());
    assert_eq!(refresher.next_due(), None);
    refresher.want(&wanted([("national", 300)]), at(0));
    refresher.want(&wanted([("national", 300), ("region:13", 60)]), at(5));
    assert_eq!(refresher.next_due(), Some(at(0)));
    let first = refresher.take_due(at(5)).unwrap();
    let second = refresher.take_due(at(5)).unwrap();
    assert_eq!((first.target.as_str(), second.target.as_str()), ("national", "region:13"));
    assert_eq!(first.timeout, seconds(2));
    assert!(refresher.take_due(at(5)).is_none());
    assert_eq!(refresher.next_due(), None, "both in flight");
    assert!(refresher.status(&first.target).unwrap().is_in_flight());
    refresher.finish(&first.target, Ok(forecast(1.0, at(6))), at(6));
    refresher.finish(&second.target, Ok(forecast(2.0, at(7))), at(7));
    // Somewhere in the second half of their first lifetimes, since they are two.
    for (target, lifetime) in [(&first.target, at(156)..=at(306)), (&second.target, at(37)..=at(67))] {
        let due = refresher.status(target).unwrap().due.unwrap();
        assert!(lifetime.contains(&due), "{target}: {due}");
    }
}

#[test]
fn a_failure_is_retried_from_one_second_doubling_to_a_cap() {
    let mut refresher = refresher(7);
    refresher.want(&wanted([("national", 100)]), at(0));
    let mut now = at(0);
    for step in [1, 2, 4, 8, 16, 32, 64] {
        let pause = fail_once(&mut refresher, unreachable("national"), now);
        assert!(pause >= seconds(step) && pause <= seconds(step) * 6 / 5, "{pause:?} for {step} s");
        assert!(refresher.take_due(now.checked_add(pause / 2).unwrap()).is_none(), "not early");
        now = now.checked_add(pause).unwrap();
    }
    for _ in 0..40 {
        let pause = fail_once(&mut refresher, unreachable("national"), now);
        assert!(pause >= seconds(83) && pause <= seconds(100), "{pause:?} at the cap");
        now = now.checked_add(pause).unwrap();
    }
    let status = refresher.status(&target("national")).unwrap();
    assert_eq!(status.failures, 47);
    assert_eq!(
        status.last_error.as_deref(),
        Some("no forecast for `national`: http://x could not be read: connection refused")
    );
}

#[test]
fn the_cap_is_five_minutes_for_long_lifetimes_and_the_lifetime_for_short_ones() {
    for (ttl, low, high) in [(86_400, 250, 300), (1, 0, 1), (0, 0, 1)] {
        let mut refresher = refresher(7);
        refresher.want(&wanted([("national", ttl)]), at(0));
        let mut now = at(0);
        let mut pause = SignedDuration::ZERO;
        for _ in 0..20 {
            pause = fail_once(&mut refresher, unreachable("national"), now);
            assert!(pause > SignedDuration::ZERO);
            now = now.checked_add(pause).unwrap();
        }
        assert!(pause >= seconds(low) && pause <= seconds(high), "{pause:?} at a lifetime of {ttl} s");
    }
}

#[test]
fn the_jitter_is_the_seeds_and_the_targets() {
    let pauses = |seed: u64, name: &str| -> Vec<SignedDuration> {
        let mut refresher = refresher(seed);
        refresher.want(&wanted([(name, 300)]), at(0));
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(fail_once(&mut refresher, unreachable(name), now));
            now = now.checked_add(pauses[pauses.len() - 1]).unwrap();
        }
        pauses
    };
    assert_eq!(pauses(1, "national"), pauses(1, "national"));
    assert_ne!(pauses(1, "national"), pauses(2, "national"));
    assert_ne!(pauses(1, "national"), pauses(1, "region:13"));
}

#[test]
fn the_last_good_forecast_is_kept_over_failures_and_ages() {
    let mut refresher = refresher(1);
    let national = target("national");
    refresher.want(&wanted([("national", 60)]), at(0));
    refresher.take_due(at(0)).unwrap();
    assert_eq!(refresher.status(&national).unwrap().age(at(0)), None);
    let good = refresher.finish(&national, Ok(forecast(250.0, at(1))), at(1)).unwrap();
    fail_once(&mut refresher, unreachable("national"), at(61));
    let status = refresher.status(&national).unwrap();
    assert_eq!(status.latest, Some(good.forecast));
    assert_eq!((status.failures, status.last_success), (1, Some(at(1))));
    assert_eq!(status.age(at(100)), Some(seconds(99)));
    assert_eq!(status.age(at(0)), Some(SignedDuration::ZERO));
    // Recovery: the next pause is a lifetime, and the one after a new failure a second again.
    refresher.take_due(at(70)).unwrap();
    refresher.finish(&national, Ok(forecast(200.0, at(70))), at(70)).unwrap();
    let status = refresher.status(&national).unwrap();
    assert_eq!((status.failures, status.last_error.as_deref(), status.due), (0, None, Some(at(130))));
    assert!(fail_once(&mut refresher, unreachable("national"), at(130)) < seconds(2));
}

#[test]
fn upstream_may_ask_for_a_longer_pause() {
    let mut refresher = refresher(1);
    refresher.want(&wanted([("national", 60)]), at(0));
    assert_eq!(fail_once(&mut refresher, overloaded("national", 120), at(0)), seconds(120));
    assert_eq!(fail_once(&mut refresher, overloaded("national", 86_400), at(200)), LONGEST_RETRY_AFTER);
    let pause = fail_once(&mut refresher, overloaded("national", 0), at(10_000));
    assert!(pause >= seconds(4) && pause < seconds(5), "{pause:?}");
}

#[test]
fn a_target_that_nobody_understands_is_not_hurried() {
    let mut refresher = refresher(1);
    refresher.want(&wanted([("300", 60)]), at(0));
    let job = refresher.take_due(at(0)).unwrap();
    let refused = job.run(&Offline, || at(0)).unwrap_err();
    assert!(refused.is_not_understood());
    assert!(
        refused.to_string().starts_with("no forecast for `300`: carbonTarget `300` is not one of"),
        "{refused}"
    );
    refresher.finish(&job.target, Err(refused), at(0));
    assert_eq!(refresher.status(&job.target).unwrap().due, Some(at(60)));
}

#[test]
fn a_changed_lifetime_counts_from_the_last_refresh() {
    let mut refresher = refresher(1);
    let national = target("national");
    refresher.want(&wanted([("national", 300)]), at(0));
    refresher.take_due(at(0)).unwrap();
    refresher.want(&wanted([("national", 200)]), at(1));
    assert_eq!(refresher.status(&national).unwrap().due, None, "still in flight");
    refresher.finish(&national, Ok(forecast(1.0, at(2))), at(2));
    assert_eq!(refresher.next_due(), Some(at(202)));
    refresher.want(&wanted([("national", 60)]), at(10));
    assert_eq!(refresher.next_due(), Some(at(62)));
    refresher.want(&wanted([("national", 600)]), at(20));
    assert_eq!(refresher.next_due(), Some(at(602)));
    refresher.want(&wanted([("national", 5)]), at(30));
    assert!(refresher.take_due(at(30)).is_some(), "already older than it may be");
}

#[test]
fn what_is_no_longer_wanted_is_forgotten() {
    let mut refresher = refresher(1);
    refresher.want(&wanted([("national", 300), ("region:1", 300)]), at(0));
    refresher.take_due(at(0)).unwrap();
    refresher.want(&wanted([("region:1", 300)]), at(1));
    assert!(refresher.status(&target("national")).is_none());
    assert_eq!(refresher.finish(&target("national"), Ok(forecast(1.0, at(2))), at(2)), None);
    assert!(refresher.status(&target("national")).is_none());
    assert_eq!(refresher.take_due(at(2)).unwrap().target, target("region:1"));
    refresher.want(&BTreeMap::new(), at(3));
    assert_eq!((refresher.next_due(), refresher.statuses().count()), (None, 0));
}

#[test]
fn a_target_that_comes_back_waits_for_the_job_in_flight() {
    let mut refresher = refresher(1);
    let national = target("national");
    refresher.want(&wanted([("national", 300)]), at(0));
    refresher.take_due(at(0)).unwrap();
    refresher.want(&BTreeMap::new(), at(1));
    refresher.want(&wanted([("national", 300)]), at(2));
    assert!(refresher.take_due(at(2)).is_none(), "still one in flight");
    assert!(refresher.finish(&national, Ok(forecast(1.0, at(3))), at(3)).is_some());
    assert_eq!(refresher.next_due(), Some(at(303)));
}

#[test]
fn an_outcome_nobody_waits_for_changes_nothing() {
    let mut refresher = refresher(1);
    let national = target("national");
    refresher.want(&wanted([("national", 300)]), at(0));
    assert_eq!(refresher.finish(&national, Ok(forecast(1.0, at(0))), at(0)), None);
    assert_eq!(refresher.finish(&target("region:1"), Err(unreachable("region:1")), at(0)), None);
    assert_eq!(refresher.status(&national).unwrap().latest, None);
    assert_eq!(refresher.next_due(), Some(at(0)));
}

#[test]
fn a_clock_set_back_delays_nothing() {
    let mut refresher = refresher(1);
    let national = target("national");
    let year = 365 * 86_400;
    refresher.want(&wanted([("national", 300), ("region:1", 300)]), at(year));
    refresher.take_due(at(year)).unwrap();
    refresher.finish(&national, Ok(forecast(1.0, at(year))), at(year));
    // One waits for its lifetime, the other is in flight while the clock is put right.
    refresher.take_due(at(year)).unwrap();
    assert!(refresher.take_due(at(0)).is_none());
    let due = refresher.status(&national).unwrap().due.unwrap();
    assert!((at(150)..=at(300)).contains(&due), "{due}: in the second half of its lifetime, from now on");
    refresher.finish(&target("region:1"), Err(unreachable("region:1")), at(1));
    assert!(refresher.next_due().unwrap() <= at(3));
    // A new target of the wrong future is due at once all the same.
    refresher.want(&wanted([("region:2", 300)]), at(year));
    assert_eq!(refresher.take_due(at(10)).unwrap().target, target("region:2"));
}

#[test]
fn ten_thousand_targets_are_refreshed_once_each() {
    let mut refresher = Refresher::new(vec![Arc::new(Fixed::new(CarbonIntensity::new(1.0).unwrap()))], 3);
    let wish = Wanted { ttl: seconds(300), timeout: seconds(2) };
    let all: BTreeMap<_, _> = (0..10_000).map(|index| (target(&format!("zone:{index}")), wish)).collect();
    refresher.want(&all, at(0));
    let mut taken = BTreeSet::new();
    while let Some(job) = refresher.take_due(at(0)) {
        let outcome = job.run(&Offline, || at(0));
        assert!(refresher.finish(&job.target, outcome, at(0)).is_some());
        assert!(taken.insert(job.target));
    }
    assert_eq!(taken.len(), 10_000);
    // Each is due again within its lifetime, and not all at once.
    let due: Vec<_> = refresher.statuses().filter_map(|(_, status)| status.due).collect();
    assert!(due.iter().all(|due| (at(150)..=at(300)).contains(due)));
    let tenth = |from: i64| due.iter().filter(|due| (at(from)..at(from + 15)).contains(due)).count();
    assert!((150..300).step_by(15).all(|from| (900..1_100).contains(&tenth(from))));
}

/// A network that is not there.
struct Offline;

impl Fetch for Offline {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::Connection { url: request.url.clone(), problem: "offline".into() })
    }
}

/// Answers by the end of the URL, and keeps the patience it was given.
struct Canned(&'static [(&'static str, &'static str)]);

impl Fetch for Canned {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        assert!(timeout >= Duration::from_millis(1) && timeout <= Duration::from_mins(1), "{timeout:?}");
        let answer = self.0.iter().find(|(end, _)| request.url.ends_with(end));
        let not_found = || FetchError::Status {
            url: request.url.clone(),
            status: 404,
            retry_after: None,
            excerpt: "no such page".into(),
        };
        answer.map(|(_, body)| body.as_bytes().to_vec()).ok_or_else(not_found)
    }
}

const NATIONAL: &str = r#"{"data":[{"from":"2027-01-15T08:00Z","intensity":{"forecast":266}}]}"#;

#[test]
fn the_chain_is_asked_in_order_until_one_answers() {
    let chain = || {
        Chain::new(vec![
            Arc::new(UkCarbonIntensity::new("http://a")) as _,
            Arc::new(LegacyForecast::new("http://a")) as _,
            Arc::new(Fixed::new(CarbonIntensity::new(7.0).unwrap())) as _,
        ])
    };
    let job = |timeout| Job::new(target("national"), timeout, chain());
    for (network, timeout, source, tried) in [
        (Canned(&[("/fw48h", NATIONAL)]), seconds(2), "uk-carbon-intensity", vec!["uk-carbon-intensity ok"]),
        (
            Canned(&[("/fw48h", "<html>"), ("/forecast", r#"{"current":1,"next":2}"#)]),
            seconds(0),
            "legacy-forecast",
            vec!["uk-carbon-intensity failed", "legacy-forecast ok"],
        ),
        (
            Canned(&[]),
            seconds(86_400),
            "static",
            vec!["uk-carbon-intensity failed", "legacy-forecast failed", "static ok"],
        ),
    ] {
        let mut seen = Vec::new();
        let watch = |asked: Asked<'_>| {
            seen.push(format!("{} {}", asked.provider, if asked.outcome.is_ok() { "ok" } else { "failed" }));
        };
        let answer = job(timeout).run_watched(&network, || at(0), watch).unwrap();
        assert_eq!(&*answer.forecast.source, source);
        let preferred = (tried.len() > 1).then_some("uk-carbon-intensity");
        assert_eq!(answer.forecast.stand_in_for.as_deref(), preferred);
        assert_eq!(seen, tried);
    }
}

#[test]
fn who_does_not_have_the_target_is_not_stood_in_for() {
    let chain = Chain::new(vec![
        Arc::new(UkCarbonIntensity::new("http://a")) as _,
        Arc::new(Fixed::new(CarbonIntensity::new(7.0).unwrap())) as _,
    ]);
    let answer = Job::new(target("zone:DE"), seconds(2), chain).run(&Offline, || at(0)).unwrap();
    assert_eq!((&*answer.forecast.source, answer.forecast.stand_in_for), ("static", None));
}

#[test]
fn a_chain_that_fails_says_what_each_had_to_say() {
    let chain = Chain::new(vec![
        Arc::new(UkCarbonIntensity::new("http://a")) as _,
        Arc::new(LegacyForecast::new("http://a")) as _,
    ]);
    let job = Job::new(target("national"), seconds(2), chain);
    let refused = job.run(&Canned(&[("/forecast", "{}")]), || at(0)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no forecast for `national`: http://a/intensity/2027-01-15T06:00Z/fw48h answered 404: `no such page`; \
         the body is not the JSON of legacy-forecast: it has neither `current` and `next`, nor `intensity_now` \
         and `intensity_next`, nor `data`"
    );
    assert!(!refused.is_not_understood());
    let nobody = Job::new(job.target, job.timeout, Chain::default());
    let refused = nobody.run(&Offline, || at(0)).unwrap_err();
    assert_eq!(refused.to_string(), "no forecast for `national`: no provider is configured");
}

#[derive(Debug, Clone)]
enum Op {
    Want(Vec<(usize, i64)>),
    Take,
    /// The n-th of the jobs taken, those of forgotten targets too; with an outcome.
    Finish(usize, Outcome),
    /// Milliseconds, backwards too.
    Pass(i64),
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Good,
    Unreachable,
    Overloaded(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        Just(Outcome::Good),
        Just(Outcome::Unreachable),
        (-5i64..1_000).prop_map(Outcome::Overloaded),
    ];
    prop_oneof![
        1 => prop::collection::vec((0usize..5, 0i64..100_000), 0..6).prop_map(Op::Want),
        3 => Just(Op::Take),
        3 => (0usize..5, outcome).prop_map(|(which, outcome)| Op::Finish(which, outcome)),
        3 => prop_oneof![
            4 => -2_000i64..400_000,
            1 => -40_000_000_000i64..40_000_000_000,
        ].prop_map(Op::Pass),
    ]
}

proptest! {
    #[test]
    fn no_target_is_lost_or_asked_for_twice(seed in any::<u64>(), ops in prop::collection::vec(op(), 1..80)) {
        let mut refresher = refresher(seed);
        let mut now = at(0);
        let mut set = BTreeMap::new();
        let mut flying: Vec<CarbonTarget> = Vec::new();
        for op in ops {
            match op {
                Op::Want(targets) => {
                    let wish = |(index, ttl)| {
                        (target(&format!("region:{}", index + 1)), Wanted { ttl: seconds(ttl), timeout: seconds(2) })
                    };
                    set = targets.into_iter().map(wish).collect();
                    refresher.want(&set, now);
                }
                Op::Take => {
                    if let Some(job) = refresher.take_due(now) {
                        prop_assert!(set.contains_key(&job.target), "{} is not wanted", job.target);
                        prop_assert!(!flying.contains(&job.target), "{} twice", job.target);
                        flying.push(job.target);
                    } else {
                        prop_assert!(refresher.next_due().is_none_or(|due| due > now), "nothing due is held back");
                    }
                }
                Op::Finish(which, outcome) if which < flying.len() => {
                    let name = flying.swap_remove(which);
                    let before = refresher.status(&name).and_then(|status| status.latest.clone());
                    let given = match outcome {
                        Outcome::Good => Ok(forecast(5.0, now)),
                        Outcome::Unreachable => Err(unreachable(name.as_str())),
                        Outcome::Overloaded(wait) => Err(overloaded(name.as_str(), wait)),
                    };
                    let good = given.is_ok();
                    let passed_on = refresher.finish(&name, given, now);
                    prop_assert_eq!(passed_on.is_some(), good && set.contains_key(&name));
                    if let Some(status) = refresher.status(&name) {
                        let kept = if good { passed_on.map(|news| news.forecast) } else { before };
                        prop_assert_eq!(&status.latest, &kept);
                        prop_assert_eq!(status.failures == 0, good);
                    }
                }
                Op::Finish(..) => {
                    let stray = target("region:17");
                    prop_assert!(refresher.finish(&stray, Ok(forecast(5.0, now)), now).is_none());
                }
                Op::Pass(milliseconds) => {
                    now = now.checked_add(SignedDuration::from_millis(milliseconds)).unwrap();
                }
            }
            let standing: Vec<_> = refresher.statuses().map(|(target, _)| target.clone()).collect();
            prop_assert!(standing.iter().eq(set.keys()), "what stands is what is wanted");
            let mut earliest = None;
            for (target, status) in refresher.statuses() {
                prop_assert_eq!(status.is_in_flight(), flying.contains(target));
                prop_assert!(status.is_in_flight() || status.due.is_some());
                earliest = [earliest, status.due].into_iter().flatten().min();
            }
            prop_assert_eq!(refresher.next_due(), earliest);
        }
        // However it went, whoever finishes what is in flight and waits a lifetime gets every target again.
        for name in flying {
            refresher.finish(&name, Ok(forecast(5.0, now)), now);
        }
        let later = now.checked_add(seconds(86_401)).unwrap();
        prop_assert!(refresher.take_due(now).is_none_or(|job| set.contains_key(&job.target)));
        let left = set.len() - refresher.statuses().filter(|(_, status)| status.is_in_flight()).count();
        let due = core::iter::from_fn(|| refresher.take_due(later)).count();
        prop_assert_eq!(due, left);
    }
}
