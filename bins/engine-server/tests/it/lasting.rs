//! `--state-dir`: what a restart brings back, and what becomes of a server whose disk does not do its part.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::documented::assert_each_row_names_a_test;
use crate::eventually;
use crate::server::{Launch, Server};

pub(crate) fn launch(folder: &Path) -> Launch {
    keeping(Launch::new(), folder)
}

fn keeping(launch: Launch, folder: &Path) -> Launch {
    launch.arg("--carbon-provider").arg("static:250").arg("--state-dir").arg(folder.to_str().unwrap())
}

pub(crate) fn start(launch: Launch) -> Server {
    let server = launch.start();
    eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    server
}

/// `engine-server state ..`
pub(crate) fn state(arguments: &[&str]) -> Output {
    arguments.iter().fold(Launch::bare().arg("state"), |launch, argument| launch.arg(argument)).run()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Refused at once, with a message that says where, what, and what to do.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, folder: &Path, expected: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    let told = told.lines().last().unwrap_or_default();
    assert!(told.starts_with("engine-server: "), "{told}");
    for expected in [folder.to_str().unwrap()].iter().chain(expected) {
        assert!(told.contains(expected), "`{expected}` in: {told}");
    }
}

#[track_caller]
fn metric(server: &Server, line: &str) {
    eventually(line, || {
        let text = server.metrics.send("GET", "/metrics", None);
        text.text().lines().any(|other| other == line).then_some(())
    });
}

/// A schedule with as much to keep as fits.
fn bulky() -> Value {
    let flavours: Vec<Value> = (1..=60)
        .map(|number| json!({"name": format!("{number}-{}", "x".repeat(50)), "precision": number}))
        .collect();
    json!({ "flavours": flavours })
}

#[test]
fn a_restart_brings_back_what_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(launch(folder.path()));
    server.configure("t/a", &json!({"validFor": 4_000, "creditMin": -3}));
    server.configure("t/b", &json!({}));
    server.configure("t/gone", &json!({}));
    assert_eq!(server.delete("/config/t/gone").status, 200);
    let manual = json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 3_000, "reason": "incident"});
    let until = server.post("/schedule/t/b/manual", &manual).json()["until"].clone();
    let post = json!({"source": "r", "sequence": 1, "flavour_counts": {"precision-70": 100}});
    assert_eq!(server.post("/feedback/t/a", &post).status, 200);
    let config = server.get("/config/t/a").json();
    drop(server);

    let server = start(launch(folder.path()));
    assert_eq!(server.get("/config/t/a").json(), config);
    assert_eq!(server.get("/config/t/gone").status, 404);
    let schedule = server.schedule("t/b");
    assert_eq!(schedule["manual"], json!({"until": until, "reason": "incident"}));
    assert_eq!(schedule["flavourWeights"]["precision-70"], 100);
    assert_eq!(server.schedule("t/a")["budget"]["servedRequests"], 100);
    assert_eq!(server.post("/feedback/t/a", &post).json()["duplicate"], true);
    assert_eq!(server.schedule("t/a")["budget"]["servedRequests"], 100);
    assert!(!server.log().contains("kept in memory"));
}

#[test]
fn without_a_folder_one_line_says_that_state_is_in_memory() {
    let server = start(Launch::new().arg("--carbon-provider").arg("static:250"));
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("state is kept in memory"));
    assert_eq!(lines.count(), 1, "{log}");
    assert!(log.contains("--state-dir"), "{log}");
}

