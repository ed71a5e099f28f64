//! What the intensities of a file are of, as far as it says so.

use models::{Accounting, Signal};

/// Of which power plants, and of which of their emissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meaning {
    /// `None` where nothing says.
    pub(super) signal: Option<Signal>,
    pub(super) accounting: Accounting,
}

impl Meaning {
    pub(super) const fn new(signal: Option<Signal>, accounting: Accounting) -> Self {
        Self { signal, accounting }
    }

    /// The same and what a column's header says, in its normal form.
    ///
    /// # Errors
    ///
    /// What the header says cannot be: a unit that is none of grams per kWh, or the other signal.
    pub(super) fn with_header(self, header: &str) -> Result<Self, &'static str> {
        if is_of_another_unit(header) {
            return Err("names another unit");
        }
        // An average of marginal intensities is marginal.
        let said = Signal::ALL.into_iter().rev().find(|signal| header.contains(signal.as_str()));
        if self.signal.zip(said).is_some_and(|(known, said)| known != said) {
            return Err("names average and marginal intensity side by side");
        }
        let accounting = match (self.accounting, is_lifecycle(header), is_direct(header)) {
            (Accounting::Unknown, true, false) => Accounting::LifeCycle,
            (Accounting::Unknown, false, true) => Accounting::Direct,
            (known, ..) => known,
        };
        Ok(Self { signal: self.signal.or(said), accounting })
    }
}

pub(super) fn is_lifecycle(header: &str) -> bool {
    ["lca", "life cycle", "lifecycle"].iter().any(|word| header.contains(word))
}

pub(super) fn is_direct(header: &str) -> bool {
    header.contains("direct")
}

/// A kilogram per MWh is a gram per kWh.
fn is_of_another_unit(header: &str) -> bool {
    let mut words = header.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| word.starts_with("lb") || (word.starts_with("kg") && !header.contains("mwh")))
}
