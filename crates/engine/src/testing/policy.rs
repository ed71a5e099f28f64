//! A policy, tried.

use std::fmt::Display;
use std::sync::Arc;

use models::weights::apportion;
use policies::{Decision, Policy, Registry, Situation};
use serde_json::Value;

use super::attempt::attempt;
use super::history::{History, options};
use super::recorder::{Recorder, Seen};
use super::situations::{Case, Course, course, extremes, soiled};
use super::{Invariant, Violation};
use crate::board::Published;
use crate::engine::Engine;
use crate::journal::{BaseParts, Changes, Memory, Outcome, Store as _, recover};
use crate::options::{AnyTarget, TargetCheck};

/// Courses of any situations.
const COURSES: u64 = 64;
/// Simulated lives of whole engines.
const HISTORIES: u64 = 3;
/// How far shares may be from what they should sum to, and an error above its bound.
const SLACK: f64 = 1e-9;
/// What the policy is called while it is tried.
const NAME: &str = "policy-under-test";

/// Words that are no count and no figure: ends of ranges, and bits that are no number.
const ODD: [u64; 9] = [
    0,
    1,
    7,
    u64::MAX,
    f64::NAN.to_bits(),
    f64::INFINITY.to_bits(),
    f64::MAX.to_bits(),
    (-1.0_f64).to_bits(),
    f64::MIN_POSITIVE.to_bits(),
];
/// Of a long memory, so many words are changed.
const MOST_CHANGED: usize = 6;

type Make = dyn Fn(u64) -> Box<dyn Policy> + Send + Sync;

/// Tries a policy: at the ends of every range, in some hundred situations of seeds, with its memory told to another
/// and with words that it cannot have said, and through simulated hours of a whole engine that is also written down
/// and recovered. `make` makes one of a seed, as for [`Registry::register`]; the same seed makes the same policy.
///
/// Takes a few seconds in a build that is not optimised.
///
/// # Errors
///
/// The first [`Violation`].
pub fn policy(make: impl Fn(u64) -> Box<dyn Policy> + Send + Sync + 'static) -> Result<(), Violation> {
    let make: Arc<Make> = Arc::new(make);
    for course in extremes().into_iter().chain((1..=COURSES).map(course)) {
        decides(&*make, &course)?;
        remembers(&*make, &course)?;
    }
    for seed in 0..HISTORIES {
        lives(&make, seed)?;
    }
    Ok(())
}

/// A policy on its way through a course, and what is said of it where it panics.
struct Walker {
    policy: Box<dyn Policy>,
    looks_ahead: bool,
}

impl Walker {
    fn new(make: &Make, seed: u64, at: &dyn Display) -> Result<Self, Violation> {
        let policy = never_panics(at, || make(seed))?;
        let looks_ahead = never_panics(at, || policy.looks_ahead())?;
        Ok(Self { policy, looks_ahead })
    }

    fn decide(
        &mut self,
        case: &Case,
        mut decision: Decision,
        at: &dyn Display,
    ) -> Result<Decision, Violation> {
        let situation = case.situation(self.looks_ahead);
        never_panics(at, || {
            self.policy.decide(&situation, &mut decision);
            decision
        })
    }

    fn memory(&self, at: &dyn Display) -> Result<Vec<u64>, Violation> {
        never_panics(at, || self.policy.memory())
    }

    fn recall(&mut self, memory: &[u64], at: &dyn Display) -> Result<(), Violation> {
        never_panics(at, || self.policy.recall(memory))
    }

    /// What it decides in these cases, one after the other.
    fn decide_all(&mut self, cases: &[Case], at: &dyn Display) -> Result<Vec<Decision>, Violation> {
        cases.iter().map(|case| self.decide(case, Decision::default(), at)).collect()
    }
}

fn never_panics<T>(at: &dyn Display, act: impl FnOnce() -> T) -> Result<T, Violation> {
    attempt(act).map_err(|panic| Violation::new(Invariant::PolicyNeverPanics, at, panic, "a decision"))
}

