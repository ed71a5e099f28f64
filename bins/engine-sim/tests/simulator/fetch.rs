//! Recording from providers: what is written, how it is gone on with, and that it replays.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use models::{CarbonTarget, Signal};
use providers::archive::{ACTUALS_HEADER, Archive, Span, VINTAGES_HEADER, vintages_header};
use providers::trace::{CarbonTrace, Factors, Vintages};
use serde_json::{Value, json};

use crate::common::{Desk, json as report, number, result};
use crate::upstream::Upstream;

const VINTAGES: &str = "gb/vintages.csv";
const ACTUALS: &str = "gb/actuals.csv";
const PATIENCE: Duration = Duration::from_secs(20);

/// Half-hours around now as the UK API tells them: two that are over and measured, then `ahead`.
fn uk(measured: f64, ahead: &[f64]) -> Value {
    let step = SignedDuration::from_mins(30);
    let second = Timestamp::now().as_second();
    let mut from = Timestamp::from_second(second - second.rem_euclid(1_800)).unwrap() - step - step;
    let mut slot = |forecast: f64, actual: Option<f64>| {
        let to = from + step;
        let slot = json!({"from": from, "to": to,
            "intensity": {"forecast": forecast, "actual": actual, "index": "moderate"}});
        from = to;
        slot
    };
    let mut slots = vec![slot(90.0, Some(measured)), slot(95.0, Some(measured + 1.5))];
    slots.extend(ahead.iter().map(|grams| slot(*grams, None)));
    json!({ "data": slots })
}

fn fetch(upstream: &Upstream, more: &str) -> String {
    format!("fetch --target national --out gb --carbon-api-url {} {more}", upstream.url())
}

fn vintages(desk: &Desk) -> Vec<Vec<f64>> {
    let read = Vintages::read(VINTAGES, desk.read(VINTAGES).as_bytes()).unwrap();
    assert!(read.notes().is_empty(), "{:?}", read.notes().lines());
    let slots =
        read.issues().iter().map(|issue| issue.slots().iter().map(|slot| slot.forecast.get()).collect());
    slots.collect()
}

