//! The flavours a policy chooses from.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use models::{Flavour, FlavourSet};
use serde::{Deserialize, Serialize};

use crate::Hull;
use crate::planner::Segments;

/// The enabled flavours, the most precise first; of equally precise ones, the first in the set. Entry 0 is
/// the baseline, and there always is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Menu {
    entries: Vec<Entry>,
    energy_basis: EnergyBasis,
    hull: Hull,
    segments: Segments,
    soft_segments: Segments,
}

/// One flavour that may receive traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it stands in the flavour set.
    pub position: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Its precision, in (0, 1].
    pub precision: f64,
    /// `1 - precision`, in [0, 1).
    pub error: f64,
    /// Its carbon figure as it was given, >= 0; 0 where it was not.
    pub carbon: f64,
    /// Its energy per request, >= 0, on the menu's [`EnergyBasis`].
    pub energy: f64,
}

/// What the energies of a menu are: all of one kind, so that they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnergyBasis {
    /// Wh per request: every flavour says `energyWh`.
    WattHours,
    /// Relative energy per request: every flavour says `carbonIntensity`, above 0.
    Relative,
    /// The precision itself, for want of anything better.
    Precision,
}

/// Softening of the first step's segments: a few parts, spread a little, so that a price within a thousandth
/// of a bid moves the plan a part of the way. A spread of 3 % would move an eighth less traffic from one
/// evaluation to the next, and cost 2 points of the gain on the German grid of 2023 with perfect forecasts.
const SOFTENING_PARTS: u16 = 3;
const SOFTENING_SPREAD: f64 = 0.001;
/// Errors this close are one: sums of segments differ from the hull's own errors in the last bits.
const DOMINATED_MARGIN: f64 = 1e-9;

impl EnergyBasis {
    fn of(set: &FlavourSet) -> Self {
        if set.enabled().all(|flavour| flavour.energy_wh.is_some()) {
            Self::WattHours
        } else if set.enabled().all(|flavour| flavour.carbon_intensity.is_some_and(|carbon| carbon > 0.0)) {
            Self::Relative
        } else {
            Self::Precision
        }
    }

    /// The energy of one request served by `flavour`, >= 0; none where it says nothing of this kind, as one
    /// that is disabled may.
    pub fn energy(self, flavour: &Flavour) -> Option<f64> {
        match self {
            Self::WattHours => flavour.energy_wh,
            Self::Relative => flavour.carbon_intensity.filter(|carbon| *carbon > 0.0),
            Self::Precision => Some(flavour.precision.get()),
        }
    }
}

impl Menu {
    /// The menu of a set of flavours; none where every one is disabled.
    pub fn new(set: &FlavourSet) -> Option<Self> {
        let energy_basis = EnergyBasis::of(set);
        let enabled = set.iter().enumerate().filter(|(_, flavour)| flavour.enabled);
        let mut entries: Vec<_> = enabled
            .map(|(position, flavour)| Entry {
                position,
                name: Arc::clone(&flavour.name),
                precision: flavour.precision.get(),
                error: flavour.precision.error(),
                carbon: flavour.carbon_intensity.unwrap_or(0.0),
                // The basis is one that every enabled flavour has a figure of.
                energy: energy_basis.energy(flavour).unwrap_or(flavour.precision.get()),
            })
            .collect();
        // Stable, and precisions are finite.
        entries.sort_by(|one, two| two.precision.total_cmp(&one.precision));
        let hull = Hull::new(entries.iter().map(|entry| (entry.error, entry.energy)))?;
        let segments = Segments::new(&hull);
        let soft_segments = segments.softened(SOFTENING_PARTS, SOFTENING_SPREAD);
        Some(Self { entries, energy_basis, hull, segments, soft_segments })
    }

    /// The flavours, the most precise first; never empty.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The most precise flavour.
    pub fn baseline(&self) -> &Entry {
        // There is one: no menu is made without.
        &self.entries[0]
    }

    /// What the energies are.
    pub fn energy_basis(&self) -> EnergyBasis {
        self.energy_basis
    }

    /// The cheapest energy at each mean error, by mixtures of these flavours; points are entries.
    pub fn hull(&self) -> &Hull {
        &self.hull
    }

    /// What spending error saves: what the planner works on.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The same, softened: what a plan's first step is taken from.
    pub(crate) fn soft_segments(&self) -> &Segments {
        &self.soft_segments
    }

    /// The flavours that a plan never uses: a mixture of two others, or one other, errs as much and needs
    /// less energy.
    pub fn dominated(&self) -> impl Iterator<Item = &Entry> {
        let most = self.segments.most_error() + DOMINATED_MARGIN;
        self.entries.iter().filter(move |entry| {
            let cheapest = self.hull.energy(entry.error).unwrap_or(entry.energy);
            entry.error > most || entry.energy > cheapest * (1.0 + DOMINATED_MARGIN)
        })
    }

    /// What an operator should know about these flavours.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let guessed = self.energy_basis == EnergyBasis::Precision && self.entries.len() > 1;
        let warning = "energy per request is taken to be proportional to precision: expected energyWh, or \
                       carbonIntensity above 0, for every enabled flavour";
        guessed.then(|| warning.into()).into_iter()
    }
}
