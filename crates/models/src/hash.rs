//! Hashes that are the same on every machine and in every version: what spreads and seeds, and protects nothing.

/// FNV-1a over some bytes, in 64 bits. `seed` makes another function of it; 0 is the one everybody has. The high bits of
/// short texts are alike, and the low ones are those of the last bytes: mix before taking a part.
///
/// ```
/// assert_eq!(models::hash::fnv_1a(0, *b"foobar"), 0x8594_4171_f739_67e8);
/// ```
pub fn fnv_1a(seed: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// All bits of a number in each of its bits: the finisher of `SplitMix64`.
///
/// ```
/// // The first number of that generator from seed 0.
/// assert_eq!(models::hash::mixed(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
/// ```
#[inline]
pub fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
