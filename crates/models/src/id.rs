//! Names of schedules, as Kubernetes allows them.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::fnv_1a;
use crate::problem::Problems;

/// Longest namespace: a DNS label (RFC 1123).
pub const MAX_NAMESPACE: usize = 63;
/// Longest name: a DNS subdomain (RFC 1123).
pub const MAX_NAME: usize = 253;

/// `namespace/name` of a `TrafficSchedule`. Cheap to clone; ordered by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct ScheduleId(Arc<(String, String)>);

impl ScheduleId {
    /// The name of a schedule.
    ///
    /// # Errors
    ///
    /// [`Problems`] naming `/namespace` (not a DNS label), `/name` (not a DNS subdomain), or both.
    pub fn new(namespace: &str, name: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if !is_label(namespace) {
            problems.push("/namespace", format_args!(
                "`{}` is not a namespace: expected a DNS label (1 to {MAX_NAMESPACE} of a-z, 0-9 and -, no - at an end)",
                Shown(namespace)
            ));
        }
        if name.len() > MAX_NAME || !name.split('.').all(is_label_of_any_length) {
            problems.push("/name", format_args!(
                "`{}` is not a name: expected a DNS subdomain (at most {MAX_NAME} of a-z, 0-9, - and ., each part beginning and ending with a letter or digit)",
                Shown(name)
            ));
        }
        problems.or(())?;
        Ok(Self(Arc::new((namespace.into(), name.into()))))
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.0.0
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.0.1
    }

    /// A number in [0, 1) that is the same for this name on every machine: what spreads instants of
    /// different schedules. FNV-1a, folded to 53 bits.
    pub fn spread(&self) -> f64 {
        let bytes = self.namespace().bytes().chain([b'/']).chain(self.name().bytes());
        let hash = fnv_1a(0, bytes);
        // The last multiplication leaves the high bits of short names alike; mix before folding.
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Whether a text is a namespace's name: a DNS label.
pub fn is_namespace(text: &str) -> bool {
    is_label(text)
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_NAMESPACE && is_label_of_any_length(text)
}

fn is_label_of_any_length(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if inner(first) && inner(last))
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
}

/// A name from outside, cut to a length that a message can bear, control characters escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in self.0.chars().take(80).flat_map(char::escape_debug) {
            write!(f, "{shown}")?;
        }
        f.write_str(if self.0.chars().nth(80).is_some() { ".." } else { "" })
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

impl TryFrom<(String, String)> for ScheduleId {
    type Error = Problems;

    fn try_from((namespace, name): (String, String)) -> Result<Self, Problems> {
        Self::new(&namespace, &name)
    }
}

impl From<ScheduleId> for (String, String) {
    fn from(id: ScheduleId) -> Self {
        (id.namespace().into(), id.name().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn names_are_dns_names() {
        for (namespace, name) in [("default", "default"), ("a", "b.c-d.e"), ("t", "v.policy-x"), ("0", "1.2")]
        {
            assert_eq!(ScheduleId::new(namespace, name).unwrap().to_string(), format!("{namespace}/{name}"));
        }
        let long = "a".repeat(64);
        let longer = "a".repeat(254);
        for (namespace, name, wrong) in [
            ("", "b", 1),
            ("A", "b", 1),
            ("a.b", "c", 1),
            ("-a", "b", 1),
            (long.as_str(), "b", 1),
            ("a", "", 1),
            ("a", "b..c", 1),
            ("a", "b_c", 1),
            ("a", longer.as_str(), 1),
            ("é", "€", 2),
            ("a b", "c\"d", 2),
        ] {
            let problems = ScheduleId::new(namespace, name).unwrap_err();
            assert_eq!(problems.iter().count(), wrong, "{problems}");
        }
        let message = ScheduleId::new("a\u{0}b", &"x y".repeat(200)).unwrap_err().to_string();
        assert!(message.contains("a\\0b") && message.len() < 700, "{message}");
    }

    #[test]
    fn spread_is_even() {
        let mut bins = [0_u32; 10];
        for index in 0..10_000 {
            let spread = ScheduleId::new("load", &format!("s{index}")).unwrap().spread();
            assert!((0.0..1.0).contains(&spread));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..10")]
            let bin = (spread * 10.0) as usize;
            bins[bin] += 1;
        }
        assert!(bins.iter().all(|count| (800..1200).contains(count)), "{bins:?}");
    }
}
