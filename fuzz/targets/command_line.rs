//! The server's command line: flags, numbers, addresses, chains of providers, lists of flavours.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_server::fuzzing::command_line(bytes));
