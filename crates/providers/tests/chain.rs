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
        UkCarbonIntensity::default().parse(&CarbonTarget::from("national"), body, now)
    }
}

/// A half-hour.
fn body(from: Timestamp) -> Vec<u8> {
    format!(r#"{{"data":[{{"from":"{from}","intensity":{{"forecast":266}}}}]}}"#).into()
}

/// How a host does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Well,
    /// It always tells the half-hour that it told at the beginning.
    StandsStill,
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
            Does::Well => Ok(body(now)),
            Does::StandsStill => Ok(body(at(0))),
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
            refresher.finish(&job.target, job.run(network, now), now);
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
    let sources = |refresher: &Refresher| {
        let latest = refresher.statuses().filter_map(|(_, status)| status.latest.clone());
        latest.map(|forecast| forecast.retrieved_at).min()
    };
    run(&mut refresher, &network, 1_200);
    assert!(sources(&refresher) >= Some(at(900)), "nobody waits for the one that fails");
    assert!(refresher.statuses().all(|(_, status)| status.failures == 0));
    let (tried, stood_in) = (network.calls("a", 300, 1_200), network.calls("b", 300, 1_200));
    assert!(tried.len() < 15 && stood_in.len() > 100, "{} {}", tried.len(), stood_in.len());
    // It is preferred again as soon as it answers.
    run(&mut refresher, &network, 2_400);
    assert!(network.calls("b", 1_200 + LONGEST_PAUSE.as_secs(), 2_400).is_empty());
}

#[test]
fn slots_that_are_all_over_are_no_forecast() {
    let stands_still = |url: &str, _: Timestamp| {
        if url.starts_with("http://a/") { Does::StandsStill } else { Does::Well }
    };
    let network = Network::new(stands_still);
    let (mut alone, mut with_b) =
        (refresher(chain(&[("a", rate(10))]), 1), refresher(chain(&[("a", rate(10)), ("b", rate(10))]), 1));
    run(&mut alone, &network, 3_600);
    let (_, status) = alone.statuses().next().unwrap();
    let (kept, said) = (status.latest.clone().unwrap(), status.last_error.clone().unwrap());
    assert!(kept.retrieved_at < at(1_800), "the last good one stays");
    assert!(
        said.ends_with("a answered slots that are all over: the last one ended at 2027-01-15T08:30:00Z"),
        "{said}"
    );
    assert_eq!(alone.chain().links()[0].status(at(3_600)).circuit, CircuitState::Closed, "it is well");

    network.now.set(at(0));
    run(&mut with_b, &network, 3_600);
    assert!(network.calls("b", 0, 1_800).is_empty());
    let (_, status) = with_b.statuses().next().unwrap();
    assert_eq!((status.latest.clone().unwrap().source.as_ref(), status.failures), ("uk-carbon-intensity", 0));
    assert!(network.calls("b", 1_800, 3_600).len() > 3, "the next one stands in");
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
    let news = refresher.finish(&job.target, job.run(&Once(body), at(0)), at(0)).unwrap();
    let grams: Vec<_> = news.forecast.slots().iter().map(|slot| slot.forecast.get()).collect();
    assert_eq!(grams, [100.0, 120.0, 140.0, 160.0, 200.0]);
    assert_eq!(news.forecast.gaps().count(), 1, "an hour and a half is nobody's to guess");
}
