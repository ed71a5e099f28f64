//! One vintage as it is stored: whole, or as what changed.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use models::{CarbonIntensity, Timestamp};
use serde::{Deserialize, Serialize};

/// What was said of slots that are not over: by first instant, the first instant after it and the value.
pub(super) type Slots = BTreeMap<Timestamp, (Timestamp, CarbonIntensity)>;

/// Adjacent slots of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    from: Timestamp,
    step: SignedDuration,
    values: Vec<CarbonIntensity>,
}

/// What a vintage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// All of it.
    Whole(Vec<Run>),
    /// What differs from the vintage before it, besides slots that are over by now.
    Since {
        /// Slots that it says nothing of any more.
        gone: Vec<Timestamp>,
        /// Slots that are new or have another value or end.
        set: Vec<Run>,
    },
}

impl Change {
    /// Everything in `slots`.
    pub(super) fn whole(slots: &Slots) -> Self {
        Self::Whole(runs(slots.iter().map(|(from, said)| (*from, *said))))
    }

    /// What makes `slots` of `before`, from which slots over by then were taken out.
    pub(super) fn since(before: &Slots, slots: &Slots) -> Self {
        let gone = before.keys().filter(|from| !slots.contains_key(from)).copied().collect();
        let differs =
            |(from, said): &(&Timestamp, &(Timestamp, CarbonIntensity))| before.get(from) != Some(said);
        Self::Since { gone, set: runs(slots.iter().filter(differs).map(|(from, said)| (*from, *said))) }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// Makes of the vintage before it this one, which was known from `known` on.
    pub(super) fn apply(&self, slots: &mut Slots, known: Timestamp) {
        let set = match self {
            Self::Whole(all) => {
                slots.clear();
                all
            }
            Self::Since { gone, set } => {
                slots.retain(|_, (to, _)| *to > known);
                for from in gone {
                    slots.remove(from);
                }
                set
            }
        };
        for run in set {
            let mut from = run.from;
            for value in &run.values {
                // What was stored by somebody else may end beyond all time, or never begin.
                let Ok(to) = from.checked_add(run.step) else { break };
                if to > from {
                    slots.insert(from, (to, *value));
                }
                from = to;
            }
        }
    }

    /// Bytes of memory, nearly.
    pub(super) fn bytes(&self) -> usize {
        let (gone, runs) = match self {
            Self::Whole(runs) => (0, runs),
            Self::Since { gone, set } => (gone.len(), set),
        };
        let values: usize = runs.iter().map(|run| run.values.len()).sum();
        gone * size_of::<Timestamp>() + size_of_val(runs.as_slice()) + values * size_of::<CarbonIntensity>()
    }
}

fn runs(slots: impl Iterator<Item = (Timestamp, (Timestamp, CarbonIntensity))>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut end = None;
    for (from, (to, value)) in slots {
        let step = to.duration_since(from);
        match runs.last_mut().filter(|run| end == Some(from) && run.step == step) {
            Some(run) => run.values.push(value),
            None => runs.push(Run { from, step, values: vec![value] }),
        }
        end = Some(to);
    }
    for run in &mut runs {
        run.values.shrink_to_fit();
    }
    runs
}
