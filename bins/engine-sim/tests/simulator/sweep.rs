//! A sweep can be stopped, resumed, divided and merged.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{Desk, records};

/// Two grids of two days, the second with forecasts of its own.
fn desk() -> Desk {
    let mut grid = String::from("timestamp,actual\n");
    let mut dirty = String::from("timestamp,actual\n");
    let mut vintages = String::from("issued_at,target_start,forecast\n");
    for hour in 0..48 {
        let clock = format!("2026-01-{:02}T{:02}:00:00Z", 5 + hour / 24, hour % 24);
        grid.extend([format!("{clock},{}\n", 100 + hour * 37 % 160)]);
        dirty.extend([format!("{clock},{}\n", 400 + hour * 53 % 300)]);
        vintages.extend([format!("2026-01-05T00:00:00Z,{clock},{}\n", 400 + hour * 51 % 300)]);
    }
    let families = r#"{"families": [
        {"family": "two", "flavours": [{"name": "big", "precision": 1, "energyWh": 2}, {"name": "small", "precision": 0.9, "energyWh": 1}]},
        {"family": "three", "flavours": [{"name": "a", "precision": 1, "energyWh": 9}, {"name": "b", "precision": 0.95, "energyWh": 3}, {"name": "c", "precision": 0.8, "energyWh": 1}]}
    ]}"#;
    Desk::with(&[
        ("clean.csv", &grid),
        ("dirty.csv", &dirty),
        ("dirty_48h.csv", &vintages),
        ("models.json", families),
    ])
}

const SWEEP: &str = "sweep --grid carbon=clean.csv --grid carbon=dirty.csv,forecast=dirty_48h.csv \
    --flavours models.json --families built-in,two,three --forecast-modes auto,self \
    --target-errors 0.02,0.05 --budget-windows 6h,24h --policies receding-horizon,credit-greedy";
/// Grids x families x modes x targets x windows x policies.
const RUNS: usize = 2 * 3 * 2 * 2 * 2 * 2;

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(Into::into).collect();
    lines[1..].sort();
    lines
}

#[test]
fn a_resumed_sweep_is_a_fresh_one() {
    let desk = desk();
    let fresh = desk.run(&format!("{SWEEP} --out fresh.csv"));
    assert!(fresh.err.contains(&format!("0 of {RUNS} simulations were done before")), "{}", fresh.err);
    let summary = fresh.fine();
    let rows = sorted(&desk.read("fresh.csv"));
    assert_eq!(rows.len(), RUNS + 1);
    // Killed in the middle of a row.
    let whole = desk.read("fresh.csv");
    let kept: String = whole.split_inclusive('\n').take(20).collect();
    let torn = &whole.lines().nth(20).unwrap()[..30];
    fs::write(desk.path("torn.csv"), kept + torn).unwrap();
    let resumed = desk.run(&format!("{SWEEP} --out torn.csv"));
    assert!(resumed.err.contains("torn.csv: its last line was torn"), "{}", resumed.err);
    assert!(resumed.err.contains(&format!("19 of {RUNS} simulations were done before")), "{}", resumed.err);
    assert_eq!(resumed.fine(), summary);
    assert_eq!(sorted(&desk.read("torn.csv")), rows);
    // And with nothing left to do.
    let before = desk.read("fresh.csv");
    assert_eq!(desk.run(&format!("{SWEEP} --out fresh.csv")).fine(), summary);
    assert_eq!(desk.read("fresh.csv"), before);
}

