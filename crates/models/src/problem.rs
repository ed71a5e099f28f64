//! What is wrong with a document: every bad field at once, each with its JSON pointer.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use serde::Serialize;

/// One bad field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) to the field, empty for the whole document.
    pub pointer: String,
    /// What was wrong, and what would be right.
    pub problem: String,
}

/// Every bad field of a document. Nothing of such a document is applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Problems(Vec<FieldProblem>);

impl core::error::Error for Problems {}

/// No more problems than this are listed: a hostile body must not buy a larger answer.
pub const MAX_PROBLEMS: usize = 100;

impl Problems {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// One problem, alone.
    pub fn one(pointer: impl Into<String>, problem: impl fmt::Display) -> Self {
        let mut problems = Self::new();
        problems.push(pointer, problem);
        problems
    }

    /// Notes one more, up to [`MAX_PROBLEMS`].
    pub fn push(&mut self, pointer: impl Into<String>, problem: impl fmt::Display) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(FieldProblem { pointer: pointer.into(), problem: problem.to_string() });
        }
    }

    /// Notes what went wrong, if something did, and hands on what went right.
    pub fn note<T, E: fmt::Display>(&mut self, pointer: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.push(pointer, problem)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order they were found.
    pub fn iter(&self) -> core::slice::Iter<'_, FieldProblem> {
        self.0.iter()
    }

    /// `value` if nothing is wrong, otherwise the problems.
    ///
    /// # Errors
    ///
    /// The problems themselves.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a FieldProblem;
    type IntoIter = core::slice::Iter<'a, FieldProblem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// `/targetError: ..; /creditMin: ..`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FieldProblem { pointer, problem }) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "; " })?;
            // A key from outside may hold a line break; a message stays on its line.
            for letter in pointer.chars() {
                if letter.is_control() {
                    write!(f, "{}", letter.escape_default())?;
                } else {
                    f.write_char(letter)?;
                }
            }
            f.write_str(if pointer.is_empty() { "" } else { ": " })?;
            f.write_str(problem)?;
        }
        Ok(())
    }
}

/// `base` with one more reference token, escaped as RFC 6901 asks.
pub fn pointer(base: &str, token: impl fmt::Display) -> String {
    let token = token.to_string().replace('~', "~0").replace('/', "~1");
    let mut pointer = String::with_capacity(base.len() + token.len() + 1);
    pointer.push_str(base);
    pointer.push('/');
    pointer.push_str(&token);
    pointer
}
