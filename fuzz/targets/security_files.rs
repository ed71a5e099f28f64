//! Files of tokens, certificates and keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_server::fuzzing::security_files(bytes));
