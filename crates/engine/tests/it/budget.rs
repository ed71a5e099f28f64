//! The error budget is never broken, whatever forecasts, demand and feedback do.

use crate::world::{World, at, secs};
use engine::{EngineOptions, Spread};
use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Feedback, Forecast, Slot};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const TARGET: f64 = 0.05;
/// What a request may be off by in parts per million, and what 53 bits lose.
const ROUNDING: f64 = 2e-6;

/// What routers served, and what the guarantee allows them.
#[derive(Debug, Default)]
struct Served {
    requests: f64,
    error: f64,
    /// The largest surprise of one interval: arrivals beyond what was reckoned with, times their excess.
    surprise: f64,
}

impl Served {
    /// The error that may have been served by now.
    fn allowed(&self, target: f64) -> f64 {
        target * self.requests + self.surprise + self.requests * ROUNDING + 1e-6
    }
}

fn world(budget_window: f64) -> World {
    let options = EngineOptions { spread: Spread::None, ..EngineOptions::default() };
    let mut world = World::with(options);
    world.put(json!({"policy": "receding-horizon", "targetError": TARGET, "budgetWindow": budget_window}));
    world
}

fn flavours() -> [(&'static str, f64); 3] {
    [("precision-100", 0.0), ("precision-85", 0.15), ("precision-70", 0.3)]
}

/// Serves `requests` by the published weights (whole requests, the worst flavours first where they do not
/// divide), and counts what the guarantee is about.
fn serve(world: &World, requests: u64, served: &mut Served) -> Vec<(String, u64)> {
    let published = world.published();
    let schedule = &published.schedule;
    let mut counts: Vec<(String, u64)> = Vec::new();
    let mut left = requests;
    for share in schedule.flavours.iter().rev() {
        let mine = (requests * u64::from(share.weight)).div_ceil(100).min(left);
        left -= mine;
        counts.push((share.name.to_string(), mine));
    }
    let error: f64 = counts
        .iter()
        .map(|(name, count)| flavours().iter().find(|(other, _)| other == name).unwrap().1 * *count as f64)
        .sum();
    let reckoned =
        schedule.diagnostics.iter().find(|(name, _)| name == "most_requests").map_or(0.0, |found| found.1);
    let mean = 1.0 - schedule.avg_precision;
    let excess = (mean - TARGET).max(0.0);
    // One request of each flavour may come on top, where weights do not divide.
    let surprise = (requests as f64 - reckoned).max(0.0) * excess + (error - mean * requests as f64).max(0.0);
    served.requests += requests as f64;
    served.error += error;
    served.surprise = served.surprise.max(surprise);
    counts
}

fn report(world: &mut World, window: SignedDuration, counts: Vec<(String, u64)>) {
    let feedback = Feedback {
        window_seconds: window.as_secs_f64(),
        window_end: Some(world.now),
        counts,
        ..Feedback::default()
    };
    world.engine.feedback(&world.id, &feedback, world.now).unwrap();
}

/// A forecast of anything at all.
fn forecast_at(world: &World, grams: &[f64]) -> Arc<Forecast> {
    let half_hour = SignedDuration::from_mins(30);
    let begin = world.now.as_second() - world.now.as_second().rem_euclid(1800);
    let mut from = models::Timestamp::from_second(begin).unwrap();
    let mut slots = Vec::new();
    for grams in grams {
        slots.push(Slot::new(from, from + half_hour, CarbonIntensity::new(*grams).unwrap()));
        from += half_hour;
    }
    Arc::new(Forecast::new("adversary", None, world.now, slots).unwrap())
}

proptest! {
    // Each case is hours of minutes: a quarter of the usual number, and of what PROPTEST_CASES asks for.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn no_forecast_and_no_demand_breaks_the_budget(
        minutes in proptest::collection::vec((0..5000_u64, 0..100_u8), 40..160),
        forecasts in proptest::collection::vec(proptest::collection::vec(0.0..2000.0_f64, 1..97), 1..6),
        level in 1..200_u64,
        budget_window in prop_oneof![Just(3600.0), Just(86_400.0), Just(604_800.0)],
    ) {
        let mut world = world(budget_window);
        let mut served = Served::default();
        // The first feedback switches the budget to requests, and is its first entry.
        let counts = serve(&world, level, &mut served);
        world.now += secs(48);
        report(&mut world, secs(48), counts);
        world.engine.tick(world.now);
        for (index, (surge, kind)) in minutes.into_iter().enumerate() {
            if index % 20 == 0 {
                let grams = &forecasts[index / 20 % forecasts.len()];
                let forecast = forecast_at(&world, grams);
                world.engine.observe_forecast(&CarbonTarget::from("national"), forecast, world.now).unwrap();
                world.engine.tick(world.now);
            }
            // Mostly quiet, sometimes nothing, sometimes a surge.
            let requests = match kind { 0..=9 => 0, 10..=79 => level, _ => surge };
            let began = world.now;
            let counts = serve(&world, requests, &mut served);
            world.now = world.engine.next_due().unwrap();
            let lasted = world.now.duration_since(began);
            report(&mut world, lasted, counts);
            world.engine.tick(world.now);
            prop_assert!(served.error <= served.allowed(TARGET), "minute {index}: {served:?}");
        }
        let budget = world.published().schedule.budget.unwrap();
        prop_assert_eq!(budget.accounting, "requests");
        prop_assert!(budget.balance <= budget.capacity + 1e-6);
    }
}

