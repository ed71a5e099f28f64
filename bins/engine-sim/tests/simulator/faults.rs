//! The error budget under every forecast mode, feedback fault and cadence: what is promised is kept.

use crate::common::{Desk, json, number, result};

const MODES: [&str; 5] = ["perfect", "vintages", "noisy:3", "self", "none"];
const FAULTS: [&str; 8] =
    ["ok", "late:1", "late:10", "lost:0.3", "overtaken:0.3", "split", "duplicated", "none"];

#[test]
fn the_budget_is_kept_whatever_is_forecast_and_reported() {
    let desk = Desk::empty();
    for (index, mode) in MODES.into_iter().enumerate() {
        for (fault, every) in FAULTS.into_iter().zip(["600", "1800"].into_iter().cycle().skip(index % 2)) {
            let arguments = format!(
                "run --policy receding-horizon --to 2026-01-08 --budget-window 24h --daily-aim off \
                 --forecast-mode {mode} --feedback {fault} --evaluate-every {every} --format json"
            );
            let report = json(&desk, &arguments);
            let result = result(&report, "receding-horizon");
            assert_eq!(result["budgetPromise"], "kept", "{arguments}");
            assert_eq!(result["requests"], 79_498, "{arguments}: what is reported changes nothing");
            if ["ok", "split", "duplicated"].contains(&fault) {
                assert!(number(result, "meanError") < 0.0501, "{arguments}: {result}");
                assert!(number(result, "worstOverspendDays") < 0.02, "{arguments}: {result}");
            }
        }
    }
}

#[test]
fn split_and_repeated_reports_come_to_what_one_report_does() {
    let desk = Desk::empty();
    for every in [600, 1800] {
        // Every interval, to the last digit, and what came of them.
        let figures = |fault: &str| {
            let arguments = format!(
                "compare --policies receding-horizon,credit-greedy --to 2026-01-08 --evaluate-every {every} \
                 --seed 3 --feedback {fault} --format csv --timeseries rows.csv"
            );
            let said = desk.run(&arguments).fine();
            (said, desk.read("rows.csv"))
        };
        let once = figures("ok");
        assert_eq!(once, figures("split"));
        assert_eq!(once, figures("duplicated"));
        assert_ne!(once, figures("late:5"));
    }
}

#[test]
fn an_overdraft_may_be_used_and_no_more() {
    let desk = Desk::empty();
    let run = |overdraft: &str| {
        let arguments = format!(
            "run --policy receding-horizon --to 2026-01-09 --forecast-mode perfect --daily-aim off \
             --budget-window 24h --budget-overdraft {overdraft} --evaluate-every 300 --format json"
        );
        let report = json(&desk, &arguments);
        assert_eq!(result(&report, "receding-horizon")["budgetPromise"], "kept");
        (number(result(&report, "receding-horizon"), "worstOverspendDays"), report)
    };
    let (without, report) = run("0");
    assert!(without < 0.02, "{without}");
    assert_eq!(number(&report["baselines"]["hindsightBudget"], "worstOverspendDays"), 0.0);
    let (with, report) = run("0.5");
    assert!((0.1..0.7).contains(&with), "{with}");
    let hindsight = number(&report["baselines"]["hindsightBudget"], "worstOverspendDays");
    assert!((0.1..0.500_001).contains(&hindsight), "{hindsight}");
}

/// Hours of a grid that is clean by night and dirty by day; of the third and fourth day nothing is known.
fn grid_with_a_hole() -> String {
    let hours = (0..12 * 24).filter(|hour| !(50..94).contains(hour));
    let line = |hour: i32| {
        let grams = if (6..18).contains(&(hour % 24)) { 300 } else { 100 };
        format!("2026-01-{:02}T{:02}:00:00Z,{grams}\n", 5 + hour / 24, hour % 24)
    };
    format!("timestamp,actual\n{}", hours.map(line).collect::<String>())
}

#[test]
fn without_reports_what_was_published_goes_on_through_a_hole() {
    let desk = Desk::with(&[("hole.csv", &grid_with_a_hole())]);
    for every in [60, 600, 3600] {
        let arguments = format!(
            "run --policy receding-horizon --carbon hole.csv --forecast-mode perfect --daily-aim off \
             --feedback none --evaluate-every {every} --format json"
        );
        let report = json(&desk, &arguments);
        assert_eq!(result(&report, "receding-horizon")["budgetPromise"], "kept", "every {every} s");
    }
}

#[test]
fn an_end_that_nobody_knows_of_leaves_credit_behind() {
    let desk = Desk::empty();
    let mean_error = |end: &str| {
        let arguments = format!(
            "run --policy receding-horizon --to 2026-01-10 --forecast-mode perfect --budget-window 24h \
             --daily-aim off --end {end} --format json"
        );
        let report = json(&desk, &arguments);
        assert_eq!(report["engine"]["end"], end);
        number(result(&report, "receding-horizon"), "meanError")
    };
    let (known, open) = (mean_error("known"), mean_error("open"));
    assert!((0.0495..0.0501).contains(&known), "nothing is left: {known}");
    assert!(open < known - 0.0005, "some of it is: {open}");
}