#[test]
fn a_full_disk_stops_changes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // Files of 2 MiB at most, so far.
    let server = start(keeping(Launch::limited(4_096), folder.path()));
    server.configure("t/quick", &json!({"validFor": 1}));
    let mut kept = Vec::new();
    let refused = (0..2_000).find_map(|number| {
        let id = format!("t/s{number}");
        let answer = server.put(&format!("/config/{id}"), &bulky());
        if answer.status == 202 {
            kept.push(id);
            return None;
        }
        Some((id, answer))
    });
    let (refused, answer) = refused.unwrap_or_else(|| panic!("all of {} fit", kept.len()));
    answer.assert_problem(503);
    assert_ne!(answer.field("retry-after"), "", "{answer:?}");
    let ready = server.get("/readyz");
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")), "{ready:?}");
    metric(&server, "state_healthy 0");
    for (method, path, body) in [
        ("DELETE", "/config/t/quick", None),
        ("POST", "/schedule/t/quick/manual", Some(json!({"flavourWeights": {"precision-70": 1}}))),
        ("DELETE", "/schedule/t/quick/manual", None),
        ("POST", "/feedback/t/quick", Some(json!({"flavour_counts": {"precision-70": 1}}))),
    ] {
        let answer = server.client.send(method, path, body.as_ref());
        answer.assert_problem(503);
        assert_ne!(answer.field("retry-after"), "", "{answer:?}");
    }
    // Evaluations go on, past several attempts to heal the store.
    let mut evaluated = server.schedule("t/quick")["evaluatedAt"].clone();
    for _ in 0..5 {
        let before = evaluated.clone();
        evaluated =
            server.schedule_when("t/quick", |now| now["evaluatedAt"] != before)["evaluatedAt"].clone();
    }
    assert_eq!(server.get(&format!("/schedule/{refused}")).status, 404);
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.contains("cannot be written")).count(), 1, "{log}");
    assert!(log.lines().count() < 10, "{log}");

    let lift = ["--pid", &server.id().to_string(), "--fsize=unlimited:unlimited"];
    assert!(Command::new("prlimit").args(lift).status().unwrap().success());
    eventually("it is well again", || (server.get("/readyz").json()["status"] == "ready").then_some(()));
    metric(&server, "state_healthy 1");
    server.configure("t/after", &json!({}));
    assert_eq!(server.log().lines().filter(|line| line.contains("can be written again")).count(), 1);
    let mut server = server;
    server.kill();
    server.ended();
    let server = start(launch(folder.path()));
    assert_eq!(server.get(&format!("/config/{refused}")).status, 404);
    for id in kept.iter().map(String::as_str).chain(["t/quick", "t/after"]) {
        assert_eq!(server.get(&format!("/config/{id}")).status, 200, "{id}");
    }
}

#[test]
fn a_folder_is_for_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(launch(folder.path()));
    server.configure("t/a", &json!({}));
    let path = folder.path().to_str().unwrap();
    assert_refused(&launch(folder.path()).run(), folder.path(), &["another process"]);
    assert_refused(&state(&["check", "--state-dir", path]), folder.path(), &["another process"]);
    assert_refused(&state(&["export", "--state-dir", path]), folder.path(), &["another process"]);
    assert_refused(&state(&["import", "--state-dir", path]), folder.path(), &["there is a state"]);
    server.configure("t/b", &json!({}));
}

#[test]
fn a_damaged_state_stops_the_start_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let server = start(launch(folder.path()));
    server.configure("t/a", &json!({}));
    drop(server);
    let sound = fs::read(&path).unwrap();
    // Every page that holds something, upside down.
    let spoilt: Vec<u8> =
        sound.iter().enumerate().map(|(at, byte)| if at < 4_096 { *byte } else { !byte }).collect();
    for damaged in [&b""[..], b"not a store", &sound[..sound.len() / 2], &sound[..100], &spoilt, &[0; 8_192]]
    {
        fs::write(&path, damaged).unwrap();
        let advice = ["state.redb", "nothing was changed in it", "docs/operations.md"];
        assert_refused(&launch(folder.path()).run(), folder.path(), &advice);
        let checked = state(&["check", "--state-dir", folder.path().to_str().unwrap()]);
        assert_refused(&checked, folder.path(), &advice);
        assert!(fs::read(&path).unwrap() == damaged, "{} bytes were changed", damaged.len());
    }
    fs::write(&path, &sound).unwrap();
    let server = start(launch(folder.path()));
    assert_eq!(server.get("/config/t/a").status, 200);
    drop(server);
    // A folder where the file should be, and a file where the folder should be.
    let odd = tempfile::tempdir().unwrap();
    fs::create_dir(odd.path().join("state.redb")).unwrap();
    assert_refused(&launch(odd.path()).run(), odd.path(), &[]);
    assert_refused(&launch(&path).run(), &path, &["--state-dir"]);
}