/// Decisions are valid, whole, and the same each time.
fn decides(make: &Make, course: &Course) -> Result<(), Violation> {
    let start = format!("made of seed {}", course.seed);
    let mut walkers = [(); 3].map(|()| Walker::new(make, course.seed, &start));
    let [Ok(first), Ok(second), Ok(third)] = &mut walkers else {
        return walkers.into_iter().try_for_each(|walker| walker.map(drop));
    };
    for (index, case) in course.cases.iter().enumerate() {
        let at = format!("{}, decision {index} of seed {}", case.what, course.seed);
        let decision = first.decide(case, Decision::default(), &at)?;
        check(&case.situation(first.looks_ahead), &decision, first.looks_ahead, &at)?;
        let again = second.decide(case, Decision::default(), &at)?;
        if let Some(found) = difference(&decision, &again) {
            let expected = "the same of two policies made of one seed";
            return Err(Violation::new(Invariant::SameSituationsSameDecisions, &at, found, expected));
        }
        let over_another = third.decide(case, soiled(), &at)?;
        if let Some(found) = difference(&decision, &over_another) {
            let expected = "`Decision::begin` first, and nothing that depends on what was there";
            return Err(Violation::new(Invariant::DecisionsAreWhole, &at, found, expected));
        }
    }
    Ok(())
}

/// What a memory is told to goes on as the one that said it; what cannot have been said changes nothing.
fn remembers(make: &Make, course: &Course) -> Result<(), Violation> {
    let (half, rest) = course.cases.split_at(course.cases.len() / 2);
    let at = format!("after {} decisions of seed {}", half.len(), course.seed);
    let mut lengths = Vec::new();
    let mut one = Walker::new(make, course.seed, &at)?;
    lengths.push(one.memory(&at)?.len());
    for case in half {
        one.decide(case, Decision::default(), &at)?;
        lengths.push(one.memory(&at)?.len());
    }
    let memory = one.memory(&at)?;
    let mut other = Walker::new(make, course.seed, &at)?;
    other.recall(&memory, &at)?;
    let expected = one.decide_all(rest, &at)?;
    let found = other.decide_all(rest, &at)?;
    if let Some(found) = first_difference(&expected, &found) {
        let right = "the same decisions of a new policy that was told `memory()`";
        return Err(Violation::new(Invariant::MemoryGoesOn, &at, found, right));
    }

    // One that always says as many words cannot have said another number of them.
    let length = memory.len();
    let is_fixed = lengths.iter().all(|other| *other == length);
    for words in odd_words(&memory) {
        let at = format!("{at}, told {} words {}", words.len(), shown(&words));
        let mut told = Walker::new(make, course.seed, &at)?;
        told.recall(&memory, &at)?;
        told.recall(&words, &at)?;
        let decisions = told.decide_all(rest, &at)?;
        for (case, decision) in rest.iter().zip(&decisions) {
            check(&case.situation(told.looks_ahead), decision, told.looks_ahead, &at)?;
        }
        let is_foreign = is_fixed && words.len() != length;
        if let Some(found) = first_difference(&expected, &decisions).filter(|_| is_foreign) {
            let right = format!("nothing to change: it always says {length}");
            return Err(Violation::new(Invariant::ForeignMemoryIsLeft, &at, found, right));
        }
    }
    Ok(())
}

/// Words that are odd for a policy that said `memory`: other words, more and fewer of them, and one of them changed.
fn odd_words(memory: &[u64]) -> Vec<Vec<u64>> {
    let length = memory.len();
    let mut all = vec![Vec::new()];
    for word in ODD {
        let counts = [length, length + 1, length.saturating_sub(1), 3 * length + 5];
        all.extend(counts.map(|count| vec![word; count]));
        all.extend((0..length.min(MOST_CHANGED)).map(|place| {
            let mut words = memory.to_vec();
            words[place] = word;
            words
        }));
    }
    all
}

