//! What would each policy have saved on a grid of yours? One's own trace, replayed through the engine from code.
//!
//! Every built-in policy serves the same requests over the same time, and is told what a server is told: forecasts, the
//! time, and what was served. Below them stands what nobody can beat who keeps the same error budget: the optimum of who
//! knew everything in advance. `engine-sim compare` does the same with more columns; this is for what it cannot do.
//!
//! `cargo run -p engine --example offline_evaluation -- grid.csv`, with any file that `providers::trace` reads; without one
//! a week is generated.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use engine::{Engine, EngineOptions, Spread};
use jiff::SignedDuration;
use models::{CarbonTarget, Feedback, FlavourSet, Overrides, ScheduleId, Setting, Timestamp};
use policies::planner::{Account, Load, hindsight};
use policies::{Menu, Registry};
use providers::trace::{CarbonTrace, Factors, TraceAdapter, TraceSlot};
use providers::{Adapter, Plan};

const FLAVOURS: &str = r#"[
    {"name": "large",  "precision": 1.0,  "energyWh": 2.9},
    {"name": "medium", "precision": 0.94, "energyWh": 1.1},
    {"name": "small",  "precision": 0.8,  "energyWh": 0.4}
]"#;
const TARGET_ERROR: f64 = 0.05;
/// A decision each ten minutes.
const STEP: SignedDuration = SignedDuration::from_mins(10);
/// Requests a step by the hour of the day: replace them by yours. In thousands, so that weights per mille serve whole ones.
const DEMAND: [u64; 24] = [
    1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000,
    5_000, 5_000, 5_000, 5_000, 4_000, 3_000, 2_000, 2_000, 1_000,
];

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "what is below main is handed the bytes")]
    let trace = match std::env::args().nth(1) {
        Some(file) => CarbonTrace::read(&file, &std::fs::read(&file)?, Factors::Lifecycle)?,
        None => generated()?,
    };
    run(&mut io::stdout(), &trace)
}

pub(crate) fn run(out: &mut impl io::Write, trace: &CarbonTrace) -> Result<(), Box<dyn Error>> {
    let flavours = FlavourSet::from_json(&serde_json::from_str(FLAVOURS)?, "", &mut Vec::new())?;
    let menu = Menu::new(&flavours).ok_or("a flavour is enabled")?;
    let bound = bound(&menu, trace.slots());
    let (from, to) = span(trace)?;
    let days = to.duration_since(from).as_secs_f64() / 86_400.0;
    let requests = bound.requests;
    writeln!(out, "{days:.1} days from {from}, {requests:.0} requests, target error {TARGET_ERROR}\n")?;
    writeln!(out, "                     kg CO2eq   saved vs p100   vs constant mix   mean error")?;

    let registry = Registry::builtin();
    for policy in registry.names().filter(|name| registry.aliases().all(|(alias, _)| alias != *name)) {
        let Replayed { grams, mean_error } = replay(policy, &flavours, trace)?;
        row(out, policy, grams, mean_error, &bound)?;
    }
    row(out, "hindsight (budget)", bound.grams, bound.mean_error, &bound)
}

fn row(
    out: &mut impl io::Write,
    name: &str,
    grams: f64,
    mean_error: f64,
    bound: &Bound,
) -> Result<(), Box<dyn Error>> {
    // What is saved, in hundredths of a percent; never a zero below zero.
    let saved = |reference: f64| (1e4 * (1.0 - grams / reference)).round() / 1e2 + 0.0;
    let mark = if mean_error > 1.005 * TARGET_ERROR { "  more than was allowed" } else { "" };
    writeln!(
        out,
        "{name:18}   {:8.2}   {:11.2} %   {:13.2} %   {mean_error:10.4}{mark}",
        grams / 1_000.0,
        saved(bound.at_best),
        saved(bound.at_constant_mix),
    )?;
    Ok(())
}

/// What a policy came to.
struct Replayed {
    grams: f64,
    mean_error: f64,
}