#[test]
fn what_may_not_be_written_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    drop(start(launch(folder.path())));
    let before = fs::read(&path).unwrap();
    // To the superuser everything is writable: the server is somebody else then.
    let program = tempfile::tempdir().unwrap();
    let is_superuser = fs::metadata(folder.path()).unwrap().uid() == 0;
    let launch = |folder: &Path| {
        keeping(if is_superuser { Launch::as_nobody(program.path()) } else { Launch::new() }, folder)
    };
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    assert_refused(
        &launch(folder.path()).run(),
        folder.path(),
        &["state.redb", "ermission denied", "writable"],
    );
    assert!(fs::read(&path).unwrap() == before);
    let empty = tempfile::tempdir().unwrap();
    fs::set_permissions(empty.path(), Permissions::from_mode(0o555)).unwrap();
    assert_refused(&launch(empty.path()).run(), empty.path(), &["ermission denied", "writable"]);
    let below = empty.path().join("below");
    assert_refused(&launch(&below).run(), &below, &["cannot be made", "--state-dir"]);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_export_is_a_copy_that_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(launch(folder.path()));
    server.configure("t/a", &json!({"validFor": 4_000}));
    server.configure("t/b", &json!({"policy": "receding-horizon"}));
    for sequence in 0..5 {
        let post = json!({"source": "r", "sequence": sequence, "flavour_counts": {"precision-70": 100}});
        assert_eq!(server.post("/feedback/t/a", &post).status, 200);
    }
    let mut server = server;
    // Not in a tidy way: so there are records after the base.
    server.kill();
    server.ended();
    let path = folder.path().to_str().unwrap();

    let checked = state(&["check", "--state-dir", path, "--format", "json"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&found["schedules"], &found["carbonTargets"]), (&json!(3), &json!(1)), "{found}");
    assert!(found["records"].as_u64().unwrap() >= 7, "{found}");
    assert_eq!(found["path"], folder.path().join("state.redb").to_str().unwrap());
    for key in ["replayFrom", "lastRecordAt"] {
        crate::instant(&found[key]);
    }
    let checked = state(&["check", "--state-dir", path]);
    let said = text(&checked.stdout);
    assert!(said.contains("sound") && said.contains("3 schedules, 1 carbon targets"), "{said}");

    let exported = state(&["export", "--state-dir", path]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    let copies = tempfile::tempdir().unwrap();
    let file = copies.path().join("copy.jsonl");
    fs::write(&file, &exported.stdout).unwrap();
    let copy = copies.path().join("copy");
    let imported = state(&["import", "--state-dir", copy.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let again = state(&["export", "--state-dir", copy.to_str().unwrap()]);
    let lines = |output: &Output| text(&output.stdout).lines().skip(1).map(String::from).collect::<Vec<_>>();
    // The same to the last bit, but for when it was written.
    assert!(lines(&again) == lines(&exported));
    let (one, other) = (start(launch(folder.path())), start(launch(&copy)));
    for id in ["t/a", "t/b", "default/default"] {
        let config = format!("/config/{id}");
        assert_eq!(one.get(&config).json(), other.get(&config).json());
        let (one, other) = (one.schedule(id), other.schedule(id));
        for key in ["flavourWeights", "generation", "policy"] {
            assert_eq!(one[key], other[key], "{id} {key}");
        }
    }
    // Of what was served, not of time, which goes on.
    let budget = one.schedule("t/a")["budget"].clone();
    assert_eq!((&budget["accounting"], &budget["servedRequests"]), (&json!("requests"), &json!(500)));
    assert_eq!(other.schedule("t/a")["budget"], budget);

    // Half of one, and what is none.
    let half = text(&exported.stdout).lines().take(2).collect::<Vec<_>>().join("\n");
    for (number, wrong) in ["", "{}", &half[..half.len() - 9]].into_iter().enumerate() {
        fs::write(&file, wrong).unwrap();
        let target = copies.path().join(format!("none-{number}"));
        let refused = state(&["import", "--state-dir", target.to_str().unwrap(), file.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1), "{wrong}: {refused:?}");
        assert!(text(&refused.stderr).contains("nothing was imported"), "{}", text(&refused.stderr));
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "nothing is left of it");
    }
}

/// Each row of the table of failures names a test that is there.
#[test]
fn every_failure_that_is_documented_is_tested() {
    let operations = include_str!("../../../../docs/operations.md");
    let tests = [
        include_str!("crash.rs"),
        include_str!("formats.rs"),
        include_str!("lasting.rs"),
        include_str!("../../src/store/tests.rs"),
        include_str!("../../src/store/hanging.rs"),
        include_str!("../../../../crates/engine/tests/it/journal.rs"),
    ];
    let (_, section) = operations.split_once("### What is lost in which failure").unwrap();
    let (table, _) = section.split_once("###").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 10, "{table}");
    assert_each_row_names_a_test(&rows, &tests);
}
