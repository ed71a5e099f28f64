//! `compare` over recorded grids. The traces are not part of the project: where `TRACES_DIR` names none,
//! these tests say so and pass.

use std::path::PathBuf;

use crate::common::{Desk, records};
use serde_json::Value;

struct Grid {
    carbon: &'static str,
    demand: &'static str,
    from: &'static str,
    slots: u64,
}

const GRIDS: [Grid; 3] = [
    Grid {
        carbon: "gb_neso_api_2023_30min.csv.gz",
        demand: "wikipedia_eu_west_2022_60min.csv",
        from: "2023-01-01",
        slots: 17_429,
    },
    Grid {
        carbon: "de-lu_electricitymaps_2021-2023_60min.csv.gz",
        demand: "wikipedia_eu_central_2022_60min.csv",
        from: "2023-01-01",
        slots: 8_760,
    },
    Grid {
        carbon: "us-cal-ciso_electricitymaps_2021-2023_60min.csv.gz",
        demand: "wikipedia_us_west_2022_60min.csv",
        from: "2023-01-01",
        slots: 8_760,
    },
];

fn traces() -> Option<PathBuf> {
    let folder = std::env::var_os("TRACES_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: TRACES_DIR names no folder of traces");
    }
    folder
}

fn compare(grid: &Grid, more: &str) -> Option<Value> {
    let folder = traces()?;
    let (carbon, demand) = (folder.join("carbon").join(grid.carbon), folder.join("demand").join(grid.demand));
    let more = more.replace("FLAVOURS", &folder.join("flavours/flavours.json").display().to_string());
    let arguments = format!(
        "compare --format json --carbon {} --demand {} --from {} {more}",
        carbon.display(),
        demand.display(),
        grid.from
    );
    Some(serde_json::from_str(&Desk::empty().run(&arguments).fine()).unwrap())
}

fn figure(report: &Value, policy: &str, figure: &str) -> f64 {
    let results = report["results"].as_array().unwrap();
    let result = results.iter().find(|result| result["policy"] == policy);
    result.unwrap_or_else(|| panic!("{policy} is compared"))[figure].as_f64().unwrap()
}

#[test]
fn with_the_origins_flavours_its_policies_hold_the_target_and_save_about_what_a_constant_mix_does() {
    for grid in &GRIDS {
        let Some(report) = compare(grid, "") else { return };
        let name = grid.carbon;
        assert_eq!(report["world"]["carbon"]["slots"], grid.slots, "{name}");
        assert_eq!(figure(&report, "p100", "savingVsP100"), 0.0, "{name}");
        assert_eq!(figure(&report, "p100", "meanError"), 0.0, "{name}");
        assert!((figure(&report, "constant-mix", "meanError") - 0.05).abs() < 1e-3, "{name}");
        assert!((figure(&report, "credit-greedy", "meanError") - 0.05).abs() < 1e-3, "{name}");
        for policy in ["credit-greedy", "forecast-aware", "precision-tier"] {
            let saving = figure(&report, policy, "savingVsConstantMix");
            assert!(saving.abs() < 0.015, "{name}: {policy} saves {saving} over the constant mix");
            let worst = figure(&report, policy, "worst24hError");
            assert!(worst >= figure(&report, policy, "meanError") && worst < 0.1, "{name}: {policy} {worst}");
        }
        assert!(
            figure(&report, "random", "weightChurn") > figure(&report, "round-robin", "weightChurn"),
            "{name}"
        );
    }
}

#[test]
fn with_measured_models_emissions_are_grams_and_no_mix_beats_the_hull_blindly() {
    for grid in &GRIDS {
        for family in ["flan-t5", "llama-3.1-instruct"] {
            let Some(report) = compare(
                grid,
                &format!("--policies p100,round-robin,constant-mix --flavours FLAVOURS --family {family}"),
            ) else {
                return;
            };
            assert_eq!(report["unit"], "gCO2eq", "{}", grid.carbon);
            assert!(figure(&report, "p100", "emissions") > figure(&report, "constant-mix", "emissions"));
            // A policy that does not look at the grid can at best be as cheap as the hull at its error.
            let spends_less =
                figure(&report, "round-robin", "meanError") <= figure(&report, "constant-mix", "meanError");
            let saves = figure(&report, "round-robin", "savingVsConstantMix") > 1e-3;
            assert!(!(spends_less && saves), "{} {family}", grid.carbon);
        }
    }
}

#[test]
fn vintages_of_a_real_forecast_are_followed() {
    let Some(folder) = traces() else { return };
    let arguments = format!(
        "compare --format json --policies forecast-aware,p100 --from 2023-03-15 --to 2023-03-18 --carbon {} --forecast {}",
        folder.join("carbon/gb_neso_api_2023_30min.csv.gz").display(),
        folder.join("forecasts/gb_neso_fw48h_2023-03-14_2023-03-20.csv").display()
    );
    let report: Value = serde_json::from_str(&Desk::empty().run(&arguments).fine()).unwrap();
    let off = report["world"]["forecast"]["meanError"].as_f64().unwrap();
    assert!((5.0..30.0).contains(&off), "live forecasts of a few hours err by some 10 to 30 g: {off}");
    assert_eq!(report["results"][0]["evaluations"], 144);
}

#[test]
fn over_recorded_grids_the_budget_is_kept_and_much_of_the_gain_captured() {
    let Some(folder) = traces() else { return };
    let desk = Desk::empty();
    let mut arguments = String::from(
        "sweep --from 2023-02-01 --to 2023-04-01 --forecast-modes perfect,noisy:1,self \
         --budget-windows 24h --daily-aim off --evaluate-every 600 --out rows.csv",
    );
    for grid in &GRIDS {
        let (carbon, demand) =
            (folder.join("carbon").join(grid.carbon), folder.join("demand").join(grid.demand));
        arguments.extend([format!(" --grid carbon={},demand={}", carbon.display(), demand.display())]);
    }
    desk.run(&arguments).fine();
    let rows = records(&desk.read("rows.csv"));
    assert_eq!(rows.len(), GRIDS.len() * 3);
    for row in rows {
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        assert_eq!(row["budget_promise"], "kept", "{row:?}");
        assert!(number("mean_error") < 0.0501 && number("worst_overspend_days") < 0.01, "{row:?}");
        // Two months from an engine that knows nothing: floors against regressions, not what a year reaches.
        let least = match row["forecast_mode"].as_str() {
            "perfect" => 0.7,
            "noisy:1" => 0.6,
            _ => 0.25,
        };
        assert!((least..1.02).contains(&number("skill")), "{row:?}");
        assert!(number("regret") > -1e-4, "{row:?}");
    }
}