#[test]
fn without_feedback_the_budget_counts_time_and_says_so() {
    let mut world = world(86_400.0);
    world.observe(&[300.0, 100.0, 300.0, 100.0]);
    world.pass(secs(3_600));
    let shown = world.json();
    assert_eq!(shown["budget"]["accounting"], "time");
    assert_eq!(shown["budget"]["servedRequests"], 0);
    let warnings = shown["warnings"].to_string();
    assert!(warnings.contains("no feedback"), "{warnings}");
}

#[test]
fn the_first_feedback_switches_to_requests_from_a_balance_of_nothing() {
    let mut world = world(86_400.0);
    world.pass(secs(7_200));
    assert!(world.json()["budget"]["balance"].as_f64().unwrap() > 0.0);
    world.feedback(json!({"flavour_counts": {"precision-100": 100}}));
    world.pass(secs(60));
    let budget = &world.json()["budget"];
    assert_eq!(budget["accounting"], "requests");
    assert_eq!(budget["servedRequests"], 100);
    assert!((budget["balance"].as_f64().unwrap() - 5.0).abs() < 1e-3, "{budget}");
}

#[test]
fn half_a_day_of_expected_traffic_that_never_comes_earns_nothing() {
    let mut world = world(86_400.0);
    for _ in 0..60 {
        world.pass(secs(60));
        world.feedback(json!({"flavour_counts": {"precision-100": 1000}, "window_seconds": 60}));
    }
    world.pass(secs(60));
    let before = world.json()["budget"]["balance"].as_f64().unwrap();
    world.pass(secs(12 * 3600));
    let after = world.json()["budget"]["balance"].as_f64().unwrap();
    assert!(after <= before, "{before} {after}");
}

#[test]
fn a_debt_is_repaid_before_anything_else() {
    let mut world = world(86_400.0);
    world.observe(&[300.0, 100.0, 300.0, 100.0, 300.0, 100.0]);
    world.feedback(json!({"flavour_counts": {"precision-100": 1000}, "window_seconds": 60}));
    // Somebody overrides: posted, and overdrawn.
    world.manual(json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 600}));
    for _ in 0..10 {
        world.pass(secs(60));
        world.feedback(json!({"flavour_counts": {"precision-70": 1000}, "window_seconds": 60}));
    }
    world.pass(secs(60));
    let mut debt = -world.json()["budget"]["balance"].as_f64().unwrap();
    assert!(debt > 2_000.0, "{debt}");
    while debt > 0.0 {
        assert_eq!(world.weights(), [100, 0, 0], "{debt}");
        world.feedback(json!({"flavour_counts": {"precision-100": 10_000}, "window_seconds": 60}));
        world.pass(secs(60));
        let left = -world.json()["budget"]["balance"].as_f64().unwrap();
        assert!(left < debt);
        debt = left;
    }
}