#[test]
fn a_folder_is_gone_on_with_and_says_nothing_twice() {
    let upstream = Upstream::start(|_, number| {
        Some(uk(80.0, if number < 2 { &[100.0, 110.5, 120.0] } else { &[100.0, 111.0, 120.0] }))
    });
    let desk = Desk::empty();
    let before = Timestamp::now();
    let first = report(&desk, &fetch(&upstream, "--format json"));
    assert_eq!(first["vintages"], json!({"file": VINTAGES, "new": 1, "total": 1}));
    assert_eq!(first["actuals"], json!({"file": ACTUALS, "new": 2, "total": 2}));
    assert_eq!((&first["sources"], &first["signal"]), (&json!(["uk-carbon-intensity"]), &json!("average")));
    let files = (desk.read(VINTAGES), desk.read(ACTUALS));
    let second = report(&desk, &fetch(&upstream, "--format json"));
    assert_eq!((&second["vintages"]["new"], &second["actuals"]["new"]), (&json!(0), &json!(0)));
    assert_eq!((desk.read(VINTAGES), desk.read(ACTUALS)), files, "to the byte");
    let third = report(&desk, &fetch(&upstream, "--format json"));
    assert_eq!((&third["vintages"]["new"], &third["vintages"]["total"]), (&json!(1), &json!(2)));
    assert!(desk.read(VINTAGES).starts_with(&files.0));
    assert_eq!(vintages(&desk), [[100.0, 110.5, 120.0], [100.0, 111.0, 120.0]]);
    // Known from the receipt on, never before.
    let read = Vintages::read(VINTAGES, desk.read(VINTAGES).as_bytes()).unwrap();
    assert!(read.issues().iter().all(|issue| issue.issued_at >= Some(before)));
    // And it is replayed by the command it told.
    let words: Vec<&str> = third["replay"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(words[..2], ["engine-sim", "compare"]);
    let replayed = report(&desk, &format!("{} --format json", words[1..].join(" ")));
    assert!(number(result(&replayed, "receding-horizon"), "requests") > 0.0);
}

#[test]
fn it_asks_again_until_it_is_enough_and_goes_on_over_failures() {
    // Both providers of the chain are down at first.
    let upstream = Upstream::start(|_, number| {
        (number >= 2).then(|| uk(80.0 + number as f64, &[100.0 + number as f64, 110.0]))
    });
    let desk = Desk::empty();
    let said = desk.run(&fetch(&upstream, "--every 1 --count 2"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("note: no forecast for `national`: "), "{}", said.err);
    assert!(said.out.starts_with("national, average, from uk-carbon-intensity: 2 answers, "), "{}", said.out);
    assert!(said.out.contains("  gb/vintages.csv: 2 vintages, 2 of them new\n"), "{}", said.out);
    let command =
        "engine-sim compare --carbon gb/actuals.csv --forecast gb/vintages.csv --forecast-mode vintages";
    assert!(said.out.ends_with(&format!("replay it with:\n  {command}\n")), "{}", said.out);
    assert_eq!(vintages(&desk), [[102.0, 110.0], [103.0, 110.0]]);
    // Of a measured value the last one told is the one that is read.
    let read = CarbonTrace::read(ACTUALS, desk.read(ACTUALS).as_bytes(), Factors::default());
    let values: Vec<_> = read.unwrap().slots().iter().map(|slot| slot.actual.get()).collect();
    assert_eq!(values, [83.0, 84.5]);
}

#[test]
fn what_was_torn_is_repaired_and_the_rest_is_left() {
    let upstream = Upstream::start(|_, number| Some(uk(80.0, &[100.0 + number as f64, 110.0, 120.0])));
    let desk = Desk::empty();
    desk.run(&fetch(&upstream, "")).fine();
    let whole = desk.read(VINTAGES);
    desk.run(&fetch(&upstream, "")).fine();
    let both = desk.read(VINTAGES);
    // The second vintage ends in the middle of a row: all of it is gone, and the first is as it was.
    for cut in [1, 9, 60] {
        fs::write(desk.path(VINTAGES), &both[..both.len() - cut]).unwrap();
        let said = desk.run(&fetch(&upstream, ""));
        assert!(said.err.contains("note: gb/vintages.csv: its last line was torn"), "{}", said.err);
        let now = desk.read(VINTAGES);
        assert!(now.starts_with(&whole) && vintages(&desk).len() == 2, "{cut}: {now}");
    }
    // A header that was not written whole.
    fs::write(desk.path(VINTAGES), "issued_at,tar").unwrap();
    desk.run(&fetch(&upstream, "")).fine();
    assert_eq!(vintages(&desk).len(), 1);
    // Another's file is left alone.
    fs::write(desk.path(VINTAGES), "timestamp,actual\n").unwrap();
    let said = desk.run(&fetch(&upstream, ""));
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("does not begin with `issued_at,target_start,forecast_average` or `"),
        "{}",
        said.err
    );
    assert_eq!(desk.read(VINTAGES), "timestamp,actual\n");
}

#[test]
fn a_file_that_does_not_say_its_signal_is_gone_on_with() {
    let upstream = Upstream::start(|_, number| Some(uk(80.0, &[100.0 + number as f64, 110.0, 120.0])));
    let desk = Desk::empty();
    desk.run(&fetch(&upstream, "")).fine();
    // As it was recorded earlier.
    let silent = [VINTAGES, ACTUALS].map(|file| desk.read(file).replacen("_average\n", "\n", 1));
    assert!(silent[0].starts_with(VINTAGES_HEADER) && silent[1].starts_with(ACTUALS_HEADER), "{silent:?}");
    fs::write(desk.path(VINTAGES), &silent[0]).unwrap();
    fs::write(desk.path(ACTUALS), &silent[1]).unwrap();
    desk.run(&fetch(&upstream, "")).fine();
    assert!(desk.read(VINTAGES).starts_with(&silent[0]), "{}", desk.read(VINTAGES));
    assert_eq!((vintages(&desk).len(), desk.read(ACTUALS)), (2, silent[1].clone()));
    let compared = desk.run("compare --carbon gb/actuals.csv --forecast gb/vintages.csv");
    let note = "neither actuals.csv nor vintages.csv says whether it is average or marginal";
    assert!(compared.code == 0 && compared.err.contains(note), "{}", compared.err);
}

#[test]
fn recordings_of_two_signals_are_not_mixed() {
    let upstream = Upstream::start(|path, _| {
        if path == "/login" {
            return Some(json!({"token": "eyJ0b2tlbg"}));
        }
        if !path.starts_with("/v3/forecast") {
            return Some(uk(80.0, &[100.0, 110.0]));
        }
        let second = Timestamp::now().as_second();
        let first = Timestamp::from_second(second - second.rem_euclid(300)).unwrap();
        let point =
            |index: i64| json!({"point_time": first + SignedDuration::from_mins(5 * index), "value": 900});
        let points: Vec<Value> = (0..12).map(point).collect();
        Some(json!({"data": points, "meta": {"region": "CAISO_NORTH", "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh", "data_point_period_seconds": 300}}))
    });
    let desk = Desk::empty();
    desk.run(&fetch(&upstream, "")).fine();
    let watttime = format!(
        "fetch --provider watttime --target region:CAISO_NORTH --out wt --watttime-username ada \
         --watttime-password pa55word --watttime-url {}",
        upstream.url()
    );
    desk.run(&watttime).fine();
    assert!(desk.read("wt/vintages.csv").starts_with(vintages_header(Signal::Marginal)));
    let mixed =
        desk.run("compare --carbon gb/actuals.csv --forecast wt/vintages.csv --forecast-mode vintages");
    assert_eq!(
        (mixed.code, mixed.err.as_str()),
        (
            1,
            "error: vintages.csv: forecasts of marginal carbon intensity, and actuals.csv is average: expected both \
             of one signal\n"
        )
    );
}

#[test]
fn a_folder_is_of_one_target_and_one_signal() {
    let upstream = Upstream::start(|_, _| Some(uk(80.0, &[100.0, 110.0])));
    let desk = Desk::empty();
    desk.run(&fetch(&upstream, "")).fine();
    let before = desk.read(VINTAGES);
    let other = fetch(&upstream, "").replace("national", "region:13");
    let said = desk.run(&other);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: gb/recording.json: the folder is a recording of `national`, average: expected another one for \
         `region:13`, average\n"
    );
    assert_eq!(desk.read(VINTAGES), before);
}

