//! A policy, tried.

mod decision;
mod life;
mod walker;

use std::sync::Arc;

use policies::{Decision, Policy};

use super::situations::{Course, course, extremes, soiled};
use super::{Invariant, Violation};
use decision::{check, difference, first_difference};
use life::lives;
use walker::Walker;

/// Courses of any situations.
const COURSES: u64 = 64;
/// Simulated lives of whole engines.
const HISTORIES: u64 = 3;

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
/// and recovered. `make` makes one of a seed, as for
/// [`Registry::register`](policies::Registry::register); the same seed makes the same policy.
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
