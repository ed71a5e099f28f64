//! A gateway before three sizes of a language model: every session asks which size answers it.
//!
//! A simulated day with three surges. Sessions are sticky, a judge measures what is answered, and every pick is checked against
//! the error budget, so no surge can overdraw it. Time is virtual; a gateway of yours passes the clock's.
//!
//! `cargo run -p engine --example llm_gateway`

use std::error::Error;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use engine::routing::{Driver, Key};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Overrides, Precision, ScheduleId, Slot, Timestamp};
use policies::Registry;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;

/// Llama 3.1 Instruct in three sizes: mean MMLU over seven languages relative to the best, from the model card
/// (<https://github.com/meta-llama/llama-models>, `models/llama3_1/MODEL_CARD.md`), and Wh of GPU per answer on H100 at a median
/// of at most 50 ms a token (<https://github.com/ml-energy/leaderboard-v2>).
const MODELS: &str = r#"{
    "policy": "receding-horizon", "targetError": 0.05,
    "flavours": [
        {"name": "405b", "precision": 1.0,    "energyWh": 0.2435},
        {"name": "70b",  "precision": 0.9391, "energyWh": 0.04644},
        {"name": "8b",   "precision": 0.7043, "energyWh": 0.007734}
    ]
}"#;
const TARGET_ERROR: f64 = 0.05;
/// What the grid emits in each hour of the day, gCO2eq/kWh.
const DAY: [f64; 24] = [
    150.0, 140.0, 132.0, 128.0, 126.0, 130.0, 155.0, 190.0, 215.0, 220.0, 210.0, 195.0, 180.0, 172.0, 170.0,
    185.0, 220.0, 265.0, 290.0, 280.0, 255.0, 225.0, 195.0, 170.0,
];
/// Requests in ten seconds, by the hour.
const DEMAND: [u64; 24] =
    [3, 2, 2, 2, 2, 3, 5, 9, 14, 16, 16, 15, 13, 15, 16, 16, 15, 14, 12, 11, 10, 8, 6, 4];
/// Minutes of the day in which twenty times as many come: nobody foresaw them.
const SURGES: [Range<u64>; 3] = [665..668, 775..778, 1_140..1_143];
const STEPS_AN_HOUR: u64 = 360;

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

pub(crate) fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let mut now: Timestamp = "2026-11-23T00:00:00Z".parse()?;
    let mut driver =
        Driver::new(Engine::new(EngineOptions::default(), Registry::builtin())).checking_credit();
    let id = ScheduleId::new("gateway", "chat")?;
    let wanted = Overrides::from_json(&serde_json::from_str(MODELS)?)?.overrides;
    driver.update(now, |engine| engine.configure(&id, wanted, now))?;
    let forecast = two_days(now)?;
    driver.update(now, |engine| engine.observe_forecast(&CarbonTarget::from("national"), forecast, now))?;
    let handle = driver.handle(&id, now);

    let mut random = Pcg32::new(1, 1);
    // What is true, kept beside what the engine knows.
    let (mut requests, mut erred, mut worst) = (0_u64, 0.0, 0.0_f64);
    writeln!(out, "         g/kWh  requests   405b    70b     8b  redirected  mean error   credit")?;
    for (hour, (grams, demand)) in DAY.iter().zip(DEMAND).enumerate() {
        let (before, redirected) = (requests, driver.redirected(&id));
        let mut served = [0_u64; 3];
        for step in (0..STEPS_AN_HOUR).map(|step| hour as u64 * STEPS_AN_HOUR + step) {
            let surge = SURGES.iter().any(|surge| surge.contains(&(step / 6)));
            for request in 0..if surge { 20 * demand } else { demand } {
                // A session asks about once in ten seconds, for five minutes.
                let session = Key::new(format!("session-{}-{request}", step / 30));
                let pick = handle.pick_for(session).ok_or("there is a schedule")?;
                let precision = judge(answer(pick.flavour()), &mut random);
                served[pick.position()] += 1;
                pick.record_precision(Precision::new(precision)?);
                requests += 1;
                erred += 1.0 - precision;
                worst = worst.max(erred / (TARGET_ERROR * requests as f64));
            }
            now += SignedDuration::from_secs(10);
            driver.tick(now);
        }
        let came = requests - before;
        let [large, medium, small] = served.map(|served| 100.0 * served as f64 / came as f64);
        writeln!(
            out,
            "  {hour:02}:00  {grams:5.0}  {came:8}  {large:3.0} %  {medium:3.0} %  {small:3.0} %  {:10}      {:.4}  {:7.1}",
            driver.redirected(&id) - redirected,
            erred / requests as f64,
            handle.credit(),
        )?;
    }

    // The last schedule was made within the last minute: what it says is of then.
    let published = handle.schedule().ok_or("there is a schedule")?;
    let budget = published.schedule.budget.ok_or("there is a budget")?;
    let allowed = TARGET_ERROR * budget.served_requests as f64;
    writeln!(
        out,
        "\n  promised: an error of {allowed:.1} for {} requests; served: {:.1}. At worst, {:.2} % of what was allowed by then.",
        budget.served_requests,
        budget.served_error,
        100.0 * worst,
    )?;
    let savings = published.schedule.savings.ok_or("something was served")?.since_start;
    let mix = savings.emitted + savings.avoided_vs_constant_mix;
    let best = savings.emitted + savings.avoided_vs_best;
    writeln!(
        out,
        "  emitted: {:.0} g CO2eq; by the constant mix of that error {mix:.0} g, by 405b alone {best:.0} g.",
        savings.emitted,
    )?;
    writeln!(out, "  now: {}", published.schedule.reason)?;
    Ok(())
}

/// Stands for a model: how good its answers are, as it was measured beforehand.
fn answer(model: &str) -> f64 {
    match model {
        "405b" => 1.0,
        "70b" => 0.9391,
        _ => 0.7043,
    }
}

/// Stands for a judge that scores an answer: for what the model promises, or a little better. What is better than promised
/// is earned, and spent later.
fn judge(promised: f64, random: &mut Pcg32) -> f64 {
    promised + (1.0 - promised) * 0.1 * f64::from(random.next_u32()) / f64::from(u32::MAX)
}

/// Today and tomorrow alike.
fn two_days(now: Timestamp) -> Result<Arc<Forecast>, Box<dyn Error>> {
    let (mut from, mut slots) = (now, Vec::new());
    for grams in DAY.into_iter().chain(DAY) {
        let to = from + SignedDuration::from_hours(1);
        slots.push(Slot::new(from, to, CarbonIntensity::new(grams)?));
        from = to;
    }
    Ok(Arc::new(Forecast::new("my-grid", None, now, slots)?))
}
