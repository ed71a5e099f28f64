//! Compressed rows of the store, and objects of the replicas' journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_server::fuzzing::packed(bytes));
