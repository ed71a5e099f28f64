//! Every recorded file as it was published: read for what it is, or refused for a reason that stands here. A new
//! file belongs to one of the two lists.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use models::Signal::{Average, Marginal};
use models::{Accounting, Signal};
use providers::trace::Format::{
    CarbonAwareSdkJson, ElectricityMapsCsv, EnergyChartsJson, PlainCsv, SgipCsv, UkApiJson,
};
use providers::trace::{CarbonTrace, Factors, Format, NoteKind, Vintages};

use crate::at;
use crate::recorded::recorded;

/// What is true of a file: its first value in gCO2eq/kWh, and what it says to be of.
struct True {
    file: &'static str,
    format: Format,
    slots: usize,
    minutes: i64,
    first: (&'static str, f64),
    signal: Option<Signal>,
    accounting: Accounting,
    /// Whether there are forecasts in it only, as of an answer for the next hours.
    ahead: bool,
}

const SGIP: &str = "watttime/SGIP_CAISO_PGE_2021-05_head.csv";
const UNSAID: Accounting = Accounting::Unknown;

#[rustfmt::skip]
fn traces() -> [True; 13] {
    let file = |file, format, slots, minutes, first, (signal, accounting), ahead| {
        True { file, format, slots, minutes, first, signal, accounting, ahead }
    };
    let average = (Some(Average), UNSAID);
    let life_cycle = Accounting::LifeCycle;
    [
        file("carbon_aware_sdk_json/de_2024-03-24.json", CarbonAwareSdkJson, 188, 15, ("2024-03-24T00:00:00Z", 185.3), (None, UNSAID), false),
        // Blocks of 96 h, a day apart: the later block counts.
        file("carboncast/DE_carbon_from_src_forecasts_lifecycle_head.csv", PlainCsv, 120, 60, ("2021-07-01T00:00:00Z", 407.5), (None, life_cycle), false),
        file("electricitymaps_csv/GB_2023_hourly_head.csv", ElectricityMapsCsv, 199, 60, ("2023-01-01T00:00:00Z", 91.44), (Some(Average), life_cycle), false),
        file("energy_charts_api/at.json", EnergyChartsJson, 212, 15, ("2024-03-22T18:00:00Z", 88.3), average, true),
        file("energy_charts_api/ch.json", EnergyChartsJson, 42, 60, ("2024-03-22T05:00:00Z", 37.7), average, true),
        file("energy_charts_api/de_co2.json", EnergyChartsJson, 65, 15, ("2024-03-22T00:00:00Z", 322.0), average, false),
        file("energy_charts_api/fr.json", EnergyChartsJson, 18, 60, ("2024-03-22T00:00:00Z", 45.2), average, false),
        file("uk_carbon_intensity_api/national_fw48h_2023-12-03T1030Z.json", UkApiJson, 96, 30, ("2023-12-03T10:30:00Z", 211.0), average, true),
        file("uk_carbon_intensity_api/national_pt24h_2023-03-14T0331Z.json", UkApiJson, 47, 30, ("2023-03-13T03:30:00Z", 64.0), average, false),
        file("uk_carbon_intensity_api/nmpowell_national_fw48h_2023-03-14T0331Z.csv", PlainCsv, 96, 30, ("2023-03-14T03:30:00Z", 69.0), (None, UNSAID), true),
        file("uk_carbon_intensity_api/regional_london_fw48h_2023-12-03T1030Z.json", UkApiJson, 96, 30, ("2023-12-03T10:30:00Z", 134.0), average, true),
        file("uk_carbon_intensity_api/website_export_2026-01-19.csv", PlainCsv, 49, 30, ("2026-01-19T00:00:00Z", 162.0), (None, UNSAID), false),
        file(SGIP, SgipCsv, 99, 5, ("2021-04-30T00:00:00Z", 267.959_706_663_732), (Some(Marginal), Accounting::Direct), false),
    ]
}

/// What is no trace, and what is said of it.
const REFUSED: [(&str, &str); 3] = [
    // Emission factors by fuel: no series.
    ("uk_carbon_intensity_api/intensity_factors.json", "no usable row, beginning with line 3: no `from`"),
    // Values without a unit.
    (
        "watttime/vessim_watttime_example_head.csv",
        ":1: the header `oootime,Caiso_North` names neither a column of actual intensities nor their unit: \
         expected `timestamp,actual[,forecast]` in gCO2eq/kWh",
    ),
    // The description of a demand trace, for people.
    ("worldcup98/WorldCup.html", ":1: the header `<html><head>` has no column of instants"),
];

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may be told where recorded data lie, and read them")]
fn every_file_is_a_trace_or_no_trace_for_a_reason() {
    let Some(folder) = std::env::var_os("TRACES_DIR") else {
        println!("skipped: TRACES_DIR names no folder with recorded files");
        return;
    };
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let raw = Path::new(&folder).join("raw");
    let files = names(&raw).into_iter().flat_map(|source| {
        let files = names(&raw.join(&source));
        files.into_iter().map(move |file| format!("{source}/{file}"))
    });
    let traces = traces();
    let known = traces.iter().map(|trace| trace.file).chain(REFUSED.map(|(file, _)| file));
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), known, "what is there, and what is known");
    for True { file, format, slots, minutes, first, signal, accounting, ahead } in traces {
        let trace = CarbonTrace::read(file, &recorded(file).unwrap(), Factors::default()).unwrap();
        assert_eq!((trace.format(), trace.slots().len()), (format, slots), "{file}");
        assert_eq!(trace.step(), SignedDuration::from_mins(minutes), "{file}");
        assert_eq!((trace.signal(), trace.accounting()), (signal, accounting), "{file}");
        assert_eq!(trace.notes().count(NoteKind::ForecastAsActual) > 0, ahead, "{file}");
        assert_eq!(trace.notes().count(NoteKind::BadRow), 0, "{file}");
        let slot = trace.slots()[0];
        assert_eq!((slot.from, slot.to), (at(first.0), at(first.0) + trace.step()), "{file}");
        assert!((slot.actual.get() - first.1).abs() < 1e-9, "{file}: {}", slot.actual);
        // What grids emit, in grams: neither kilograms nor pounds.
        let mean = trace.slots().iter().map(|slot| slot.actual.get()).sum::<f64>() / slots as f64;
        assert!((10.0..500.0).contains(&mean), "{file}: {mean}");
    }
    for (file, said) in REFUSED {
        let refused = CarbonTrace::read(file, &recorded(file).unwrap(), Factors::default()).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

#[test]
fn the_sgip_signal_tells_a_vintage_with_every_row() {
    let Some(bytes) = recorded(SGIP) else { return };
    let vintages = Vintages::read(SGIP, &bytes).unwrap();
    assert!(vintages.notes().is_empty());
    assert_eq!((vintages.issues().len(), vintages.signal()), (99, Some(Marginal)));
    assert!(vintages.issues().iter().all(|issue| issue.slots().len() == 36 && issue.signal == Marginal));
    let first = &vintages.issues()[0];
    let ends = |slot: &models::Slot| (slot.from, slot.to);
    assert_eq!(first.issued_at, Some(at("2021-04-30T00:00:00Z")));
    assert_eq!(ends(&first.slots()[0]), (at("2021-04-30T00:05:00Z"), at("2021-04-30T00:10:00Z")));
    assert_eq!(ends(&first.slots()[35]), (at("2021-04-30T03:00:00Z"), at("2021-04-30T03:05:00Z")));
    assert!((first.slots()[0].forecast.get() - 296.318_476_686_610_6).abs() < 1e-9);
}
