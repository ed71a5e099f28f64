//! What was written once is read from then on, and goes on in the layout of now; what is only a part of it, or of a
//! later version, is refused.
//!
//! `data/state_1.redb.gz` and `data/state_1.jsonl.gz` are a state of layout 1 and its export, as the first version
//! that kept any left them after `kill -9`: a base, and after it at least one record of most kinds. They stay as
//! they are.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use redb::{Database, ReadableDatabase as _, TableDefinition, TableHandle as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually;
use crate::lasting::{assert_refused, launch, start, state, text};

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A folder with the state of layout 1.
fn first_layout() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.redb"), unpacked(include_bytes!("../data/state_1.redb.gz"))).unwrap();
    folder
}

/// The lines of its export.
fn first_export() -> String {
    String::from_utf8(unpacked(include_bytes!("../data/state_1.jsonl.gz"))).unwrap()
}

fn import(folder: &Path, lines: &str) -> std::process::Output {
    let file = folder.join("export.jsonl");
    fs::write(&file, lines).unwrap();
    state(&["import", "--state-dir", folder.join("new").to_str().unwrap(), file.to_str().unwrap()])
}

fn checked(folder: &Path) -> Value {
    let output = state(&["check", "--state-dir", folder.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_the_first_layout_held_is_still_read() {
    let folder = first_layout();
    let elsewhere = tempfile::tempdir().unwrap();
    let imported = import(elsewhere.path(), &first_export());
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    for folder in [folder.path().to_owned(), elsewhere.path().join("new")] {
        let found = checked(&folder);
        assert_eq!((&found["schedules"], &found["carbonTargets"]), (&json!(4), &json!(1)), "{found}");
        assert_eq!(
            (&found["records"], &found["lastRecordAt"]),
            (&json!(8), &json!("2026-11-28T20:25:39.789Z"))
        );
        let server = start(launch(&folder));
        let search = server.get("/config/shop/search").json();
        assert_eq!((&search["generation"], &search["config"]["validFor"]["value"]), (&json!(2), &json!(600)));
        let flavours = search["config"]["flavours"]["value"].as_array().unwrap();
        assert_eq!(flavours.len(), 3, "{search}");
        assert_eq!(flavours[0]["annotations"], json!({"tier": "gold"}));
        assert_eq!(server.get("/config/shop/lots").json()["config"]["policy"]["value"], "p100");
        assert_eq!(server.get("/config/shop/gone").status, 404);
        let budget = &server.schedule("shop/search")["budget"];
        assert_eq!(budget["servedRequests"], 500, "{budget}");
        // Counted before: in the base, and in a record after it.
        for sequence in [5, 6] {
            let post = json!({"source": "router-1", "sequence": sequence, "window_seconds": 10,
                "flavour_counts": {"large": 90, "small": 10}});
            let answer = server.post("/feedback/shop/search", &post).json();
            assert_eq!(answer["duplicate"], true, "{sequence}: {answer}");
        }
        drop(server);
        let database = Database::open(folder.join("state.redb")).unwrap();
        let read = database.begin_read().unwrap();
        let meta = read.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        assert_eq!(meta.get("format").unwrap().unwrap().value(), 2);
        let tables: Vec<_> = read.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
        assert_eq!(tables, ["bases", "commits", "meta", "parts"]);
    }
}

#[test]
fn a_layout_that_is_not_known_is_refused_and_left_alone() {
    let folder = first_layout();
    let path: PathBuf = folder.path().join("state.redb");
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    write.commit().unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    let advice = ["format 3", "expected 1 or 2", "export it with the version that wrote it"];
    assert_refused(&launch(folder.path()).run(), folder.path(), &advice);
    let at = folder.path().to_str().unwrap();
    assert_refused(&state(&["check", "--state-dir", at]), folder.path(), &advice);
    assert_refused(&state(&["export", "--state-dir", at]), folder.path(), &advice);
    assert!(fs::read(&path).unwrap() == before);

    let elsewhere = tempfile::tempdir().unwrap();
    let newer = first_export().replacen("\"version\":1", "\"version\":2", 1);
    let refused = import(elsewhere.path(), &newer);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("format 2"), "{}", text(&refused.stderr));
}

#[test]
fn part_of_an_export_is_no_copy() {
    let whole = first_export();
    let lines: Vec<&str> = whole.lines().collect();
    let refuse = |kept: &[&str], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let refused = import(folder.path(), &kept.join("\n"));
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{} lines: {told}", kept.len());
        assert!(told.contains("nothing was imported") && told.contains(expected), "{told}");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0, "nothing is left of it");
    };
    // Cut off between two lines: what is left reads well.
    for count in 2..lines.len() {
        refuse(&lines[..count], "cut off");
    }
    let is_search = |line: &&&str| line.contains(r#""Schedule":[["shop","search"]"#);
    assert_eq!(lines.iter().filter(is_search).count(), 1);
    let without: Vec<&str> = lines.iter().filter(|line| !is_search(line)).copied().collect();
    refuse(&without, "lines are missing: it has 6 parts and 8 records, its last line says 7 and 8");
    let twice: Vec<&str> = lines.iter().chain(lines.last()).copied().collect();
    refuse(&twice, "follows the last one");
}

#[test]
fn an_import_writes_over_nothing_that_came_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new");
    // An export that has not come to its end yet.
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (at, from) = (new.to_str().unwrap().to_owned(), pipe.to_str().unwrap().to_owned());
    let importing = std::thread::spawn(move || state(&["import", "--state-dir", &at, &from]));
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    std::io::Write::write_all(&mut writer, first_export().as_bytes()).unwrap();
    eventually("the import has begun", || {
        fs::read_dir(&new).is_ok_and(|mut files| files.next().is_some()).then_some(())
    });
    let server = start(launch(&new));
    server.configure("t/acknowledged", &json!({}));
    drop(writer);
    let refused = importing.join().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("there is a state"), "{}", text(&refused.stderr));
    drop(server);
    assert_eq!(start(launch(&new)).get("/config/t/acknowledged").status, 200);
    assert_eq!(fs::read_dir(&new).unwrap().count(), 1, "nothing is left of the import");
}

#[test]
fn an_export_begins_where_it_says() {
    let folder = first_layout();
    let at = folder.path().to_str().unwrap();
    let early = state(&["export", "--state-dir", at, "--from", "2020-01-01T00:00:00Z"]);
    assert_eq!(early.status.code(), Some(0), "{early:?}");
    let said = text(&early.stderr);
    assert!(said.contains("nothing from before 2026-11-28T20:25:37.699Z is kept"), "{said}");
    let late = state(&["export", "--state-dir", at, "--from", "2026-11-28T20:25:39.4Z"]);
    assert_eq!((late.status.code(), text(&late.stderr)), (Some(0), ""));

    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(import(elsewhere.path(), text(&late.stdout)).status.code(), Some(0));
    // The base is as old as it was.
    assert_eq!(checked(&elsewhere.path().join("new"))["replayFrom"], "2026-11-28T20:25:39.306Z");
}