fn replay(policy: &str, flavours: &FlavourSet, trace: &CarbonTrace) -> Result<Replayed, Box<dyn Error>> {
    let (mut now, end) = span(trace)?;
    let options = EngineOptions {
        spread: Spread::None,
        slot_lead: SignedDuration::ZERO,
        max_planned_interval: STEP,
        ends_at: Some(end),
        documents: false, // nobody reads them
        ..EngineOptions::default()
    };
    let mut engine = Engine::new(options, Registry::builtin());
    let id = ScheduleId::new("offline", "evaluation")?;
    let mut wanted = Overrides::default();
    (wanted.policy, wanted.flavours) = (Some(policy.into()), Some(flavours.clone()));
    wanted.set_number(Setting::TargetError, TARGET_ERROR)?;
    // The weights of every step are made at its beginning.
    wanted.set_number(Setting::ValidFor, STEP.as_secs_f64() / 0.8)?;
    engine.configure(&id, wanted, now)?;

    let target = CarbonTarget::from("national");
    // What the trace says was forecast; where it says nothing, what was.
    let forecasts = TraceAdapter::as_recorded(trace);
    let (mut grams, mut erred, mut requests) = (0.0, 0.0, 0);
    while now < end {
        if let Plan::Known(forecast) = forecasts.plan(&target, now)? {
            engine.observe_forecast(&target, Arc::new(forecast), now)?;
        }
        engine.tick(now);
        let came = demand(now);
        let published = engine.published(&id).ok_or("there is a schedule")?;
        let intensity = intensity(trace.slots(), now);
        let mut feedback = Feedback { window_seconds: STEP.as_secs_f64(), ..Feedback::default() };
        for (share, flavour) in published.schedule.flavours.iter().zip(flavours.iter()) {
            let served = came * u64::from(share.per_mille) / 1_000;
            feedback.counts.push((share.name.to_string(), served));
            requests += served;
            erred += flavour.precision.error() * served as f64;
            let watt_hours = flavour.energy_wh.unwrap_or_default() * served as f64;
            // Of a gap in the trace nobody knows.
            grams += watt_hours / 1_000.0 * intensity.unwrap_or_default();
        }
        now += STEP;
        feedback.window_end = Some(now);
        engine.feedback(&id, &feedback, now)?;
    }
    Ok(Replayed { grams, mean_error: erred / f64::max(requests as f64, 1.0) })
}

/// What the same requests would have come to, served otherwise.
struct Bound {
    requests: f64,
    at_best: f64,
    at_constant_mix: f64,
    grams: f64,
    mean_error: f64,
}

fn bound(menu: &Menu, slots: &[TraceSlot]) -> Bound {
    let load = |slot: &TraceSlot| {
        let steps =
            std::iter::successors(Some(slot.from), |at| Some(*at + STEP)).take_while(|at| *at < slot.to);
        let requests = steps.map(demand).sum::<u64>() as f64;
        Load { ledger: requests, emissions: requests * slot.actual.get() / 1_000.0 }
    };
    let loads: Vec<Load> = slots.iter().map(load).collect();
    // As much is banked as two days bring, the default of `budgetWindow`.
    let two_days = 2 * DEMAND.iter().map(|requests| 6 * requests).sum::<u64>();
    let account =
        Account { target_error: TARGET_ERROR, capacity: TARGET_ERROR * two_days as f64, credit: 0.0 };
    let found = hindsight(menu.segments(), account, &loads);
    let requests: f64 = loads.iter().map(|load| load.ledger).sum();
    let weight: f64 = loads.iter().map(|load| load.emissions).sum();
    let erred: f64 = found.errors.iter().zip(&loads).map(|(error, load)| error * load.ledger).sum();
    Bound {
        requests,
        at_best: weight * menu.segments().energy(0.0),
        at_constant_mix: weight * menu.segments().energy(TARGET_ERROR - menu.segments().least_error()),
        grams: found.emissions,
        mean_error: erred / requests,
    }
}

fn demand(at: Timestamp) -> u64 {
    DEMAND[usize::try_from(at.as_second().rem_euclid(86_400) / 3_600).unwrap_or(0) % DEMAND.len()]
}

fn intensity(slots: &[TraceSlot], at: Timestamp) -> Option<f64> {
    let slot = slots.get(slots.partition_point(|slot| slot.to <= at))?;
    (slot.from <= at).then(|| slot.actual.get())
}

fn span(trace: &CarbonTrace) -> Result<(Timestamp, Timestamp), Box<dyn Error>> {
    let (first, last) = (trace.slots().first(), trace.slots().last());
    Ok((first.ok_or("a trace has a slot")?.from, last.ok_or("a trace has a slot")?.to))
}

/// A week of hours, made up: clean nights, dirty evenings, days that differ. As a file of yours would say it.
pub(crate) fn generated() -> Result<CarbonTrace, Box<dyn Error>> {
    const DAY: [i64; 24] = [
        150, 140, 132, 128, 126, 130, 155, 190, 215, 220, 210, 195, 180, 172, 170, 185, 220, 265, 290, 280,
        255, 225, 195, 170,
    ];
    let mut csv = String::from("timestamp,actual\n");
    for day in 5..12 {
        for (hour, grams) in DAY.into_iter().enumerate() {
            writeln!(csv, "2026-01-{day:02}T{hour:02}:00:00Z,{}", grams + day * 37 % 60)?;
        }
    }
    Ok(CarbonTrace::read("generated", csv.as_bytes(), Factors::Lifecycle)?)
}
