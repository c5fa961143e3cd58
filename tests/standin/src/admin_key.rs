//! Admin keys: `NAME|HEX`, where the hexadecimal part is `0x01 ‖ nonce ‖ ciphertext ‖ tag` of AES-128-GCM-SIV.
//!
//! The key is derived from the instance secret by one block of HMAC-SHA256 in counter mode, the version byte is the
//! associated data, and the plaintext is a small protobuf message. Held to vectors that a real key generator issued.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes128GcmSiv, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secret::InstanceSecret;

/// First byte of the sealed part and its associated data.
const VERSION: u8 = 1;
/// Length of the nonce of AES-GCM-SIV, in bytes.
pub const NONCE_LENGTH: usize = 12;
/// What the key is derived for: a 32-bit big-endian block counter, then the label, with nothing between or after.
const DERIVATION: &[u8] = b"\x00\x00\x00\x01admin key";

/// On whose behalf a key speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// A person by number; 0 is "some administrator".
    Member(u64),
    /// The system itself.
    System,
}

/// What a key says once it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminKey {
    /// When it was issued, in seconds since 1970. Never 0 in a valid key.
    pub issued_s: u64,
    /// Whom it speaks for.
    pub principal: Principal,
    /// Whether it may only look.
    pub read_only: bool,
}

/// A key that is not one of this instance. Why stays unsaid, as the real backend leaves it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an admin key of this instance")]
pub struct Rejected;

impl AdminKey {
    /// Writes the key for an instance. The same nonce and content give the same text.
    ///
    /// # Panics
    ///
    /// Never: the plaintext is a few bytes long, and only a plaintext of many gigabytes cannot be sealed.
    #[must_use]
    pub fn seal(
        &self,
        instance_name: &str,
        secret: &InstanceSecret,
        nonce: [u8; NONCE_LENGTH],
    ) -> String {
        let plaintext = self.to_message();
        let sealed = cipher(secret)
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: &plaintext,
                    aad: &[VERSION],
                },
            )
            .expect("a few bytes can always be sealed");
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        format!("{instance_name}|{}", hex::encode(bytes))
    }

    /// Opens a key, which must be one of the instance named. A deployment kind in front (`prod:name|…`) is ignored.
    pub fn open(key: &str, instance_name: &str, secret: &InstanceSecret) -> Result<Self, Rejected> {
        let (name, sealed) = key.split_once('|').ok_or(Rejected)?;
        let name = name.split_once(':').map_or(name, |(_kind, name)| name);
        if name != instance_name {
            return Err(Rejected);
        }
        let bytes = hex::decode(sealed).map_err(|_| Rejected)?;
        let (version, rest) = bytes.split_first().ok_or(Rejected)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(Rejected)?;
        if *version != VERSION {
            return Err(Rejected);
        }
        let plaintext = cipher(secret)
            .decrypt(
                &Nonce::from(*nonce),
                Payload {
                    msg: sealed,
                    aad: &[VERSION],
                },
            )
            .map_err(|_| Rejected)?;
        Self::from_message(&plaintext).ok_or(Rejected)
    }

    /// The protobuf message: 2 = issued at, 3 = member or 4 = system (one of them, written even when it is 0),
    /// 5 = read-only.
    fn to_message(self) -> Vec<u8> {
        let mut message = Vec::new();
        if self.issued_s != 0 {
            message.push(0x10);
            push_varint(&mut message, self.issued_s);
        }
        match self.principal {
            Principal::Member(member) => {
                message.push(0x18);
                push_varint(&mut message, member);
            }
            Principal::System => message.extend_from_slice(&[0x22, 0x00]),
        }
        if self.read_only {
            message.extend_from_slice(&[0x28, 0x01]);
        }
        message
    }

    /// Reads the message back; `None` where it is malformed, has no time of issue or speaks for nobody.
    fn from_message(mut message: &[u8]) -> Option<Self> {
        let (mut issued_s, mut principal, mut read_only) = (0, None, false);
        while !message.is_empty() {
            let tag = take_varint(&mut message)?;
            match (tag >> 3, tag & 7) {
                (2, 0) => issued_s = take_varint(&mut message)?,
                (3, 0) => principal = Some(Principal::Member(take_varint(&mut message)?)),
                (5, 0) => read_only = take_varint(&mut message)? != 0,
                (_, 0) => drop(take_varint(&mut message)?),
                (field, 2) => {
                    let length = usize::try_from(take_varint(&mut message)?).ok()?;
                    message = message.get(length..)?;
                    if field == 4 {
                        principal = Some(Principal::System);
                    }
                }
                _ => return None,
            }
        }
        (issued_s != 0).then_some(Self {
            issued_s,
            principal: principal?,
            read_only,
        })
    }
}

fn cipher(secret: &InstanceSecret) -> Aes128GcmSiv {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.bytes())
        .expect("HMAC takes keys of any length");
    mac.update(DERIVATION);
    let block = mac.finalize().into_bytes();
    Aes128GcmSiv::new_from_slice(&block[..16]).expect("half a block is 16 bytes")
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
