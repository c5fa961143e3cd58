//! The value of a variable.

use super::super::secret::Secret;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 8192;

/// Why a text is not the value of a variable. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarValueError {
    /// Longer than [`MAX_VALUE_BYTES`].
    #[error(
        "The value has {length} bytes, and {MAX_VALUE_BYTES} is the most. Shorten it, or split it \
         over several variables."
    )]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
    /// A NUL character.
    #[error(
        "The value contains a NUL character, which no environment can carry. Encode it, as base64 for example."
    )]
    Nul,
}

/// The value of a variable: at most 8192 bytes without NUL. It may be empty.
///
/// Every value is treated as a secret, since nothing in it says whether it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarValue(Secret);

impl VarValue {
    /// Takes a value the backend would take.
    pub fn parse(text: impl Into<Secret>) -> Result<Self, VarValueError> {
        let text = text.into();
        let length = text.expose().len();
        if length > MAX_VALUE_BYTES {
            return Err(VarValueError::TooLong { length });
        }
        if text.expose().contains('\0') {
            return Err(VarValueError::Nul);
        }
        Ok(Self(text))
    }

    /// The value as text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The value as a secret.
    #[must_use]
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_bytes() {
        assert!(VarValue::parse("").is_ok());
        assert!(VarValue::parse("x".repeat(8192)).is_ok());
        let too_long = VarValueError::TooLong { length: 8193 };
        assert_eq!(VarValue::parse("x".repeat(8193)).unwrap_err(), too_long);
        assert_eq!(
            VarValue::parse("é".repeat(4096) + "x").unwrap_err(),
            too_long
        );
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(VarValue::parse("a\0b").unwrap_err(), VarValueError::Nul);
    }
}
