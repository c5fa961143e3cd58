//! What was written, to tell it from what a person wrote.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest as hash};
use serde::{Deserialize, Serialize};

/// The SHA-256 of a content, in lower-case hexadecimal digits.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    hash(&SHA256, content)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Digests of what was last written into a file. They hold nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Written {
    /// Of the whole file, where all of it was ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
    /// Of the values of variables, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl Written {
    /// Whether a file of this content is ours as a whole.
    #[must_use]
    pub fn is_whole(&self, content: &[u8]) -> bool {
        self.whole.as_deref() == Some(digest(content).as_str())
    }

    pub(super) fn is_value(&self, name: &str, value: &str) -> bool {
        self.variables.get(name) == Some(&digest(value.as_bytes()))
    }
}
