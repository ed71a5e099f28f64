//! How the engine is set up, and how often it is asked.

use jiff::SignedDuration;
use models::{CarbonTarget, Overrides, Setting, Timestamp};

use crate::args::{End, EngineArgs, Reports};
use crate::budget::Terms;
use crate::world::{CarbonSlot, World};

/// Longest time between evaluations: a schedule is valid for a day at most, and renewed after 0.8 of it.
pub(crate) const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_secs(69_120);
/// The part of its validity after which the engine renews a schedule.
const RENEW_AFTER: f64 = 0.8;
/// The carbon target of every simulation.
pub(crate) const TARGET: &str = "trace";

/// What is the same for every policy.
pub(crate) struct Plan {
    overrides: Overrides,
    /// Time between evaluations.
    pub(crate) every: SignedDuration,
    /// Root of every random stream.
    pub(crate) seed: u64,
    /// How the engine comes to know what was served.
    pub(crate) reports: Reports,
    /// When the engine expects the service to end; none where it does not know.
    pub(crate) ends_at: Option<Timestamp>,
    /// What is kept of every simulation.
    pub(crate) keep: Keep,
}

/// What is kept of a simulation besides its sums.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    /// Every interval, for the time series.
    pub(crate) intervals: bool,
    /// Every slot, for the drawn report.
    pub(crate) recording: bool,
}

/// What a sweep varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Knobs {
    /// Allowed mean error, in [0, 1).
    pub(crate) target_error: f64,
    /// Window of the error budget, seconds; none for the default.
    pub(crate) budget_window: Option<f64>,
}

impl Plan {
    pub(crate) fn new(knobs: Knobs, args: &EngineArgs, world: &World, keep: Keep) -> Self {
        let every =
            args.evaluate_every.unwrap_or(world.step).clamp(SignedDuration::from_secs(1), LONGEST_INTERVAL);
        let mut overrides = Overrides::default();
        overrides.carbon_target = Some(CarbonTarget::from(TARGET));
        overrides.flavours = Some(world.flavours.set.clone());
        let window = knobs.budget_window.unwrap_or(Setting::BudgetWindow.spec().default);
        let asked = [
            (Setting::TargetError, knobs.target_error),
            (Setting::BudgetWindow, window),
            (Setting::BudgetOverdraft, args.budget_overdraft),
            (Setting::BudgetDailyAim, args.daily_aim),
            (Setting::CreditMin, args.credit_min),
            (Setting::CreditMax, args.credit_max),
            (Setting::CreditWindow, args.credit_window),
            // Planned interval = time between evaluations.
            (Setting::ValidFor, every.as_secs_f64() / RENEW_AFTER),
        ];
        for (setting, value) in asked {
            // The command line was held to the same ranges.
            let _ = overrides.set_number(setting, value);
        }
        let ends_at = (args.end == End::Known).then(|| world.span().1);
        Self { overrides, every, seed: args.seed, reports: args.feedback, ends_at, keep }
    }

    /// The error budget at the world's mean demand: what a policy's is measured against.
    pub(crate) fn budget(&self, world: &World) -> Terms {
        let target = self.number(Setting::TargetError);
        let allowed = target * world.mean_rate();
        let capacity = allowed * self.number(Setting::BudgetWindow);
        Terms {
            target,
            capacity,
            overdraft: self.number(Setting::BudgetOverdraft) * capacity,
            a_day: allowed * 86_400.0,
        }
    }

    /// The configuration for one policy.
    pub(crate) fn configuration(&self, policy: &str) -> Overrides {
        let mut overrides = self.overrides.clone();
        overrides.policy = Some(policy.into());
        overrides
    }

    /// A numeric setting in force.
    pub(crate) fn number(&self, setting: Setting) -> f64 {
        self.overrides.number(setting).unwrap_or(setting.spec().default)
    }

    /// Intervals of one slot, as offsets into it: one per evaluation.
    pub(crate) fn intervals(
        &self,
        slot: &CarbonSlot,
    ) -> impl Iterator<Item = (SignedDuration, SignedDuration)> {
        let (every, length) = (self.every, slot.to.duration_since(slot.from));
        let begin = move |start: &SignedDuration| start.checked_add(every).filter(|next| *next < length);
        let starts = std::iter::successors(Some(SignedDuration::ZERO), begin);
        starts.map(move |start| (start, start.saturating_add(every).min(length)))
    }

    /// Evaluations of one simulation.
    pub(crate) fn evaluations(&self, world: &World) -> u64 {
        world.slots.iter().map(|slot| self.intervals(slot).count() as u64).sum()
    }
}
