//! Values on the wire and in stored states.
//!
//! Both encodings are read and written along the expected [`Type`]: a value
//! that does not fit it is an error with the path of the culprit, never a
//! guess.
//!
//! [`Type`]: crate::plugin::value::Type

pub mod json;
pub mod msgpack;

use crate::plugin::value::Path;

/// A value that does not have the form its type demands.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", place(.path))]
pub struct WireError {
    /// Where the value is.
    pub path: Path,
    /// What is wrong with its form. Never holds the value itself.
    pub problem: String,
}

fn place(path: &Path) -> String {
    if path.steps().is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

impl WireError {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self {
            path: path.clone(),
            problem: problem.into(),
        }
    }
}
