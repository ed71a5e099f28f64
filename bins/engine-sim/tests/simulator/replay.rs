//! What was written down, acted upon again: the same, or the first difference.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use engine::journal::Input;
use serde_json::{Value, json};

use crate::common::{Desk, Said, json};
use crate::journal::{Server, grid, id, secs, story};

/// A stream of numbers in [0, below).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A week of four schedules, in which everything happens that can.
fn week() -> Server {
    let mut server = Server::new();
    let mut dice = Dice(4);
    server.put("search", &json!({"policy": "receding-horizon", "validFor": 1800, "budgetWindow": 86_400}));
    server.put("assist", &json!({"policy": "credit-greedy", "validFor": 1800, "carbonTarget": "13"}));
    server.put("lots", &json!({"policy": "random", "validFor": 3600}));
    let mut sequences = [0_u64; 2];
    let mut late: Vec<(usize, Value)> = Vec::new();
    for step in 0..7 * 96 {
        server.pass(900);
        if step % 2 == 0 {
            let revision = dice.roll(40) as f64;
            server.forecast("national", 300, |half_hour| grid(half_hour) + revision);
        }
        if step % 4 == 1 {
            server.forecast("13", 0, |half_hour| 0.5 * grid(half_hour + 7));
        }
        for (router, sequence) in sequences.iter_mut().enumerate() {
            *sequence += 1;
            let counts = json!({"precision-100": dice.roll(900), "precision-85": dice.roll(90), "precision-70": dice.roll(90)});
            let post = json!({"flavour_counts": counts, "window_seconds": 900, "windowEnd": server.now,
                "source": format!("router-{router}"), "sequence": *sequence});
            match dice.roll(10) {
                // Lost, or it comes late, or twice.
                0 => {}
                1 => late.push((step + 3, post)),
                2 => {
                    server.feedback("search", &post);
                    server.feedback("search", &post);
                }
                _ => server.feedback("search", &post),
            }
        }
        while let Some(place) = late.iter().position(|(due, _)| *due <= step) {
            server.feedback("search", &late.remove(place).1);
        }
        if dice.roll(3) == 0 {
            let counts = json!({"precision-100": dice.roll(50), "precision-70": dice.roll(50), "gone": 3});
            server.feedback(
                "assist",
                &json!({"flavour_counts": counts, "window_seconds": 60,
                "flavour_precision": {"precision-100": 0.98}}),
            );
        }
        let (from, to) = (server.now - secs(60), server.now);
        let counts = vec![("precision-85".to_owned(), dice.roll(400)), ("else".to_owned(), 1)];
        server.take(Input::Poll { id: id("lots"), from, to, counts });
        match step {
            100 => server.manual(
                "assist",
                &json!({"flavourWeights": {"precision-100": 3, "precision-70": 1}, "ttlSeconds": 9000}),
            ),
            103 => drop(server.take(Input::ClearManual { id: id("assist") })),
            120 => {
                server.manual("search", &json!({"flavourWeights": {"precision-85": 1}, "reason": "a test"}));
            }
            150 => server
                .put("search", &json!({"policy": "receding-horizon", "validFor": 1800, "targetError": 0.02})),
            200 => server.restart(0.08, 2),
            // Handed out while things happen.
            300 => server.begin_base(),
            320 => drop(server.take(Input::Remove { id: id("lots") })),
            330 => server.put(
                "lots",
                &json!({"policy": "random", "flavours": [{"precision": 1}, {"precision": 0.6}]}),
            ),
            400 => server.restart(0.05, 0),
            450 => {
                server.put("late", &json!({"policy": "forecast-aware", "validFor": 7200, "calibrate": true}));
            }
            500 => drop(server.take(Input::Reset { id: id("assist") })),
            510 => drop(server.take(Input::Note { id: id("late"), notes: vec!["a word".into()] })),
            550 => server.restart(0.05, 1),
            _ => {}
        }
    }
    server
}

fn desk(lines: &[String]) -> Desk {
    Desk::with(&[("journal.jsonl", &(lines.join("\n") + "\n"))])
}

