//! Who stands in for whom, for how long, and when a preferred provider is asked again, in virtual time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Slot, Timestamp};
use providers::circuit::LONGEST_PAUSE;
use providers::{
    Adapter, Answer, BadAnswer, Chain, CircuitState, Fetch, FetchError, Fixed, Limits, NotUnderstood, Plan,
    Refresher, Request, UkCarbonIntensity, Wanted,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

#[expect(clippy::unwrap_used, reason = "instants of tests are within the years that timestamps know")]
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A provider of any zone that answers like the UK's, and has measured what is over.
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
        let measured = CarbonIntensity::new(77.0).map(|grams| Slot::new(now - seconds(1_800), now, grams));
        answer.actuals = measured.into_iter().collect();
        Ok(answer)
    }
}

/// How a host does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Well,
    Fails(u16),
    Refuses,
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

    /// When a URL, or one below it, was asked for within a stretch.
    fn calls(&self, url: &str, from: i64, to: i64) -> Vec<Timestamp> {
        let asked = self.asked.borrow();
        let hit =
            asked.iter().filter(|(when, asked)| is_below(asked, url) && (at(from)..at(to)).contains(when));
        hit.map(|(when, _)| *when).collect()
    }
}

impl Fetch for Network {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        let now = self.now.get();
        self.asked.borrow_mut().push((now, request.url.clone()));
        match (self.does)(&request.url, now) {
            Does::Well => {
                let to = now + seconds(DAY);
                let slot = format!(r#"{{"from":"{now}","to":"{to}","intensity":{{"forecast":266}}}}"#);
                Ok(format!(r#"{{"data":[{slot}]}}"#).into())
            }
            Does::Refuses => Ok(r#"{"error":{"code":"500","message":"out of order"}}"#.into()),
            Does::Fails(status) => Err(FetchError::Status {
                url: request.url.clone(),
                status,
                retry_after: None,
                excerpt: String::new(),
            }),
        }
    }
}

/// Whether a URL is `above`, or a path of that host.
fn is_below(url: &str, above: &str) -> bool {
    url == above || (above.ends_with('/') && url.starts_with(above))
}

fn zones(host: &'static str) -> Arc<dyn Adapter> {
    Arc::new(Zones(host))
}

fn constant() -> Arc<dyn Adapter> {
    #[expect(clippy::unwrap_used, reason = "250 is in range")]
    let grams = CarbonIntensity::new(250.0).unwrap();
    Arc::new(Fixed::new(grams))
}

fn rate(per_second: u32) -> Limits {
    Limits { per_second: Some(per_second), ..Limits::default() }
}

/// So many zones, each wanted for so many seconds at a time.
fn refresher(links: Vec<(Arc<dyn Adapter>, Limits)>, zones: usize, ttl: i64) -> Refresher {
    let mut refresher = Refresher::with_chain(Chain::with_limits(links), 7);
    let wanted = Wanted { ttl: seconds(ttl), timeout: seconds(2) };
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

/// How many targets have the forecast of a provider.
fn have(refresher: &Refresher, source: &str) -> usize {
    let latest = refresher.statuses().filter_map(|(_, status)| status.latest.as_ref());
    latest.filter(|latest| &*latest.source == source).count()
}

#[test]
fn a_small_budget_leaves_nobody_without_a_forecast_and_is_shared_by_all() {
    let hourly = Limits { per_second: Some(10), per_hour: Some(20), per_day: None };
    for stand_in in [constant(), zones("b")] {
        let network = Network::new(|_, _| Does::Well);
        let mut refresher = refresher(vec![(zones("a"), hourly), (stand_in, rate(100))], 51, 300);
        run(&mut refresher, &network, 7);
        assert!(refresher.statuses().all(|(_, status)| status.latest.is_some()), "the stand-in is at hand");
        assert_eq!(have(&refresher, "a"), 2, "what may be used at once is");
        run(&mut refresher, &network, DAY);
        assert!(refresher.statuses().all(|(_, status)| status.failures == 0), "to wait is not to fail");
        assert!(network.calls("http://a/", DAY / 2, DAY).len() >= 215, "what there is is used");
        for zone in 0..51 {
            let mut calls = network.calls(&format!("http://a/zone:{zone}"), 0, DAY);
            assert!(calls.len() >= 6, "zone {zone}: {} calls", calls.len());
            calls.extend([at(0), at(DAY)]);
            calls.sort();
            let longest = calls.windows(2).map(|pair| pair[1].duration_since(pair[0])).max();
            assert!(longest < Some(seconds(4 * HOUR)), "zone {zone}: {longest:?}");
        }
        // Who stands in is asked once a lifetime, however often somebody waits for the other one.
        let stood_in = network.calls("http://b/", DAY / 2, DAY).len();
        assert!(stood_in <= 51 * 144, "{stood_in}");
    }
}

#[test]
fn a_brief_fault_costs_seconds_and_not_a_lifetime() {
    let network =
        Network::new(
            |url, now| {
                if url.starts_with("http://a/") && now < at(1) { Does::Fails(500) } else { Does::Well }
            },
        );
    let links = vec![(zones("a"), rate(10)), (constant(), Limits::default())];
    let mut refresher = refresher(links, 1, HOUR);
    run(&mut refresher, &network, 1);
    assert_eq!(have(&refresher, "static"), 1);
    assert_eq!(refresher.statuses().next().map(|(_, status)| status.stood_in), Some(1));
    run(&mut refresher, &network, 4);
    assert_eq!(have(&refresher, "a"), 1, "asked again after the usual pause");
    assert_eq!(refresher.statuses().next().map(|(_, status)| status.stood_in), Some(0));
    let calls = network.calls("http://a/", 0, HOUR).len();
    run(&mut refresher, &network, HOUR);
    assert_eq!(network.calls("http://a/", 0, HOUR).len(), calls, "and then after its lifetime");
}

#[test]
fn everybody_returns_to_a_provider_that_answers_again() {
    let network = Network::new(|url, now| {
        if url.starts_with("http://a/") && now < at(1_000) { Does::Fails(500) } else { Does::Well }
    });
    let links = vec![(zones("a"), rate(10)), (zones("b"), rate(100))];
    let mut refresher = refresher(links, 100, 6 * HOUR);
    run(&mut refresher, &network, 1_000);
    assert_eq!(have(&refresher, "b"), 100);
    let tried = network.calls("http://a/", 0, 1_000).len();
    assert!((8..=14).contains(&tried), "five in a row, and a trial now and then: {tried}");
    assert_eq!(network.calls("http://b/", 0, 1_000).len(), 100, "once a lifetime");
    run(&mut refresher, &network, 1_000 + LONGEST_PAUSE.as_secs() + 15);
    assert_eq!(have(&refresher, "a"), 100, "with the trial that is answered, as fast as the rate allows");
    assert_eq!(network.calls("http://b/", 0, DAY).len(), 100);
}

#[test]
fn a_zone_that_only_the_stand_in_has_is_asked_for_after_growing_pauses() {
    let network = Network::new(|url, _| match url {
        "http://a/zone:0" => Does::Fails(404),
        _ => Does::Well,
    });
    let links = vec![(zones("a"), rate(10)), (zones("b"), rate(10))];
    let mut refresher = refresher(links, 2, 600);
    run(&mut refresher, &network, DAY);
    assert_eq!((have(&refresher, "a"), have(&refresher, "b")), (1, 1));
    let asked = network.calls("http://a/zone:0", 0, DAY).len();
    assert!((200..=500).contains(&asked), "every five minutes at most: {asked}");
    assert!(network.calls("http://b/zone:0", 0, DAY).len() <= 146);
    assert_eq!(refresher.chain().links()[0].status(at(DAY)).circuit, CircuitState::Closed);
}

#[test]
fn a_provider_that_refuses_everybody_in_its_own_words_is_left_alone() {
    for wrong in [Does::Refuses, Does::Fails(404)] {
        let network = Network::new(
            move |_, now| {
                if (at(1_000)..at(4_600)).contains(&now) { wrong } else { Does::Well }
            },
        );
        let mut refresher = refresher(vec![(zones("a"), rate(50))], 1_000, 300);
        run(&mut refresher, &network, 1_000);
        assert!(refresher.statuses().all(|(_, status)| status.latest.is_some()));
        run(&mut refresher, &network, 4_600);
        let calls = network.calls("http://a/", 1_000, 4_600).len();
        assert!((10..=20).contains(&calls), "{wrong:?}: {calls} calls in an hour");
        assert!(matches!(refresher.chain().links()[0].status(at(4_599)).circuit, CircuitState::Open { .. }));
        run(&mut refresher, &network, 4_600 + LONGEST_PAUSE.as_secs() + 60);
        assert!(refresher.statuses().all(|(_, status)| status.failures == 0), "{wrong:?}");
    }
}

#[test]
fn what_is_not_published_is_told_all_the_same() {
    let network = Network::new(|url, now| {
        if url.starts_with("http://a/") && now >= at(10) { Does::Fails(500) } else { Does::Well }
    });
    let links = vec![(zones("a"), Limits::default()), (zones("b"), Limits::default())];
    let mut refresher = refresher(links, 1, 300);
    run(&mut refresher, &network, 10);
    network.now.set(at(300));
    let job = refresher.take_due(at(300)).unwrap();
    let news = refresher.finish(&job.target, job.run(&network, || at(300)), at(300)).unwrap();
    assert_eq!((&*news.forecast.source, news.is_current, news.actuals.len()), ("b", false, 1));
    assert_eq!(have(&refresher, "a"), 1, "it stays in force");
}
