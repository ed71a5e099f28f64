//! Recorded carbon intensity, in every format, and its replay.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::trace::{CarbonTrace, Factors, TraceAdapter};

fuzz_target!(|bytes: &[u8]| {
    for factors in [Factors::Lifecycle, Factors::Direct] {
        let Ok(trace) = CarbonTrace::read("trace", bytes, factors) else { continue };
        assert!(!trace.slots().is_empty());
        let _ = trace.notes().lines();
        let _ = TraceAdapter::as_recorded(&trace);
        let _ = TraceAdapter::looped(&trace);
    }
});