#[test]
fn a_week_replays_to_the_byte_from_every_base() {
    let server = week();
    // The first, and the one that was handed out while things happened.
    for (base, restarts) in [(0, 4), (2, 2)] {
        let desk = desk(&server.export(base));
        let report = json(&desk, "replay journal.jsonl --format json");
        assert_eq!(report["difference"], Value::Null);
        assert_eq!(report["compared"], server.published(base), "base {base}");
        let records: u64 =
            report["records"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(records, server.records.len() as u64 - report["export"]["firstRecord"].as_u64().unwrap());
        assert!(report["compared"].as_u64() > Some(1_000), "{}", report["compared"]);
        assert_eq!(report["records"]["start"], restarts);
    }
}

#[test]
fn a_replay_says_what_it_replayed() {
    let desk = desk(&story().export(0));
    insta::assert_snapshot!(desk.run("replay journal.jsonl").transcript());
}

#[test]
fn packed_or_piped_it_is_the_same() {
    let desk = desk(&story().export(0));
    let plain = json(&desk, "replay journal.jsonl --format json");
    desk.gzip("journal.jsonl");
    let packed = json(&desk, "replay journal.jsonl.gz --format json");
    assert_eq!((&packed["compared"], &packed["records"]), (&plain["compared"], &plain["records"]));
    let mut child =
        desk.command("replay - --format json").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(desk.path("journal.jsonl.gz")).unwrap()).unwrap();
    let piped: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        (&piped["compared"], &piped["export"]["file"]),
        (&plain["compared"], &json!("standard input"))
    );
}

/// The first line from `from` on that holds all of these, changed.
fn changed(lines: &[String], holds: &[&str], from: usize, change: impl Fn(&str) -> String) -> Said {
    let mut lines = lines.to_vec();
    let place = (from..lines.len()).find(|place| holds.iter().all(|held| lines[*place].contains(held)));
    let place = place.expect("there is such a line");
    let line = change(&lines[place]);
    assert_ne!(line, lines[place]);
    lines[place] = line;
    desk(&lines).run("replay journal.jsonl")
}

#[test]
fn one_flipped_bit_of_an_outcome_is_found_and_shown() {
    let lines = story().export(0);
    let said = changed(&lines, &["published", "search"], lines.len() / 2, |line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let digest = &mut line["published"][1][0]["digest"];
        *digest = json!(digest.as_u64().unwrap() ^ 1);
        line.to_string()
    });
    insta::assert_snapshot!(said.transcript());
}

#[test]
fn an_altered_input_is_found_where_it_first_matters() {
    let lines = story().export(0);
    let said = changed(&lines, &["record", "feedback", "router-1"], 0, |line| line.replace("900", "800"));
    assert_eq!(said.code, 3);
    insta::assert_snapshot!(said.out);
}

