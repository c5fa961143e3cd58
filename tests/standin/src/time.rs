//! Times as they are stored and told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The time since 1970.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Now as a creation time: in milliseconds.
#[must_use]
pub fn creation_time() -> f64 {
    (now().as_secs_f64() * 1000.0).floor()
}

/// Now as a timestamp: in nanoseconds.
#[must_use]
pub fn timestamp() -> u64 {
    u64::try_from(now().as_nanos()).unwrap_or(u64::MAX)
}

/// A 64-bit integer, which has no JSON form of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integer {
    #[serde(rename = "$integer")]
    bytes: String,
}

impl Integer {
    /// The integer.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            bytes: STANDARD.encode(number.to_le_bytes()),
        }
    }

    /// The number itself, where the bytes are one.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        let bytes = STANDARD.decode(&self.bytes).ok()?;
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }
}
