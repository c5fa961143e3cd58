//! The secret of a backend instance.

use std::fmt;

use zeroize::Zeroizing;

use super::super::crypto::{self, CryptoError};
use super::super::secret::Secret;

/// The length of a written instance secret: 32 bytes as hexadecimal digits.
pub const SECRET_LENGTH: usize = 64;

/// Why a text is not an instance secret. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceSecretError {
    /// There is nothing.
    #[error("The instance secret is empty. {SECRET_RULE}")]
    Empty,
    /// Blanks or line breaks around or inside the digits.
    #[error("The instance secret contains blanks or line breaks. Remove them.")]
    Blank,
    /// Quotation marks at the ends.
    #[error("The instance secret has quotation marks around it. Remove them.")]
    Quoted,
    /// Begins with `0x`.
    #[error("The instance secret begins with `0x`. Remove this prefix.")]
    Prefix,
    /// The wrong number of characters.
    #[error(
        "The instance secret has {length} characters instead of {SECRET_LENGTH}. {SECRET_RULE}"
    )]
    Length {
        /// The length in characters.
        length: usize,
    },
    /// Upper-case digits.
    #[error("The instance secret contains upper-case digits. Write the same digits in lower case.")]
    UpperCase,
    /// Something that is no hexadecimal digit.
    #[error("The instance secret contains characters other than 0-9 and a-f. {SECRET_RULE}")]
    NotHexadecimal,
}

const SECRET_RULE: &str =
    "It is 32 random bytes as 64 lower-case hexadecimal digits, as `openssl rand -hex 32` prints.";

/// The secret an instance's admin keys are made from and checked with: 32 bytes.
///
/// Whoever knows it can make admin keys, which never expire. A new secret is the only way to take
/// one back. Data is not encrypted with it. The backend also takes upper-case digits
/// (upstream `crates/keybroker/src/secret.rs`); they are refused here so that one secret has one
/// spelling. A malformed secret at the first start makes a `SQLite` database unusable for ever.
#[derive(Clone, PartialEq, Eq)]
pub struct InstanceSecret(Zeroizing<[u8; 32]>);

impl InstanceSecret {
    /// Takes 64 lower-case hexadecimal digits.
    pub fn parse(hex: &str) -> Result<Self, InstanceSecretError> {
        if hex.is_empty() {
            return Err(InstanceSecretError::Empty);
        }
        if hex.contains(char::is_whitespace) {
            return Err(InstanceSecretError::Blank);
        }
        if hex.starts_with(['"', '\'', '`']) {
            return Err(InstanceSecretError::Quoted);
        }
        if hex.starts_with("0x") || hex.starts_with("0X") {
            return Err(InstanceSecretError::Prefix);
        }
        let length = hex.chars().count();
        if length != SECRET_LENGTH {
            return Err(InstanceSecretError::Length { length });
        }
        let bytes = Zeroizing::new(crypto::from_hex(hex).unwrap_or_default());
        let bytes: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| InstanceSecretError::NotHexadecimal)?;
        if hex.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(InstanceSecretError::UpperCase);
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Makes a new one from the operating system's random generator.
    pub fn generate() -> Result<Self, CryptoError> {
        crypto::random().map(Zeroizing::new).map(Self)
    }

    /// The secret as the backend takes it: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Secret {
        Secret::from(crypto::to_hex(self.bytes()))
    }

    pub(in crate::convex) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for InstanceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_goes_there_and_back(bytes: [u8; 32]) {
            let hex = crypto::to_hex(&bytes);
            let secret = InstanceSecret::parse(&hex).unwrap();
            prop_assert_eq!(secret.to_hex(), Secret::from(hex));
        }
    }

    #[test]
    fn each_fault_of_a_secret_is_named() {
        let good = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";
        assert!(InstanceSecret::parse(good).is_ok());
        let cases = [
            (String::new(), InstanceSecretError::Empty),
            (format!("{good}\n"), InstanceSecretError::Blank),
            (format!("\"{good}\""), InstanceSecretError::Quoted),
            (format!("0x{good}"), InstanceSecretError::Prefix),
            (
                good[1..].to_owned(),
                InstanceSecretError::Length { length: 63 },
            ),
            (good.to_uppercase(), InstanceSecretError::UpperCase),
            ("g".repeat(64), InstanceSecretError::NotHexadecimal),
            ("é".repeat(64), InstanceSecretError::NotHexadecimal),
            ("é".repeat(32), InstanceSecretError::Length { length: 32 }),
        ];
        for (text, error) in cases {
            assert_eq!(InstanceSecret::parse(&text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn two_generated_secrets_differ_and_neither_is_shown() {
        let one = InstanceSecret::generate().unwrap();
        let two = InstanceSecret::generate().unwrap();
        assert_ne!(one, two);
        assert_eq!(format!("{one:?}"), "***");
        assert_eq!(one.to_hex().expose().len(), SECRET_LENGTH);
    }
}