#[test]
fn what_is_published_more_or_less_often_is_found() {
    let lines = story().export(0);
    let place =
        (lines.len() / 2..lines.len()).find(|place| lines[*place].starts_with(r#"{"published"#)).unwrap();
    // One less was published then.
    let mut fewer = lines.clone();
    fewer.remove(place);
    let said = desk(&fewer).run("replay journal.jsonl");
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(said.out.contains("then        nothing was published"), "{}", said.out);
    // One more.
    let said = changed(&lines, &["published"], place, |line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let outcomes = line["published"][1].as_array_mut().unwrap();
        outcomes.push(json!({"id": ["shop", "zoom"], "weights": [100], "digest": 7}));
        line.to_string()
    });
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(said.out.contains("Not the same: shop/zoom"), "{}", said.out);
    assert!(said.out.contains("now         nothing is published"), "{}", said.out);
}

#[test]
fn what_was_not_written_down_is_compared_with_nothing_and_said() {
    let mut server = story();
    let before = server.published(0);
    server.unrecorded(Input::Remove { id: id("assist") });
    for _ in 0..4 {
        server.pass(700);
    }
    let desk = desk(&server.export(0));
    let report = json(&desk, "replay journal.jsonl --format json");
    assert_eq!(report["compared"], before);
    assert!(report["unrecorded"]["publications"].as_u64() >= Some(8), "{}", report["unrecorded"]);
    let text = desk.run("replay journal.jsonl").fine();
    assert!(text.contains("could not be written down"), "{text}");
    let told = desk.run("explain journal.jsonl --schedule shop/assist").fine();
    assert!(told.contains("could not be written down"), "{told}");
}

/// A base that is begun right before the record that says so has what was not written down.
#[test]
fn a_base_made_for_it_replays_again() {
    let mut server = story();
    server.unrecorded_and_based(Input::Remove { id: id("assist") });
    server.pass(3_600);
    let report = json(&desk(&server.export(2)), "replay journal.jsonl --format json");
    assert_eq!((&report["unrecorded"], &report["difference"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&report["compared"], &report["records"]["unrecorded"]),
        (&json!(server.published(2)), &json!(1))
    );
    assert!(server.published(2) > 10);
}

#[test]
fn what_cannot_be_replayed_is_said_by_line() {
    let lines = story().export(0);
    let mut transcript = String::new();
    let mut attempt = |what: &str, content: Vec<u8>| {
        let desk = Desk::empty();
        fs::write(desk.path("journal.jsonl"), content).unwrap();
        let said = desk.run("replay journal.jsonl");
        assert!(said.out.is_empty(), "{what}: {}", said.out);
        assert_eq!(said.code, 1, "{what}: {}", said.err);
        transcript.extend([format!("{what}\n{}\n", said.err)]);
    };
    let text = |lines: &[String]| (lines.join("\n") + "\n").into_bytes();
    let first_record = lines.iter().position(|line| line.starts_with(r#"{"record"#)).unwrap();
    let without = |place: usize| {
        let mut lines = lines.clone();
        lines.remove(place);
        text(&lines)
    };
    let with = |place: usize, line: &str| {
        let mut lines = lines.clone();
        lines.insert(place, line.to_owned());
        text(&lines)
    };
    attempt("nothing", Vec::new());
    attempt("a trace", b"timestamp,actual\n2026-01-05T00:00:00Z,100\n".to_vec());
    attempt("bytes", vec![0xff, 0xfe, b'\n']);
    attempt("damaged gzip", vec![0x1f, 0x8b, 8, 0, 0]);
    attempt("another version", lines[0].replace(r#""version":1"#, r#""version":2"#).into_bytes());
    attempt("the first line alone", text(&lines[..1]));
    attempt("no base", without(1));
    attempt("no first line", without(0));
    attempt("two exports", [text(&lines), text(&lines)].concat());
    attempt("a line after the last one", with(lines.len(), &lines[first_record]));
    attempt("a part of another base", with(first_record, &lines[1].replacen("[0,", "[7,", 1)));
    attempt("a part twice", with(first_record, &lines[1]));
    attempt("a part too late", with(first_record + 1, &lines[1]));
    attempt("a record is missing", without(first_record));
    attempt("a record twice", with(first_record, &lines[first_record]));
    attempt("an end too early", {
        let last = lines.iter().rposition(|line| line.starts_with(r#"{"published"#)).unwrap();
        text(&lines[..=last])
    });
    attempt("a torn end", {
        let mut torn = text(&lines);
        torn.truncate(torn.len() - 9);
        torn
    });
    attempt(
        "a body that no PUT can have",
        text(
            &lines
                .iter()
                .map(|line| line.replace(r#""validFor":600"#, r#""validFor":0"#))
                .collect::<Vec<_>>(),
        ),
    );
    let desk = Desk::empty();
    transcript.extend([format!("no file\n{}", desk.run("replay missing.jsonl").err)]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_cut_export_never_panics() {
    let whole = story().export(1).join("\n");
    let desk = Desk::empty();
    for part in 0..40 {
        let end = whole.len() * part / 40;
        fs::write(desk.path("cut.jsonl"), &whole.as_bytes()[..end]).unwrap();
        let said = desk.run("replay cut.jsonl");
        assert!(matches!(said.code, 0 | 1), "{end}: {}", said.transcript());
    }
}
