//! Several policies over one world, and what they are measured against.

use models::Setting;
use rayon::prelude::*;

use crate::account::{Account, Interval, Totals};
use crate::guarantee::Verdict;
use crate::hindsight;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::recording::{Recorder, Recording, Served};
use crate::run::{Outcome, simulate};
use crate::serve::{Arrivals, Split};
use crate::world::World;

/// Names of the baselines, in every table.
const P100: &str = "p100";
const CONSTANT_MIX: &str = "constant-mix";

/// What came of all policies, in the order they were asked for.
pub(crate) struct Study {
    pub(crate) outcomes: Vec<Outcome>,
    /// Everything served by the best flavour.
    pub(crate) p100: Outcome,
    /// The cheapest mix that spends the target error, blind to carbon.
    pub(crate) constant_mix: Outcome,
    /// The optimum in hindsight under the error budget.
    pub(crate) hindsight_budget: Outcome,
    /// The optimum in hindsight under one average over everything.
    pub(crate) hindsight_average: Outcome,
}

impl Study {
    /// Runs every policy, side by side.
    ///
    /// # Errors
    ///
    /// The first policy (in the order asked for) that the engine refused.
    pub(crate) fn run(
        world: &World,
        plan: &Plan,
        policies: &[String],
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let outcomes = policies.par_iter().map(|policy| simulate(world, plan, policy, progress));
        // Collected before the first error is looked for: which one it is does not depend on timing.
        let outcomes: Vec<anyhow::Result<Outcome>> = outcomes.collect();
        let menu = &world.flavours.menu;
        let mut best = vec![0.0; world.flavours.set.len()];
        best[menu.baseline().position] = 1.0;
        let mut mix = vec![0.0; world.flavours.set.len()];
        for (entry, share) in menu.hull().mix(plan.number(Setting::TargetError)).parts {
            mix[menu.entries()[entry].position] += share;
        }
        let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<anyhow::Result<_>>()?;
        let (p100, requests) = constant(world, plan, P100, &best);
        let (constant_mix, _) = constant(world, plan, CONSTANT_MIX, &mix);
        let (hindsight_budget, hindsight_average) = hindsight::optima(world, plan, &requests);
        Ok(Self { outcomes, p100, constant_mix, hindsight_budget, hindsight_average })
    }

    /// What everything is measured against, in the order of a table's foot.
    pub(crate) fn references(&self) -> [&Outcome; 4] {
        [&self.p100, &self.constant_mix, &self.hindsight_budget, &self.hindsight_average]
    }

    /// What is emitted beyond the optimum under the budget, as a part of that optimum.
    pub(crate) fn regret(&self, totals: &Totals) -> Option<f64> {
        let optimum = self.hindsight_budget.totals.emissions;
        (optimum > 0.0).then(|| totals.emissions / optimum - 1.0)
    }

    /// Gain captured: what is saved against the constant mix, as a part of what the optimum under the budget
    /// saves. None where the optimum saves nothing worth the name.
    pub(crate) fn skill(&self, totals: &Totals) -> Option<f64> {
        let blind = self.constant_mix.totals.emissions;
        let possible = blind - self.hindsight_budget.totals.emissions;
        (possible > NOTHING * blind).then(|| (blind - totals.emissions) / possible)
    }

    /// The policies that promised to keep the budget and did not.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &str> {
        let broken = self.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Broken);
        broken.map(|outcome| outcome.policy.as_str())
    }

    /// Every recording: policies, then what is not among them, with emissions times `factor`.
    pub(crate) fn recordings(&self, factor: f64) -> Vec<Recording> {
        let asked = |name: &str| self.outcomes.iter().any(|outcome| outcome.policy == name);
        let references = self.references().into_iter().filter(|reference| !asked(&reference.policy));
        let all = self.outcomes.iter().chain(references);
        let recordings = all.filter_map(|outcome| outcome.recording.clone());
        recordings
            .map(|mut recording| {
                recording.scale(factor);
                recording
            })
            .collect()
    }
}

/// A part of all emissions that is rounding, not gain: whole requests differ from exact shares by this.
const NOTHING: f64 = 1e-6;

/// The same shares throughout, served as the policies' are; and the requests of each slot.
fn constant(world: &World, plan: &Plan, name: &str, shares: &[f64]) -> (Outcome, Vec<f64>) {
    let mut account = Account::new(&world.flavours.menu, shares.len(), plan.budget(world));
    let mut recorder = plan.keep.recording.then(|| Recorder::new(name, &world.flavours.set));
    let (mut arrivals, mut split, mut counts) = (Arrivals::default(), Split::default(), Vec::new());
    let mut by_slot = Vec::with_capacity(world.slots.len());
    for (slot, expected) in world.slots.iter().zip(&world.demand.requests) {
        let mut requests = 0;
        if let Some(recorder) = &mut recorder {
            recorder.slot(slot.from, slot.intensity);
        }
        for (start, end) in plan.intervals(slot) {
            let seconds = end.saturating_sub(start).as_secs_f64();
            let arrived = arrivals.take(expected * seconds / slot.seconds());
            requests += arrived;
            split.divide(arrived, shares, &mut counts);
            let at = |offset| slot.from.checked_add(offset).unwrap_or(slot.to);
            let interval =
                Interval { from: at(start), to: at(end), intensity: slot.intensity, counts: &counts };
            account.published(shares);
            let (emissions, error) = account.served(&interval);
            if let Some(recorder) = &mut recorder {
                let requests = arrived as f64;
                let budget = account.budget().standing();
                recorder.served(&Served { seconds, shares, requests, error, emissions, credit: 0.0, budget });
            }
        }
        by_slot.push(requests as f64);
    }
    let errors = account.errors();
    let recording = recorder.map(|recorder| recorder.finish(&errors));
    (Outcome::reference(name, account.totals(), recording), by_slot)
}
