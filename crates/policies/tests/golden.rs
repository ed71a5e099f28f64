//! The origin's decisions, step by step: its seed version's own functions were run, and what they answered
//! is reproduced here within 1e-9.
//!
//! `GOLDEN_FILE` names another file of such cases to try. One JSON object a line: `id`, `policy`, `config`,
//! `strategies`, `components`, `steps` and, per step, `expect`.

#![expect(clippy::unwrap_used, reason = "a file that is not such cases fails the test, wherever it is read")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::SignedDuration;
use ledger::{Bounds, CreditLedger};
use models::{Config, Overrides, Setting, Timestamp};
use policies::throttle::{Throttle, ThrottleSettings, throttle};
use policies::{Created, Decision, Menu, Registry, Situation};
use serde_json::{Value, json};

const TOLERANCE: f64 = 1e-9;

#[test]
#[expect(clippy::disallowed_methods, reason = "the vectors are a file")]
fn golden_decisions_of_the_origin() {
    let file = golden_file();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut report = Report::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", file.display(), index + 1));
        replay(&case, &mut report);
    }
    println!("{}", report.summary());
    assert!(
        report.mismatches.is_empty(),
        "{} mismatches\n{}",
        report.mismatches.len(),
        report.mismatches.join("\n")
    );
    assert!(report.cases > 0, "{}: no case", file.display());
    assert!(report.compared() * 2 >= report.cases, "fewer than half of the cases are compared");
}

/// Every way a case can be wrong has to be seen, or the test above proves nothing.
#[test]
#[expect(clippy::disallowed_methods, reason = "the vectors are a file")]
fn golden_harness_notices_every_difference() {
    let text = std::fs::read_to_string(own_file()).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let case =
        cases.into_iter().find(|case| case["id"] == "seed/forecast-aware/edge/forecast-rising").unwrap();
    let mut sound = Report::default();
    replay(&case, &mut sound);
    assert_eq!(sound.mismatches, Vec::<String>::new());

    let step = 3;
    for field in [
        "/weights/precision-85",
        "/avgPrecision",
        "/balance",
        "/velocity",
        "/allowance",
        "/diagnostics/adjustment",
        "/throttle",
        "/creditsRatio",
        "/intensityRatio",
        "/ceilings/router",
    ] {
        let mut wrong = case.clone();
        let value = wrong["expect"][step].pointer_mut(field).unwrap_or_else(|| panic!("no {field}"));
        *value =
            if field.starts_with("/ceilings") { json!(999) } else { json!(value.as_f64().unwrap() + 2e-9) };
        let mut report = Report::default();
        replay(&wrong, &mut report);
        let name = field[1..].replace('/', ".");
        assert!(
            report.mismatches.iter().any(|m| m.contains(&format!(" step {step} {name}: expected"))),
            "{field}: {:?}",
            report.mismatches
        );
    }
    for field in ["/weights", "/diagnostics", "/ceilings"] {
        let mut wrong = case.clone();
        let fields = wrong["expect"][step].pointer_mut(field).unwrap().as_object_mut().unwrap();
        fields.insert("stranger".to_owned(), json!(1));
        let mut report = Report::default();
        replay(&wrong, &mut report);
        assert_eq!(report.mismatches.len(), 1, "{field}");
    }
}

fn golden_file() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test may be told to try other vectors")]
    let named = std::env::var_os("GOLDEN_FILE");
    named.map_or_else(own_file, PathBuf::from)
}

fn own_file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "seed_policies.jsonl"].iter().collect()
}

/// What came of all cases.
#[derive(Default)]
struct Report {
    cases: usize,
    steps: usize,
    /// Cases that are not compared at all, by reason.
    refused: BTreeMap<String, usize>,
    /// Cases that are compared up to a step in which all the origin's weights are zero.
    cut: usize,
    /// Steps exempt for that reason, and cases of which no step is left.
    steps_cut: usize,
    cases_cut_at_once: usize,
    /// Steps whose weights are compared but for one diagnostic, which the origin publishes as 0.
    diagnostics_cut: usize,
    mismatches: Vec<String>,
}

