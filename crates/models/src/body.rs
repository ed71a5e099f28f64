//! The body of a request: one JSON object of bounded depth.

use alloc::string::{String, ToString as _};

use serde_json::{Map, Value};

/// Deepest nesting of lists and objects.
pub const MAX_DEPTH: usize = 64;

/// Bytes that are no such body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadBody {
    /// Lists and objects nest too deep.
    #[error("the body nests deeper than {MAX_DEPTH} levels: expected a flatter one")]
    Depth,
    /// It is JSON, but no object.
    #[error("payload must be an object")]
    NoObject,
    /// The grammar allows 1e400, no number here holds it: understood, but invalid.
    #[error("{0}: expected a number below 1.8e308")]
    Number(String),
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
}

/// The object that `body` holds.
///
/// # Errors
///
/// [`BadBody`], the only way to fail.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, BadBody> {
    // A byte-order mark is not JSON, but the origin's clients could send one.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if depth(body) > MAX_DEPTH {
        return Err(BadBody::Depth);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadBody::NoObject),
        Err(error) => {
            let said = error.to_string();
            let is_number = said.starts_with("number out of range");
            Err(if is_number { BadBody::Number(said) } else { BadBody::Syntax(said) })
        }
    }
}

/// How deep lists and objects nest, outside strings.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in body {
        match (in_string, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
