//! XChaCha20-Poly1305: ChaCha20-Poly1305 with a nonce of 24 bytes.
//!
//! The cryptographic library has the cipher and not this variant of it. What the variant adds is
//! one function, `HChaCha20` (draft-irtf-cfrg-xchacha-03, section 2.2): it turns the key and the
//! first 16 bytes of the nonce into the key for the cipher, which gets the other 8.

use aws_lc_rs::aead;
use zeroize::Zeroizing;

use super::super::crypto::CryptoError;

pub(super) const KEY_LENGTH: usize = 32;
pub(super) const NONCE_LENGTH: usize = 24;

/// How much longer a sealed text is: the tag.
const TAG_LENGTH: usize = 16;

/// The sealed text with its tag, without the nonce. Nothing else is authenticated.
pub(super) fn seal(
    key: &[u8; KEY_LENGTH],
    nonce: &[u8; NONCE_LENGTH],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let failed = |_| CryptoError::during("seal a key for better-auth");
    let (head, tail) = nonce.split_at(16);
    let subkey = hchacha20(key, head);
    let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, subkey.as_ref())
        .map(aead::LessSafeKey::new)
        .map_err(failed)?;
    let mut nonce = [0; aead::NONCE_LEN];
    nonce[4..].copy_from_slice(tail);
    // Reserved at once, so that no copy of the plain text stays behind where it grows.
    let mut text = Vec::with_capacity(plaintext.len() + TAG_LENGTH);
    text.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(
        aead::Nonce::assume_unique_for_key(nonce),
        aead::Aad::empty(),
        &mut text,
    )
    .map_err(failed)?;
    Ok(text)
}

/// The key that follows from a key and the first 16 bytes of a nonce.
///
/// Only additions, rotations and exclusive ors, so that its time says nothing of the key.
fn hchacha20(key: &[u8; KEY_LENGTH], nonce: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut state = Zeroizing::new([0_u32; 16]);
    let words = b"expand 32-byte k".iter().chain(key).chain(nonce).copied();
    for (at, byte) in words.enumerate() {
        state[at / 4] |= u32::from(byte) << (8 * (at % 4));
    }
    for _ in 0..10 {
        for column in 0..4 {
            quarter_round(&mut state, [column, column + 4, column + 8, column + 12]);
        }
        for diagonal in 0..4 {
            quarter_round(
                &mut state,
                [
                    diagonal,
                    4 + (diagonal + 1) % 4,
                    8 + (diagonal + 2) % 4,
                    12 + (diagonal + 3) % 4,
                ],
            );
        }
    }
    let mut derived = Zeroizing::new([0; 32]);
    let ends = state[..4].iter().chain(&state[12..]);
    for (bytes, word) in derived.chunks_exact_mut(4).zip(ends) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    derived
}

fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (to, from, turned, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[to] = state[to].wrapping_add(state[from]);
        state[turned] = (state[turned] ^ state[to]).rotate_left(by);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::crypto::{from_hex, to_hex};
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        from_hex(hex).unwrap().try_into().unwrap()
    }

    /// The vector of section 2.2.1 of the draft.
    #[test]
    fn the_derived_key_is_that_of_the_draft() {
        let key = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let nonce: [u8; 16] = bytes("000000090000004a0000000031415927");
        assert_eq!(
            to_hex(hchacha20(&key, &nonce).as_ref()),
            "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
        );
    }

    /// Made with `xchacha20poly1305` of npm's `@noble/ciphers`, which better-auth seals with.
    #[test]
    fn a_sealed_text_is_that_of_another_implementation() {
        let key = bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        let nonce = bytes("404142434445464748494a4b4c4d4e4f5051525354555657");
        let sealed = seal(&key, &nonce, b"Ladies and Gentlemen").unwrap();
        assert_eq!(
            to_hex(&sealed),
            "bd6d179d3e83d43b9576579493c0e939572a170005c1a867e11e7aa0743c2fea31314840"
        );
    }
}