impl Report {
    /// Cases of which at least one step was compared.
    fn compared(&self) -> usize {
        self.cases - self.refused.values().sum::<usize>() - self.cases_cut_at_once
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{} cases: {} compared over {} steps; exempt: {} refused by the contract, {} cut by all-zero weights \
             ({} of them at the first step, {} steps in all), the diagnostic avg_precision of {} steps",
            self.cases,
            self.compared(),
            self.steps,
            self.refused.values().sum::<usize>(),
            self.cut,
            self.cases_cut_at_once,
            self.steps_cut,
            self.diagnostics_cut,
        );
        for (why, count) in &self.refused {
            write!(text, "\n  {count} x {why}").unwrap();
        }
        text
    }
}

/// One step's comparison.
struct Step<'a> {
    id: &'a str,
    index: usize,
    mismatches: &'a mut Vec<String>,
}

impl Step<'_> {
    fn mismatch(&mut self, field: &str, expected: &Value, got: &Value) {
        let Self { id, index, .. } = self;
        self.mismatches.push(format!("{id} step {index} {field}: expected {expected}, got {got}"));
    }

    fn float(&mut self, field: &str, expected: &Value, got: f64) {
        let close =
            expected.as_f64().is_some_and(|want| (want - got).abs() <= TOLERANCE * want.abs().max(1.0));
        if !close {
            self.mismatch(field, expected, &json!(got));
        }
    }

    /// The same names, each with the same number.
    fn floats<'n>(&mut self, field: &str, expected: &Value, got: impl Iterator<Item = (&'n str, f64)>) {
        let mut missing = expected.as_object().cloned().unwrap_or_default();
        for (name, value) in got {
            let want = missing.remove(name).unwrap_or(Value::Null);
            self.float(&format!("{field}.{name}"), &want, value);
        }
        for (name, want) in missing {
            self.mismatch(&format!("{field}.{name}"), &want, &Value::Null);
        }
    }
}

impl Step<'_> {
    /// Compares a decision, and says whether the origin's diagnostics are broken.
    fn decision(&mut self, expect: &Value, menu: &Menu, decision: &Decision) -> bool {
        let names = menu.entries().iter().map(|entry| &*entry.name);
        self.floats("weights", &expect["weights"], names.zip(decision.shares.iter().copied()));
        self.float("avgPrecision", &expect["avgPrecision"], decision.avg_precision);
        match (decision.allowance, &expect["allowance"]) {
            (None, Value::Null) => {}
            (None, expected) => self.mismatch("allowance", expected, &Value::Null),
            (Some(allowance), expected) => self.float("allowance", expected, allowance),
        }
        // forecast-aware's zero weights before the trend lifts them: no mean of precisions above 0 is 0.
        let broken = expect["diagnostics"]["avg_precision"] == json!(0.0);
        let diagnostics = decision.diagnostics.iter().map(|(name, value)| match &**name {
            "avg_precision" if broken => ("avg_precision", 0.0),
            name => (name, *value),
        });
        self.floats("diagnostics", &expect["diagnostics"], diagnostics);
        broken
    }

    fn throttle(&mut self, expect: &Value, throttle: &Throttle, config: &Config) {
        self.float("throttle", &expect["throttle"], throttle.throttle);
        self.float("creditsRatio", &expect["creditsRatio"], throttle.credits_ratio);
        self.float("intensityRatio", &expect["intensityRatio"], throttle.intensity_ratio);
        let mut missing = expect["ceilings"].as_object().cloned().unwrap_or_default();
        for component in config.components() {
            let Some(max) = component.max_replicas else {
                continue;
            };
            let want = missing.remove(&*component.name).unwrap_or(Value::Null);
            let got = json!(throttle.ceiling(component.min_replicas, max));
            if want != got {
                self.mismatch(&format!("ceilings.{}", component.name), &want, &got);
            }
        }
        for (name, want) in missing {
            self.mismatch(&format!("ceilings.{name}"), &want, &Value::Null);
        }
    }
}

