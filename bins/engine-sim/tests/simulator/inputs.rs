//! Every format is read, gzipped or not; what is odd is named by file and line; nothing leaks.

use crate::common::{Desk, json, records};

const PLAIN: &str = "timestamp,actual,forecast\n\
    2026-01-05T00:00:00Z,100,110\n\
    2026-01-05T00:30:00Z,200,190\n\
    2026-01-05T01:00:00Z,150,160\n";

fn intensities(desk: &Desk, arguments: &str) -> Vec<String> {
    desk.run(&format!("run --timeseries rows.csv {arguments}")).fine();
    records(&desk.read("rows.csv")).iter().map(|row| row["intensity"].clone()).collect()
}

#[test]
fn every_format_is_read_and_gzip_of_each() {
    let maps = "Datetime (UTC),Country,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)\n\
        2026-01-05 00:00:00,GB,60,100\n2026-01-05 01:00:00,GB,150,200\n2026-01-05 02:00:00,GB,110,150\n";
    let slots = r#"[{"from":"2026-01-05T00:00Z","to":"2026-01-05T00:30Z","intensity":{"forecast":90,"actual":100}},
        {"from":"2026-01-05T00:30Z","to":"2026-01-05T01:00Z","intensity":{"forecast":90,"actual":200}},
        {"from":"2026-01-05T01:00Z","to":"2026-01-05T01:30Z","intensity":{"forecast":90,"actual":150}}]"#;
    let files = [
        ("plain.csv", PLAIN.to_owned()),
        ("maps.csv", maps.to_owned()),
        ("national.json", format!("{{\"data\":{slots}}}")),
        ("region.json", format!("{{\"data\":{{\"regionid\":13,\"data\":{slots}}}}}")),
        ("regions.json", format!("{{\"data\":[{{\"regionid\":13,\"data\":{slots}}}]}}")),
        (
            "sgip.csv",
            "time,moer,f1\n2026-01-05 00:00:00+00:00,0.1,0.3\n2026-01-05 00:05:00+00:00,0.2,0.3\n\
             2026-01-05 00:10:00+00:00,0.15,0.3\n"
                .to_owned(),
        ),
        (
            "sdk.json",
            "\u{feff}{\"Emissions\":[{\"Time\":\"2026-01-05T00:00:00Z\",\"Rating\":\"100\"},\
             {\"Time\":\"2026-01-05T00:30:00Z\",\"Rating\":200},{\"Time\":\"2026-01-05T01:00:00Z\",\"Rating\":150}]}"
                .to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (*name, content.as_str())).collect();
    let desk = Desk::with(&files);
    for (name, _) in &files {
        desk.gzip(name);
        for name in [(*name).to_owned(), format!("{name}.gz")] {
            assert_eq!(intensities(&desk, &format!("--carbon {name}")), ["100", "200", "150"], "{name}");
        }
    }
    assert_eq!(intensities(&desk, "--carbon maps.csv --factors direct"), ["60", "150", "110"]);
}

#[test]
fn average_and_marginal_never_meet() {
    let vintages = |header: &str| {
        format!("issued_at,target_start,{header}\n2026-01-05T00:00:00Z,2026-01-05T00:00:00Z,100\n")
    };
    let desk = Desk::with(&[
        (
            "sgip.csv",
            "time,moer,f1,f2\n2026-01-05 00:00:00+00:00,0.1,0.3,0.4\n2026-01-05 00:05:00+00:00,0.2,0.35,0.45\n",
        ),
        ("maps.csv", "Datetime (UTC),Carbon Intensity (LCA)\n2026-01-05 00:00:00,100\n"),
        ("plain.csv", PLAIN),
        ("plain_fw.csv", &vintages("forecast")),
        ("average_fw.csv", &vintages("forecast_average")),
        ("marginal_fw.csv", &vintages("forecast_marginal")),
    ]);
    for (carbon, forecast, signal, note) in [
        ("sgip.csv", "sgip.csv", Some("marginal"), None),
        ("maps.csv", "average_fw.csv", Some("average"), None),
        ("plain.csv", "plain_fw.csv", None, None),
        (
            "sgip.csv",
            "plain_fw.csv",
            Some("marginal"),
            Some("plain_fw.csv does not say whether it is average or marginal; sgip.csv is marginal"),
        ),
        (
            "plain.csv",
            "marginal_fw.csv",
            None,
            Some("plain.csv does not say whether it is average or marginal; marginal_fw.csv is marginal"),
        ),
    ] {
        let arguments = format!("run --carbon {carbon} --forecast {forecast}");
        let said = desk.run(&arguments);
        let shown = signal.map(|signal| format!(", {signal}")).unwrap_or_default();
        let line = format!("  carbon    {carbon}{shown}");
        assert!(said.out.lines().any(|other| other == line), "{arguments}: {} {}", said.out, said.err);
        assert_eq!(note.is_some(), said.err.contains("does not say whether"), "{arguments}: {}", said.err);
        assert!(note.is_none_or(|note| said.err.contains(note)), "{arguments}: {}", said.err);
        let report = json(&desk, &format!("{arguments} --format json"));
        assert_eq!(report["world"]["carbon"].get("signal").and_then(|word| word.as_str()), signal);
    }
    for (carbon, forecast, told, is) in [
        ("maps.csv", "sgip.csv", "marginal", "average"),
        ("sgip.csv", "average_fw.csv", "average", "marginal"),
    ] {
        let said = desk.run(&format!("run --carbon {carbon} --forecast {forecast}"));
        let expected = format!(
            "error: {forecast}: forecasts of {told} carbon intensity, and {carbon} is {is}: expected both of one signal\n"
        );
        assert_eq!((said.code, said.out.as_str(), said.err), (1, "", expected));
    }
}

