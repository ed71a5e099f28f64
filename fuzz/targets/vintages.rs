//! Forecasts as they were issued, as CSV.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::Timestamp;
use providers::trace::Vintages;

fuzz_target!(|bytes: &[u8]| {
    let Ok(vintages) = Vintages::read("trace", bytes) else { return };
    assert!(!vintages.issues().is_empty());
    let _ = (vintages.as_of(Timestamp::UNIX_EPOCH), vintages.step(), vintages.notes().lines());
});
