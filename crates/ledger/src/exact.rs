//! Numbers that survive storage to the last bit, whatever the reader's float parser does.
//!
//! `core` prints the shortest digits that parse back to the same number; a JSON number may lose the last
//! bit on the way in, and cannot hold 128-bit integers everywhere. So they are stored as text.

use alloc::string::String;
use core::fmt::Display;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<T: Display, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format_args!("`{text}` is not a number: expected one as text, e.g. \"0.05\""))
    })
}