/// The first few of them.
fn shown(words: &[u64]) -> String {
    let more = if words.len() > 4 { ", .." } else { "" };
    let words: Vec<_> = words.iter().take(4).map(|word| format!("{word:#x}")).collect();
    format!("[{}{more}]", words.join(", "))
}

/// Whether a decision can be published.
fn check(
    situation: &Situation<'_>,
    decision: &Decision,
    looks_ahead: bool,
    at: &dyn Display,
) -> Result<(), Violation> {
    let wrong =
        |invariant, found: String, expected: String| Err(Violation::new(invariant, at, found, expected));
    let (shares, entries) = (&decision.shares, situation.menu.entries());
    if shares.len() != entries.len() {
        let found = format!("{} shares", shares.len());
        return wrong(
            Invariant::OneSharePerFlavour,
            found,
            format!("one for each of {} entries", entries.len()),
        );
    }
    if let Some(share) = shares.iter().find(|share| !(0.0..=1.0 + SLACK).contains(*share)) {
        let right = "each in [0, 1]; `Decision::finish` makes it so".into();
        return wrong(Invariant::SharesAreShares, format!("a share of {share}"), right);
    }
    let total: f64 = shares.iter().sum();
    if (total - 1.0).abs() > SLACK {
        let right = "1; `Decision::finish` makes it so".into();
        return wrong(Invariant::SharesSumToOne, format!("they sum to {total}"), right);
    }
    let mean: f64 = shares.iter().zip(entries).map(|(share, entry)| share * entry.precision).sum();
    if !((decision.avg_precision - mean).abs() <= SLACK) {
        let found = format!("`avg_precision` is {}", decision.avg_precision);
        let right = format!("{mean}, as `Decision::finish` sets it");
        return wrong(Invariant::SharesSumToOne, found, right);
    }
    figures(decision, at)?;
    if looks_ahead {
        guard(situation, decision, at)?;
    }
    Ok(())
}

fn figures(decision: &Decision, at: &dyn Display) -> Result<(), Violation> {
    let wrong =
        |found: String, expected: &str| Err(Violation::new(Invariant::FiguresAreFinite, at, found, expected));
    if let Some((name, value)) = decision.diagnostics.iter().find(|(_, value)| !value.is_finite()) {
        return wrong(
            format!("the diagnostic `{name}` is {value}"),
            "a finite one, as `Decision::note` sees to",
        );
    }
    let is_share = |value: &f64| (0.0..=1.0).contains(value);
    if let Some(allowance) = decision.allowance.filter(|allowance| !is_share(allowance)) {
        return wrong(format!("`allowance` is {allowance}"), "a share in [0, 1], or none");
    }
    if let Some(most) = decision.most_error.filter(|most| !is_share(most)) {
        return wrong(format!("`most_error` is {most}"), "an error in [0, 1], or none");
    }
    if let Some(plan) = decision.plan {
        let prices = plan.shadow_price.is_none_or(f64::is_finite);
        if !prices || !plan.horizon_seconds.is_finite() || !is_share(&plan.planned_error) {
            return wrong(format!("the plan is {plan:?}"), "finite figures, and an error in [0, 1]");
        }
    }
    if decision.reason.to_string().trim().is_empty() {
        return wrong("the reason is empty".into(), "a sentence, or `Reason::Unsaid`");
    }
    Ok(())
}

