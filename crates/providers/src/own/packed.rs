//! Floats as one short text: bit for bit what they were, whatever the format around them rounds (of a NaN,
//! that it is one).

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

/// Base 64 without padding, as RFC 4648 has it.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    // Which NaN it is says nothing and is not the same on every machine.
    let plain = |value: &f64| if value.is_nan() { f64::NAN } else { *value };
    let bytes: Vec<u8> = values.iter().flat_map(|value| plain(value).to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(word);
        for place in 0..=chunk.len() {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    unpack(&text).ok_or_else(|| D::Error::custom("not packed floats: expected the base 64 of 8 bytes each"))
}

fn unpack(text: &str) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(text.len() * 3 / 32);
    let (mut bits, mut held) = (0_u32, 0);
    let (mut bytes, mut filled) = ([0; 8], 0);
    for letter in text.bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes[filled] = (bits >> held).to_le_bytes()[0];
            filled += 1;
            if filled == 8 {
                values.push(f64::from_le_bytes(bytes));
                filled = 0;
            }
        }
    }
    (filled == 0 && held < 6).then_some(values)
}

/// One float.
pub(super) mod one {
    use super::{Deserializer, Serializer};
    use serde::de::Error as _;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(in super::super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize(&[*value], serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let values = super::deserialize(deserializer)?;
        match values.as_slice() {
            [value] => Ok(*value),
            _ => Err(D::Error::custom(format_args!("{} packed floats: expected one", values.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "crate::own::packed")] Vec<f64>);

    #[test]
    fn every_bit_comes_back() {
        let values =
            [0.0, -0.0, 0.1, 5e-324, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::NEG_INFINITY, 1.0 / 3.0];
        for length in 0..=values.len() {
            let text = serde_json::to_string(&Held(values[..length].to_vec())).unwrap();
            let back: Held = serde_json::from_str(&text).unwrap();
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&back.0), bits(&values[..length]));
        }
    }

    #[test]
    fn what_is_not_packed_floats_is_refused() {
        for text in ["\"A\"", "\"AAAA\"", "\"AAAAAAAAAA=\"", "\"AAAAAAAAAAAAAA\"", "3"] {
            assert!(serde_json::from_str::<Held>(text).is_err(), "{text}");
        }
    }
}
