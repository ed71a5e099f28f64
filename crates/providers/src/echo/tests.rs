//! Secrets in every form that they may come back in, whole and cut.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

/// How one character of a secret comes back.
fn escaped(letter: char, how: u8) -> String {
    let code = u32::from(letter);
    match how {
        0 => format!("\\u{code:04x}"),
        1 => format!("\\u{code:04X}"),
        2 => format!("%{code:02x}"),
        3 => format!("&#{code};"),
        4 => format!("&#x{code:X};"),
        5 => format!("\\x{code:02x}"),
        6 if matches!(letter, '"' | '/' | '\\') => format!("\\{letter}"),
        7 if letter.is_ascii_alphabetic() => letter.to_ascii_uppercase().to_string(),
        // Whoever escapes anything escapes what escapes begin with.
        _ if matches!(letter, '\\' | '%' | '&') => format!("\\u{code:04x}"),
        _ => letter.to_string(),
    }
}

fn base64(secret: &str, how: u8, before: &str) -> String {
    let text = format!("{before}{secret} and so on");
    if how.is_multiple_of(2) { STANDARD.encode(text) } else { URL_SAFE.encode(text) }
}

/// A secret of what a header field takes, and its echo.
fn echoes() -> impl Strategy<Value = (String, String)> {
    // A mask in the secret itself would be found in every masked text.
    let secret = "[ -)+-~]{12,120}".prop_map(|secret| secret.trim().to_owned());
    let secret = secret.prop_filter("long enough", |secret| secret.len() >= SHORTEST);
    let hows = prop::collection::vec(0_u8..14, 120);
    (secret, hows, 0_u8..8, "[a-z]{0,3}").prop_map(|(secret, hows, form, before)| {
        let escaped = |kinds: u8| -> String {
            secret.chars().zip(&hows).map(|(letter, how)| escaped(letter, how % kinds)).collect()
        };
        let echo = match form {
            0 => secret.clone(),
            1..4 => escaped(14),
            // What was escaped stands in a text that is.
            4 => escaped(2).replace('\\', "\\\\"),
            5 => escaped(2).replace('\\', "%5C"),
            _ => base64(&secret, form, &before),
        };
        (secret, echo)
    })
}

/// Every piece of `secret` that is in `shown`, whichever way it is read.
fn leak(secret: &str, shown: &[u8]) -> Option<String> {
    let mut view = Some(View { bytes: shown.to_vec(), spans: None });
    while let Some(read) = view {
        let text = String::from_utf8_lossy(&read.bytes).into_owned();
        let pieces = secret.as_bytes().windows(SHORTEST).map(|piece| String::from_utf8_lossy(piece));
        if let Some(piece) = pieces.into_iter().find(|piece| text.contains(&**piece)) {
            return Some(piece.into_owned());
        }
        view = read.unescaped();
    }
    None
}

proptest! {
    #[test]
    fn no_part_of_a_secret_is_left((secret, echo) in echoes(), cut in 0_usize..400) {
        let said = format!("no: {echo}, ask again");
        let cut = said.as_bytes()[..said.len().min(cut)].to_vec();
        for text in [said.into_bytes(), cut] {
            let shown = masked(text.clone(), &[secret.clone().into()], Extent::Part);
            prop_assert_eq!(leak(&secret, &shown), None, "{}", String::from_utf8_lossy(&shown));
        }
    }

    #[test]
    fn a_whole_secret_is_found_in_an_answer((secret, echo) in echoes()) {
        let answer = format!("{{\"error\":\"bad key {echo}\"}}").into_bytes();
        let shown = masked(answer, &[secret.clone().into()], Extent::Whole);
        prop_assert_eq!(leak(&secret, &shown), None, "{}", String::from_utf8_lossy(&shown));
    }

    #[test]
    fn what_holds_no_secret_is_left_as_it_is(text in "[0-9\\\\%&;u]{0,80}") {
        let secrets = [b"k3y-of-mine".to_vec(), b"short".to_vec()];
        for extent in [Extent::Whole, Extent::Part] {
            prop_assert_eq!(masked(text.clone().into_bytes(), &secrets, extent), text.as_bytes());
        }
    }
}

#[test]
fn a_part_is_data_in_an_answer_and_masked_in_what_is_shown() {
    let text = || b"{\"forecast\":[]} for team-forecast-2026!".to_vec();
    let secrets = [b"team-forecast-2026".to_vec()];
    assert_eq!(masked(text(), &secrets, Extent::Whole), b"{\"forecast\":[]} for ***!");
    assert_eq!(masked(text(), &secrets, Extent::Part), b"{\"***\":[]} for ***!");
}
