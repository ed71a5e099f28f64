//! Chains over days of virtual time: who is asked how often, who is left alone, and who stands in.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};
use providers::circuit::{FIRST_PAUSE, LONGEST_PAUSE};
use providers::{
    Adapter, Answer, BadAnswer, Chain, CircuitState, Fetch, FetchError, Limits, NotUnderstood, Plan,
    Refresher, Request, UkCarbonIntensity, Wanted,
};

#[expect(clippy::unwrap_used, reason = "instants of tests are within the years that timestamps know")]
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A provider of any zone that answers like the UK's.
#[derive(Debug)]
struct Zones(&'static str);

impl Adapter for Zones {
    fn name(&self) -> &str {
        self.0
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        Ok(Plan::Ask(Request::json(format!("http://{}/{target}", self.0))))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let mut answer = UkCarbonIntensity::default().parse(&CarbonTarget::from("national"), body, now)?;
        answer.forecast.source = self.0.into();
        Ok(answer)
    }
}

/// Covers so much from `now` on.
fn body(now: Timestamp, cover: SignedDuration) -> Vec<u8> {
    let to = now + cover;
    format!(r#"{{"data":[{{"from":"{now}","to":"{to}","intensity":{{"forecast":266}}}}]}}"#).into()
}

/// How a host does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Well,
    Briefly,
    Old,
    Fails(u16, Option<i64>),
    Html,
}

type Script = Box<dyn Fn(&str, Timestamp) -> Does>;

/// A network in virtual time that keeps who was asked, and when.
struct Network {
    now: Cell<Timestamp>,
    does: Script,
    asked: RefCell<Vec<(Timestamp, String)>>,
}

impl Network {
    fn new(does: impl Fn(&str, Timestamp) -> Does + 'static) -> Self {
        Self { now: Cell::new(at(0)), does: Box::new(does), asked: RefCell::default() }
    }

    /// When `host` was asked within a stretch.
    fn calls(&self, host: &str, from: i64, to: i64) -> Vec<Timestamp> {
        let prefix = format!("http://{host}/");
        let asked = self.asked.borrow();
        let hit =
            asked.iter().filter(|(when, url)| url.starts_with(&prefix) && (at(from)..at(to)).contains(when));
        hit.map(|(when, _)| *when).collect()
    }
}

impl Fetch for Network {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        let now = self.now.get();
        self.asked.borrow_mut().push((now, request.url.clone()));
        match (self.does)(&request.url, now) {
            Does::Well => Ok(body(now, seconds(86_400))),
            Does::Briefly => Ok(body(now, seconds(3_600))),
            Does::Old => Ok(body(at(-90_000), seconds(86_400))),
            Does::Html => Ok(b"<html>busy</html>".into()),
            Does::Fails(status, wait) => Err(FetchError::Status {
                url: request.url.clone(),
                status,
                retry_after: wait.map(seconds),
                excerpt: String::new(),
            }),
        }
    }
}

/// So many zones, each wanted for five minutes at a time.
fn refresher(chain: Chain, zones: usize) -> Refresher {
    let mut refresher = Refresher::with_chain(chain, 7);
    let wanted = Wanted { ttl: seconds(300), timeout: seconds(2) };
    let zone = |index: usize| (CarbonTarget::from(format!("zone:{index}")), wanted);
    refresher.want(&(0..zones).map(zone).collect::<BTreeMap<_, _>>(), at(0));
    refresher
}

/// Does everything that is due before an instant, each at its time.
fn run(refresher: &mut Refresher, network: &Network, until: i64) {
    let mut turns = 0;
    while let Some(due) = refresher.next_due().filter(|due| *due < at(until)) {
        network.now.set(network.now.get().max(due));
        let now = network.now.get();
        turns += 1;
        assert!(turns < 500_000, "it does not come to rest at {now}");
        while let Some(job) = refresher.take_due(now) {
            refresher.finish(&job.target, job.run(network, || now), now);
        }
    }
    network.now.set(at(until));
}

