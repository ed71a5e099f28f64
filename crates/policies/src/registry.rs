//! Policies by name.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::credit_greedy::CreditGreedy;
use crate::forecast_aware::ForecastAware;
use crate::precision_tier::PrecisionTier;
use crate::random::Random;
use crate::round_robin::RoundRobin;
use crate::{ConstantMix, P100, Policy, RecedingHorizon};

/// Longest name of a policy, in bytes: that of the wire.
pub(crate) const MAX_POLICY_NAME: usize = models::config::MAX_WORD;

type Factory = Arc<dyn Fn(u64) -> Box<dyn Policy> + Send + Sync>;

/// Makes policies by name. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    known: BTreeMap<String, Known>,
}

#[derive(Clone)]
enum Known {
    Policy(Factory),
    /// Another name for a policy, with what to say about it.
    Alias {
        of: &'static str,
        warning: &'static str,
    },
}

/// A policy, ready to decide.
#[non_exhaustive]
pub struct Created {
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// What whoever asked for it should know, e.g. that another policy serves under this name.
    pub warning: Option<String>,
}

/// A name that no policy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a policy: expected one of {}", known.join(", "))]
pub struct UnknownPolicy {
    /// The name asked for, cut to what a message can bear.
    pub name: String,
    /// Every name there is.
    pub known: Vec<String>,
}

/// Why a policy was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is another policy's.
    #[error("`{0}` is the name of a policy already: expected another one")]
    Taken(String),
    /// The name could not be asked for.
    #[error(
        "`{0}` is not a policy name: expected 1 to {MAX_POLICY_NAME} of a-z, 0-9 and -, beginning and ending with a letter or digit"
    )]
    BadName(String),
}

impl Registry {
    /// Every policy of this crate.
    pub fn builtin() -> Self {
        let mut known = BTreeMap::new();
        let mut policy = |name: &str, factory: Factory| known.insert(name.to_owned(), Known::Policy(factory));
        policy("credit-greedy", Arc::new(|_| Box::new(CreditGreedy)));
        policy("forecast-aware", Arc::new(|_| Box::new(ForecastAware)));
        policy("precision-tier", Arc::new(|_| Box::new(PrecisionTier)));
        policy("p100", Arc::new(|_| Box::new(P100)));
        policy("round-robin", Arc::new(|_| Box::new(RoundRobin)));
        policy("random", Arc::new(|seed| Box::new(Random::new(seed))));
        policy("constant-mix", Arc::new(|_| Box::new(ConstantMix)));
        policy("receding-horizon", Arc::new(|_| Box::new(RecedingHorizon::default())));
        known.insert("forecast-aware-global".to_owned(), Known::Alias {
            of: "receding-horizon",
            warning: "policy forecast-aware-global is served by receding-horizon, which plans the whole forecast",
        });
        Self { known }
    }

    /// Adds a policy of one's own. `factory` is handed the seed of the schedule that asks for it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]: the name is taken, or could not be asked for; nothing is changed then.
    pub fn register(
        &mut self,
        name: &str,
        factory: impl Fn(u64) -> Box<dyn Policy> + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        if !is_name(name) {
            return Err(RegisterError::BadName(shown(name)));
        }
        if self.known.contains_key(name) {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        self.known.insert(name.to_owned(), Known::Policy(Arc::new(factory)));
        Ok(())
    }

    /// A new policy of that name. `seed` is all the randomness it gets.
    ///
    /// # Errors
    ///
    /// [`UnknownPolicy`], which names the known ones; the only way to fail.
    pub fn create(&self, name: &str, seed: u64) -> Result<Created, UnknownPolicy> {
        match self.known.get(name) {
            Some(Known::Policy(factory)) => Ok(Created { policy: factory(seed), warning: None }),
            Some(Known::Alias { of, warning }) => {
                let created = self.create(of, seed)?;
                Ok(Created { warning: Some((*warning).to_owned()), ..created })
            }
            None => {
                Err(UnknownPolicy { name: shown(name), known: self.names().map(ToOwned::to_owned).collect() })
            }
        }
    }

    /// Every name that can be asked for, in order; see [`Registry::aliases`] for those that stand for
    /// another.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// The names that stand for another policy, each with that policy's name.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known.iter().filter_map(|(name, known)| match known {
            Known::Alias { of, .. } => Some((name.as_str(), *of)),
            Known::Policy(_) => None,
        })
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::builtin()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("policy", &self.policy.name())
            .field("warning", &self.warning)
            .finish()
    }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= MAX_POLICY_NAME
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

/// A name from outside, cut to a length that a message can bear, control characters escaped.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(MAX_POLICY_NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(MAX_POLICY_NAME).is_some() { format!("{cut}..") } else { cut }
}
