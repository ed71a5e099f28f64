//! Flavours in a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::trace::FlavourFile;

fuzz_target!(|bytes: &[u8]| {
    for family in [None, Some("a")] {
        let _ = FlavourFile::read("file", bytes, family);
    }
});
