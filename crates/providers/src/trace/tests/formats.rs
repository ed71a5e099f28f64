use jiff::SignedDuration;
use models::{Accounting, Signal};

use super::{carbon, noted, shape};
use crate::trace::{CarbonTrace, DemandTrace, Factors, FlavourFile, Format, NoteKind, Vintages};

#[test]
fn plain_csv_with_everything_that_can_be_odd_about_it() {
    let trace = carbon(
        "\u{feff}timestamp,actual,forecast\r\n\
         2026-01-01T00:00:00Z,100,110\r\n\
         2026-01-01T00:30Z,120,\r\n\
         \r\n\
         2026-01-01T01:00:00+00:00,,130\r\n\
         2026-01-01T01:30:00Z,abc,1\r\n\
         yesterday,1,1\r\n\
         2026-01-01T03:30:00Z,140,145\r\n\
         2026-01-01T02:00:00Z,-5,1\r\n\
         2026-01-01 04:00:00,150,155\r\n\
         2026-01-01T03:30:00Z,141,146\r\n",
    );
    assert_eq!(trace.format(), Format::PlainCsv);
    assert_eq!(trace.step(), SignedDuration::from_mins(30));
    assert!(trace.has_forecast());
    insta::assert_snapshot!(shape(&trace).join("\n"), @r"
    01-01T00:00..01-01T00:30 100 110
    01-01T00:30..01-01T01:00 120 -
    01-01T03:30..01-01T04:00 141 146
    01-01T04:00..01-01T04:30 150 155
    ");
    insta::assert_snapshot!(noted(trace.notes()));
}

#[test]
fn electricity_maps_by_either_factor() {
    let file = "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA),Low Carbon Percentage\n\
                2023-01-01 00:00:00,Great Britain,Great Britain,GB,62.55,91.44,86.0\n\
                2023-01-01 01:00:00,Great Britain,Great Britain,GB,65.09,94.66,85.67\n";
    let newer = file.replace("Carbon Intensity", "Carbon intensity").replace("(LCA)", "(Life cycle)");
    for file in [file, newer.as_str()] {
        let read = |factors| CarbonTrace::read("gb.csv", file.as_bytes(), factors).unwrap();
        let lifecycle = read(Factors::Lifecycle);
        assert_eq!(lifecycle.format(), Format::ElectricityMapsCsv);
        assert_eq!(shape(&lifecycle)[0], "01-01T00:00..01-01T01:00 91.44 -");
        assert_eq!(shape(&read(Factors::Direct))[1], "01-01T01:00..01-01T02:00 65.09 -");
        assert!(lifecycle.notes().is_empty(), "the header says UTC");
    }
}

#[test]
fn other_archives_by_their_own_names() {
    for (file, first) in [
        (
            "Datetime (UTC),Actual Carbon Intensity (gCO2/kWh),Forecast Carbon Intensity (gCO2/kWh),Index\n\
             2026-01-19T00:00Z,162,181,moderate\n",
            "01-19T00:00..01-19T01:00 162 181",
        ),
        (
            ",UTC time,actual_carbon_intensity_lifecycle,forecasted_carbon_intensity_lifecycle\n\
             0,2021-07-01 00:00:00,407.5,355.03\n",
            "07-01T00:00..07-01T01:00 407.5 355.03",
        ),
        ("Time,Carbon Intensity\n2020-01-01 00:00:00,210.5\n", "01-01T00:00..01-01T01:00 210.5 -"),
    ] {
        assert_eq!(shape(&carbon(file)), [first]);
    }
}

#[test]
fn a_file_of_forecasts_stands_in_for_what_happened_and_says_so() {
    let trace = carbon(
        "from,intensity.forecast,intensity.actual\n\
         2023-03-14T03:30Z,69,71\n\
         2023-03-14T04:00Z,72,\n\
         2023-03-14T04:30Z,70,\n",
    );
    assert_eq!(shape(&trace)[0], "03-14T03:30..03-14T04:00 69 -");
    assert!(!trace.has_forecast());
    assert_eq!(
        noted(trace.notes()),
        "file:2: 1 of 3 slots have an actual value: the forecast is taken for it"
    );
}

const SLOTS: &str = r#"[
    {"from": "2023-12-03T10:30Z", "to": "2023-12-03T11:00Z",
     "intensity": {"forecast": 211, "actual": 206, "index": "high"}, "generationmix": [{"fuel": "a}\"{", "perc": 1}]},
    {"from": "2023-12-03T11:00Z", "to": "2023-12-03T11:30Z",
     "intensity": {"forecast": 216, "actual": null, "index": "high"}},
    {"from": "2023-12-03T12:30Z", "to": "2023-12-03T13:00Z",
     "intensity": {"forecast": 220, "actual": 2.5, "index": "high"}},
    {"from": "2023-12-03T13:00Z",
     "intensity": {"forecast": 1, "actual": 1}},
    {"from": "2023-12-03T13:00Z", "to": "2023-12-03T13:30Z",
     "intensity": {"forecast": 1, "actual": "many"}}
]"#;