fn chain(hosts: &[(&'static str, Limits)]) -> Chain {
    let link = |(host, limits): &(&'static str, Limits)| (Arc::new(Zones(host)) as Arc<dyn Adapter>, *limits);
    Chain::with_limits(hosts.iter().map(link).collect())
}

fn rate(per_second: u32) -> Limits {
    Limits { per_second: Some(per_second), ..Limits::default() }
}

fn most_within(calls: &[Timestamp], window: SignedDuration) -> usize {
    let within =
        |first: &Timestamp| calls.iter().filter(|call| **call >= *first && **call < *first + window).count();
    calls.iter().map(within).max().unwrap_or(0)
}

#[test]
fn a_thousand_zones_are_spread_over_their_lifetime_and_never_a_burst() {
    let network = Network::new(|_, _| Does::Well);
    let mut refresher = refresher(chain(&[("a", rate(5))]), 1_000);
    run(&mut refresher, &network, 3_600);
    let calls = network.calls("a", 0, 3_600);
    assert_eq!(most_within(&calls, seconds(1)), 5, "all begin at once");
    assert!(refresher.statuses().all(|(_, status)| status.failures == 0 && status.latest.is_some()));
    // Once they are settled each is asked for once a lifetime, at any time of it alike.
    for from in (900..3_600).step_by(300) {
        assert_eq!(network.calls("a", from, from + 300).len(), 1_000, "{from}");
        for part in (from..from + 300).step_by(30) {
            let calls = network.calls("a", part, part + 30).len();
            assert!((30..=170).contains(&calls), "{calls} from {part}");
        }
    }
}

#[test]
fn an_hour_of_failures_costs_few_calls_and_ends_by_itself() {
    for failing in [Does::Fails(500, None), Does::Fails(401, None), Does::Html] {
        let network =
            Network::new(move |_, now| if now < at(4_000) && now >= at(400) { failing } else { Does::Well });
        let mut refresher = refresher(chain(&[("a", rate(100))]), 200);
        run(&mut refresher, &network, 400);
        assert!(refresher.statuses().all(|(_, status)| status.latest.is_some()));
        run(&mut refresher, &network, 4_000);
        // Five in a row, then one trial each half minute, minute, .. ten minutes.
        let calls = network.calls("a", 400, 4_000).len();
        assert!((10..=16).contains(&calls), "{failing:?}: {calls} calls");
        assert!(refresher.statuses().all(|(_, status)| status.latest.is_some()), "the last good one stays");
        let link = refresher.chain().links()[0].status(at(3_999));
        assert!(matches!(link.circuit, CircuitState::Open { .. }) && link.failures >= 5);
        assert!(link.last_error.is_some());
        run(&mut refresher, &network, 4_000 + LONGEST_PAUSE.as_secs() + 60);
        assert!(refresher.statuses().all(|(_, status)| status.failures == 0), "{failing:?}");
        assert_eq!(refresher.chain().links()[0].status(network.now.get()).circuit, CircuitState::Closed);
    }
}

#[test]
fn the_next_one_stands_in_while_the_first_is_left_alone() {
    let network = Network::new(|url, now| {
        let fails = url.starts_with("http://a/") && now >= at(300) && now < at(1_200);
        if fails { Does::Fails(503, None) } else { Does::Well }
    });
    let mut refresher = refresher(chain(&[("a", rate(100)), ("b", rate(100))]), 50);
    run(&mut refresher, &network, 1_200);
    // What the first one said covers the day still: who stands in is asked and said, and knows no better.
    for (_, status) in refresher.statuses() {
        assert_eq!(status.stand_in.as_deref(), Some("b"));
        assert!(status.failures == 0 && &*status.latest.as_ref().unwrap().source == "a");
    }
    let (tried, stood_in) = (network.calls("a", 300, 1_200), network.calls("b", 300, 1_200));
    assert!(tried.len() < 15 && stood_in.len() > 100, "{} {}", tried.len(), stood_in.len());
    // It is preferred again as soon as it answers.
    run(&mut refresher, &network, 2_400);
    assert!(network.calls("b", 1_200 + LONGEST_PAUSE.as_secs(), 2_400).is_empty());
}

#[test]
fn what_stands_in_is_taken_once_the_preferred_forecast_is_no_longer_good_enough() {
    let days = |hours: i64| hours * 3_600;
    for (well, replaced) in [(Does::Well, days(7)), (Does::Briefly, 700)] {
        let network = Network::new(move |url, now| {
            if !url.starts_with("http://a/") {
                Does::Well
            } else if now < at(10) {
                well
            } else {
                Does::Fails(500, None)
            }
        });
        let mut refresher = refresher(chain(&[("a", Limits::default()), ("b", Limits::default())]), 1);
        let source = |refresher: &Refresher| {
            let (_, status) = refresher.statuses().next().unwrap();
            status.latest.as_ref().unwrap().source.to_string()
        };
        run(&mut refresher, &network, 10);
        assert_eq!(source(&refresher), "a");
        run(&mut refresher, &network, replaced);
        assert_eq!(source(&refresher), "b", "{well:?}");
    }
}

#[test]
fn a_forecast_that_is_over_is_none() {
    let network = Network::new(|url, _| if url.starts_with("http://a/") { Does::Old } else { Does::Well });
    let mut refresher = refresher(chain(&[("a", Limits::default()), ("b", Limits::default())]), 1);
    let job = refresher.take_due(at(0)).unwrap();
    let answer = job.run(&network, || at(0)).unwrap();
    assert_eq!(&*answer.forecast.source, "b");
    let alone = providers::Job::new(job.target.clone(), seconds(2), chain(&[("a", Limits::default())]));
    let refused = alone.run(&network, || at(0)).unwrap_err().to_string();
    assert!(refused.contains("a answered slots that are all over: the last one ended at "), "{refused}");
}

#[test]
fn zones_outside_of_a_plan_take_the_provider_from_nobody() {
    for wrong in [Does::Fails(401, None), Does::Fails(403, None), Does::Fails(404, None), Does::Html] {
        // By name the good ones come last: everything is due at once, at first.
        let network = Network::new(move |url, _| {
            let zone: usize = url.rsplit(':').next().unwrap().parse().unwrap();
            if zone < 7 { wrong } else { Does::Well }
        });
        let mut refresher = refresher(chain(&[("a", rate(10))]), 10);
        let day = 86_400;
        run(&mut refresher, &network, day);
        for (target, status) in refresher.statuses() {
            let good = ["zone:7", "zone:8", "zone:9"].contains(&target.as_str());
            assert_eq!(status.latest.is_some(), good, "{target}");
        }
        for zone in 7..10 {
            let asked = network.asked.borrow();
            let calls: Vec<_> =
                asked.iter().filter(|(_, url)| url.ends_with(&format!("zone:{zone}"))).collect();
            assert!(calls[0].0 < at(120), "{wrong:?}: the first at {}", calls[0].0);
            let longest = calls.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0)).max().unwrap();
            assert!(longest <= seconds(400) && calls.len() > 250, "{wrong:?} {zone}: {longest:?}");
        }
    }
}

#[test]
fn a_key_that_is_none_is_found_out() {
    let network = Network::new(|_, _| Does::Fails(401, None));
    let mut refresher = refresher(chain(&[("a", rate(10))]), 100);
    run(&mut refresher, &network, 3_600);
    let calls = network.calls("a", 0, 3_600).len();
    assert!((10..200).contains(&calls), "{calls}");
    assert!(matches!(
        refresher.chain().links()[0].status(at(3_600)).circuit,
        CircuitState::Open { .. } | CircuitState::Trying
    ));
}

/// Wants a key.
#[derive(Debug)]
struct Keyed;

impl Adapter for Keyed {
    fn name(&self) -> &'static str {
        "keyed"
    }

    fn plan(&self, _: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        Ok(Plan::Ask(Request::json("http://keyed/".into()).with("auth-token", "SUPERSECRETKEY99")))
    }

    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        Zones("keyed").parse(target, body, now)
    }
}

