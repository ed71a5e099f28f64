//! The one grid that a provider knows, where somebody said which.

use models::CarbonTarget;
use models::json::excerpt;

use crate::adapter::NotUnderstood;

/// Most bytes of a name.
const LONGEST: usize = 64;

/// A grid's name, as a `carbonTarget` has it.
///
/// Compared in any case. A word such as `zone:` or `region:` before the name has to agree only where both have
/// one: `DE` is `zone:DE` and `zone:DE` is `DE`, but `region:13` is not `zone:13`. `national` is what the UK's
/// own API calls `GB`, and so it is here: no other grid answers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(String);

/// A text that names no grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a carbonTarget such as DE, zone:DE or region:CAISO_NORTH: a name of 1 to {LONGEST} characters of \
     ASCII without spaces"
)]
pub struct BadZone;

impl Zone {
    /// The grid that `text` names.
    ///
    /// # Errors
    ///
    /// [`BadZone`] if it names none, the only way to fail.
    pub fn new(text: &str) -> Result<Self, BadZone> {
        let text = text.trim();
        let sound = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        let named = !parts(text).1.is_empty();
        if sound && named { Ok(Self(text.to_owned())) } else { Err(BadZone) }
    }

    /// Whether `target` is this grid.
    fn is(&self, target: &str) -> bool {
        let ((own_word, own), (word, name)) = (parts(&self.0), parts(target));
        let same_word = own_word.zip(word).is_none_or(|(own, other)| own.eq_ignore_ascii_case(other));
        same_word && own.eq_ignore_ascii_case(name)
    }
}

/// Whether the provider that knows `zone`, or one grid that nobody named, has `target`.
///
/// # Errors
///
/// [`NotUnderstood`], which names the zone; the only way to fail.
pub(crate) fn check(
    zone: Option<&Zone>,
    target: &CarbonTarget,
    provider: &'static str,
) -> Result<(), NotUnderstood> {
    match zone.filter(|zone| !zone.is(target.as_str())) {
        None => Ok(()),
        Some(zone) => Err(NotUnderstood {
            target: excerpt(target.as_str()),
            provider: provider.to_owned(),
            expected: format!("`{}`, the one grid it knows", zone.0).into(),
        }),
    }
}

/// The word before the name, if there is one, and the name.
fn parts(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    match text.split_once(':') {
        Some((word, name)) => (Some(word.trim()), name.trim()),
        None if text.eq_ignore_ascii_case("national") => (Some("zone"), "GB"),
        None => (None, text),
    }
}
