//! The instance secret, the root of all keys of an instance.

use std::fmt;
use std::str::FromStr;

/// 32 bytes that only the operator and the backend know. It has no `Display`, and its `Debug` prints stars.
#[derive(Clone)]
pub struct InstanceSecret([u8; 32]);

/// Why a text is not an instance secret. It never repeats any of the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// The text has a character outside `0-9a-fA-F`, or an odd number of them.
    #[error("Couldn't hexdecode key")]
    NotHex,
    /// The decoded text has another length than 32 bytes.
    #[error("Hex-decoded key was {0} bytes, not 32")]
    Length(usize),
}

impl InstanceSecret {
    /// The bytes themselves, for key derivation.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for InstanceSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).map_err(|_| BadSecret::NotHex)?;
        let length = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| BadSecret::Length(length))
    }
}

impl fmt::Debug for InstanceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceSecret(***)")
    }
}