#[test]
fn without_an_answer_there_is_no_recording() {
    let upstream = Upstream::start(|_, _| None);
    let desk = Desk::empty();
    let said = desk.run(&fetch(&upstream, ""));
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.starts_with("error: no forecast for `national`: "), "{}", said.err);
    let said = desk.run(&fetch(&upstream, "--for 2 --every 1"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("error: nothing was recorded: no forecast for `national`"), "{}", said.err);
}

#[test]
fn ctrl_c_ends_it_after_the_current_write() {
    let upstream = Upstream::start(|_, number| Some(uk(80.0, &[100.0 + number as f64, 110.0])));
    let desk = Desk::empty();
    let mut command = desk.command(&fetch(&upstream, "--every 1 --format json"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Asked a second time, so the first answer is written.
    while upstream.asked().len() < 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Meanwhile nobody else writes there.
    let said = desk.run(&fetch(&upstream, ""));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("gb/vintages.csv: another process records into it"), "{}", said.err);
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("/bin/sh").arg("-c").arg(kill).status().unwrap().success());
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Where it has not ended by now, that is the finding.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["vintages"]["total"], vintages(&desk).len());
}

#[test]
fn every_provider_records_into_the_same_form() {
    let hour = |ahead: i64| {
        let second = Timestamp::now().as_second();
        Timestamp::from_second(second - second.rem_euclid(3_600) + ahead * 3_600).unwrap()
    };
    let upstream = Upstream::start(move |path, _| {
        let (first, second) = (hour(0), hour(1));
        Some(match path {
            path if path.starts_with("/carbon-intensity/forecast?zone=DE") => {
                json!({"zone": "DE", "forecast": [
                {"carbonIntensity": 301, "datetime": first}, {"carbonIntensity": 302, "datetime": second}]})
            }
            path if path.starts_with("/login") => json!({"token": "t0ken"}),
            path if path.starts_with("/v3/forecast") => json!({
                "data": [{"point_time": first, "value": 1000.0}, {"point_time": second, "value": 900.0}],
                "meta": {"region": "CAISO_NORTH", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh",
                    "data_point_period_seconds": 3600}}),
            path if path.starts_with("/emissions/forecasts/current") => json!([{"forecastData": [
                {"timestamp": first, "duration": 60, "value": 401.5}, {"timestamp": second, "duration": 60, "value": 402}]}]),
            path if path.starts_with("/api/v1/query") => {
                json!({"status": "success", "data": {"resultType": "vector",
                "result": [{"metric": {}, "value": [Timestamp::now().as_second(), "77.25"]}]}})
            }
            _ => return None,
        })
    });
    let url = upstream.url();
    for (provider, target, variables, signal, values) in [
        (
            "electricity-maps",
            "zone:DE",
            vec![("ELECTRICITY_MAPS_TOKEN", "s3cret")],
            "average",
            &[301.0, 302.0][..],
        ),
        (
            "watttime",
            "region:CAISO_NORTH",
            vec![("WATTTIME_USERNAME", "ada"), ("WATTTIME_PASSWORD", "s3cret")],
            "marginal",
            &[453.592_37, 408.233_133],
        ),
        ("carbon-aware-sdk", "location:northeurope", vec![], "average", &[401.5, 402.0]),
        ("prometheus", "national", vec![("CARBON_PROMETHEUS_QUERY", "grid")], "average", &[77.25]),
        ("static:250", "anywhere", vec![], "average", &[250.0; 96]),
    ] {
        let desk = Desk::empty();
        let mut command =
            desk.command(&format!("fetch --provider {provider} --target {target} --out gb --format json"));
        for setting in ["ELECTRICITY_MAPS_URL", "WATTTIME_URL", "CARBON_AWARE_SDK_URL", "PROMETHEUS_URL"] {
            command.env(setting, &url);
        }
        let output = command.envs(variables).output().unwrap();
        let said = String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{provider}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["signal"], signal, "{provider}");
        let told = vintages(&desk);
        let close = told[0].iter().zip(values).all(|(told, value)| (told - value).abs() < 1e-6);
        assert!(told.len() == 1 && told[0].len() == values.len() && close, "{provider}: {told:?}");
        // No value was measured: the command says that a trace is missing.
        assert_eq!(summary["actuals"]["total"], 0);
        assert_eq!(summary["replay"][3], "FILE");
    }
}

