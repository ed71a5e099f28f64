//! Adapters of providers beyond the UK: what each is asked, how its answers are read, and what must hold for
//! any bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

mod always;
mod carbon_aware_sdk;
mod configmap;
mod electricity_maps;
mod prometheus;
mod raw;
mod recorded;
mod watttime;

use models::{CarbonTarget, Forecast, Slot, Timestamp};
use providers::{Adapter, Answer, Plan, Request};

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

fn now() -> Timestamp {
    at("2018-01-20T12:10:07.5Z")
}

fn ask(adapter: &dyn Adapter, target: &str) -> Result<Request, String> {
    match adapter.plan(&CarbonTarget::from(target), now()) {
        Ok(Plan::Ask(request)) => Ok(request),
        Ok(Plan::Known(forecast)) => Err(format!("{forecast:?}")),
        Err(refused) => Err(refused.to_string()),
    }
}

fn url(adapter: &dyn Adapter, target: &str) -> Result<String, String> {
    ask(adapter, target).map(|request| request.url)
}

fn answer(adapter: &dyn Adapter, target: &str, body: &str) -> Result<Answer, String> {
    adapter.parse(&CarbonTarget::from(target), body.as_bytes(), now()).map_err(|error| error.to_string())
}

fn parse(adapter: &dyn Adapter, target: &str, body: &str) -> Result<Forecast, String> {
    answer(adapter, target, body).map(|answer| answer.forecast)
}

/// `HH:MM-HH:MM=grams` for every slot.
fn shape(forecast: &Forecast) -> Vec<String> {
    let clock = |instant: Timestamp| instant.strftime("%H:%M").to_string();
    let slot = |slot: &Slot| format!("{}-{}={}", clock(slot.from), clock(slot.to), slot.forecast.get());
    forecast.slots().iter().map(slot).collect()
}
