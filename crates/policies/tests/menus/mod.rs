//! Menus to choose from.

#![expect(clippy::unwrap_used, reason = "tests keep to what flavours may be")]

use models::{Flavour, FlavourSet, Precision};
use policies::Menu;

/// The enabled flavours of a list of (name, precision, relative energy).
pub(crate) fn menu(flavours: &[(&str, f64, f64)]) -> Menu {
    let flavours = flavours.iter().map(|(name, precision, carbon)| {
        Flavour::new(Precision::new(*precision).unwrap()).named(name).with_carbon_intensity(*carbon)
    });
    Menu::new(&FlavourSet::new(flavours.collect()).unwrap()).unwrap()
}

/// The origin's default flavours.
pub(crate) fn builtin_menu() -> Menu {
    Menu::new(&FlavourSet::builtin()).unwrap()
}
