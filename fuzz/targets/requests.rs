//! Requests to the API as a whole: methods, paths, queries, header fields, bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_server::fuzzing::requests(bytes));
