//! What a carbon intensity is an intensity of: two words without which a number cannot be compared.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Which power plants a carbon intensity is about. Numbers of different signals say different things: one
/// series never mixes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// All that generate: what an accountant attributes to a kilowatt-hour.
    #[default]
    Average,
    /// Those that would follow one more kilowatt-hour: what a change of load causes.
    Marginal,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 2] = [Self::Average, Self::Marginal];

    /// The signal by its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == word)
    }

    /// The word for it: `average` or `marginal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Marginal => "marginal",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which emissions are counted in a carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Accounting {
    /// Those of building, fuelling and ending a power plant, too.
    LifeCycle,
    /// Those of its operation alone.
    Direct,
    /// The provider does not say.
    #[default]
    Unknown,
}

impl Accounting {
    /// Every kind of accounting.
    pub const ALL: [Self; 3] = [Self::LifeCycle, Self::Direct, Self::Unknown];

    /// The accounting by its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|accounting| accounting.as_str() == word)
    }

    /// The word for it: `life-cycle`, `direct` or `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LifeCycle => "life-cycle",
            Self::Direct => "direct",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Accounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn the_word_shown_is_the_word_written_and_read() {
        for signal in Signal::ALL {
            assert_eq!(serde_json::to_string(&signal).unwrap(), format!("\"{signal}\""));
            assert_eq!(Signal::parse(signal.as_str()), Some(signal));
        }
        for accounting in Accounting::ALL {
            assert_eq!(serde_json::to_string(&accounting).unwrap(), format!("\"{accounting}\""));
            assert_eq!(Accounting::parse(accounting.as_str()), Some(accounting));
        }
        assert_eq!((Signal::parse("Average"), Accounting::parse("lifecycle")), (None, None));
    }
}
