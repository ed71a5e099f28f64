//! The error budget under every forecast mode, feedback fault and cadence: what is promised is kept.

use crate::common::{Desk, json, number, result};

const MODES: [&str; 5] = ["perfect", "vintages", "noisy:3", "self", "none"];
const FAULTS: [&str; 7] = ["ok", "late:1", "late:10", "lost:0.3", "split", "duplicated", "none"];

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
