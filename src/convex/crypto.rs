//! The few primitives the domain needs, on top of the one cryptographic library of this program.

use aws_lc_rs::{hmac, rand};

/// The cryptographic library refused an operation that cannot fail on valid input.
///
/// Out of random bytes or out of memory are the only known causes; no input of a user leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "The cryptographic library could not {task}. No setting causes this: try again, and look at \
     the machine's memory if it stays."
)]
pub struct CryptoError {
    task: &'static str,
}

impl CryptoError {
    pub(super) const fn during(task: &'static str) -> Self {
        Self { task }
    }
}

/// A text that nobody else has: 128 random bits in hexadecimal.
///
/// # Errors
///
/// The system gives no random bytes.
pub fn unique() -> Result<String, CryptoError> {
    Ok(to_hex(&random::<16>()?))
}

/// Bytes from the operating system's random generator.
pub(super) fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| CryptoError::during("give random bytes"))?;
    Ok(bytes)
}

/// The first `N` bytes of HMAC-SHA256; `N` is at most 32.
pub(super) fn hmac_sha256<const N: usize>(key: &[u8], message: &[u8]) -> [u8; N] {
    const { assert!(N <= 32) };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; N];
    bytes.copy_from_slice(&tag.as_ref()[..N]);
    bytes
}

/// Lower-case hexadecimal.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

/// The bytes of a hexadecimal text in either case, or nothing where it is not one.
pub(super) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes.clone()));
        assert_eq!(from_hex(&to_hex(&bytes).to_uppercase()), Some(bytes));
    }

    #[test]
    fn what_is_not_hex_has_no_bytes() {
        for text in ["0", "0g", "é0", " 00", "+1"] {
            assert_eq!(from_hex(text), None, "{text:?}");
        }
    }

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        let tag = hmac_sha256::<32>(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            to_hex(&tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac_sha256::<4>(b"Jefe", b"what do ya want for nothing?"),
            tag[..4]
        );
    }
}