#[test]
fn uk_json_of_the_nation_and_of_a_region_as_object_and_as_list() {
    for file in [
        format!(r#"{{"data": {SLOTS}}}"#),
        format!(r#"{{"data": {{"regionid": 13, "data": {SLOTS}}}}}"#),
        format!(r#"{{"data": [{{"regionid": 13, "data": {SLOTS}}}]}}"#),
    ] {
        let trace = carbon(&file);
        assert_eq!(trace.format(), Format::UkApiJson);
        assert_eq!(
            shape(&trace),
            ["12-03T10:30..12-03T11:00 206 211", "12-03T12:30..12-03T13:00 2.5 220"],
            "{file}"
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(noted(trace.notes()), @r"
            file:4: no value for 2023-12-03T11:00:00Z: left as a gap
            file:6: 2 slots are missing before this row, from 2023-12-03T11:30:00Z to 2023-12-03T12:30:00Z
            file:8: no `to`: expected an instant; row left out
            file:10: `many` is not a carbon intensity: expected a number of gCO2eq/kWh in [0, 10000]; left as a gap
            ");
        }
    }
}

#[test]
fn carbon_aware_sdk_json_in_both_shapes() {
    let bare = r#"[
        {"Location": "us-east-1", "Time": "2021-10-25T14:50:00+00:00", "Rating": 90, "Duration": "00:15:00"},
        {"location": "us-east-1", "time": "2021-10-25T15:05:00", "rating": "0.6"}
    ]"#;
    for file in [bare.to_owned(), format!("\u{feff}{{\"Description\": \"x\", \"Emissions\": {bare}}}")] {
        let trace = carbon(&file);
        assert_eq!(trace.format(), Format::CarbonAwareSdkJson);
        assert_eq!(shape(&trace), ["10-25T14:50..10-25T15:05 90 -", "10-25T15:05..10-25T15:20 0.6 -"]);
        assert_eq!(noted(trace.notes()), "file:3: `2021-10-25T15:05:00` has no offset: read as UTC");
    }
}

#[test]
fn only_the_first_of_a_kind_are_listed_and_all_are_counted() {
    let mut file = String::from("timestamp,actual\n2026-01-01T00:00:00Z,1\n");
    file.extend(std::iter::repeat_n("nonsense,1\n", 8));
    let trace = carbon(&file);
    assert_eq!(trace.notes().listed().count(), 5);
    assert_eq!(trace.notes().count(NoteKind::BadRow), 8);
    assert!(noted(trace.notes()).ends_with("file: and 3 more bad rows, 8 in all"));
}

#[test]
fn vintages_are_grouped_and_their_oddities_named() {
    let vintages = Vintages::read(
        "fw.csv",
        b"issued_at,target_start,forecast\n\
          2026-01-01T00:10:00Z,2026-01-01T00:00:00Z,100\n\
          2026-01-01T00:10:00Z,2026-01-01T00:30:00Z,101\n\
          2026-01-01T00:10:00Z,2026-01-01T01:30:00Z,103\n\
          2026-01-01T06:10:00Z,2026-01-01T06:30:00Z,201\n\
          2026-01-01T06:10:00Z,2026-01-01T06:00:00Z,200\n\
          2026-01-01T06:10:00Z,2026-01-01T06:00:00Z,202\n\
          2026-01-01T06:10:00Z,2026-01-01T07:00:00Z,\n\
          soon,2026-01-01T07:00:00Z,1\n",
    )
    .unwrap();
    let shape: Vec<_> = vintages
        .issues()
        .iter()
        .map(|issue| issue.slots().iter().map(|slot| slot.forecast.get()).collect::<Vec<_>>())
        .collect();
    assert_eq!(shape, [vec![100.0, 101.0, 103.0], vec![202.0, 201.0]]);
    let known = |now| vintages.as_of(super::at(now)).map(|forecast| forecast.slots()[0].forecast.get());
    assert_eq!(known("2026-01-01T00:09:59Z"), None);
    assert_eq!(known("2026-01-01T00:10:00Z"), Some(100.0));
    assert_eq!(known("2026-01-01T06:09:59Z"), Some(100.0));
    assert_eq!(known("2027-01-01T00:00:00Z"), Some(202.0));
    insta::assert_snapshot!(noted(vintages.notes()));
}

#[test]
fn demand_with_fractions_and_gaps() {
    let demand = DemandTrace::read(
        "load.csv",
        b"timestamp,requests\n\
          2026-01-05T00:00:00Z,3600\n\
          2026-01-05T01:00:00Z,0.5\n\
          2026-01-05T02:00:00Z,\n\
          2026-01-05T03:00:00Z,-1\n\
          2026-01-05T05:00:00Z,7200\n",
    )
    .unwrap();
    let within = |from, to| demand.within(super::at(from), super::at(to));
    assert_eq!(within("2026-01-05T00:30:00Z", "2026-01-05T01:00:00Z"), (1800.0, 1800.0));
    assert_eq!(within("2026-01-05T01:30:00Z", "2026-01-05T05:30:00Z"), (3600.25, 3600.0));
    assert_eq!(within("2026-01-06T00:00:00Z", "2026-01-06T05:30:00Z"), (0.0, 0.0));
    assert_eq!(demand.mean_rate(), 10_800.5 / 10_800.0);
    assert_eq!(demand.laps(), None);
    insta::assert_snapshot!(noted(demand.notes()));
}

#[test]
fn flavours_as_a_list_and_by_family() {
    let list = br#"[{"name": "big", "precision": 1, "energyWh": 0.2}, {"precision": 85}]"#;
    let read = FlavourFile::read("f.json", list, None).unwrap();
    assert_eq!(read.flavours[0].energy_wh, Some(0.2));
    assert_eq!(&*read.flavours[1].name, "precision-85");
    let families = br#"{"families": [
        {"family": "one", "flavours": [{"name": "a", "precision": 1.0}]},
        {"family": "two", "flavours": [{"name": "b", "precision": 1.0, "energy_wh_per_request": 0.5, "energy_relative": 1.0}]}
    ]}"#;
    let read = FlavourFile::read("f.json", families, Some("two")).unwrap();
    assert_eq!(read.family.as_deref(), Some("two"));
    assert_eq!((read.flavours[0].energy_wh, read.flavours[0].carbon_intensity), (Some(0.5), Some(1.0)));
}

#[test]
fn energy_charts_lists_are_read_side_by_side_and_must_be_as_long() {
    let read = |body: &str| CarbonTrace::read("de.json", body.as_bytes(), Factors::default());
    let trace = read(
        r#"{"unix_seconds":[1711065600,1711066500,1711067400],"co2eq":[322,314.7,null],"co2eq_forecast":[null,310,300]}"#,
    )
    .unwrap();
    assert_eq!(trace.format(), Format::EnergyChartsJson);
    assert_eq!(trace.step(), SignedDuration::from_mins(15));
    let actuals: Vec<f64> = trace.slots().iter().map(|slot| slot.actual.get()).collect();
    assert_eq!(actuals, [322.0, 314.7]);
    let short =
        read(r#"{"unix_seconds":[1711065600],"co2eq":[],"co2eq_forecast":[1]}"#).unwrap_err().to_string();
    assert!(short.contains("`co2eq` has 0 values for 1 `unix_seconds`"), "{short}");
}

const SGIP: &str = "time,moer,f1,f2,f3\n\
    2021-05-01 00:00:00+00:00,0.25,0.26,0.27,0.28\n\
    2021-05-01 00:05:00+00:00,,0.125,,900\n\
    2021-05-01 00:10:00+00:00,0.5,0.51,0.52\n";

#[test]
fn kilograms_of_the_sgip_signal_are_grams_and_its_rows_are_vintages_too() {
    let trace = carbon(SGIP);
    assert_eq!((trace.format(), trace.signal()), (Format::SgipCsv, Some(Signal::Marginal)));
    assert_eq!(shape(&trace), ["05-01T00:00..05-01T00:05 250 -", "05-01T00:10..05-01T00:15 500 -"]);
    assert_eq!(noted(trace.notes()), "file:3: no value for 2021-05-01T00:05:00Z: left as a gap");
    let vintages = Vintages::read("file", SGIP.as_bytes()).unwrap();
    let told: Vec<_> = vintages
        .issues()
        .iter()
        .flat_map(|issue| issue.slots().iter().map(|slot| (issue.issued_at, slot.from, slot.forecast.get())))
        .map(|(issued, from, grams)| format!("{:.0} {from:.0} {grams}", issued.unwrap()))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    2021-05-01T00:00:00Z 2021-05-01T00:05:00Z 260
    2021-05-01T00:00:00Z 2021-05-01T00:10:00Z 270
    2021-05-01T00:00:00Z 2021-05-01T00:15:00Z 280
    2021-05-01T00:05:00Z 2021-05-01T00:10:00Z 125
    2021-05-01T00:10:00Z 2021-05-01T00:15:00Z 510
    2021-05-01T00:10:00Z 2021-05-01T00:20:00Z 520
    ");
    insta::assert_snapshot!(noted(vintages.notes()), @r"
    file:3: `900` is not a carbon intensity: expected a number of kgCO2eq/kWh in [0, 10]; row left out
    file:3: no forecast for 2021-05-01T00:15:00Z as issued at 2021-05-01T00:05:00Z: left as a gap
    file:4: no forecast for 2021-05-01T00:25:00Z as issued at 2021-05-01T00:10:00Z: left as a gap
    ");
    assert_eq!((vintages.step(), vintages.signal()), (SignedDuration::from_mins(5), Some(Signal::Marginal)));
}

#[test]
fn watttime_json_is_in_pounds_measured_or_where_it_says_when_it_was_made_expected() {
    let answer = |meta: &str| {
        format!(
            r#"{{"data": [
                {{"point_time": "2022-07-15T00:00:00+00:00", "value": 1000}},
                {{"point_time": "2022-07-15T00:05:00+00:00", "value": null}},
                {{"point_time": "2022-07-15T00:10:00+00:00", "value": "many"}},
                {{"point_time": "2022-07-15T00:15:00+00:00", "value": 500.0}}],
              "meta": {{"region": "CAISO_NORTH", "warnings": [{{"type": "EXAMPLE"}}]{meta}}}}}"#
        )
    };
    let trace = carbon(&answer(r#", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh""#));
    assert_eq!((trace.format(), trace.signal()), (Format::WattTimeJson, Some(Signal::Marginal)));
    let grams: Vec<_> = trace.slots().iter().map(|slot| slot.actual.get()).collect();
    assert_eq!(grams, [453.592_37, 226.796_185]);
    insta::assert_snapshot!(noted(trace.notes()), @r#"
    file:3: no value for 2022-07-15T00:05:00Z: left as a gap
    file:4: `\"many\"` stands here: expected a number of pounds of CO2 per MWh; left as a gap
    "#);
    let made = r#", "units": "lbs_co2_per_mwh", "generated_at": "2022-07-15T00:00:00Z""#;
    assert_eq!(carbon(&answer(made)).notes().count(NoteKind::ForecastAsActual), 1);
    for (meta, said) in [
        ("", "/meta/units: missing: expected `lbs_co2_per_mwh`"),
        (r#", "units": "kg_co2_per_mwh""#, "/meta/units: `kg_co2_per_mwh`: expected `lbs_co2_per_mwh`"),
        (
            r#", "units": "lbs_co2_per_mwh", "signal_type": "health_damage""#,
            "/meta/signal_type: `health_damage`: expected `co2_moer`",
        ),
    ] {
        let refused = CarbonTrace::read("file", answer(meta).as_bytes(), Factors::default()).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("file:1: {said}: expected an answer")), "{refused}");
    }
}

#[test]
fn a_header_may_say_what_its_values_are_of_and_no_other_unit() {
    let read = |header: &str| {
        let file = format!("{header}\n2026-01-01T00:00:00Z,1,1\n");
        CarbonTrace::read("file", file.as_bytes(), Factors::default())
    };
    for (header, signal, accounting) in [
        ("timestamp,actual,forecast", None, Accounting::Unknown),
        ("timestamp,actual_average,forecast", Some(Signal::Average), Accounting::Unknown),
        ("timestamp,actual,forecast (marginal)", Some(Signal::Marginal), Accounting::Unknown),
        ("timestamp,Actual marginal, direct", Some(Signal::Marginal), Accounting::Unknown),
        ("time,average_marginal_carbon_intensity", Some(Signal::Marginal), Accounting::Unknown),
        ("timestamp,actual_lifecycle,forecast_lifecycle", None, Accounting::LifeCycle),
        ("timestamp,actual Melbourne (kgCO2/MWh)", None, Accounting::Unknown),
    ] {
        let trace = read(header).unwrap();
        assert_eq!((trace.signal(), trace.accounting()), (signal, accounting), "{header}");
    }
    for (header, said) in [
        ("timestamp,actual_average,forecast_marginal", "names average and marginal intensity side by side"),
        ("timestamp,actual [lbs/MWh]", "names another unit"),
        ("timestamp,actual,forecast_kgCO2_per_kWh", "names another unit"),
        ("Time,Carbon Intensity (lb/MWh)", "names another unit"),
        // WattTime's own tables are in pounds, and do not say so.
        ("timestamp,MOER,MOER version", "names neither a column of actual intensities nor their unit"),
    ] {
        let refused = read(header).unwrap_err().to_string();
        assert_eq!(
            refused.split(": expected ").next(),
            Some(format!("file:1: the header `{header}` {said}").as_str())
        );
    }
    let vintages = |word: &str| {
        let row = "2026-01-01T00:00:00Z,2026-01-01T00:30:00Z,1";
        Vintages::read("file", format!("issued_at,target_start,forecast{word}\n{row}\n").as_bytes())
    };
    assert_eq!(vintages("").unwrap().signal(), None);
    assert_eq!(vintages("_marginal").unwrap().issues()[0].signal, Signal::Marginal);
    assert!(vintages("_lbs").unwrap_err().to_string().contains("names another unit"));
}
