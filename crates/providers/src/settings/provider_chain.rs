//! Where forecasts come from, as the operator said it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::{CarbonIntensity, CarbonTarget, Signal, Timestamp};

use crate::trace::TraceAdapter;
use crate::{Adapter, Fixed, NotUnderstood};

/// The providers to ask, in order, each with its settings.
#[derive(Debug)]
pub struct ProviderChain(Vec<Member>);

/// One provider, or what comes of one name.
#[derive(Debug)]
pub(super) enum Member {
    /// It can be asked.
    Ready(Arc<dyn Adapter>),
    /// One value, of the signal of the others.
    Static(CarbonIntensity),
    /// A file to be read at the start.
    Trace(PathBuf),
}

/// Two providers of one chain whose signals differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} tells {} carbon intensity and {} {}: expected providers of one signal, since a series never mixes the two",
    .one.0, .one.1, .other.0, .other.1
)]
pub struct MixedProviders {
    one: (String, Signal),
    other: (String, Signal),
}

impl ProviderChain {
    /// A chain of these members.
    ///
    /// # Errors
    ///
    /// Two members whose signals differ, as far as they are known before a recording is read.
    pub(super) fn new(members: Vec<Member>) -> Result<Self, MixedProviders> {
        let ready = members.iter().filter_map(|member| match member {
            Member::Ready(adapter) => Some(adapter),
            Member::Static(_) | Member::Trace(_) => None,
        });
        signal(ready)?;
        Ok(Self(members))
    }

    /// Whether `target` exists at the first provider: the default one has to, since nothing could stand in
    /// for it.
    ///
    /// # Errors
    ///
    /// [`NotUnderstood`], which says what would be right; the only way to fail.
    pub fn check(&self, target: &CarbonTarget) -> Result<(), NotUnderstood> {
        match self.0.first() {
            Some(Member::Ready(adapter)) => adapter.plan(target, Timestamp::UNIX_EPOCH).map(drop),
            Some(Member::Static(_) | Member::Trace(_)) | None => Ok(()),
        }
    }

    /// The providers to ask, in order, all of one signal; `trace` reads the recordings among them.
    ///
    /// # Errors
    ///
    /// Those of `trace`; a recording of another signal than the others tell.
    pub fn adapters<E: From<MixedProviders>>(
        &self,
        trace: impl Fn(&Path) -> Result<TraceAdapter, E>,
    ) -> Result<Vec<Arc<dyn Adapter>>, E> {
        let mut adapters: Vec<Option<Arc<dyn Adapter>>> = Vec::with_capacity(self.0.len());
        for member in &self.0 {
            adapters.push(match member {
                Member::Ready(adapter) => Some(Arc::clone(adapter)),
                Member::Static(_) => None,
                Member::Trace(path) => Some(Arc::new(trace(path)?)),
            });
        }
        // A constant goes with anything.
        let signal = signal(adapters.iter().flatten())?;
        let fixed = |intensity: CarbonIntensity| Arc::new(Fixed::new(intensity).with_signal(signal));
        let whole = adapters.into_iter().zip(&self.0).filter_map(|(adapter, member)| match member {
            Member::Static(intensity) => Some(fixed(*intensity) as Arc<dyn Adapter>),
            Member::Ready(_) | Member::Trace(_) => adapter,
        });
        Ok(whole.collect())
    }
}

/// What all of them tell; average where there is none.
fn signal<'a>(adapters: impl Iterator<Item = &'a Arc<dyn Adapter>>) -> Result<Signal, MixedProviders> {
    let mut told = adapters.map(|adapter| (adapter.name().to_owned(), adapter.signal()));
    let Some(one) = told.next() else { return Ok(Signal::default()) };
    match told.find(|(_, signal)| *signal != one.1) {
        Some(other) => Err(MixedProviders { one, other }),
        None => Ok(one.1),
    }
}
