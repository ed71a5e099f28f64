//! A provider of one's own: an adapter for the answers of a Tide Office, which knows the islands it has cables to.
//!
//! `cargo run -p providers --example own_provider`; `cargo test -p providers --example own_provider` tries it.
//!
//! An adapter says what to ask and reads what came back; when to ask, whom next and what to keep over a failure is the
//! refresher's. `engine::Engine::observe_forecast` takes what comes of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Slot, Timestamp};
use providers::{
    Adapter, Answer, BadAnswer, Fetch, FetchError, NotUnderstood, Plan, Refresher, Request, Wanted,
};
use serde::Deserialize;

const NAME: &str = "tide-office";
/// How long each value of its list holds.
const STEP: SignedDuration = SignedDuration::from_hours(1);

/// Forecasts of a Tide Office. Targets are `isle:NAME`.
#[derive(Debug)]
struct TideOffice {
    base: String,
}

/// What it answers: `{"from": "..", "grams": [120, null, 90]}`, or `{"sorry": ".."}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tides {
    Known { from: Timestamp, grams: Vec<Option<f64>> },
    Unknown { sorry: String },
}

fn isle(target: &CarbonTarget) -> Option<&str> {
    let name = target.as_str().strip_prefix("isle:")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    is_name.then_some(name)
}

impl Adapter for TideOffice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _now: Timestamp) -> Result<Plan, NotUnderstood> {
        let isle = isle(target).ok_or_else(|| NotUnderstood {
            target: target.to_string(),
            provider: NAME.into(),
            expected: "isle: and a name of a-z".into(),
        })?;
        // A key goes into a header field, which no message shows: `.with("Authorization", key)`.
        Ok(Plan::Ask(Request::json(format!("{}/tides/{isle}", self.base))))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let provider = || NAME.to_owned();
        let not_the_format = |problem: String| BadAnswer::NotTheFormat { provider: provider(), problem };
        let tides = serde_json::from_slice(body).map_err(|error| not_the_format(error.to_string()))?;
        let (from, grams) = match tides {
            Tides::Known { from, grams } => (from, grams),
            Tides::Unknown { sorry } => {
                return Err(BadAnswer::Refused { provider: provider(), message: sorry });
            }
        };
        let mut slots = Vec::new();
        for (index, grams) in grams.into_iter().enumerate() {
            // What is not known is a gap: never 0, and never the end of the list.
            let Some(grams) = grams else { continue };
            let grams = CarbonIntensity::new(grams)
                .map_err(|wrong| not_the_format(format!("/grams/{index}: {wrong}")))?;
            let after = i32::try_from(index).ok().and_then(|index| STEP.checked_mul(index));
            let begin = after.and_then(|after| from.checked_add(after).ok());
            let end = begin.and_then(|begin| begin.checked_add(STEP).ok());
            let span = begin.zip(end).ok_or_else(|| not_the_format("/from: it is too late".into()))?;
            slots.push(Slot::new(span.0, span.1, grams));
        }
        let forecast = Forecast::new(NAME, Some(from), now, slots)
            .map_err(|_| BadAnswer::Empty { provider: provider() })?;
        match forecast.slots().last() {
            Some(last) if last.to <= now => Err(BadAnswer::Over { provider: provider(), ended: last.to }),
            _ => Ok(forecast.into()),
        }
    }
}

/// What was answered once, in the place of the network. With the feature `http` that is `providers::http::Client`.
struct Recorded(BTreeMap<&'static str, &'static str>);

impl Fetch for Recorded {
    fn fetch(&self, request: &Request, _timeout: Duration) -> Result<Vec<u8>, FetchError> {
        match self.0.get(request.url.as_str()) {
            Some(body) => Ok(body.as_bytes().to_vec()),
            None => {
                Err(FetchError::Connection { url: request.url.clone(), problem: "nobody is there".into() })
            }
        }
    }
}

