//! `kill -9` at any moment under load: what was acknowledged is there afterwards, what was refused is not, and
//! nothing counts twice.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::Client;
use crate::eventually;
use crate::server::{Launch, Server};

const CLIENTS: u64 = 4;
const SCHEDULES_EACH: u64 = 3;
/// Schedules that nobody touches: in release enough for a base to take more than one commit; a debug build takes
/// long to read so many.
const BYSTANDERS: usize = if cfg!(debug_assertions) { 2 } else { 150 };

/// SplitMix64: the same seed, the same experiment, as far as the machine repeats itself.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.throw() % (to - from)
    }

    fn one_of(&mut self, sides: usize) -> usize {
        usize::try_from(self.throw() % sides as u64).unwrap()
    }
}

/// What one request asks for.
#[derive(Debug, Clone)]
enum Ask {
    Put {
        valid_for: u64,
    },
    Delete,
    Set {
        reason: String,
    },
    Clear,
    Feed {
        counts: [u64; 3],
        end: Timestamp,
    },
    /// Nothing that can be done.
    PutNonsense,
    FeedNonsense,
}

/// What is to be seen of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    generation: u64,
    valid_for: u64,
    manual: Option<String>,
    requests: u64,
    /// Of what was served, in twentieths: whole numbers add up exactly.
    error: u64,
}

/// A schedule, and what its one client knows of it.
struct Owned {
    path: String,
    source: String,
    known: Option<Seen>,
    /// Number of the next post.
    sequence: u64,
    /// Requests that its last evaluation knew of.
    shown: u64,
}

/// A client, alone with its schedules: nobody else changes them.
struct Owner {
    dice: Dice,
    schedules: Vec<Owned>,
    /// What was asked for and not answered, of which schedule.
    open: Option<(usize, Ask)>,
    acknowledged: u64,
    refused: u64,
    /// Of those that were not answered, how many had been done.
    done: u64,
    not_done: u64,
}

impl Ask {
    fn any(dice: &mut Dice) -> Self {
        match dice.throw() % 20 {
            0..4 => Self::Put { valid_for: dice.within(3_600, 86_400) },
            4 => Self::Delete,
            5..8 => Self::Set { reason: format!("incident {}", dice.throw()) },
            8..10 => Self::Clear,
            10 => Self::PutNonsense,
            11 => Self::FeedNonsense,
            _ => Self::Feed { counts: [(); 3].map(|()| dice.within(0, 100)), end: Timestamp::now() },
        }
    }

    /// Method, path and body.
    fn request(&self, of: &Owned) -> (&'static str, String, Option<Value>) {
        let (config, manual) = (format!("/config/{}", of.path), format!("/schedule/{}/manual", of.path));
        let feedback = format!("/feedback/{}", of.path);
        let post = |counts: Value, end: Timestamp| {
            json!({"source": of.source, "sequence": of.sequence, "window_seconds": 0.001,
                "windowEnd": end.to_string(), "flavour_counts": counts})
        };
        match self {
            Self::Put { valid_for } => ("PUT", config, Some(json!({ "validFor": valid_for }))),
            Self::Delete => ("DELETE", config, None),
            Self::Set { reason } => {
                let body =
                    json!({"flavourWeights": {"precision-70": 1}, "reason": reason, "ttlSeconds": 86_400});
                ("POST", manual, Some(body))
            }
            Self::Clear => ("DELETE", manual, None),
            Self::Feed { counts: [best, middle, worst], end } => {
                let counts = json!({"precision-100": best, "precision-85": middle, "precision-70": worst});
                ("POST", feedback, Some(post(counts, *end)))
            }
            Self::PutNonsense => ("PUT", config, Some(json!({"validFor": 4_000, "targetError": 2}))),
            Self::FeedNonsense => {
                ("POST", feedback, Some(post(json!({"precision-70": 1, "nope": 1}), Timestamp::now())))
            }
        }
    }

    /// What it is to be answered.
    fn status(&self, known: Option<&Seen>) -> u16 {
        match self {
            Self::Put { .. } => 202,
            Self::PutNonsense => 422,
            _ if known.is_none() => 404,
            Self::FeedNonsense => 422,
            Self::Set { .. } => 202,
            Self::Delete | Self::Clear | Self::Feed { .. } => 200,
        }
    }

    /// What is to be seen once it is done.
    fn outcome(&self, known: Option<&Seen>) -> Option<Seen> {
        let known = known.cloned();
        match self {
            Self::Put { valid_for } => {
                let before = known.unwrap_or_default();
                Some(Seen { generation: before.generation + 1, valid_for: *valid_for, ..before })
            }
            Self::Delete => None,
            Self::Set { reason } => known.map(|known| Seen { manual: Some(reason.clone()), ..known }),
            Self::Clear => known.map(|known| Seen { manual: None, ..known }),
            Self::Feed { counts: [best, middle, worst], .. } => known.map(|known| Seen {
                requests: known.requests + best + middle + worst,
                error: known.error + 3 * middle + 6 * worst,
                ..known
            }),
            Self::PutNonsense | Self::FeedNonsense => known,
        }
    }
}

