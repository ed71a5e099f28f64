//! Providers of one grid: however many targets follow it, it is asked once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Signal, Timestamp};
use providers::{
    Adapter, Chain, ConfigMap, Fetch, FetchError, LegacyForecast, Limits, Prometheus, Refresher, Request,
    Wanted, Zone,
};

const TARGETS: usize = 50;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap_or(Timestamp::MIN)
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn lifetime(ttl: i64) -> Wanted {
    Wanted { ttl: seconds(ttl), timeout: seconds(2) }
}

/// All the providers of one grid at once, in virtual time; an answer takes a second.
struct Upstream {
    now: Cell<Timestamp>,
    asked: RefCell<Vec<Timestamp>>,
    fails: Cell<bool>,
}

impl Upstream {
    fn new() -> Self {
        Self { now: Cell::new(at(0)), asked: RefCell::default(), fails: Cell::new(false) }
    }
}

impl Fetch for Upstream {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        let asked = self.now.get();
        self.asked.borrow_mut().push(asked);
        self.now.set(asked + seconds(1));
        if self.fails.get() {
            return Ok("<html>".into());
        }
        let body = match request.url.as_str() {
            url if url.contains("/query?") => format!(
                r#"{{"status":"success","data":{{"resultType":"scalar","result":[{},"250"]}}}}"#,
                asked.as_second()
            ),
            url if url.ends_with("/forecast") => r#"{"current":250,"next":250}"#.into(),
            _ => format!(r#"[{{"location":"DE","timestamp":"{asked}","duration":60,"value":250}}]"#),
        };
        Ok(body.into())
    }
}

fn adapters() -> [Arc<dyn Adapter>; 3] {
    [
        Arc::new(ConfigMap::new("http://cluster/data", Signal::Average)),
        Arc::new(Prometheus::new("http://prometheus", "grid")),
        Arc::new(LegacyForecast::new("http://legacy")),
    ]
}

fn refresher(adapter: Arc<dyn Adapter>, wanted: impl Fn(usize) -> Wanted) -> Refresher {
    let limits = Limits { per_second: Some(1), ..Limits::default() };
    let mut refresher = Refresher::with_chain(Chain::with_limits(vec![(adapter, limits)]), 7);
    let all = (0..TARGETS).map(|index| (CarbonTarget::from(format!("zone:{index}")), wanted(index)));
    refresher.want(&all.collect::<BTreeMap<_, _>>(), at(0));
    refresher
}

/// Does everything that is due before an instant, each at its time.
fn run(refresher: &mut Refresher, upstream: &Upstream, until: i64) {
    while let Some(due) = refresher.next_due().filter(|due| *due < at(until)) {
        upstream.now.set(upstream.now.get().max(due));
        while let Some(job) = refresher.take_due(upstream.now.get()) {
            let outcome = job.run(upstream, || upstream.now.get());
            refresher.finish(&job.target, outcome, upstream.now.get());
        }
    }
    upstream.now.set(upstream.now.get().max(at(until)));
}

#[test]
fn fifty_targets_are_one_call_per_lifetime() {
    for adapter in adapters() {
        let name = adapter.name().to_owned();
        let (mut refresher, upstream) = (refresher(adapter, |_| lifetime(300)), Upstream::new());
        for until in (10..3_600).step_by(10) {
            run(&mut refresher, &upstream, until);
            for (target, status) in refresher.statuses() {
                let age = status.age(at(until));
                assert!(age.is_some_and(|age| age <= seconds(302)), "{name} {target}: {age:?} at {until}");
                assert_eq!(status.failures, 0, "{name} {target}");
            }
        }
        // A lifetime counts from the receipt, a second after the call.
        let asked: Vec<_> = (0..3_600).step_by(301).map(at).collect();
        assert_eq!(*upstream.asked.borrow(), asked, "{name}");
        assert_eq!(refresher.chain().links()[0].status(at(3_600)).calls, asked.len() as u64, "{name}");
    }
}

#[test]
fn nobody_is_given_what_is_older_than_its_own_lifetime() {
    // One target asks for a minute, the others for ten.
    let wanted = |index| lifetime(if index == 7 { 60 } else { 600 });
    let [map, ..] = adapters();
    let (mut refresher, upstream) = (refresher(map, wanted), Upstream::new());
    for until in (10..3_600).step_by(10) {
        run(&mut refresher, &upstream, until);
        for (target, status) in refresher.statuses() {
            let oldest = if target.as_str() == "zone:7" { 62 } else { 602 };
            assert!(status.age(at(until)).is_some_and(|age| age <= seconds(oldest)), "{target} at {until}");
        }
    }
    let asked = upstream.asked.borrow().len();
    assert!((58..=62).contains(&asked), "{asked}: the short one asks, the others are served");
}

#[test]
fn a_failure_serves_nobody_and_is_everybodys() {
    let [map, ..] = adapters();
    let (mut refresher, upstream) = (refresher(map, |_| lifetime(300)), Upstream::new());
    run(&mut refresher, &upstream, 290);
    upstream.fails.set(true);
    run(&mut refresher, &upstream, 1_200);
    // Five in a row, and trials: not one for each target.
    let failed = upstream.asked.borrow().len();
    assert!((6..=20).contains(&failed), "{failed}");
    let kept =
        |status: &providers::Status| status.latest.is_some() && status.age(at(1_200)) > Some(seconds(600));
    assert!(refresher.statuses().all(|(_, status)| kept(status)), "the last good one stays");
    upstream.fails.set(false);
    run(&mut refresher, &upstream, 2_400);
    assert!(refresher.statuses().all(|(_, status)| status.failures == 0));
}

#[test]
fn targets_of_another_grid_are_not_served_what_is_shared() {
    let of_one =
        ConfigMap::new("http://cluster/data", Signal::Average).with_zone(Zone::new("zone:3").unwrap());
    let (mut refresher, upstream) = (refresher(Arc::new(of_one), |_| lifetime(300)), Upstream::new());
    run(&mut refresher, &upstream, 200);
    for (target, status) in refresher.statuses() {
        assert_eq!(status.latest.is_some(), target.as_str() == "zone:3", "{target}");
    }
    assert_eq!(upstream.asked.borrow().len(), 1);
}
