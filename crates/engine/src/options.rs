//! What an engine is made with.

use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonTarget, Config, Overrides, Timestamp};

/// How instants of different schedules relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// By a hash of the schedule's name, so that no instant is everybody's.
    #[default]
    ByName,
    /// Not at all: what a simulation of one schedule wants.
    None,
}

/// Says whether a provider has a carbon target.
pub trait TargetCheck: Send + Sync {
    /// Whether `target` can be asked for.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right.
    fn check(&self, target: &CarbonTarget) -> Result<(), String>;
}

/// Every target is understood.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyTarget;

impl TargetCheck for AnyTarget {
    fn check(&self, _: &CarbonTarget) -> Result<(), String> {
        Ok(())
    }
}

/// What an engine is made with.
#[derive(Clone)]
pub struct EngineOptions {
    /// The layer below every schedule's own configuration.
    pub defaults: Overrides,
    /// Root of every random stream.
    pub seed: u64,
    /// How instants of different schedules relate.
    pub spread: Spread,
    /// How long before a slot's end the next slot is decided for.
    pub slot_lead: SignedDuration,
    /// Longest interval between evaluations under a policy that looks ahead: how long the error budget's
    /// guard has to hold without news.
    pub max_planned_interval: SignedDuration,
    /// When the service ends for good, where that is known: nothing is planned beyond, and credit that is
    /// left then is worth nothing.
    pub ends_at: Option<Timestamp>,
    /// Whether decisions are also written as documents. Without readers, as in a simulation, nobody misses
    /// what takes a third of an evaluation: `Published::document` then holds no decision and is not to be
    /// handed to anybody; `Published::schedule` is whole, but for its savings.
    pub documents: bool,
    /// Most schedules.
    pub max_schedules: usize,
    /// Which carbon targets exist. A schedule that asks for another follows the default one, and says so.
    pub targets: Arc<dyn TargetCheck>,
}

impl EngineOptions {
    /// Why the carbon target of a configuration is none, where no provider has it.
    pub fn refused(&self, overrides: &Overrides) -> Option<String> {
        self.targets.check(Config::resolve(&self.defaults, overrides).carbon_target()).err()
    }
}

impl Default for EngineOptions {
    /// Built-in defaults, spread by name, a lead of 2 s, plans renewed each minute, no end in sight,
    /// 100 000 schedules, any target.
    fn default() -> Self {
        Self {
            defaults: Overrides::default(),
            seed: 0,
            spread: Spread::default(),
            slot_lead: SignedDuration::from_secs(2),
            max_planned_interval: SignedDuration::from_secs(60),
            ends_at: None,
            documents: true,
            max_schedules: 100_000,
            targets: Arc::new(AnyTarget),
        }
    }
}