#[test]
fn a_wrong_setting_is_a_wrong_command_line() {
    let desk = Desk::empty();
    for (arguments, expected) in [
        ("--provider nobody --out x", "--provider nobody: `nobody` is not a carbon provider"),
        (
            "--provider electricity-maps --target zone:DE --out x",
            "ELECTRICITY_MAPS_TOKEN and ELECTRICITY_MAPS_TOKEN_FILE are missing",
        ),
        (
            "--provider carbon-aware-sdk --carbon-aware-sdk-url ftp://a --out x",
            "--carbon-aware-sdk-url ftp://a: ",
        ),
        (
            "--provider watttime,uk-carbon-intensity --watttime-username a --watttime-password s3cret --out x",
            "expected providers of one signal",
        ),
        ("--target zone:FR --out x", "carbonTarget `zone:FR` is not one of uk-carbon-intensity"),
        ("--out x --every 0", "expected a span from 1 s to 24 h"),
        ("--out x --every 25h", "expected a span from 1 s to 24 h"),
        ("--out x --for soon", "expected a span"),
        ("--out x --count 0", "0 is not in 1.."),
        ("", "--out <DIR>"),
    ] {
        let said = desk.run(&format!("fetch {arguments}"));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments}: {}", said.err);
        assert!(said.err.contains(expected) && !said.err.contains("s3cret"), "{arguments}: {}", said.err);
        assert!(!desk.path("x").exists(), "{arguments}: nothing is made");
    }
}

/// What the UK's service told in a week, recorded as it was received, replays as the archive of it does.
#[test]
fn recorded_vintages_replay_through_the_archive() {
    let folder =
        std::env::var_os("TRACES_DIR").map(std::path::PathBuf::from).filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        println!("skipped: TRACES_DIR names no folder of traces");
        return;
    };
    let name = "forecasts/gb_neso_fw48h_2023-03-14_2023-03-20.csv";
    let recorded = Vintages::read(name, &fs::read(folder.join(name)).unwrap()).unwrap();
    let (mut archive, target) = (Archive::default(), CarbonTarget::from("national"));
    for issue in recorded.issues() {
        archive.record(&target, issue, issue.retrieved_at);
    }
    let (mut text, mut after) = (vintages_header(Signal::Average).to_owned(), None);
    loop {
        let page = archive.vintages_csv(&target, Signal::Average, Span::default(), after);
        text.push_str(&page.text);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(archive.kept() > 20 && archive.kept() <= recorded.issues().len(), "{}", archive.kept());
    for issue in recorded.issues() {
        let told = archive.as_of(&target, Signal::Average, issue.retrieved_at).unwrap();
        assert!(told.slots().iter().eq(issue.from_instant(issue.retrieved_at)), "{}", issue.retrieved_at);
    }
    let desk = Desk::with(&[("kept.csv", &text)]);
    let carbon = folder.join("carbon/gb_neso_api_2023_30min.csv.gz");
    let replay = |forecast: &str| {
        let arguments = format!(
            "compare --policies receding-horizon,forecast-aware --from 2023-03-14T04:00:00Z --to 2023-03-20 \
             --carbon {} --forecast {forecast} --forecast-mode vintages --format json",
            carbon.display()
        );
        let all = report(&desk, &arguments);
        ["receding-horizon", "forecast-aware"].map(|policy| number(result(&all, policy), "emissions"))
    };
    let whole = folder.join(name);
    assert_eq!(replay("kept.csv"), replay(&whole.display().to_string()));
}
