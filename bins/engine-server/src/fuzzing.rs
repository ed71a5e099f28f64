//! Doors for `fuzz/`: each takes any bytes for what this program reads in one place, and panics where what has to hold
//! does not.

use engine::Part;
use engine::journal::Record;

use crate::args::{Settings, command};
pub use crate::http::fuzz as requests;
pub use crate::kube::fuzz as cluster;
pub use crate::security::fuzz as security_files;
use crate::store::{inflate, unpack};

/// A command line, an argument a line: what is wrong is named.
///
/// # Panics
///
/// It is not.
pub fn command_line(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // These are read at once, whatever they are: not from a fuzzer.
    if text.contains("-file") {
        return;
    }
    let Ok(matches) = command().try_get_matches_from(["engine-server"].into_iter().chain(text.lines()))
    else {
        return;
    };
    if let Err(wrong) = Settings::read(&matches) {
        assert!(!wrong.to_string().is_empty());
    }
}

/// What a compressed row of the store holds, and an object of the replicas' journal.
pub fn packed(bytes: &[u8]) {
    let Ok(row) = inflate(bytes) else { return };
    let _ = (unpack::<Vec<Part>>(&row, "parts"), unpack::<Vec<Record>>(&row, "records"));
}