impl Owned {
    /// What the server shows, once it has evaluated what it restored.
    fn look(&self, client: &Client) -> Option<Seen> {
        let config = client.send("GET", &format!("/config/{}", self.path), None);
        if config.status == 404 {
            assert_eq!(client.send("GET", &format!("/schedule/{}", self.path), None).status, 404);
            return None;
        }
        let config = config.json();
        let schedule = client.send("GET", &format!("/schedule/{}", self.path), None).json();
        let budget = &schedule["budget"];
        let (requests, error) = if budget["accounting"] == "requests" {
            let error = budget["servedError"].as_f64().unwrap();
            let requests = budget["servedRequests"].as_u64().unwrap();
            let balance = budget["balance"].as_f64().unwrap();
            // What the target allows, less what was served.
            assert!((balance - (0.05 * requests as f64 - error)).abs() < 1e-6, "{}: {budget}", self.path);
            let twentieths: u64 = format!("{:.0}", error * 20.0).parse().unwrap();
            assert!((error * 20.0 - twentieths as f64).abs() < 1e-4, "{}: {budget}", self.path);
            (requests, twentieths)
        } else {
            (0, 0)
        };
        Some(Seen {
            generation: config["generation"].as_u64().unwrap(),
            valid_for: config["config"]["validFor"]["value"].as_u64().unwrap(),
            manual: schedule["manual"]["reason"].as_str().map(Into::into),
            requests,
            error,
        })
    }

    /// `ask` is done.
    fn take(&mut self, ask: &Ask) {
        self.known = ask.outcome(self.known.as_ref());
        match ask {
            Ask::Delete => self.sequence = 0,
            Ask::Feed { .. } if self.known.is_some() => self.sequence += 1,
            _ => {}
        }
    }
}

impl Owner {
    fn new(seed: u64, number: u64) -> Self {
        let schedules = (0..SCHEDULES_EACH).map(|schedule| Owned {
            path: format!("crash/c{number}-s{schedule}"),
            source: format!("router-{number}"),
            known: None,
            sequence: 0,
            shown: 0,
        });
        Self {
            dice: Dice(seed ^ number.rotate_right(8)),
            schedules: schedules.collect(),
            open: None,
            acknowledged: 0,
            refused: 0,
            done: 0,
            not_done: 0,
        }
    }

    /// Asks for one thing after the other, until there is no answer.
    fn load(&mut self, client: &Client) {
        loop {
            let which = self.dice.one_of(self.schedules.len());
            let ask = Ask::any(&mut self.dice);
            let of = &mut self.schedules[which];
            let (method, path, body) = ask.request(of);
            let Ok(answer) = client.try_send(method, &path, body.as_ref()) else {
                self.open = Some((which, ask));
                return;
            };
            if answer.status == 503 {
                // While it stops: not done.
                self.refused += 1;
                continue;
            }
            assert_eq!(answer.status, ask.status(of.known.as_ref()), "{ask:?} of {:?}: {answer:?}", of.known);
            assert_eq!(answer.field("content-type").contains("problem"), answer.status >= 400);
            if answer.status < 300 {
                assert!(answer.json().get("duplicate").is_none(), "{ask:?}: {answer:?}");
                of.take(&ask);
                self.acknowledged += 1;
            } else {
                self.refused += 1;
            }
        }
    }

    /// Looks whether all is as it was acknowledged. What was not answered may have been done, whole, or not at
    /// all; a post is sent again, and counts once.
    fn check(&mut self, client: &Client) {
        let open = self.open.take();
        for (place, of) in self.schedules.iter_mut().enumerate() {
            let seen = of.look(client);
            of.shown = seen.as_ref().map_or(0, |seen| seen.requests);
            let asked = open.as_ref().filter(|(which, _)| *which == place).map(|(_, ask)| ask);
            let Some(ask) = asked else {
                assert_eq!(seen, of.known, "{}: nothing was under way", of.path);
                continue;
            };
            let outcome = ask.outcome(of.known.as_ref());
            let is_done = seen != of.known;
            assert!(!is_done || seen == outcome, "{}: {seen:?} is not {outcome:?} after {ask:?}", of.path);
            if is_done {
                self.done += 1;
            } else {
                self.not_done += 1;
            }
            if let (Ask::Feed { counts, .. }, true) = (ask, of.known.is_some()) {
                let (method, path, body) = ask.request(of);
                let answer = client.send(method, &path, body.as_ref());
                assert_eq!(answer.status, 200, "{answer:?}");
                if counts.iter().sum::<u64>() > 0 {
                    assert_eq!(answer.json().get("duplicate").is_some(), is_done, "{ask:?}: {answer:?}");
                }
                of.take(ask);
            } else if is_done {
                of.take(ask);
            }
        }
    }
}

