//! What everything is measured against is indeed the least.

use crate::common::{Desk, json, number};

#[test]
fn no_policy_within_its_budget_beats_hindsight() {
    let desk = Desk::empty();
    for arguments in [
        "--budget-window 24h --forecast-mode perfect",
        "--budget-window 7d --forecast-mode noisy:2 --daily-aim off",
        "--budget-window 24h --target-error 0.2 --evaluate-every 900",
        "--budget-window 1h --forecast-mode self --target-error 0.01",
    ] {
        let report = json(
            &desk,
            &format!(
                "compare --policies receding-horizon,forecast-aware,random --to 2026-01-11 --format json {arguments}"
            ),
        );
        let base = |name: &str, figure: &str| number(&report["baselines"][name], figure);
        let (budget, average) = (base("hindsightBudget", "emissions"), base("hindsightAverage", "emissions"));
        assert!(average <= budget && budget < base("constantMix", "emissions"), "{arguments}");
        assert_eq!(base("hindsightBudget", "worstOverspendDays"), 0.0, "{arguments}");
        let allowed = report["engine"]["targetError"].as_f64().unwrap();
        for name in ["hindsightBudget", "hindsightAverage"] {
            assert!(base(name, "meanError") <= allowed + 1e-6, "{arguments}: {name}");
        }
        for result in report["results"].as_array().unwrap() {
            let within = number(result, "meanError") <= allowed;
            // Whole requests differ a hair from exact shares.
            if within && number(result, "worstOverspendDays") < 1e-3 {
                assert!(number(result, "emissions") >= budget - 1e-4, "{arguments}: {result}");
                assert!(number(result, "regret") >= -1e-4, "{arguments}: {result}");
            }
            if within {
                assert!(number(result, "emissions") >= average - 1e-4, "{arguments}: {result}");
            }
        }
    }
}

#[test]
fn skill_and_regret_are_what_they_are_called() {
    let report = json(&Desk::empty(), "compare --to 2026-01-12 --format json");
    let base = |name: &str| number(&report["baselines"][name], "emissions");
    let (mix, best) = (base("constantMix"), base("hindsightBudget"));
    for result in report["results"].as_array().unwrap() {
        let emissions = number(result, "emissions");
        assert!((number(result, "skill") - (mix - emissions) / (mix - best)).abs() < 1e-3, "{result}");
        assert!((number(result, "regret") - (emissions / best - 1.0)).abs() < 1e-4, "{result}");
    }
}

#[test]
fn a_perfect_forecast_is_worth_more_than_a_noisy_one_and_that_more_than_none() {
    let skill = |mode: &str| {
        let arguments = format!(
            "run --policy receding-horizon --to 2026-01-19 --budget-window 24h --daily-aim off --forecast-mode {mode} --format json"
        );
        number(&json(&Desk::empty(), &arguments)["results"][0], "skill")
    };
    let [perfect, noisy, own] = ["perfect", "noisy:1", "self"].map(skill);
    assert!(perfect > noisy && noisy > own && own > 0.2, "{perfect} {noisy} {own}");
    assert!(perfect > 0.7, "{perfect}");
}