/// Whether the guard of the error budget is kept to, also by whole-number weights.
fn guard(situation: &Situation<'_>, decision: &Decision, at: &dyn Display) -> Result<(), Violation> {
    let Some(horizon) = situation.horizon else { return Ok(()) };
    let wrong = |found: String, expected: String| {
        Err(Violation::new(Invariant::KeepsToTheGuard, at, found, expected))
    };
    let menu = situation.menu;
    let least = menu.baseline().error;
    let credit = horizon.credit;
    let guarded = ledger::guarded_error(situation.target_error, credit, horizon.most_requests, least);
    let source = "what `ledger::guarded_error` answers";
    let error = mean_error(situation, decision.shares.iter().copied());
    if error > guarded + SLACK {
        return wrong(format!("a mean error of {error}"), format!("at most {guarded}, {source}"));
    }
    match decision.most_error {
        Some(most) if most <= guarded + SLACK => Ok(()),
        Some(most) => wrong(format!("`most_error` is {most}"), format!("at most {guarded}, {source}")),
        None => {
            // Rounded shares may err more: without a bound the engine cannot hold them below it.
            let mut percent = Vec::new();
            apportion(&decision.shares, 100, &mut percent);
            let rounded = mean_error(situation, percent.iter().map(|weight| f64::from(*weight) / 100.0));
            if rounded > guarded + SLACK {
                let found = format!("no `most_error`, and whole-percent weights that err by {rounded}");
                return wrong(found, format!("{guarded} as `most_error`, {source}"));
            }
            Ok(())
        }
    }
}

fn mean_error(situation: &Situation<'_>, shares: impl Iterator<Item = f64>) -> f64 {
    shares.zip(situation.menu.entries()).map(|(share, entry)| share * entry.error).sum()
}

/// The first thing in which two decisions differ.
fn difference(one: &Decision, other: &Decision) -> Option<String> {
    let fields: [(&str, String, String); 7] = [
        ("shares", format!("{:?}", one.shares), format!("{:?}", other.shares)),
        ("avg_precision", one.avg_precision.to_string(), other.avg_precision.to_string()),
        ("most_error", format!("{:?}", one.most_error), format!("{:?}", other.most_error)),
        ("allowance", format!("{:?}", one.allowance), format!("{:?}", other.allowance)),
        ("plan", format!("{:?}", one.plan), format!("{:?}", other.plan)),
        ("diagnostics", format!("{:?}", one.diagnostics), format!("{:?}", other.diagnostics)),
        ("reason", format!("{:?}", one.reason), format!("{:?}", other.reason)),
    ];
    if one == other {
        return None;
    }
    let differs = fields.into_iter().find(|(_, one, other)| one != other);
    differs.map(|(name, one, other)| format!("`{name}` is {one} once and {other} then"))
}

fn first_difference(one: &[Decision], other: &[Decision]) -> Option<String> {
    one.iter().zip(other).find_map(|(one, other)| difference(one, other))
}

