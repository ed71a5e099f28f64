//! How asking somebody ended, in a word: a label with few values, for metrics.

use providers::{AttemptError, FetchError, HeldBy};

/// The outcome of asking a carbon provider, or whoever else speaks HTTP.
pub(crate) fn outcome_of(error: &AttemptError) -> &'static str {
    match error {
        AttemptError::NotUnderstood(_) => "not_understood",
        AttemptError::Fetch(problem) => answer(problem),
        // A login that fails as anything may fail is the network's or the provider's matter. The word is kept
        // for what only another key mends.
        AttemptError::Login { problem, .. } => match answer(problem) {
            "denied" | "client_error" => "login",
            other => other,
        },
        AttemptError::BadAnswer(_) => "bad_answer",
        AttemptError::Held { by: HeldBy::Circuit, .. } => "circuit_open",
        AttemptError::Held { by: HeldBy::Limits, .. } => "no_budget",
        AttemptError::Lost(_) => "lost",
    }
}

fn answer(problem: &FetchError) -> &'static str {
    match problem {
        FetchError::Status { status: 429, .. } => "rate_limited",
        FetchError::Status { status: 401 | 403 | 407, .. } => "denied",
        FetchError::Status { status: 500.., .. } => "server_error",
        // Other 4xx, redirects that are not followed, and what cannot be sent at all: asking the same again
        // brings the same.
        FetchError::Status { .. } | FetchError::BadRequest { .. } => "client_error",
        FetchError::TimedOut { .. } => "timeout",
        FetchError::TooLarge { .. } => "bad_answer",
        FetchError::Connection { .. } => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use models::Timestamp;
    use providers::BadAnswer;

    use super::*;

    const API: &str = include_str!("../../../../docs/api.md");

    fn status(status: u16) -> FetchError {
        FetchError::Status { url: "http://x".into(), status, retry_after: None, excerpt: String::new() }
    }

    fn fetches() -> Vec<(FetchError, &'static str)> {
        let url = || "http://x".to_owned();
        let mut fetches = vec![
            (FetchError::TimedOut { url: url(), timeout: Duration::from_secs(1) }, "timeout"),
            (FetchError::TooLarge { url: url(), limit: 1 }, "bad_answer"),
            (FetchError::Connection { url: url(), problem: "refused".into() }, "unreachable"),
            (FetchError::BadRequest { url: url(), problem: "no URL".into() }, "client_error"),
        ];
        let words = [
            ("rate_limited", &[429][..]),
            ("denied", &[401, 403, 407]),
            ("server_error", &[500, 502, 503, 504, 599]),
            ("client_error", &[302, 400, 404, 408, 410, 422]),
        ];
        for (word, statuses) in words {
            fetches.extend(statuses.iter().map(|code| (status(*code), word)));
        }
        fetches
    }

    #[test]
    fn a_request_that_brought_nothing_says_whose_matter_it_is() {
        for (problem, word) in fetches() {
            assert_eq!(outcome_of(&AttemptError::Fetch(problem.clone())), word, "{problem}");
        }
    }

    #[test]
    fn a_login_is_blamed_only_where_another_key_would_help() {
        for (problem, word) in fetches() {
            let login = if matches!(word, "denied" | "client_error") { "login" } else { word };
            let error = AttemptError::Login { provider: "watttime".into(), problem };
            assert_eq!(outcome_of(&error), login, "{error}");
        }
    }

    #[test]
    fn every_word_is_in_the_document() {
        let (_, row) = API.split_once("| `carbon_provider_requests_total` |").unwrap();
        let row = row.lines().next().unwrap();
        let held = |by| AttemptError::Held { provider: "x".into(), until: Timestamp::UNIX_EPOCH, by };
        let mut words: Vec<_> = fetches().into_iter().map(|(_, word)| word).collect();
        words.extend(
            [
                AttemptError::Login { provider: "x".into(), problem: status(401) },
                BadAnswer::Empty { provider: "x".into() }.into(),
                held(HeldBy::Circuit),
                held(HeldBy::Limits),
                AttemptError::Lost("x".into()),
            ]
            .iter()
            .map(outcome_of),
        );
        for word in words.into_iter().chain(["ok", "not_understood"]) {
            assert!(row.contains(&format!("`{word}`")), "{word} in {row}");
        }
    }
}
