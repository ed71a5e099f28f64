//! Recorded demand.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::trace::DemandTrace;

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = DemandTrace::read("trace", bytes) else { return };
    let (from, to) = trace.span();
    assert!(from < to);
    let (requests, seconds) = trace.within(from, to);
    assert!(requests >= 0.0 && seconds >= 0.0);
    assert!(trace.mean_rate().is_finite());
    let _ = (trace.laps(), trace.notes().lines());
});