/// Says what it was asked with, as pages of proxies do.
struct Echo;

impl Fetch for Echo {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        let fields = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        Ok(format!("<html>seen {}</html>", fields.collect::<Vec<_>>().join(", ")).into())
    }
}

#[test]
fn a_key_that_is_echoed_is_shown_to_nobody() {
    let job =
        providers::Job::new(CarbonTarget::from("DE"), seconds(2), Chain::new(vec![Arc::new(Keyed) as _]));
    let refused = job.run(&Echo, || at(0)).unwrap_err().to_string();
    assert!(refused.contains("auth-token: ***") && !refused.contains("SUPERSECRET"), "{refused}");
    assert!(!format!("{:?}", job.chain.links()[0].status(at(0))).contains("SUPERSECRET"));
}

#[test]
fn retry_after_counts_for_every_target_of_the_provider() {
    let network = Network::new(|_, now| if now < at(1) { Does::Fails(429, Some(600)) } else { Does::Well });
    let mut refresher = refresher(chain(&[("a", rate(2))]), 20);
    run(&mut refresher, &network, 599);
    assert_eq!(network.calls("a", 0, 599).len(), 1, "nobody else asks either");
    run(&mut refresher, &network, 660);
    assert!(refresher.statuses().all(|(_, status)| status.latest.is_some()));
}

/// Answers well, but only after whatever else happens.
struct Overtaken<F>(F);

impl<F: Fn()> Fetch for Overtaken<F> {
    fn fetch(&self, _: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        (self.0)();
        Ok(body(at(3), seconds(3_600)))
    }
}