/// What a row came to was known later than what it forecast.
#[test]
fn the_sgip_signal_is_trace_and_vintages_in_one() {
    let rows = "time,moer,f1,f2\n2026-01-05 00:00:00+00:00,0.1,0.3,0.4\n2026-01-05 00:05:00+00:00,0.2,0.35,0.45\n\
                2026-01-05 00:10:00+00:00,0.3,,\n";
    let desk = Desk::with(&[("sgip.csv", rows)]);
    desk.run("run --carbon sgip.csv --forecast sgip.csv --timeseries rows.csv").fine();
    let rows = records(&desk.read("rows.csv"));
    let told = rows.iter().map(|row| {
        ["intensity", "forecast_now", "forecast_next"].map(|column| row[column].as_str()).join("/")
    });
    assert_eq!(told.collect::<Vec<_>>(), ["100//300", "200//350", "300/350/450"]);
}

#[test]
fn gzip_is_seen_from_the_content_and_damage_is_said() {
    let desk = Desk::with(&[("plain.csv", PLAIN)]);
    desk.gzip("plain.csv");
    let packed =
        std::fs::read(desk.command("").get_current_dir().map(|folder| folder.join("plain.csv.gz")).unwrap());
    let packed = packed.unwrap();
    let folder = desk.command("").get_current_dir().map(std::path::Path::to_path_buf).unwrap();
    std::fs::write(folder.join("other-name"), &packed).unwrap();
    assert_eq!(intensities(&desk, "--carbon other-name").len(), 3);
    std::fs::write(folder.join("cut.gz"), &packed[..packed.len() / 2]).unwrap();
    let said = desk.run("run --carbon cut.gz");
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: cut.gz: damaged gzip"), "{}", said.err);
}

#[test]
fn what_is_odd_is_named_by_file_and_line() {
    let desk = Desk::with(&[
        (
            "grid.csv",
            "timestamp,actual\n\
             2026-01-05T00:00:00Z,100\n\
             2026-01-05T01:00:00Z,200\n\
             2026-01-05T01:00:00Z,210\n\
             2026-01-05T02:00:00Z,high\n\
             2026-01-05T03:00:00Z,\n\
             2026-01-05T07:00:00Z,150\n\
             2026-01-05T04:00:00Z,140\n",
        ),
        (
            "load.csv",
            "timestamp,requests\n2026-01-05T00:00:00Z,60\n2026-01-05T00:01:00Z,many\n2026-01-05T00:02:00Z,60\n",
        ),
        (
            "fw.csv",
            "issued_at,target_start,forecast\n2026-01-05T00:30:00Z,2026-01-05T01:00:00Z,1\n2026-01-05T00:30:00Z,2026-01-05T02:00:00Z,x\n",
        ),
    ]);
    let said = desk.run("run --carbon grid.csv --demand load.csv --forecast fw.csv --format csv");
    insta::assert_snapshot!(said.transcript());
}

