//! 128 bits as two numbers: not every format has a wider one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(bits: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "each half is what is left")]
    [(bits >> 64) as u64, *bits as u64].serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let [high, low] = <[u64; 2]>::deserialize(deserializer)?;
    Ok(u128::from(high) << 64 | u128::from(low))
}