#[test]
fn shards_are_disjoint_and_together_the_whole() {
    let desk = desk();
    desk.run(&format!("{SWEEP} --out whole.csv")).fine();
    let whole: BTreeSet<String> = desk.read("whole.csv").lines().skip(1).map(Into::into).collect();
    let mut union = BTreeSet::new();
    let mut sizes = Vec::new();
    for shard in 0..3 {
        desk.run(&format!("{SWEEP} --shard {shard}/3 --out part{shard}.csv")).fine();
        let part = desk.read(&format!("part{shard}.csv"));
        sizes.push(part.lines().skip(1).count());
        for line in part.lines().skip(1) {
            assert!(union.insert(line.to_owned()), "twice: {line}");
        }
    }
    assert_eq!(union, whole);
    assert!(sizes.iter().all(|size| *size > RUNS / 6), "{sizes:?}");
    // Merged by hand, they are a sweep that is done.
    let merged: String = desk.read("part0.csv")
        + &[1, 2]
            .map(|part| desk.read(&format!("part{part}.csv")).split_once('\n').unwrap().1.to_owned())
            .concat();
    fs::write(desk.path("merged.csv"), merged).unwrap();
    let said = desk.run(&format!("{SWEEP} --out merged.csv"));
    assert!(said.err.contains(&format!("{RUNS} of {RUNS} simulations were done before")), "{}", said.err);
}

#[test]
fn a_row_says_what_a_run_of_its_own_would() {
    let desk = desk();
    desk.run(&format!("{SWEEP} --out rows.csv")).fine();
    let rows = records(&desk.read("rows.csv"));
    assert_eq!(rows.len(), RUNS);
    let row = rows.iter().find(|row| {
        row["carbon"] == "dirty.csv"
            && row["family"] == "three"
            && row["forecast_mode"] == "auto"
            && row["policy"] == "receding-horizon"
            && row["target_error"] == "0.02"
            && row["budget_window_seconds"] == "21600"
    });
    let row = row.expect("it was asked for");
    let alone = desk.run(
        "run --policy receding-horizon --carbon dirty.csv --forecast dirty_48h.csv --flavours models.json \
         --family three --target-error 0.02 --budget-window 6h --format csv",
    );
    let alone = records(&alone.fine());
    for figure in
        ["emissions", "saving_vs_p100", "skill", "regret", "mean_error", "worst_24h_error", "weight_churn"]
    {
        assert_eq!(row[figure], alone[0][figure], "{figure}");
    }
    assert_eq!((row["unit"].as_str(), row["budget_promise"].as_str()), ("gCO2eq", "kept"));
}

#[test]
fn what_cannot_be_swept_is_said() {
    let desk = desk();
    fs::write(desk.path("other.csv"), "something,else\n1,2\n").unwrap();
    fs::create_dir(desk.path("copy")).unwrap();
    fs::copy(desk.path("clean.csv"), desk.path("copy/clean.csv")).unwrap();
    let mut transcript = String::new();
    for arguments in [
        "sweep --grid clean.csv --out o.csv",
        "sweep --grid carbon=clean.csv,price=p.csv --out o.csv",
        "sweep --grid carbon=clean.csv --shard 3/3 --out o.csv",
        "sweep --grid carbon=clean.csv --out other.csv",
        "sweep --grid carbon=clean.csv --grid carbon=copy/clean.csv --out o.csv",
        "sweep --grid carbon=clean.csv --budget-windows 10s --out o.csv",
        "sweep --grid carbon=missing.csv --out o.csv",
        "run --feedback late:0",
        "run --feedback twice",
        "run --forecast-mode noisy",
        "run --daily-aim 0.5",
        "run --budget-window week",
    ] {
        let said = desk.run(arguments);
        assert!(said.out.is_empty(), "{arguments}: {}", said.out);
        transcript.extend([format!("$ engine-sim {arguments}\n{}exit code {}\n\n", said.err, said.code)]);
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn the_summary_is_a_table() {
    let desk = desk();
    let arguments = "sweep --grid carbon=clean.csv --grid carbon=dirty.csv --flavours models.json --families two \
        --forecast-modes perfect,noisy:1,noisy:2 --budget-windows 6h,24h \
        --policies receding-horizon,constant-mix --out rows.csv";
    insta::assert_snapshot!(desk.run(arguments).transcript());
}