#[test]
fn a_gap_is_neither_filled_nor_counted() {
    let desk = Desk::with(&[(
        "grid.csv",
        "timestamp,actual\n2026-01-05T00:00:00Z,100\n2026-01-05T01:00:00Z,100\n2026-01-05T09:00:00Z,100\n",
    )]);
    let out = desk.run("run --carbon grid.csv --timeseries rows.csv --format json").fine();
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["results"][0]["requests"], 3000, "1000 an hour in three known hours");
    let rows = records(&desk.read("rows.csv"));
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[1]["forecast_next"].as_str(), rows[2]["from"].as_str()), ("", "2026-01-05T09:00:00Z"));
}

/// Vintages whose every value says when it was issued: what the engine is told gives away what it saw.
#[test]
fn no_vintage_is_seen_before_it_was_issued() {
    let mut grid = String::from("timestamp,actual\n");
    let mut vintages = String::from("issued_at,target_start,forecast\n");
    for half_hour in 0..96 {
        let clock = |half_hour: usize| {
            format!(
                "2026-01-{:02}T{:02}:{:02}:00Z",
                5 + half_hour / 48,
                half_hour / 2 % 24,
                half_hour % 2 * 30
            )
        };
        grid.extend([clock(half_hour).as_str(), ",100\n"]);
        // Issued at 10 minutes past every third hour, for everything from two slots before on.
        if half_hour % 6 == 0 {
            for target in half_hour.saturating_sub(2)..96 {
                let issued = clock(half_hour).replace(":00:00Z", ":10:00Z");
                vintages.extend([format!("{issued},{},{}\n", clock(target), 1000 + half_hour)]);
            }
        }
    }
    let desk = Desk::with(&[("grid.csv", &grid), ("fw.csv", &vintages)]);
    for every in [1800, 600] {
        desk.run(&format!(
            "run --carbon grid.csv --forecast fw.csv --evaluate-every {every} --timeseries rows.csv"
        ))
        .fine();
        let rows = records(&desk.read("rows.csv"));
        for row in &rows {
            let day: usize = row["from"][8..10].parse().unwrap();
            let hour: usize = row["from"][11..13].parse().unwrap();
            let minute: usize = row["from"][14..16].parse().unwrap();
            let minutes = (day - 5) * 1440 + hour * 60 + minute;
            let newest = minutes.checked_sub(10).map(|minutes| minutes / 180 * 6);
            let told = newest.map(|half_hour| (1000 + half_hour).to_string()).unwrap_or_default();
            assert_eq!(row["forecast_now"], told, "{}", row["from"]);
        }
        assert_eq!(rows.len(), 96 * 1800 / every);
    }
}

#[test]
fn forecast_modes_are_what_they_say() {
    let desk = Desk::with(&[("grid.csv", PLAIN)]);
    let told = |arguments: &str| {
        desk.run(&format!("run --carbon grid.csv --timeseries rows.csv {arguments}")).fine();
        let rows = records(&desk.read("rows.csv"));
        rows.iter().map(|row| format!("{}/{}", row["forecast_now"], row["forecast_next"])).collect::<Vec<_>>()
    };
    assert_eq!(told(""), ["110/190", "190/160", "160/"]);
    assert_eq!(told("--forecast-mode column"), told(""));
    assert_eq!(told("--forecast-mode perfect"), ["100/200", "200/150", "150/"]);
    assert_eq!(told("--forecast-mode none"), ["/", "/", "/"]);
    let said = desk.run("run --carbon grid.csv --forecast-mode perfect");
    assert_eq!(said.err, "note: forecast: perfect (from the trace itself)\n");
}

#[test]
fn demand_is_resampled_and_repeated_by_time_of_week() {
    // Two weeks of hourly demand: requests = hour of the week, three years before the carbon trace.
    let mut load = String::from("timestamp,requests\n");
    for hour in 0..336 {
        load.extend([format!("2023-01-{:02}T{:02}:00:00Z,{}\n", 2 + hour / 24, hour % 24, hour % 168)]);
    }
    // A Wednesday; half-hours.
    let grid = "timestamp,actual\n2026-01-07T05:00:00Z,1\n2026-01-07T05:30:00Z,1\n2026-01-07T06:00:00Z,1\n";
    let desk = Desk::with(&[("load.csv", &load), ("grid.csv", grid)]);
    let said = desk.run("run --carbon grid.csv --demand load.csv --timeseries rows.csv");
    assert!(said.err.contains("repeated every 14 days, keeping time of week"), "{}", said.err);
    let requests: Vec<u32> =
        records(&desk.read("rows.csv")).iter().map(|row| row["requests"].parse().unwrap()).collect();
    // Wednesday 05:00 is hour 53 of the week: 26.5 a half-hour, carried.
    assert_eq!(requests, [26, 27, 27]);
}
