//! The query: one JSON object of strings, read strictly.

use std::{collections::BTreeMap, fmt, io::Read};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::convex::{Secret, coder::Transition};

/// The largest query, in bytes. The largest that makes sense is a private key of 8192 bits, a
/// database URL and a dozen names: less than 10 KiB.
pub const MAX_BYTES: usize = 256 * 1024;

/// The longest name of a key that is shown in full, in characters.
const MAX_SHOWN: usize = 64;

/// Why there is no query. No variant holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The input could not be read.
    #[error("Standard input cannot be read: {0}. Start this program with a query on it.")]
    Unreadable(std::io::ErrorKind),
    /// More than [`MAX_BYTES`].
    #[error(
        "The query is larger than {} KiB, and none that makes sense is. Give the values themselves, not whole files of them.",
        MAX_BYTES / 1024
    )]
    TooLarge,
    /// Nothing at all.
    #[error(
        "Nothing came on standard input. Give one JSON object of strings, as the argument query of data \"external\" does."
    )]
    Empty,
    /// Not UTF-8.
    #[error("The query is not UTF-8: byte {0} is wrong. Write it in UTF-8.")]
    NotUtf8(usize),
    /// Not JSON.
    #[error(
        "The query is not one JSON object (line {line}, column {column}). Give one object of strings, and nothing after it."
    )]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// A JSON value of another kind.
    #[error("The query is {0} instead of a JSON object. Give one object of strings.")]
    NotObject(&'static str),
    /// A key that comes twice.
    #[error("{0}: The key comes twice in the query. Give it once.")]
    Twice(String),
    /// A value that is no string.
    #[error(
        "{key}: The value is {kind} instead of a string. Write it in quotation marks, or convert it with tostring()."
    )]
    NotString {
        /// Its key.
        key: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// A null.
    #[error("{0}: The value is null. Leave the key out, or give a string.")]
    Null(String),
    /// An escape that stands for no character.
    #[error(
        "{0}: The value has an escape that is no character, such as half of a surrogate pair. Write the character itself."
    )]
    NoText(String),
}

/// What was asked, by key. Every value is taken for a secret.
pub struct Query {
    values: BTreeMap<String, Secret>,
    /// What the build that asks makes of its workspace.
    pub transition: Transition,
}

impl Query {
    /// Reads a query and all that comes with it.
    pub fn read(input: impl Read, transition: Transition) -> Result<Self, QueryError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        input
            .take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| QueryError::Unreadable(error.kind()))?;
        if bytes.len() > MAX_BYTES {
            return Err(QueryError::TooLarge);
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| QueryError::NotUtf8(error.valid_up_to() + 1))?;
        Ok(Self {
            values: parse(text)?,
            transition,
        })
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key).filter(|value| !value.is_empty())
    }

    /// The value of a key. An empty one is as good as none, because settings of templates have it
    /// for a default.
    pub fn get(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key).map(Secret::expose);
        value.filter(|value| !value.is_empty())
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Secret>, QueryError> {
    if text.trim().is_empty() {
        return Err(QueryError::Empty);
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let found = kind(whole.get());
    if found != "an object" {
        return Err(QueryError::NotObject(found));
    }
    let Entries(entries) = serde_json::from_str(whole.get()).map_err(|error| not_json(&error))?;
    let mut query = BTreeMap::new();
    for (key, value) in entries {
        let text = value.get();
        let value = match kind(text) {
            "a string" => {
                serde_json::from_str::<Secret>(text).map_err(|_| QueryError::NoText(shown(&key)))?
            }
            "null" => return Err(QueryError::Null(shown(&key))),
            kind => {
                let key = shown(&key);
                return Err(QueryError::NotString { key, kind });
            }
        };
        if query.contains_key(&key) {
            return Err(QueryError::Twice(shown(&key)));
        }
        query.insert(key, value);
    }
    Ok(query)
}

/// A key as it may be shown: without what steers a terminal, and no longer than it needs to be.
pub fn shown(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !key.is_empty() && key.len() <= MAX_SHOWN && key.chars().all(plain) {
        return key.to_owned();
    }
    let mut short: String = key.chars().take(MAX_SHOWN).collect();
    if short.len() < key.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// What kind of JSON value a text is, which is valid JSON.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a bool",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn not_json(error: &serde_json::Error) -> QueryError {
    QueryError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

/// The entries of an object in their order, also those that come twice.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    entries.push((key, map.next_value().map_err(A::Error::custom)?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
