//! Bytes of the store: a part of a base, a record, what was published.
#![no_main]

use engine::Part;
use engine::journal::{Outcome, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(part) = rmp_serde::from_slice::<Part>(bytes) {
        let _ = rmp_serde::to_vec_named(&part).expect("it was read");
    }
    if let Ok(record) = rmp_serde::from_slice::<Record>(bytes) {
        let _ = rmp_serde::to_vec_named(&record).expect("it was read");
    }
    let _ = rmp_serde::from_slice::<Vec<Outcome>>(bytes);
});
