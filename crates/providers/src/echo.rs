//! Secrets in what came back, found in the forms that answers and proxies echo them in, and masked.
//!
//! A text is compared as it is, and again with its JSON, percent and HTML escapes undone, round by round, so
//! that a secret with some of its characters escaped is found as well; a secret is also looked for in base64,
//! wherever in a coded text it stands. Case does not count.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A shorter text is no secret; taking it out would only maim what it stands in.
pub(crate) const SHORTEST: usize = 6;
/// What stands where a secret stood.
const MASK: &[u8] = b"***";
/// Escapes within escapes are undone this often.
const ROUNDS: usize = 4;
/// Most bytes of an HTML entity, `&` and `;` included.
const LONGEST_ENTITY: usize = 10;

/// How much of a secret has to stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it: what stands around it is data, which a part found by chance would maim.
    Whole,
    /// Any part of [`SHORTEST`] bytes: the text is only shown, and may be cut.
    Part,
}

/// `text` with every one of `secrets` masked.
pub(crate) fn masked(text: Vec<u8>, secrets: &[Vec<u8>], extent: Extent) -> Vec<u8> {
    let patterns = patterns(secrets, extent);
    if patterns.is_empty() {
        return text;
    }
    let mut hidden = Vec::new();
    let mut view = View { bytes: text.clone(), spans: None };
    for _ in 0..=ROUNDS {
        view.find(&patterns, extent, text.len(), &mut hidden);
        match view.unescaped() {
            Some(next) => view = next,
            None => break,
        }
    }
    if hidden.is_empty() {
        return text;
    }
    let mut shown = Vec::with_capacity(text.len());
    let mut before = false;
    for (byte, hide) in text.into_iter().zip(hidden) {
        match (hide, before) {
            (false, _) => shown.push(byte),
            (true, false) => shown.extend(MASK),
            (true, true) => {}
        }
        before = hide;
    }
    shown
}

/// What to look for, case folded: every secret, its unescaped forms, and both in base64; of a part, the pieces.
fn patterns(secrets: &[Vec<u8>], extent: Extent) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        let mut view = Some(View { bytes: secret.clone(), spans: None });
        for _ in 0..=ROUNDS {
            let Some(form) = view.take() else { break };
            for offset in 0..3 {
                let coded = coded(&form.bytes, offset);
                forms.insert(coded.replace('+', "-").replace('/', "_").into_bytes());
                forms.insert(coded.into_bytes());
            }
            view = form.unescaped();
            forms.insert(form.bytes);
        }
    }
    let long = forms.iter().filter(|form| form.len() >= SHORTEST);
    let folded = long.map(|form| form.iter().copied().map(folded).collect::<Vec<u8>>());
    match extent {
        Extent::Whole => folded.collect(),
        Extent::Part => {
            folded.flat_map(|form| form.windows(SHORTEST).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
        }
    }
}

/// The digits of base64 that depend on nothing but `secret`, where it stands `offset` bytes after a group's
/// beginning.
fn coded(secret: &[u8], offset: usize) -> String {
    let mut text = vec![0; offset];
    text.extend(secret);
    let digits = STANDARD_NO_PAD.encode(&text);
    let first = (offset * 8).div_ceil(6);
    let end = text.len() * 8 / 6;
    digits.get(first..end).unwrap_or_default().to_owned()
}

/// Upper case as lower case; a space as the plus that stands for it in a form.
fn folded(byte: u8) -> u8 {
    if byte == b' ' { b'+' } else { byte.to_ascii_lowercase() }
}

/// A text, and where each of its bytes stood in the original.
struct View {
    bytes: Vec<u8>,
    /// `None` of the original itself.
    spans: Option<Vec<(usize, usize)>>,
}

impl View {
    /// Marks in `hidden` the bytes of an original of `length` that say one of `patterns`.
    fn find(&self, patterns: &BTreeSet<Vec<u8>>, extent: Extent, length: usize, hidden: &mut Vec<bool>) {
        let text: Vec<u8> = self.bytes.iter().copied().map(folded).collect();
        let mut hide = |at: usize, long: usize| {
            hidden.resize(length, false);
            let (from, to) = (self.span(at).0, self.span(at + long - 1).1);
            for byte in hidden.iter_mut().take(to).skip(from) {
                *byte = true;
            }
        };
        match extent {
            Extent::Part => {
                for (at, piece) in text.windows(SHORTEST).enumerate() {
                    if patterns.contains(piece) {
                        hide(at, SHORTEST);
                    }
                }
            }
            Extent::Whole => {
                for pattern in patterns {
                    for (at, piece) in text.windows(pattern.len()).enumerate() {
                        if piece == pattern {
                            hide(at, pattern.len());
                        }
                    }
                }
            }
        }
    }

    fn span(&self, at: usize) -> (usize, usize) {
        self.spans.as_ref().map_or((at, at + 1), |spans| spans.get(at).copied().unwrap_or_default())
    }

    /// The same with one round of escapes undone; `None` where there are none.
    fn unescaped(&self) -> Option<Self> {
        let starts = |byte: &u8| matches!(byte, b'\\' | b'%' | b'&');
        if !self.bytes.iter().any(starts) {
            return None;
        }
        let (mut bytes, mut spans) = (Vec::with_capacity(self.bytes.len()), Vec::new());
        let mut rest = self.bytes.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let at = self.bytes.len() - rest.len();
            let (said, long) = escape(rest).unwrap_or((Said::Byte(*first), 1));
            let span = (self.span(at).0, self.span(at + long - 1).1);
            match said {
                Said::Byte(byte) => bytes.push(byte),
                Said::Char(letter) => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
            }
            spans.resize(bytes.len(), span);
            rest = after.get(long - 1..).unwrap_or_default();
        }
        (bytes.len() < self.bytes.len()).then_some(Self { bytes, spans: Some(spans) })
    }
}

/// What an escape stands for.
enum Said {
    Byte(u8),
    Char(char),
}

/// The escape that `text` begins with, and its length.
fn escape(text: &[u8]) -> Option<(Said, usize)> {
    let number = |digits: &[u8], base| u32::from_str_radix(core::str::from_utf8(digits).ok()?, base).ok();
    let byte = |digits: &[u8]| u8::try_from(number(digits, 16)?).ok();
    match text {
        [b'%', high, low, ..] => Some((Said::Byte(byte(&[*high, *low])?), 3)),
        [b'\\', b'x', high, low, ..] => Some((Said::Byte(byte(&[*high, *low])?), 4)),
        [b'\\', b'u', digits @ ..] => Some((Said::Char(char::from_u32(number(digits.get(..4)?, 16)?)?), 6)),
        [b'\\', plain @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((Said::Byte(*plain), 2)),
        [b'&', rest @ ..] => {
            let end = rest.iter().take(LONGEST_ENTITY).position(|byte| *byte == b';')?;
            let letter = match rest.get(..end)? {
                [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
                [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
                b"amp" => '&',
                b"quot" => '"',
                b"apos" => '\'',
                b"lt" => '<',
                b"gt" => '>',
                _ => return None,
            };
            Some((Said::Char(letter), end + 2))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