/// Another one each time, unless the environment says which; printed with a failure.
fn from_environment(key: &str, default: u64) -> u64 {
    std::env::var(key).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{key}={value}")))
}

fn launch(folder: &Path, dice: &mut Dice) -> Launch {
    // Whatever is kept of the past: nothing, some, or all of it.
    let journal = ["0", "1", "256"][dice.one_of(3)];
    let launch = Launch::new().arg("--carbon-provider").arg("static:250").arg("--loglevel").arg("warn");
    launch.arg("--journal-mib").arg(journal).arg("--state-dir").arg(folder.to_str().unwrap())
}

fn ready(server: &Server) {
    eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
}

/// Schedules there are, and no others; what metrics count is what was acknowledged.
fn check_all(server: &Server, owners: &[Owner], with_metrics: bool) {
    let listed = server.get("/schedules?limit=1000").json();
    let name =
        |item: &Value| format!("{}/{}", item["namespace"].as_str().unwrap(), item["name"].as_str().unwrap());
    let listed: BTreeSet<String> = listed["items"].as_array().unwrap().iter().map(name).collect();
    let owned = owners.iter().flat_map(|owner| &owner.schedules).filter(|of| of.known.is_some());
    let mut expected: BTreeSet<String> = owned.map(|of| of.path.clone()).collect();
    expected.extend((0..BYSTANDERS).map(|number| format!("bystander/s{number}")));
    expected.insert("default/default".into());
    assert_eq!(listed, expected);
    if !with_metrics {
        return;
    }
    let metrics = server.metrics.send("GET", "/metrics", None);
    for of in owners.iter().flat_map(|owner| &owner.schedules) {
        let (namespace, name) = of.path.split_once('/').unwrap();
        let series = format!(r#"schedule_requests_total{{namespace="{namespace}",schedule="{name}"}} "#);
        let counted = metrics.text().lines().find_map(|line| line.strip_prefix(&series));
        assert_eq!(counted.unwrap_or("0"), of.shown.to_string(), "{}", of.path);
    }
}

#[test]
fn what_was_acknowledged_outlives_kill_9_at_any_moment() {
    let seed = from_environment("CRASH_SEED", RandomState::new().hash_one("crash"));
    let kills = from_environment("CRASH_KILLS", 200);
    println!("CRASH_SEED={seed} CRASH_KILLS={kills}");
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed);
    let mut owners: Vec<Owner> = (0..CLIENTS).map(|number| Owner::new(seed, number)).collect();
    {
        let server = launch(folder.path(), &mut dice).start();
        ready(&server);
        for number in 0..BYSTANDERS {
            server.configure(&format!("bystander/s{number}"), &json!({"validFor": 86_400}));
        }
    }
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        if round % 3 == 0 {
            // Also one that has not begun yet, or that is writing its first base: beside those under load.
            let pause = Duration::from_micros(dice.within(0, 60_000));
            launch(folder.path(), &mut dice).kill_after(pause);
        }
        let mut server = launch(folder.path(), &mut dice).start();
        ready(&server);
        let address = server.client.address;
        std::thread::scope(|threads| {
            for owner in &mut owners {
                let client = Client::new(address);
                threads.spawn(move || owner.check(&client));
            }
        });
        check_all(&server, &owners, round % 16 == 0);
        std::thread::scope(|threads| {
            for owner in &mut owners {
                let client = Client::new(address);
                threads.spawn(move || owner.load(&client));
            }
            std::thread::sleep(Duration::from_micros(dice.within(5_000, 60_000)));
            if round % 32 == 31 {
                server.terminate();
            } else {
                server.kill();
                killed += 1;
            }
        });
        server.ended();
    }
    let server = launch(folder.path(), &mut dice).start();
    ready(&server);
    for owner in &mut owners {
        owner.check(&server.client);
    }
    check_all(&server, &owners, true);
    let sum = |of: fn(&Owner) -> u64| owners.iter().map(of).sum::<u64>();
    let (acknowledged, refused) = (sum(|owner| owner.acknowledged), sum(|owner| owner.refused));
    let (done, not_done) = (sum(|owner| owner.done), sum(|owner| owner.not_done));
    println!(
        "{killed} killed under load, {} stopped; {acknowledged} acknowledged, {refused} refused; not answered, but done: {done}, not done: {not_done}",
        round - killed
    );
    assert!(acknowledged > kills, "{acknowledged} of {kills} rounds: this was no load");
}
