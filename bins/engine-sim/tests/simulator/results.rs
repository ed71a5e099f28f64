//! What holds of every result.

use std::process::Stdio;

use crate::common::{Desk, json, records};
use serde_json::Value;

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let desk = Desk::empty();
    for arguments in [
        "compare --seed 3 --to 2026-01-08",
        "compare --seed 3 --to 2026-01-08 --format json --timeseries one.csv",
        "compare --seed 3 --to 2026-01-08 --format csv",
        "run --policy random --seed 9 --evaluate-every 300 --to 2026-01-07 --format json",
    ] {
        let (once, again) = (desk.run(arguments), desk.run(&arguments.replace("one.csv", "two.csv")));
        assert_eq!((&once.out, &once.err, once.code), (&again.out, &again.err, 0), "{arguments}");
    }
    assert_eq!(desk.read("one.csv"), desk.read("two.csv"));
    assert_ne!(desk.run("run --seed 3").out, desk.run("run --seed 4").out);
}

#[test]
fn standard_output_carries_the_report_alone() {
    let desk = Desk::with(&[(
        "grid.csv",
        "timestamp,actual\n2026-01-05T00:00:00Z,100\nbad,1\n2026-01-05T01:00:00Z,5\n",
    )]);
    let said = desk.run("compare --carbon grid.csv --format json");
    assert!(said.err.contains("note: grid.csv:3: "), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON and nothing else");
    assert!(report["notes"][0].as_str().unwrap().starts_with("grid.csv:3: "));
    let said = desk.run("compare --carbon grid.csv --format csv");
    assert!(said.err.contains("note: grid.csv:3: "), "{}", said.err);
    let rows = records(&said.out);
    // Policies, and of what they are measured against what is not among them.
    assert_eq!(rows.len(), report["results"].as_array().unwrap().len() + 2);
    assert!(rows.iter().all(|row| row["unit"] == "relative to p100"));
}

#[test]
fn requests_are_whole_and_none_is_lost() {
    let desk = Desk::empty();
    for (every, to, demand) in [(1800, "2026-01-26", 525_512), (700, "2026-01-08", 79_498)] {
        let arguments =
            format!("compare --to {to} --evaluate-every {every} --timeseries rows.csv --format json");
        let report = json(&desk, &arguments);
        let rows = records(&desk.read("rows.csv"));
        for result in report["results"].as_array().unwrap() {
            let policy = result["policy"].as_str().unwrap();
            let (mut total, mut by_flavour) = (0, [0_u64; 3]);
            for row in rows.iter().filter(|row| row["policy"] == policy) {
                let count = |column: &str| row[column].parse::<u64>().expect("a whole number");
                let counts = ["100", "85", "70"].map(|name| count(&format!("requests:precision-{name}")));
                assert_eq!(counts.iter().sum::<u64>(), count("requests"), "{policy} {}", row["from"]);
                total += count("requests");
                for (sum, count) in by_flavour.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
            // The scenario's demand is whole: all of it is served, by every policy, at every cadence.
            assert_eq!(total, demand, "{policy}, every {every} s");
            assert_eq!(result["requests"], total);
            let named = ["100", "85", "70"]
                .map(|name| result["requestsByFlavour"][format!("precision-{name}")].as_u64());
            assert_eq!(named, by_flavour.map(Some), "{policy}");
        }
    }
}

#[test]
fn baselines_are_what_the_engine_makes_of_them() {
    for arguments in ["", "--target-error 0.1 --evaluate-every 600", "--target-error 0.9"] {
        let report = json(
            &Desk::empty(),
            &format!("compare --format json --policies p100,constant-mix --to 2026-01-12 {arguments}"),
        );
        for (index, name) in ["p100", "constantMix"].into_iter().enumerate() {
            let (run, analytic) = (&report["results"][index], &report["baselines"][name]);
            for figure in
                ["emissions", "meanError", "worst24hError", "weightChurn", "requests", "requestsByFlavour"]
            {
                assert_eq!(run[figure], analytic[figure], "{arguments}: {name} {figure}");
            }
        }
        assert_eq!(report["results"][0]["savingVsP100"], 0.0);
        assert_eq!(report["results"][1]["savingVsConstantMix"], 0.0);
    }
}

#[test]
fn grams_only_where_every_flavour_says_its_energy() {
    let measured = r#"[{"name": "big", "precision": 1, "energyWh": 2}, {"name": "small", "precision": 0.9, "energyWh": 1}]"#;
    let unknown = r#"[{"name": "big", "precision": 1, "energyWh": 2}, {"name": "small", "precision": 0.9}]"#;
    let grid = "timestamp,actual\n2026-01-05T00:00:00Z,500\n2026-01-05T01:00:00Z,300\n";
    let desk = Desk::with(&[("measured.json", measured), ("unknown.json", unknown), ("grid.csv", grid)]);
    let report = json(&desk, "run --carbon grid.csv --flavours measured.json --policy p100 --format json");
    assert_eq!(report["unit"], "gCO2eq");
    // 1000 requests an hour x 2 Wh x 500 and 300 g/kWh.
    assert_eq!(report["results"][0]["emissions"], 1600.0);
    let said = desk.run("run --carbon grid.csv --flavours unknown.json --format json");
    assert!(said.err.contains("energy per request is taken to be proportional to precision"), "{}", said.err);
    let report: Value = serde_json::from_str(&said.fine()).unwrap();
    assert_eq!(report["unit"], "relative to p100");
    assert_eq!(report["world"]["flavours"]["energyBasis"], "proportional to precision");
}

#[test]
fn the_engine_is_told_what_was_served_unless_asked_not_to() {
    // With 3 requests a slot whole requests and whole-percent plans differ: only feedback can tell.
    let load = "timestamp,requests\n2026-01-05T00:00:00Z,3\n2026-01-05T00:30:00Z,3\n2026-01-26T00:00:00Z,3\n";
    let desk = Desk::with(&[("load.csv", load)]);
    let told = desk.run("run --demand load.csv --format csv").fine();
    let untold = desk.run("run --demand load.csv --format csv --feedback none").fine();
    assert_ne!(told, untold);
}

#[test]
fn a_policy_is_run_once_however_often_it_is_named_and_in_the_order_asked() {
    let out = Desk::empty().run("compare --policies round-robin,p100,round-robin --format csv").fine();
    let policies: Vec<String> = records(&out).iter().map(|row| row["policy"].clone()).collect();
    let expected = ["round-robin", "p100", "constant-mix", "hindsight (budget)", "hindsight (average)"];
    assert_eq!(policies, expected);
}

#[test]
fn a_reader_that_leaves_is_no_accident() {
    let desk = Desk::empty();
    for arguments in ["run", "run --format json", "run --format csv", ""] {
        let mut child =
            desk.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("error"), "{arguments}: {said}");
    }
}
