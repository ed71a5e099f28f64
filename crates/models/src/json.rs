//! Reading JSON that people and operators wrote: numbers or strings that hold numbers, `null` for absent.

use alloc::format;
use alloc::string::{String, ToString};

use serde_json::{Map, Value};

use crate::problem::{Problems, pointer};
use crate::ranges::{A, Range, Shown};

/// What kind of value stands there, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A number in `range`, given as a number or as a string that holds one (spaces around it allowed).
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub fn number(value: &Value, range: &'static Range) -> Result<f64, String> {
    let parsed = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => return number_text(text, range),
        _ => None,
    };
    let Some(parsed) = parsed else {
        return Err(format!("{} is not {}: expected {range}", kind(value), A(range.quantity)));
    };
    range.check(parsed).map_err(|refused| refused.to_string())
}

/// A number in `range` from text.
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub fn number_text(text: &str, range: &'static Range) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(parsed) => range.check(parsed).map_err(|refused| refused.to_string()),
        Err(_) => Err(format!("`{}` is not {}: expected {range}", excerpt(text), A(range.quantity))),
    }
}

/// A whole number of `range`, given as a number (`5`, `5.0`) or as a string that holds one.
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub(crate) fn whole_number(value: &Value, range: &'static Range) -> Result<u64, String> {
    let parsed = number(value, range)?;
    if parsed < 0.0 || libm::trunc(parsed) != parsed {
        let shown = Shown(parsed);
        return Err(format!("{shown} is not {}: expected a whole number, not below 0", A(range.quantity)));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and not negative; `as` saturates"
    )]
    let whole = parsed as u64;
    Ok(whole)
}

/// A truth value, given as one or as a string that holds one, in any case.
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{} is not a truth value: expected true or false", kind(value))),
    }
}

/// A string that is not empty and at most `longest` bytes.
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub(crate) fn text<'v>(value: &'v Value, what: &str, longest: usize) -> Result<&'v str, String> {
    let Value::String(text) = value else {
        return Err(format!("{} is not {}: expected a string", kind(value), A(what)));
    };
    if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(format!(
            "`{}` is not {}: expected 1 to {longest} bytes without control characters",
            excerpt(text),
            A(what)
        ));
    }
    Ok(text)
}

/// The beginning of a text from outside, short enough and clean enough for a message.
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push_str("..");
    }
    shown
}

/// The members of `object` that are present: `null` is absent.
pub(crate) fn present(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.iter().filter(|(_, value)| !value.is_null())
}

/// The value as an object, or a problem at `at`.
pub(crate) fn object<'v>(
    value: &'v Value,
    at: &str,
    problems: &mut Problems,
) -> Option<&'v Map<String, Value>> {
    let object = value.as_object();
    if object.is_none() {
        problems.push(at, format_args!("{} stands here: expected an object", kind(value)));
    }
    object
}

/// The value as a list, or a problem at `at`.
pub(crate) fn list<'v>(value: &'v Value, at: &str, problems: &mut Problems) -> Option<&'v [Value]> {
    let list = value.as_array();
    if list.is_none() {
        problems.push(at, format_args!("{} stands here: expected a list", kind(value)));
    }
    list.map(alloc::vec::Vec::as_slice)
}

/// `scheduler/foo` for the pointer `/scheduler` and the key `foo`: how ignored keys are named.
pub(crate) fn ignored_name(base: &str, key: &str) -> String {
    pointer(base, excerpt(key)).trim_start_matches('/').to_string()
}