fn replay(case: &Value, report: &mut Report) {
    report.cases += 1;
    let config = match accepted(case) {
        Ok(config) => config,
        Err(why) => {
            *report.refused.entry(why).or_default() += 1;
            return;
        }
    };
    let id = case["id"].as_str().unwrap();
    let name = case["policy"].as_str().unwrap();
    let Created { mut policy, .. } = Registry::builtin().create(name, 0).unwrap();
    let menu = Menu::new(config.flavours());
    let number = |setting| config.number(setting);
    let bounds = Bounds::new(number(Setting::CreditMin), number(Setting::CreditMax)).unwrap();
    let window = SignedDuration::from_secs_f64(number(Setting::CreditWindow));
    let settings = ThrottleSettings {
        min: number(Setting::ThrottleMin),
        floor: number(Setting::ThrottleIntensityFloor),
        ceiling: number(Setting::ThrottleIntensityCeiling),
    };
    let mut ledger = CreditLedger::new(bounds, window);
    let mut decision = Decision::default();
    let steps = case["steps"].as_array().unwrap();
    let expectations = case["expect"].as_array().unwrap();
    assert_eq!(steps.len(), expectations.len(), "{id}: steps without an expectation");
    for (index, (input, expect)) in steps.iter().zip(expectations).enumerate() {
        if all_zero(expect) {
            report.cut += 1;
            report.steps_cut += steps.len() - index;
            report.cases_cut_at_once += usize::from(index == 0);
            return;
        }
        report.steps += 1;
        let mut step = Step { id, index, mismatches: &mut report.mismatches };
        // A second a step: the origin's window counts postings.
        let instant = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(index).unwrap());
        let (now, next) = (input["intensityNow"].as_f64(), input["intensityNext"].as_f64());
        if let Some(menu) = &menu {
            let (target_error, balance) = (config.target_error(), ledger.balance());
            policy.decide(
                &Situation { menu, target_error, balance, bounds, now, next, horizon: None },
                &mut decision,
            );
            ledger.post(instant, target_error, (1.0 - decision.avg_precision).max(0.0));
        }
        step.float("balance", &expect["balance"], ledger.balance());
        step.float("velocity", &expect["velocity"], ledger.velocity(instant));
        let Some(menu) = &menu else {
            // Nothing is enabled: the origin failed, and we decide nothing.
            if expect["error"].is_null() {
                step.mismatch("error", &expect["error"], &json!("every flavour is disabled"));
            }
            continue;
        };
        if !expect["error"].is_null() {
            step.mismatch("error", &expect["error"], &json!(decision.reason.to_string()));
            continue;
        }
        report.diagnostics_cut += usize::from(step.decision(expect, menu, &decision));
        step.throttle(expect, &throttle(&settings, ledger.balance(), bounds, now, next), &config);
    }
}

/// Whether the origin gave nobody anything; its ledger is broken from there.
fn all_zero(expect: &Value) -> bool {
    let weights = expect["weights"].as_object();
    weights.is_some_and(|weights| weights.values().all(|weight| weight.as_f64() == Some(0.0)))
}

/// The case's configuration, read as the body of a PUT: our contract decides what it refuses.
fn accepted(case: &Value) -> Result<Config, String> {
    let mut body = case["config"].as_object().unwrap().clone();
    let flavours = case["strategies"].as_array().unwrap();
    if flavours.iter().any(|flavour| flavour["precision"].as_f64().is_none_or(|precision| precision > 1.0)) {
        // The wire would read it as a percentage, and these are fractions.
        return Err("strategies: a precision above 1".to_owned());
    }
    let steps = case["steps"].as_array().unwrap();
    let negative = |intensity: &Value| intensity.as_f64().is_some_and(|grams| grams < 0.0);
    if steps.iter().any(|step| negative(&step["intensityNow"]) || negative(&step["intensityNext"])) {
        return Err("steps: a carbon intensity below 0".to_owned());
    }
    let components = case["components"].as_object().unwrap().iter().map(|(name, replicas)| {
        let replicas = json!({"minReplicas": replicas["min"], "maxReplicas": replicas["max"]});
        (name.clone(), replicas)
    });
    body.insert("components".to_owned(), Value::Object(components.collect()));
    body.insert("strategies".to_owned(), case["strategies"].clone());
    let parsed = Overrides::from_json(&body).map_err(|problems| {
        problems
            .iter()
            .next()
            .map_or_else(String::new, |first| format!("{}: {}", first.pointer, first.problem))
    })?;
    Ok(Config::resolve(&Overrides::default(), &parsed.overrides))
}