#[test]
fn what_waits_for_a_provider_is_due_as_soon_as_it_answers_again() {
    let failing = Network::new(|_, _| Does::Fails(500, None));
    let refresher = RefCell::new(refresher(chain(&[("a", Limits::default())]), 7));
    let take = |now| refresher.borrow_mut().take_due(now);
    let slow = take(at(0)).unwrap();
    // While one is on its way five fail, and the last one finds the provider left alone.
    let meanwhile = || {
        while let Some(job) = take(at(0)) {
            let outcome = job.run(&failing, || at(0));
            refresher.borrow_mut().finish(&job.target, outcome, at(0));
        }
    };
    let answer = slow.run(&Overtaken(meanwhile), || at(3));
    let held = CarbonTarget::from("zone:6");
    let due = || refresher.borrow().status(&held).and_then(|status| status.due);
    assert_eq!(failing.calls("a", 0, 10).len(), 5);
    assert_eq!(due(), Some(at(0) + FIRST_PAUSE));
    refresher.borrow_mut().finish(&slow.target, answer, at(3));
    assert!(due() <= Some(at(3)), "{:?}", due());
    assert_eq!(refresher.borrow().status(&held).map(|status| status.failures), Some(0));
}

#[test]
fn budgets_of_calls_hold_and_are_paced() {
    let limits = Limits { per_second: Some(5), per_hour: Some(60), per_day: Some(1_000) };
    let network = Network::new(|_, _| Does::Well);
    let mut refresher = refresher(chain(&[("a", limits)]), 10);
    let day = 86_400;
    run(&mut refresher, &network, 3 * day);
    let calls = network.calls("a", 0, 3 * day);
    assert!(most_within(&calls, seconds(3_600)) <= 60 && most_within(&calls, seconds(day)) <= 1_000);
    assert!(network.calls("a", day, 2 * day).len() > 850, "what there is is used");
    // Ten zones share what there is: each is renewed every quarter of an hour, by day and by night.
    for (target, _) in refresher.statuses() {
        let asked = network.asked.borrow();
        let own: Vec<_> = asked.iter().filter(|(_, url)| url.ends_with(&format!("/{target}"))).collect();
        let longest = own.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0)).max().unwrap();
        assert!(longest < seconds(1_500), "{target}: {longest:?}");
    }
    assert!(refresher.statuses().all(|(_, status)| status.failures == 0), "to wait is not to fail");
}

#[test]
fn a_budget_too_small_to_wait_for_sends_jobs_on() {
    let hourly = Limits { per_hour: Some(2), ..Limits::default() };
    let network = Network::new(|_, _| Does::Well);
    let mut refresher = refresher(chain(&[("a", hourly), ("b", Limits::default())]), 1);
    run(&mut refresher, &network, 3_600);
    assert_eq!(network.calls("a", 0, 3_600).len(), 2);
    assert!((8..=10).contains(&network.calls("b", 0, 3_600).len()));
    assert_eq!(refresher.chain().links()[0].limits(), hourly);
}

#[test]
fn an_hour_in_which_everybody_is_left_alone_is_a_pause() {
    let network = Network::new(|_, _| Does::Fails(500, None));
    let mut refresher = refresher(chain(&[("a", Limits::default()), ("b", Limits::default())]), 300);
    run(&mut refresher, &network, 3_600);
    for host in ["a", "b"] {
        let calls = network.calls(host, 0, 3_600).len();
        assert!((8..=40).contains(&calls), "{host}: {calls}");
    }
    let (_, status) = refresher.statuses().next().unwrap();
    let due = status.due.unwrap();
    assert!(due > at(3_600) && due <= at(3_600) + LONGEST_PAUSE.max(FIRST_PAUSE), "{due}");
}

/// Answers everything alike.
struct Once(&'static str);
impl Fetch for Once {
    fn fetch(&self, _: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        Ok(self.0.into())
    }
}

#[test]
fn short_gaps_are_filled_and_long_ones_stay() {
    let body = r#"{"data":[
        {"from":"2027-01-15T08:00Z","to":"2027-01-15T08:30Z","intensity":{"forecast":100}},
        {"from":"2027-01-15T09:30Z","to":"2027-01-15T10:00Z","intensity":{"forecast":160}},
        {"from":"2027-01-15T11:30Z","to":"2027-01-15T12:00Z","intensity":{"forecast":200}}]}"#;
    let mut refresher = refresher(chain(&[("a", Limits::default())]), 1);
    let job = refresher.take_due(at(0)).unwrap();
    let news = refresher.finish(&job.target, job.run(&Once(body), || at(0)), at(0)).unwrap();
    let grams: Vec<_> = news.forecast.slots().iter().map(|slot| slot.forecast.get()).collect();
    assert_eq!(grams, [100.0, 120.0, 140.0, 160.0, 200.0]);
    assert_eq!(news.forecast.filled_slots(), 2);
    assert_eq!(news.forecast.gaps().count(), 1, "an hour and a half is nobody's to guess");
}