#[test]
fn a_best_flavour_that_errs_more_than_the_target_is_degraded() {
    let mut world = world(86_400.0);
    world.put(json!({"policy": "receding-horizon", "targetError": 0.05,
        "flavours": [{"precision": 0.9, "carbonIntensity": 1}, {"precision": 0.5, "carbonIntensity": 0.2}]}));
    world.observe(&[300.0, 100.0]);
    world.pass(secs(60));
    assert_eq!(world.weights(), [100, 0]);
    assert!(world.json()["reason"].as_str().unwrap().starts_with("degraded"), "{}", world.json()["reason"]);
}

#[test]
fn a_plan_is_published_with_its_price_and_the_forecasts_it_used() {
    let mut world = world(86_400.0);
    world.observe(&[300.0, 100.0, 300.0, 100.0]);
    world.pass(secs(120));
    let shown = world.json();
    assert_eq!(shown["policy"]["name"], "receding-horizon");
    assert!(shown["plan"]["horizonSeconds"].as_f64().unwrap() > 1_800.0, "{}", shown["plan"]);
    assert!(shown["diagnostics"]["shadow_price"].is_f64(), "{}", shown["diagnostics"]);
    let used = shown["forecast"]["usedFor"].as_array().unwrap();
    assert!(!used.is_empty() && used.iter().all(|stretch| stretch["source"].is_string()), "{used:?}");
}

#[test]
fn the_other_name_is_served_and_said() {
    let mut world = World::new();
    let accepted = world.put(json!({"policy": "forecast-aware-global"}));
    assert_eq!(
        accepted.warnings,
        ["policy forecast-aware-global is served by receding-horizon, which plans the whole forecast"]
    );
}

#[test]
fn dominated_flavours_are_named_where_a_plan_would_leave_them_out() {
    let body = |policy: &str| {
        json!({"policy": policy, "flavours": [{"precision": 1, "carbonIntensity": 1},
            {"precision": 0.9, "carbonIntensity": 0.95}, {"precision": 0.7, "carbonIntensity": 0.1}]})
    };
    let mut world = World::new();
    assert_eq!(world.put(body("credit-greedy")).warnings, Vec::<String>::new());
    assert_eq!(
        world.put(body("receding-horizon")).warnings,
        ["flavour precision-90 is dominated: others err as little for less energy, so no plan uses it"]
    );
}

/// Serves an hour of 6,000 requests each minute by the published weights; answers what is left to spend.
fn left_after_an_hour(ends_at: Option<&str>) -> f64 {
    let ends_at = ends_at.map(at);
    let mut world = World::with(EngineOptions { spread: Spread::None, ends_at, ..EngineOptions::default() });
    world.put(json!({"policy": "receding-horizon", "budgetDailyAim": 1e6}));
    // As clean as it gets now, and far dirtier for two days to come.
    let mut grams = vec![50.0; 2];
    grams.resize(96, 400.0);
    world.observe(&grams);
    for _ in 0..60 {
        let counts: serde_json::Map<String, serde_json::Value> = world
            .published()
            .schedule
            .flavours
            .iter()
            .map(|share| (share.name.to_string(), (60 * u64::from(share.weight)).into()))
            .collect();
        world.pass(secs(60));
        world.feedback(json!({"window_seconds": 60, "flavour_counts": counts}));
    }
    world.pass(secs(60));
    world.published().schedule.budget.as_ref().unwrap().balance
}

#[test]
fn what_is_banked_is_spent_before_a_known_end() {
    // 360,000 requests at a target of 0.05: 18,000 is all the income there is.
    let open = left_after_an_hour(None);
    assert!(open > 17_000.0, "saved for dirtier hours: {open}");
    let ended = left_after_an_hour(Some("2026-11-23T16:00:00Z"));
    // The income of the last minutes came too late to be spent.
    assert!(ended < 700.0, "nothing is worth saving for: {ended}");
}
