//! Lists that are answered page by page.

use models::Problems;
use serde::Deserialize;

/// Items on one page where nobody says, and at most.
pub(crate) const PAGE: usize = 100;
pub(crate) const LONGEST_PAGE: usize = 1_000;

/// `?limit=&continue=`, as typed.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<String>,
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Which page is meant.
pub(crate) struct Page<K> {
    /// Most items, at least 1.
    pub(crate) limit: usize,
    /// The last one of the page before.
    pub(crate) after: Option<K>,
}

impl PageQuery {
    /// The page that is meant; `key` reads what an earlier answer named in `continue`.
    pub(crate) fn page<K>(&self, problems: &mut Problems, key: impl Fn(&str) -> Option<K>) -> Page<K> {
        let limit = match self.limit.as_deref().map(str::parse::<usize>) {
            None => PAGE,
            Some(Ok(limit)) if (1..=LONGEST_PAGE).contains(&limit) => limit,
            Some(_) => {
                problems.push("/limit", format_args!("expected a whole number from 1 to {LONGEST_PAGE}"));
                PAGE
            }
        };
        let after = self.after.as_deref().filter(|after| !after.is_empty()).and_then(|after| {
            let read = key(after);
            if read.is_none() {
                problems.push("/continue", "expected the `continue` of an earlier answer");
            }
            read
        });
        Page { limit, after }
    }
}