fn recorded() -> Recorded {
    Recorded(BTreeMap::from([
        (
            "https://tides.example/tides/arran",
            r#"{"from": "2026-11-23T15:00:00Z", "grams": [120, 90.5, null, 60]}"#,
        ),
        ("https://tides.example/tides/skye", r#"{"sorry": "the cable is cut"}"#),
    ]))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let now: Timestamp = "2026-11-23T15:10:00Z".parse()?;
    let office = TideOffice { base: "https://tides.example".into() };
    let mut refresher = Refresher::new(vec![Arc::new(office)], 7);

    // What an engine wants: `Engine::wanted` says it.
    let often = Wanted { ttl: SignedDuration::from_mins(5), timeout: SignedDuration::from_secs(2) };
    let targets = ["isle:arran", "isle:skye"].map(|target| (CarbonTarget::from(target), often));
    refresher.want(&BTreeMap::from(targets), now);

    let network = recorded();
    while let Some(job) = refresher.take_due(now) {
        let outcome = job.run(&network, || now); // blocks: a program gives it to a thread
        let news = refresher.finish(&job.target, outcome, now);
        let status = refresher.status(&job.target).ok_or("it is wanted")?;
        match (news, &status.last_error) {
            (Some(news), _) => {
                let slots = news.forecast.slots().len();
                let intensity = news.forecast.at(now).map(|slot| slot.forecast.get());
                writeln!(out, "{}: {slots} slots, now {intensity:?} gCO2eq/kWh", job.target)?;
            }
            (None, Some(error)) => writeln!(out, "{}: {error}", job.target)?,
            (None, None) => writeln!(out, "{}: nobody wants it any more", job.target)?,
        }
    }
    // A gap of an hour was filled by a straight line. The target that failed is asked for again a little later, the
    // other when its lifetime is over.
    writeln!(out, "next at {:?}", refresher.next_due().map(|next| next.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<Answer, BadAnswer> {
        let office = TideOffice { base: "https://tides.example".into() };
        let now = "2026-11-23T15:10:00Z".parse().unwrap();
        office.parse(&"isle:arran".into(), body.as_bytes(), now)
    }

    #[test]
    fn what_is_not_known_is_a_gap() {
        let forecast =
            parsed(r#"{"from": "2026-11-23T15:00:00Z", "grams": [null, 0, null, 60]}"#).unwrap().forecast;
        let slots = forecast.slots().iter().map(|slot| (slot.from.to_string(), slot.forecast.get()));
        let expected = [("2026-11-23T16:00:00Z", 0.0), ("2026-11-23T18:00:00Z", 60.0)];
        assert_eq!(slots.collect::<Vec<_>>(), expected.map(|(from, grams)| (from.to_owned(), grams)));
    }

    #[test]
    fn any_other_answer_is_told_apart() {
        for (body, what) in [
            ("<html>", "not the JSON"),
            ("{}", "not the JSON"),
            (r#"{"from": "2026-11-23T15:00:00Z", "grams": [-1]}"#, "/grams/0"),
            (r#"{"from": "9999-12-30T22:00:00Z", "grams": [1, 1, 1]}"#, "/from"),
            (r#"{"from": "2026-11-23T15:00:00Z", "grams": [null]}"#, "no slot"),
            (r#"{"from": "2026-11-22T15:00:00Z", "grams": [80]}"#, "all over"),
            (r#"{"sorry": "the cable is cut"}"#, "the cable is cut"),
        ] {
            let error = parsed(body).unwrap_err().to_string();
            assert!(error.contains(what), "{body}: {error}");
        }
    }

    #[test]
    fn other_targets_are_refused() {
        let office = TideOffice { base: String::new() };
        for target in ["national", "isle:", "isle:../x", "isle:Skye"] {
            assert!(office.plan(&target.into(), Timestamp::UNIX_EPOCH).is_err(), "{target}");
        }
    }

    #[test]
    fn it_runs() {
        main().unwrap();
    }
}
