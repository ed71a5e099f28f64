//! The fault table: what carbon providers do wrong, and what each fault does to what is published, logged and
//! counted. The same table stands in docs/providers.md, word for word.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, hours, uk};
use crate::{eventually, instant, lines, within};

const DOCUMENT: &str = include_str!("../../../../docs/providers.md");
/// Rows at once: each mostly waits.
const AT_ONCE: usize = 12;
/// gCO2eq/kWh of what is told once all is well again, and by the stand-in.
const WELL: f64 = 150.0;
const STAND_IN: f64 = 90.0;

/// The row that is no answer at all: nobody listens.
const REFUSED: &str = "connection refused";

const UK: &str = "uk-carbon-intensity";
const LEGACY: &str = "legacy-forecast";
const PROVIDERS: [&str; 2] = [UK, LEGACY];

/// One row.
struct Fault {
    /// As the document names it.
    name: &'static str,
    /// What both providers of the chain answer.
    reply: fn() -> Reply,
    becomes: Becomes,
}

/// What it comes to.
enum Becomes {
    /// No forecast: its outcome in the metrics, and a part of what is logged.
    Failure(&'static str, &'static str),
    /// The same, and the provider is left alone for a while.
    LeftAlone(&'static str, &'static str),
    /// A forecast: `now`, `next`, how many slots are published, and how that is said.
    Forecast(Option<f64>, Option<f64>, usize, &'static str),
}

use Becomes::{Failure, Forecast, LeftAlone};

static FAULTS: [Fault; 34] = [
    Fault { name: REFUSED, reply: || Reply::Silence, becomes: Failure("unreachable", "Connection refused") },
    Fault {
        name: "connection reset",
        reply: || Reply::Reset,
        becomes: Failure("unreachable", "Connection reset by peer"),
    },
    Fault {
        name: "connection closed without an answer",
        reply: || Reply::Bytes(""),
        becomes: Failure("unreachable", "could not be read"),
    },
    Fault {
        name: "no answer",
        reply: || Reply::Silence,
        becomes: Failure("timeout", "had not answered in full within 0.3 s"),
    },
    Fault {
        name: "an answer too slow",
        reply: || Reply::Drip,
        becomes: Failure("timeout", "had not answered in full within 0.3 s"),
    },
    Fault {
        name: "a body without an end",
        reply: || Reply::Endless,
        becomes: Failure("bad_answer", "answered more than 4194304 bytes"),
    },
    Fault {
        name: "a body cut short",
        reply: || Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"data\":["),
        becomes: Failure("unreachable", "could not be read"),
    },
    Fault {
        name: "not HTTP",
        reply: || Reply::Bytes("SSH-2.0-OpenSSH_9.6\r\n"),
        becomes: Failure("unreachable", "could not be read"),
    },
    Fault {
        name: "redirects without an end",
        reply: || Reply::Fields(302, "Location: /again\r\n".into(), ""),
        becomes: Failure("unreachable", "more than 3 redirects"),
    },
    Fault {
        name: "200 with HTML",
        reply: || Reply::Status(200, "<html>Sign in</html>"),
        becomes: Failure("bad_answer", "expected value at line 1 column 1"),
    },
    Fault {
        name: "200 with nothing",
        reply: || Reply::Status(200, ""),
        becomes: Failure("bad_answer", "it is empty"),
    },
    Fault {
        name: "200 with an error in it",
        reply: || Reply::Status(200, r#"{"error":{"code":"500","message":"out of order"}}"#),
        becomes: Failure("bad_answer", "answered an error: 500: out of order"),
    },
    Fault {
        name: "truncated JSON",
        reply: || Reply::Status(200, r#"{"data":[{"from":"#),
        becomes: Failure("bad_answer", "EOF while parsing"),
    },
    Fault {
        name: "another object",
        reply: || Reply::Status(200, "{}"),
        becomes: Failure("bad_answer", "/data: missing"),
    },
    Fault {
        name: "times that are none",
        reply: || Reply::Status(200, r#"{"data":[{"from":"noon"}]}"#),
        becomes: Failure("bad_answer", "is not a time: expected one such as"),
    },
    Fault {
        name: "an empty list",
        reply: || Reply::Status(200, r#"{"data":[]}"#),
        becomes: Failure("bad_answer", "answered no slot with an intensity"),
    },
    Fault {
        name: "nulls alone",
        reply: || intensities(&[None, None]),
        becomes: Failure("bad_answer", "answered no slot with an intensity"),
    },
    Fault {
        name: "null for now and next",
        reply: || Reply::Json(json!({"current": null, "next": null})),
        becomes: Failure("bad_answer", "legacy-forecast answered no slot with an intensity"),
    },
    Fault {
        name: "values out of range alone",
        reply: || intensities(&[Some(-5.0), Some(1e9)]),
        becomes: Failure("bad_answer", "/data/0/intensity/forecast"),
    },
    Fault {
        name: "slots that are all over",
        reply: || minutes(&[(-180, -120, 50.0), (-120, -60, 60.0)]),
        becomes: Failure("bad_answer", "answered slots that are all over"),
    },
    Fault {
        name: "401",
        reply: || Reply::Status(401, "who are you?"),
        becomes: Failure("denied", "answered 401"),
    },
    Fault {
        name: "403",
        reply: || Reply::Status(403, "not you"),
        becomes: Failure("denied", "answered 403"),
    },
    Fault {
        name: "404",
        reply: || Reply::Status(404, "not here"),
        becomes: Failure("client_error", "answered 404"),
    },
    Fault {
        name: "500",
        reply: || Reply::Status(500, "down"),
        becomes: Failure("server_error", "answered 500"),
    },
    Fault {
        name: "429 with Retry-After in seconds",
        reply: || Reply::Fields(429, "Retry-After: 1\r\n".into(), "slow down"),
        becomes: LeftAlone("rate_limited", "answered 429"),
    },
    Fault {
        name: "429 with Retry-After as a date of a clock a year behind",
        reply: year_behind,
        becomes: LeftAlone("rate_limited", "answered 429"),
    },
    Fault {
        name: "some nulls",
        reply: || intensities(&[Some(100.0), None, Some(200.0)]),
        becomes: Forecast(Some(100.0), Some(150.0), 3, "the gap of an hour is filled"),
    },
    Fault {
        name: "some values out of range",
        reply: || intensities(&[Some(100.0), Some(-1.0), Some(-1.0), Some(200.0)]),
        becomes: Forecast(Some(100.0), None, 2, "the gap of two hours stays"),
    },
    Fault {
        name: "one slot",
        reply: || intensities(&[Some(100.0)]),
        becomes: Forecast(Some(100.0), None, 1, "no `next`"),
    },
    Fault {
        name: "slots out of order",
        reply: || minutes(&[(50, 110, 200.0), (-10, 50, 100.0)]),
        becomes: Forecast(Some(100.0), Some(200.0), 2, "in order"),
    },
    Fault {
        name: "overlapping slots",
        reply: || minutes(&[(-10, 110, 100.0), (50, 110, 200.0)]),
        becomes: Forecast(Some(100.0), Some(200.0), 2, "the earlier slot is cut"),
    },
    Fault {
        name: "clocks change between two slots",
        reply: clocks_change,
        becomes: Forecast(Some(100.0), Some(200.0), 2, "by the offsets, without a gap"),
    },
    Fault {
        name: "a clock hours behind",
        reply: || minutes(&[(-600, -10, 50.0), (-10, 50, 100.0)]),
        becomes: Forecast(Some(100.0), None, 1, "what is left of it"),
    },
    Fault {
        name: "a clock hours ahead",
        reply: || minutes(&[(120, 180, 100.0), (180, 240, 200.0)]),
        becomes: Forecast(None, Some(100.0), 2, "no `now` until the first slot begins"),
    },
];

/// Slots in minutes from now.
fn minutes(slots: &[(i64, i64, f64)]) -> Reply {
    let now = Timestamp::now();
    let at = |minute| now + SignedDuration::from_mins(minute);
    let slots = slots.iter().map(|(from, to, grams)| (at(*from), at(*to), *grams));
    Reply::Json(uk(&slots.collect::<Vec<_>>()))
}

/// Hours around now, some without a value.
fn intensities(grams: &[Option<f64>]) -> Reply {
    let mut body = hours(&vec![0.0; grams.len()]);
    for (index, grams) in grams.iter().enumerate() {
        body["data"][index]["intensity"]["forecast"] = json!(grams);
    }
    Reply::Json(body)
}

/// Local times of a place that sets its clocks back where the second slot begins.
fn clocks_change() -> Reply {
    let mut body = hours(&[100.0, 200.0]);
    for (index, hours) in [(0, 1), (1, 0)] {
        for bound in ["from", "to"] {
            let slot = &mut body["data"][index];
            let local = offset(hours).to_datetime(instant(&slot[bound]));
            slot[bound] = json!(format!("{local}+0{hours}:00"));
        }
    }
    Reply::Json(body)
}

/// One second to wait, by a clock that is wrong.
fn year_behind() -> Reply {
    let date = |second: i64| {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * 365) + SignedDuration::from_secs(second);
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    Reply::Fields(429, format!("Date: {}\r\nRetry-After: {}\r\n", date(0), date(1)), "slow down")
}

/// Its row in the document.
fn row(fault: &Fault) -> String {
    let (published, logged, metric) = match fault.becomes {
        Failure(outcome, said) => ("the last good one", format!("`{said}`"), format!("`{outcome}`")),
        LeftAlone(outcome, said) => {
            ("the last good one", format!("`{said}`"), format!("`{outcome}`, then `circuit_open`"))
        }
        Forecast(_, _, _, how) => (how, "nothing".to_owned(), "`ok`".to_owned()),
    };
    format!("| {} | {published} | {logged} | {metric} |", fault.name)
}

#[test]
fn the_document_has_the_rows_of_this_table() {
    let (_, rest) = DOCUMENT.split_once("| fault | published | logged | metric |\n").unwrap();
    let written: Vec<_> = rest.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    let meant: Vec<_> = FAULTS.iter().map(row).collect();
    assert_eq!(written, meant, "expected in docs/providers.md:\n{}", meant.join("\n"));
}

#[test]
fn every_fault_does_what_the_table_says() {
    for rows in FAULTS.chunks(AT_ONCE) {
        std::thread::scope(|threads| {
            for row in rows {
                // A panic names its thread.
                let thread = std::thread::Builder::new().name(row.name.to_owned());
                let checked = thread.spawn_scoped(threads, || match row.becomes {
                    Failure(outcome, said) => fails(row, outcome, said, false),
                    LeftAlone(outcome, said) => fails(row, outcome, said, true),
                    Forecast(now, next, slots, _) => is_taken(row, now, next, slots),
                });
                checked.unwrap();
            }
        });
    }
}

#[test]
fn nobody_waits_while_every_thread_hangs() {
    for reply in [|| Reply::Silence, || Reply::Drip] {
        let upstream = Upstream::start(move |_| reply());
        let mut server = launch(&upstream).env("CARBON_API_TIMEOUT", "60").start();
        let ids: Vec<_> = (1..9).map(|region| format!("t/r{region}")).collect();
        for (region, id) in (1..9).zip(&ids) {
            server.configure(id, &json!({"carbonTarget": format!("region:{region}")}));
        }
        eventually("every thread hangs", || (upstream.asked().len() == 4).then_some(()));
        let before = evaluations(&server);
        for id in &ids {
            server.configure(id, &json!({"targetError": 0.1}));
            assert!(server.schedule(id)["flavourWeights"].is_object());
            let post = json!({"window_seconds": 1, "flavour_counts": {"precision-100": 1}});
            assert_eq!(server.post(&format!("/feedback/{id}"), &post).status, 200);
        }
        eventually("each is evaluated again and again", || {
            let now = evaluations(&server);
            before.iter().all(|(series, count)| now[series] >= count + 2.0).then_some(())
        });
        assert_eq!((upstream.asked().len(), warned(&server)), (4, 0));
        server.terminate();
        assert!(server.ended().success());
    }
}

/// How long a provider may be left alone after an outage, and something more.
const LEFT_ALONE: Duration = Duration::from_mins(1);

#[test]
fn an_outage_costs_few_calls_and_few_words_and_is_over_by_itself() {
    let upstream = Upstream::start(|_| Reply::Status(500, "down"));
    let server = launch(&upstream).start();
    let ids: Vec<_> = (1..18).map(|region| format!("t/r{region}")).collect();
    for (region, id) in (1..18).zip(&ids) {
        server.configure(id, &json!({"carbonTarget": format!("region:{region}")}));
    }
    for provider in PROVIDERS {
        eventually("it is left alone", || is_left_alone(&server, provider).then_some(()));
        eventually("others are held", || outcomes(&scrape(&server), provider).get("circuit_open").copied());
    }
    let asked = upstream.asked().len();
    for id in &ids {
        let schedule = evaluated_again(&server, id);
        assert_eq!(schedule["forecast"], json!({"schedule": []}), "{id}");
    }
    assert_eq!(upstream.asked().len(), asked, "nobody is asked");
    assert!((10..=20).contains(&asked), "{asked} calls");
    let log = server.log();
    assert_eq!(log.matches("left alone after failures in a row").count(), 2, "{log}");
    for region in 1..18 {
        assert!(log.matches(&format!("carbon_target=region:{region} ")).count() <= 1, "{log}");
    }

    upstream.set(|path| match path {
        "/forecast" => Reply::Json(json!({"current": WELL, "next": WELL})),
        path if path.starts_with("/intensity/") => Reply::Json(hours(&[WELL])),
        _ => Reply::Json(json!({"data": {"data": hours(&[WELL])["data"]}})),
    });
    let recovered = |id: &String| now_is(WELL)(&server.schedule(id));
    let all = || ids.iter().all(recovered) && !is_left_alone(&server, UK);
    let all = within(LEFT_ALONE, || all().then_some(()));
    let log = server.log();
    assert!(all.is_some(), "{log}");
    // The one after it in the chain is tried as well where a target is due while the first is on trial.
    let again = |provider: &str| log.matches(&format!("answers again provider=\"{provider}\"")).count();
    assert_eq!(again(UK), 1, "{log}");
    assert!(again(LEGACY) <= 1, "{log}");
    assert_eq!(log.matches(" WARN ").count(), warned(&server) + 2, "{log}");
}

#[test]
fn a_provider_behind_whom_somebody_stands_in_is_spoken_of_once() {
    let upstream = Upstream::start(|path| match path {
        "/forecast" => Reply::Json(json!({"current": STAND_IN, "next": STAND_IN})),
        _ => Reply::Status(500, "down"),
    });
    let server = launch(&upstream).start();
    for region in 1..18 {
        server.configure(&format!("t/r{region}"), &json!({"carbonTarget": format!("region:{region}")}));
    }
    for region in 1..18 {
        server.schedule_when(&format!("t/r{region}"), now_is(STAND_IN));
    }
    eventually("it is left alone", || is_left_alone(&server, UK).then_some(()));
    let log = server.log();
    assert_eq!(log.matches("another provider stands in").count(), 1, "{log}");
    assert_eq!(log.matches("left alone after failures in a row").count(), 1, "{log}");
    assert_eq!(log.matches(" WARN ").count(), 2, "{log}");
}

#[test]
fn a_provider_that_refuses_every_target_in_its_own_words_is_spoken_of_once() {
    let region = |_: &str| Reply::Json(json!({"data": {"data": hours(&[WELL])["data"]}}));
    let upstream = Upstream::start(region);
    let server = launch(&upstream).env("CARBON_PROVIDER", UK).env("CARBON_API_TARGET", "region:1").start();
    let ids: Vec<_> = (1..18).map(|region| format!("t/r{region}")).collect();
    for (region, id) in (1..18).zip(&ids) {
        server.configure(id, &json!({"carbonTarget": format!("region:{region}")}));
    }
    for id in &ids {
        server.schedule_when(id, now_is(WELL));
    }
    upstream.set(|_| Reply::Status(200, r#"{"error":{"code":"500","message":"out of order"}}"#));
    eventually("it is left alone", || is_left_alone(&server, UK).then_some(()));
    let log = server.log();
    // The one after it in the chain refuses them all as well, and may be left alone by now.
    let left = |provider: &str| {
        let of = format!("provider=\"{provider}\"");
        let lines = log.lines().filter(|line| line.contains("left alone after failures in a row"));
        lines.filter(|line| line.contains(&of)).count()
    };
    let (uk, legacy) = (left(UK), left(LEGACY));
    assert_eq!((uk, warned(&server)), (1, 1), "{log}");
    assert!(legacy <= 1, "{log}");
    assert_eq!(log.matches(" WARN ").count(), 1 + uk + legacy, "{log}");
    upstream.set(region);
    let recovered = || (!is_left_alone(&server, UK)).then_some(());
    assert!(within(LEFT_ALONE, recovered).is_some(), "{}", server.log());
}

/// A fault that gives no forecast: before there was any, after one, and with a stand-in that is well.
fn fails(fault: &'static Fault, outcome: &str, said: &str, left_alone: bool) {
    let name = fault.name;
    let mut upstream = Upstream::start(|_| Reply::Silence);
    begin(fault, &mut upstream);
    // Those that would never end have to be cut off; the others have the time they take.
    let timeout = if said.contains("within 0.3 s") { "0.3" } else { "10" };
    let server = launch(&upstream).env("CARBON_API_TIMEOUT", timeout).start();

    failed(&server, said);
    let cold = evaluated_again(&server, "default/default");
    assert_eq!(cold["forecast"], json!({"schedule": []}), "{name}");
    let nothing = "no carbon forecast for `national` has arrived yet: decided without one\n";
    assert_eq!(lines(&cold["warnings"]), nothing, "{name}");
    let seen = scrape(&server);
    for provider in PROVIDERS {
        let mut outcomes = outcomes(&seen, provider);
        let held = outcomes.remove("circuit_open").is_some();
        assert!(left_alone || !held, "{name}: {seen:?}");
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), [outcome], "{name}");
        assert!(sample(&seen, "carbon_provider_calls_total", provider) >= outcomes[outcome], "{name}");
    }
    assert!(!seen.keys().any(|series| series.starts_with("carbon_forecast_age_seconds")), "{name}");
    if left_alone {
        for provider in PROVIDERS {
            eventually("it is left alone", || is_left_alone(&server, provider).then_some(()));
        }
    }
    assert_eq!(warned(&server), 1, "{name}: {}", server.log());
    assert!(server.log().contains(said), "{name}: {}", server.log());

    recovers(&server, &mut upstream, WELL);
    let known = server.schedule("default/default");
    assert_eq!((lines(&known["warnings"]).as_str(), warned(&server)), ("", 1), "{name}");
    let age = |seen: &BTreeMap<String, f64>| seen[r#"carbon_forecast_age_seconds{target="national"}"#];
    assert!(age(&scrape(&server)) >= 0.0, "{name}");

    begin(fault, &mut upstream);
    failed(&server, said);
    let age_then = age(&scrape(&server));
    let kept = evaluated_again(&server, "default/default");
    assert_eq!((&kept["forecast"]["now"], lines(&kept["warnings"]).as_str()), (&json!(WELL), ""), "{name}");
    assert!(instant(&kept["forecast"]["retrievedAt"]) < instant(&kept["evaluatedAt"]), "{name}");
    assert!(age(&scrape(&server)) > age_then, "{name}: the age of what is kept grows");
    assert_eq!(warned(&server), 2, "{name}: {}", server.log());

    // Where nobody listens there is no stand-in either.
    if fault.name != REFUSED {
        upstream.set(|path| match path {
            "/forecast" => Reply::Json(json!({"current": STAND_IN, "next": STAND_IN})),
            _ => (fault.reply)(),
        });
        let schedule = server.schedule_when("default/default", now_is(STAND_IN));
        assert_eq!(schedule["forecast"]["source"], "legacy-forecast", "{name}");
    }
    recovers(&server, &mut upstream, WELL + 1.0);
    let log = server.log();
    assert_eq!(warned(&server), 2, "{name}: {log}");
    assert!(!log.contains("left alone after") && !log.contains("ERROR"), "{name}: {log}");
}

/// An answer that is odd, and a forecast all the same.
fn is_taken(fault: &'static Fault, now: Option<f64>, next: Option<f64>, slots: usize) {
    let name = fault.name;
    let mut upstream = Upstream::start(|_| (fault.reply)());
    let server = launch(&upstream).start();
    let known = |schedule: &Value| schedule["forecast"]["source"] == "uk-carbon-intensity";
    let schedule = server.schedule_when("default/default", known);
    let forecast = &schedule["forecast"];
    assert_eq!((forecast["now"].as_f64(), forecast["next"].as_f64()), (now, next), "{name}: {schedule}");
    assert_eq!(forecast["schedule"].as_array().map(Vec::len), Some(slots), "{name}: {schedule}");
    assert_eq!(lines(&schedule["warnings"]), "", "{name}");
    let seen = scrape(&server);
    assert_eq!(outcomes(&seen, UK).keys().collect::<Vec<_>>(), ["ok"], "{name}");
    assert_eq!(outcomes(&seen, LEGACY), BTreeMap::new(), "{name}: nobody has to stand in");
    assert!(seen[r#"carbon_forecast_age_seconds{target="national"}"#] >= 0.0, "{name}");
    recovers(&server, &mut upstream, WELL);
    assert!(!server.log().contains(" WARN "), "{name}: {}", server.log());
}

/// A server that is quick to ask and to evaluate.
fn launch(upstream: &Upstream) -> Launch {
    Launch::new().upstream(upstream).env("CARBON_API_CACHE_TTL", "1").env("SCHEDULE_VALID_FOR", "1")
}

/// Lets the fault happen from now on.
fn begin(fault: &'static Fault, upstream: &mut Upstream) {
    upstream.set(|_| (fault.reply)());
    if fault.name == REFUSED {
        upstream.close();
    }
}

/// Once all is well upstream that is published, and no client has to ask for it.
fn recovers(server: &Server, upstream: &mut Upstream, grams: f64) {
    upstream.set(move |_| Reply::Json(hours(&[grams, grams])));
    upstream.open();
    let schedule = server.schedule_when("default/default", now_is(grams));
    assert_eq!(schedule["forecast"]["source"], "uk-carbon-intensity");
    let list = server.get("/forecasts").json();
    assert_eq!((&list["items"][0]["failures"], &list["items"][0]["lastError"]), (&json!(0), &Value::Null));
}

/// Waits until the last refresh failed, with these words.
fn failed(server: &Server, said: &str) {
    eventually("a refresh has failed", || {
        let list = server.get("/forecasts").json();
        let target = &list["items"][0];
        let because = target["lastError"].as_str().is_some_and(|error| error.contains(said));
        (target["failures"].as_u64() >= Some(1) && because).then_some(())
    });
}

/// The schedule after one more evaluation, with a PUT and a GET answered meanwhile.
fn evaluated_again(server: &Server, id: &str) -> Value {
    let before = server.schedule(id);
    server.configure("t/meanwhile", &json!({"validFor": 1}));
    assert!(server.schedule("t/meanwhile")["flavourWeights"].is_object());
    server.schedule_when(id, |schedule| schedule["evaluatedAt"] != before["evaluatedAt"])
}

fn now_is(grams: f64) -> impl Fn(&Value) -> bool {
    move |schedule| schedule["forecast"]["now"] == grams
}

/// How often it was logged that there is no fresh forecast.
fn warned(server: &Server) -> usize {
    server.log().matches("no fresh forecast").count()
}

/// Every series of a scrape.
fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.metrics.send("GET", "/metrics", None);
    let samples = answer.text().lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

fn sample(seen: &BTreeMap<String, f64>, name: &str, provider: &str) -> f64 {
    seen[&format!("{name}{{provider=\"{provider}\"}}")]
}

fn is_left_alone(server: &Server, provider: &str) -> bool {
    sample(&scrape(server), "carbon_provider_left_alone", provider) == 1.0
}

/// How often each schedule was evaluated.
fn evaluations(server: &Server) -> BTreeMap<String, f64> {
    let mut seen = scrape(server);
    seen.retain(|series, _| series.starts_with("schedule_evaluations_total"));
    seen
}

/// How a provider was asked, and how often each.
fn outcomes(seen: &BTreeMap<String, f64>, provider: &str) -> BTreeMap<String, f64> {
    let prefix = format!("carbon_provider_requests_total{{provider=\"{provider}\",outcome=\"");
    let outcomes = seen.iter().filter_map(|(series, count)| {
        Some((series.strip_prefix(&prefix)?.strip_suffix("\"}")?.to_owned(), *count))
    });
    outcomes.collect()
}
