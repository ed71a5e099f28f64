//! What a cluster holds: specs and statuses, labels, the head of the replicas' journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_server::fuzzing::cluster(bytes));
