//! Every forecast received and every value measured, for whoever wants to replay them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::journal::{Input, Record};
use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Slot, Timestamp};
use providers::archive::{Archive, Bounds, Recorded};

/// The archive behind a lock of its own: neither an evaluation nor a reader of schedules waits for it.
pub(crate) struct Vintages {
    archive: Mutex<Archive>,
    bounds: Bounds,
}

impl Vintages {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { archive: Mutex::new(Archive::new(bounds)), bounds }
    }

    /// Keeps what came in of forecasts, whether it comes in now or is read again.
    pub(crate) fn keep(&self, Record { at, input }: &Record) {
        if let Input::Forecast { target, forecast, actuals, .. } = input {
            self.record(target, forecast, actuals, *at);
        }
    }

    /// Keeps what a refresh brought. It is known from now on: what the forecast says of its receipt is when
    /// it was asked for.
    fn record(&self, target: &CarbonTarget, forecast: &Forecast, actuals: &[Slot], at: Timestamp) {
        // The clock is read to the millisecond below: never stamp what is known too early.
        let received = at.checked_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX);
        let mut archive = self.lock();
        let recorded = archive.record(target, forecast, received);
        archive.record_actuals(target, forecast.signal, actuals, received);
        let (kept, bytes) = (archive.kept(), archive.bytes());
        drop(archive);
        if recorded == Recorded::New {
            metrics::counter!("carbon_vintages_recorded_total").increment(1);
        }
        metrics::gauge!("carbon_vintages_kept").set(kept as f64);
        metrics::gauge!("carbon_vintages_bytes").set(bytes as f64);
    }

    /// Takes up what was kept, within the bounds of now.
    pub(crate) fn restore(&self, archive: Archive) {
        *self.lock() = archive.with_bounds(self.bounds);
    }

    /// The archive, for one page at most: a refresh waits for it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Archive> {
        // A panic elsewhere leaves whole values here: the lock's poison says nothing.
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
