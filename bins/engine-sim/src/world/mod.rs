//! What is simulated: carbon, what was forecast of it, demand, flavours.

mod carbon;
mod demand;
pub(crate) mod file;
mod forecasts;
mod noisy;

use anyhow::{Context, bail};
use jiff::SignedDuration;
use models::{FlavourSet, Signal, Timestamp};
use policies::Menu;
use providers::trace::FlavourFile;

use crate::args::WorldArgs;
use crate::scenario::Scenario;

pub(crate) use demand::Demand;
pub(crate) use file::{bytes as file_bytes, name as file_name, shown as file_shown};
pub(crate) use forecasts::Feed;

/// One slot `[from, to)` of the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CarbonSlot {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// gCO2eq/kWh.
    pub(crate) intensity: f64,
}

impl CarbonSlot {
    /// Its length, seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64()
    }
}

/// Everything a simulation happens in. The same for every policy.
pub(crate) struct World {
    /// Where the truth came from.
    pub(crate) carbon: String,
    /// Average or marginal, where that is known.
    pub(crate) signal: Option<Signal>,
    /// The truth: at least one slot, in order, never overlapping.
    pub(crate) slots: Vec<CarbonSlot>,
    /// The usual slot length.
    pub(crate) step: SignedDuration,
    /// What the engine is told of it, and when.
    pub(crate) feed: Feed,
    /// Requests per slot.
    pub(crate) demand: Demand,
    /// What serves them.
    pub(crate) flavours: Flavours,
    /// What whoever reads the results should know.
    pub(crate) notes: Vec<String>,
}

/// The flavours, and what they need per request.
pub(crate) struct Flavours {
    /// Where they came from.
    pub(crate) name: String,
    pub(crate) set: FlavourSet,
    pub(crate) menu: Menu,
}

impl World {
    /// Reads what was asked for; what was not comes from the built-in scenario.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or used, named with line and reason.
    pub(crate) fn load(args: &WorldArgs, seed: u64) -> anyhow::Result<Self> {
        let scenario = Scenario::new(seed);
        let mut notes = Vec::new();
        let mut source = match &args.carbon {
            Some(path) => carbon::Source::read(path, args.factors.into(), &mut notes)?,
            None => carbon::Source::of_scenario(&scenario),
        };
        if let Some(path) = &args.forecast {
            let vintages = forecasts::read(path, &mut notes)?;
            source.told_by(vintages, &mut notes)?;
        }
        source.cut(args.from, args.to)?;
        let feed = Feed::new(&source, args.forecast_mode, &mut notes)?;
        let demand = match (&args.demand, &args.carbon) {
            (Some(path), _) => Demand::read(path, &source.slots, &mut notes)?,
            (None, Some(_)) => Demand::constant(&source.slots),
            (None, None) => Demand::of_scenario(&scenario, &source.slots),
        };
        if demand.total() < 1.0 {
            bail!(
                "{}: less than one request in the simulated time: nothing is emitted and nobody served",
                demand.name
            );
        }
        let flavours = Flavours::load(args)?;
        notes.extend(flavours.menu.warnings().map(|warning| format!("flavours: {warning}")));
        let carbon::Source { name, signal, slots, step, .. } = source;
        Ok(Self { carbon: name, signal, slots, step, feed, demand, flavours, notes })
    }

    /// Requests a second, over everything that is simulated.
    pub(crate) fn mean_rate(&self) -> f64 {
        let seconds = self.slots.iter().map(CarbonSlot::seconds).sum::<f64>();
        if seconds > 0.0 { self.demand.total() / seconds } else { 0.0 }
    }

    /// First instant of the simulated time and first instant after it.
    pub(crate) fn span(&self) -> (Timestamp, Timestamp) {
        let first = self.slots.first().map_or(Timestamp::UNIX_EPOCH, |slot| slot.from);
        (first, self.slots.last().map_or(first, |slot| slot.to))
    }
}

impl Flavours {
    fn load(args: &WorldArgs) -> anyhow::Result<Self> {
        let (name, set) = match &args.flavours {
            None => ("built-in".to_owned(), FlavourSet::builtin()),
            Some(path) => {
                let read =
                    FlavourFile::read(&file::shown(path), &file::bytes(path)?, args.family.as_deref())?;
                (read.family.unwrap_or_else(|| file::name(path)), read.flavours)
            }
        };
        let menu = Menu::new(&set)
            .with_context(|| format!("{name}: every flavour is disabled: enable at least one"))?;
        Ok(Self { name, set, menu })
    }
}
