//! The reference documents say what the code does: their tables are the code's tables, their examples parse.

use std::fmt::Write as _;

use models::config::{DEFAULT_CALIBRATE, DEFAULT_CARBON_TARGET, DEFAULT_POLICY, MAX_COMPONENTS, MAX_WORD};
use models::flavour::{MAX_FLAVOUR_NAME, MAX_FLAVOURS};
use models::forecast::MAX_CARBON_TARGET;
use models::ranges::{self, Range};
use models::{Feedback, Manual, Overrides, SETTINGS};
use serde_json::{Map, Value};

const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const API: &str = include_str!("../../../docs/api.md");
const CREDIT_SCHEDULER: &str = include_str!("../../../docs/credit-scheduler.md");
const EMBEDDING: &str = include_str!("../../../docs/guides/embedding.md");
const README: &str = include_str!("../../../README.md");
const EMBED: &str = include_str!("../../engine/examples/embed.rs");
const FIRST_STEPS: &str = include_str!("../../engine/examples/first_steps.rs");

/// What stands between `<!-- name -->` and `<!-- /name -->`.
fn section<'a>(document: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let after = document.split_once(begin.as_str()).map(|(_, after)| after);
    let inside = after.and_then(|after| after.split_once(end.as_str())).map(|(inside, _)| inside);
    inside.unwrap_or_else(|| unreachable!("{begin} and {end} stand in the document"))
}

/// `in [0, 1)`, `seconds in [1, 86400]`: the range without the words that a table need not repeat.
fn shown(range: &Range) -> String {
    let text = range.to_string().replacen("a number", "", 1);
    text.trim_start().trim_start_matches("of ").to_owned()
}

#[test]
fn the_table_of_settings_is_the_codes() {
    let mut table = String::from("\n| key | variable | default | range | meaning |\n|---|---|---|---|---|\n");
    for spec in &SETTINGS {
        let (key, env, default, about) = (spec.key, spec.env, spec.default, spec.about);
        let range = shown(spec.range);
        let _ = writeln!(table, "| `{key}` | `{env}` | {default} | {range} | {about} |");
    }
    assert_eq!(
        section(CONFIGURATION, "settings"),
        table,
        "docs/configuration.md, section settings, should be:\n{table}"
    );
}

#[test]
fn the_table_of_words_is_the_codes() {
    let table = format!(
        "
| key | variable | default | what it may be |
|---|---|---|---|
| `policy` | `SCHEDULER_POLICY` | `{DEFAULT_POLICY}` | a policy's name, at most {MAX_WORD} bytes |
| `carbonTarget` | `CARBON_API_TARGET` | `{DEFAULT_CARBON_TARGET}` | a carbon target, at most {MAX_CARBON_TARGET} bytes |
| `calibrate` | `SCHEDULER_CALIBRATE` | `{DEFAULT_CALIBRATE}` | `true` or `false` |
| `flavours` or `strategies` | `SCHEDULER_STRATEGIES` | built-in flavours | 1 to {MAX_FLAVOURS} flavours, names at most {MAX_FLAVOUR_NAME} bytes |
| `components` | | none | an object of at most {MAX_COMPONENTS}: name to `{{minReplicas?, maxReplicas?}}`, `minReplicas` at most `maxReplicas` |
"
    );
    assert_eq!(
        section(CONFIGURATION, "words"),
        table,
        "docs/configuration.md, section words, should be:\n{table}"
    );
}

#[test]
fn the_table_of_other_numbers_is_the_codes() {
    let mut table = String::from("\n| where | key | range |\n|---|---|---|\n");
    for (place, key, range) in [
        ("flavour", "precision", &ranges::WIRE_PRECISION),
        ("flavour", "carbonIntensity", &ranges::FLAVOUR_CARBON),
        ("flavour", "energyWh", &ranges::ENERGY_WH),
        ("component", "minReplicas", &ranges::REPLICAS),
        ("component", "maxReplicas", &ranges::REPLICAS),
        ("feedback", "window_seconds", &ranges::FEEDBACK_WINDOW),
        ("feedback", "total_requests", &ranges::REQUESTS),
        ("feedback", "flavour_counts", &ranges::REQUESTS),
        ("feedback", "flavour_precision", &ranges::WIRE_PRECISION),
        ("feedback", "flavour_energy_wh", &ranges::ENERGY_WH),
        ("feedback", "sequence", &ranges::SEQUENCE),
        ("override", "flavourWeights", &ranges::MANUAL_WEIGHT),
        ("override", "ttlSeconds", &ranges::MANUAL_TTL),
    ] {
        let _ = writeln!(table, "| {place} | `{key}` | {} |", shown(range));
    }
    assert_eq!(
        section(CONFIGURATION, "numbers"),
        table,
        "docs/configuration.md, section numbers, should be:\n{table}"
    );
}

/// The code blocks that follow `<!-- example: kind -->`.
fn examples(kind: &str) -> Vec<Map<String, Value>> {
    let marker = format!("<!-- example: {kind} -->");
    let documents = [CONFIGURATION, API, CREDIT_SCHEDULER];
    let marked = documents.iter().flat_map(|document| document.split(marker.as_str()).skip(1));
    let blocks = marked.map(|after| after.split("```").nth(1).unwrap_or_default().trim_start_matches("json"));
    blocks
        .map(|block| match serde_json::from_str(block) {
            Ok(Value::Object(body)) => body,
            other => unreachable!("an example {kind} is no object: {other:?}\n{block}"),
        })
        .collect()
}

#[test]
fn the_examples_are_understood() {
    let puts = examples("put");
    assert!(!puts.is_empty());
    for body in puts {
        assert_eq!(Overrides::from_json(&body).unwrap().ignored, [""; 0]);
    }
    let posts = examples("feedback");
    assert!(!posts.is_empty());
    for body in posts {
        assert_eq!(Feedback::from_json(&body).unwrap().1, [""; 0]);
    }
    let overrides = examples("override");
    assert!(!overrides.is_empty());
    for body in overrides {
        assert_eq!(Manual::from_json(&body).unwrap().ignored, [""; 0]);
    }
}

#[test]
fn the_embedding_quoted_is_the_one_that_is_built() {
    for (name, document, example, code) in [
        ("docs/guides/embedding.md", EMBEDDING, "embed.rs", EMBED),
        ("docs/guides/embedding.md", EMBEDDING, "first_steps.rs", FIRST_STEPS),
        ("README.md", README, "first_steps.rs", FIRST_STEPS),
    ] {
        assert!(document.contains(code), "{name} should quote crates/engine/examples/{example} whole");
    }
}
