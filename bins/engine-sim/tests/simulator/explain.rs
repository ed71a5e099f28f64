//! One schedule's decisions, and what they were made of.

use serde_json::Value;

use crate::common::{Desk, json};
use crate::journal::story;

fn desk() -> Desk {
    Desk::with(&[("journal.jsonl", &(story().export(0).join("\n") + "\n"))])
}

#[test]
fn a_story_is_told() {
    let out = desk().run("explain journal.jsonl --schedule shop/search").fine();
    let widest = out.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 116, "{widest}");
    insta::assert_snapshot!(out);
}

#[test]
fn a_span_of_it_begins_with_what_was_in_force() {
    let arguments = "explain journal.jsonl --schedule shop/search --only-changes \
        --from 2026-11-23T00:25:00Z --to 2026-11-23T01:00:00Z";
    insta::assert_snapshot!(desk().run(arguments).fine());
}

#[test]
fn programs_get_every_decision() {
    let desk = desk();
    let replayed = json(&desk, "replay journal.jsonl --format json");
    let told = json(&desk, "explain journal.jsonl --schedule shop/search --format json");
    let decisions = told["decisions"].as_array().unwrap();
    assert_eq!(decisions.len() as u64, replayed["schedules"]["shop/search"].as_u64().unwrap());
    assert_eq!(told["decided"], decisions.len());
    assert_eq!(told["difference"], Value::Null);
    for decision in decisions {
        let weights = decision["weights"].as_object().unwrap().values();
        assert_eq!(weights.map(|weight| weight.as_u64().unwrap()).sum::<u64>(), 100);
        for number in ["error", "creditBalance", "throttle", "targetError"] {
            assert!(decision[number].is_number(), "{number} in {decision}");
        }
        let budget = |name: &str| decision["budget"][name].as_f64().unwrap();
        assert!(budget("spendable") <= budget("balance") - budget("held") + budget("capacity"));
    }
    let kinds = |kind: &str| {
        let events = decisions.iter().flat_map(|decision| decision["since"]["events"].as_array().unwrap());
        events.filter(|event| event["kind"] == kind).count()
    };
    assert_eq!((kinds("configure"), kinds("manual"), kinds("start")), (2, 1, 2));
    let late =
        decisions.iter().filter_map(|decision| decision["since"]["feedback"]["latestSeconds"].as_f64());
    assert_eq!(late.fold(0.0, f64::max), 640.0);
    // A decision to a line.
    let text = desk.run("explain journal.jsonl --schedule shop/search --format json").fine();
    assert_eq!(text.lines().count(), decisions.len() + 2);
}

#[test]
fn only_changes_leave_out_what_changed_nothing() {
    let desk = desk();
    let all = json(&desk, "explain journal.jsonl --schedule shop/assist --format json");
    let some = json(&desk, "explain journal.jsonl --schedule shop/assist --format json --only-changes");
    let count = |told: &Value| told["decisions"].as_array().unwrap().len() as u64;
    assert!(count(&some) < count(&all), "{} {}", count(&some), count(&all));
    assert_eq!(some["leftOut"].as_u64().unwrap() + count(&some), count(&all));
}

#[test]
fn what_cannot_be_explained_is_said() {
    let desk = desk();
    let mut transcript = String::new();
    for arguments in [
        "explain journal.jsonl --schedule shop/nothing",
        "explain journal.jsonl --schedule search",
        "explain journal.jsonl --schedule Shop/search",
        "explain journal.jsonl --schedule shop/search --from tuesday",
        "explain journal.jsonl",
    ] {
        let said = desk.run(arguments);
        assert!(said.out.is_empty(), "{arguments}: {}", said.out);
        transcript.extend([format!("$ engine-sim {arguments}\n{}exit code {}\n\n", said.err, said.code)]);
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn what_is_not_as_it_was_is_said() {
    let lines = story().export(0);
    let altered: Vec<String> =
        lines.iter().map(|line| line.replacen("\"digest\":1", "\"digest\":2", 1)).collect();
    let desk = Desk::with(&[("journal.jsonl", &altered.join("\n"))]);
    let said = desk.run("explain journal.jsonl --schedule shop/search");
    assert_eq!(said.code, 3);
    assert!(said.err.contains("something else is published than was"), "{}", said.err);
}
