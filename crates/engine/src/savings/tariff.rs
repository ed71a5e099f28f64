//! What a request costs in energy, by the configuration in force.

use models::{Flavour, FlavourSet};
use policies::{ConstantMix, EnergyBasis, Menu};
use serde::{Deserialize, Serialize};

/// What sums are in: they are never added across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// gCO2eq: every enabled flavour says `energyWh`.
    Grams,
    /// gCO2eq/kWh x requests, one at the best flavour being 1.
    Relative,
}

impl Unit {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Grams => "gCO2eq",
            Self::Relative => "relative g",
        }
    }

    /// From intensity x energy: Wh are a thousandth of kWh.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::Grams => 1e-3,
            Self::Relative => 1.0,
        }
    }
}

/// Energies are added up as whole parts of a trillion: sums that do not depend on their order.
const PER_ONE: f64 = 1e12;

/// An energy of many requests, in Wh or in requests at the best flavour, exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Energy(#[serde(with = "crate::halves")] u128);

impl Energy {
    fn new(energy: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let parts = (energy * PER_ONE).round() as u128;
        Self(parts)
    }

    /// Adds `requests` of `each`.
    pub(super) fn add(&mut self, requests: u64, each: Self) {
        self.0 = self.0.saturating_add(u128::from(requests).saturating_mul(each.0));
    }

    /// Adds what another sum has.
    pub(super) fn merge(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    pub(super) fn get(self) -> f64 {
        self.0 as f64 / PER_ONE
    }
}

/// Energy per request of every flavour, and of what they are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tariff {
    basis: EnergyBasis,
    /// What 1 is: a Wh, or the best flavour's energy.
    one: f64,
    pub(super) best: Energy,
    pub(super) constant_mix: Energy,
}

impl Tariff {
    pub(super) fn new(menu: &Menu, target_error: f64) -> Self {
        let basis = menu.energy_basis();
        let best = menu.baseline().energy;
        let one = match basis {
            EnergyBasis::WattHours => 1.0,
            EnergyBasis::Relative | EnergyBasis::Precision => best,
        };
        let mix = ConstantMix::energy(menu, target_error);
        Self { basis, one, best: Energy::new(best / one), constant_mix: Energy::new(mix / one) }
    }

    pub(super) fn unit(&self) -> Unit {
        match self.basis {
            EnergyBasis::WattHours => Unit::Grams,
            EnergyBasis::Relative | EnergyBasis::Precision => Unit::Relative,
        }
    }

    /// An energy on the menu's basis, in this tariff's.
    pub(super) fn scaled(&self, energy: f64) -> f64 {
        energy / self.one
    }

    /// Energy of one request at `flavour`; none where it says none of this kind.
    pub(super) fn energy(&self, flavour: &Flavour) -> Option<Energy> {
        self.basis.energy(flavour).map(|energy| Energy::new(self.scaled(energy)))
    }
}

/// Whether what was served under `before` cannot be compared with an optimum under `after`.
pub(super) fn differ(before: &FlavourSet, after: &FlavourSet) -> bool {
    let figures =
        |flavour: &Flavour| (flavour.precision, flavour.enabled, flavour.energy_wh, flavour.carbon_intensity);
    before.len() != after.len()
        || before
            .iter()
            .zip(after.iter())
            .any(|(one, two)| one.name != two.name || figures(one) != figures(two))
}