/// A whole engine under the policy: what it publishes is whole, the same each time, and goes on where it was
/// written down.
fn lives(make: &Arc<Make>, seed: u64) -> Result<(), Violation> {
    let at = format!("a simulated day's part of seed {seed}");
    let mut registry = Registry::builtin();
    let own = Arc::clone(make);
    if let Err(taken) = registry.register(NAME, move |seed| own(seed)) {
        // Of no built-in policy: only the kit itself can have done this.
        return Err(Violation::new(
            Invariant::PolicyNeverPanics,
            &at,
            taken.to_string(),
            "a name of its own",
        ));
    }
    let history = never_panics(&at, || History::of(&registry, NAME, seed))?;
    let (half, rest) = history.records.split_at(history.records.len() / 2);
    let recorder = Arc::new(Recorder::default());
    let run = || {
        let engine = Engine::new(options(seed), registry.clone());
        engine.with_publisher(Arc::clone(&recorder) as _)
    };
    let outcomes = |seen: &[Seen]| -> Vec<Outcome> {
        seen.iter().filter_map(|seen| Some(Outcome::of(&seen.id, seen.view.as_ref()?))).collect()
    };

    let mut one = run();
    let mut store = Memory::default();
    let mut published = Vec::new();
    for record in half {
        never_panics(&at, || drop(one.apply(record)))?;
        published.extend(recorder.take());
    }
    one.begin_base();
    let parts = never_panics(&at, || one.base_parts(usize::MAX))?;
    let base = BaseParts {
        before: 0,
        at: half.last().map_or(jiff::Timestamp::MIN, |record| record.at),
        first: 0,
        parts,
        is_last: true,
    };
    let written = store.commit(&Changes { base: Some(base), ..Changes::default() });
    for record in rest {
        never_panics(&at, || drop(one.apply(record)))?;
        published.extend(recorder.take());
    }
    published
        .iter()
        .filter_map(|seen| seen.view.as_ref()?.published())
        .try_for_each(|one| is_whole(one, &at))?;
    let published = outcomes(&published);

    let mut two = run();
    for record in &history.records {
        never_panics(&at, || drop(two.apply(record)))?;
    }
    same(Invariant::SameInputsSameBytes, &at, &published, &outcomes(&recorder.take()), "the same twice")?;

    let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let recovered = never_panics(&at, || {
        written.and_then(|()| recover(&mut store, &registry, &targets, &mut |_, _| ()))
    })?;
    let Ok(Some(recovered)) = recovered else {
        return Err(Violation::new(Invariant::WrittenDownGoesOn, &at, "no engine came back", "one"));
    };
    let mut three = recovered.engine.with_publisher(Arc::clone(&recorder) as _);
    for record in rest {
        never_panics(&at, || drop(three.apply(record)))?;
    }
    let again = outcomes(&recorder.take());
    let tail = published.len().checked_sub(again.len()).and_then(|from| published.get(from..));
    let right = "what the engine published that lived on; is all that decides in `memory`?";
    same(Invariant::WrittenDownGoesOn, &at, tail.unwrap_or_default(), &again, right)
}

fn same(
    invariant: Invariant,
    at: &dyn Display,
    one: &[Outcome],
    other: &[Outcome],
    right: &str,
) -> Result<(), Violation> {
    if one.len() != other.len() {
        let found = format!("{} views once and {} then", one.len(), other.len());
        return Err(Violation::new(invariant, at, found, right));
    }
    match one.iter().zip(other).position(|(one, other)| one != other) {
        None => Ok(()),
        Some(index) => {
            let found = format!("view {index} is {:?} once and {:?} then", one[index], other[index]);
            Err(Violation::new(invariant, at, found, right))
        }
    }
}

/// Whether what was published can be read and served by.
fn is_whole(published: &Arc<Published>, at: &dyn Display) -> Result<(), Violation> {
    let flavours = &published.schedule.flavours;
    let percent: u32 = flavours.iter().map(|share| u32::from(share.weight)).sum();
    let per_mille: u32 = flavours.iter().map(|share| u32::from(share.per_mille)).sum();
    let disabled = flavours.iter().find(|share| !share.enabled && (share.weight > 0 || share.per_mille > 0));
    if (percent, per_mille) != (100, 1000) {
        let found = format!("{percent} percent and {per_mille} per mille");
        return Err(Violation::new(Invariant::WeightsAreWhole, at, found, "100 and 1000"));
    }
    if let Some(share) = disabled {
        let found = format!("`{}` is disabled and has {} percent", share.name, share.weight);
        return Err(Violation::new(Invariant::WeightsAreWhole, at, found, "none"));
    }
    let document = serde_json::from_slice::<Value>(&published.document.to_bytes());
    let found = match document {
        Ok(document) => match path_to_null(&document) {
            None => return Ok(()),
            Some(path) => format!("{path} is null"),
        },
        Err(error) => error.to_string(),
    };
    Err(Violation::new(Invariant::DocumentsAreJson, at, found, "JSON, in which what is unknown is left out"))
}

fn path_to_null(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| path_to_null(item).map(|rest| format!("/{index}{rest}"))),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, field)| path_to_null(field).map(|rest| format!("/{key}{rest}")))
        }
        _ => None,
    }
}
