//! Environment variables of a deployment: names, values, limits, and what one batch of changes makes of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// The two names the backend keeps for itself: they cannot be set, and unsetting them does nothing (observed).
const BUILT_IN: [&str; 2] = ["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"];
/// Reads that one transaction may do; every name in a batch costs one (observed: 65536 names are too many, with this
/// limit in the message).
const READ_LIMIT: usize = 4096;
/// Reads that such a transaction does beside those of the names (observed: 4094 names pass).
const OTHER_READS: usize = 2;
/// Longest value, in bytes (observed).
const VALUE_LIMIT: usize = 8192;

/// All variables of a deployment, by name.
pub type Variables = BTreeMap<String, Variable>;

/// One stored variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Up to 8192 bytes; may be empty.
    pub value: String,
    /// The document's id. Setting a variable again gives it a new one.
    pub id: String,
    /// When it was set, in milliseconds since 1970.
    pub created_ms: f64,
}

/// One wish of a batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Remove the variable. Not an error where there is none.
    Unset(String),
    /// Set the variable, to the value that comes second.
    Set(String, String),
}

/// How much a deployment holds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest name, in bytes: 256, in images before May 2026 40.
    pub name: usize,
    /// Most variables, from `ENV_VAR_LIMIT`.
    pub count: usize,
    /// Most bytes of all names and values together, from `ENV_VAR_TOTAL_SIZE_LIMIT`.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: 256,
            count: 512,
            total: 524_288,
        }
    }
}

impl Change {
    /// A change as a request words it, refused where name or value break a rule. A `None` unsets.
    pub fn new(name: String, value: Option<String>, limits: &Limits) -> Result<Self, ApiError> {
        check_name(&name, limits)?;
        match value {
            None => Ok(Self::Unset(name)),
            Some(value) if value.len() <= VALUE_LIMIT => Ok(Self::Set(name, value)),
            Some(value) => Err(ApiError::bad_request(
                "EnvironmentVariableValueTooLarge",
                // The closing parenthesis is missing in the real message as well.
                format!(
                    "The environment variable value is {} bytes, which is too large. (max size: {VALUE_LIMIT}",
                    value.len()
                ),
            )),
        }
    }
}

fn check_name(name: &str, limits: &Limits) -> Result<(), ApiError> {
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !starts_well
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(ApiError::bad_request(
            "EnvironmentVariableNameInvalid",
            format!(
                "The environment variable name {name} is invalid. Environment variable names must begin with a letter \
                 and may only include characters a-z, A-Z, 0-9, and underscores."
            ),
        ));
    }
    if name.len() > limits.name {
        return Err(ApiError::bad_request(
            "EnvironmentVariableNameTooLong",
            format!(
                "The environment variable name {name} is too long. Environment variable names must be less than {}.",
                limits.name
            ),
        ));
    }
    Ok(())
}

/// What the variables become by one batch, or `None` where the batch writes nothing.
///
/// Unsets come before sets, and of several values for one name the greatest stays (observed). The limits apply to
/// the outcome, so a batch may add where it also removes.
pub fn apply(
    current: &Variables,
    mut changes: Vec<Change>,
    limits: &Limits,
    mut new: impl FnMut(String) -> Variable,
) -> Result<Option<Variables>, ApiError> {
    changes.sort();
    let mut after = current.clone();
    let mut wrote = false;
    let mut read = BTreeSet::new();
    for change in changes {
        let (Change::Unset(name) | Change::Set(name, _)) = &change;
        read.insert(name.clone());
        if read.len() + OTHER_READS > READ_LIMIT {
            return Err(too_many_reads());
        }
        match change {
            Change::Unset(name) => wrote |= after.remove(&name).is_some(),
            Change::Set(name, _) if BUILT_IN.contains(&name.as_str()) => {
                return Err(ApiError::bad_request(
                    "EnvVarNameForbidden",
                    format!(
                        "Environment variable with name \"{name}\" is built-in and cannot be overridden"
                    ),
                ));
            }
            Change::Set(name, value) => {
                after.insert(name, new(value));
                wrote = true;
            }
        }
    }
    if after.len() > limits.count {
        return Err(ApiError::bad_request(
            "EnvVarLimitMet",
            format!(
                "The environment variable limit ({}) has been met.",
                limits.count
            ),
        ));
    }
    let total: usize = after
        .iter()
        .map(|(name, variable)| name.len() + variable.value.len())
        .sum();
    if total > limits.total {
        return Err(ApiError::bad_request(
            "EnvVarTotalSizeLimitMet",
            format!(
                "The total size of all environment variables ({total} bytes) exceeds the limit ({} bytes).",
                limits.total
            ),
        ));
    }
    Ok(wrote.then_some(after))
}

fn too_many_reads() -> ApiError {
    ApiError::bad_request(
        "TooManyReads",
        format!(
            "Too many reads in a single function execution (limit: {READ_LIMIT}). Consider using smaller limits in \
             your queries, paginating your queries, or using indexed queries with a selective index range expressions."
        ),
    )
}
