//! Admin keys: how they are made, opened and passed on.
//!
//! A key is `NAME|HEX`. `HEX` is a version byte (1), 12 bytes of nonce and an AES-128-GCM-SIV
//! ciphertext with its tag, whose additional data is the version byte. The encryption key is the
//! first half of HMAC-SHA256 over a counter and the words "admin key", keyed with the instance
//! secret. The plaintext is a protobuf message with the fields [`Claims`] describes. Source:
//! upstream `crates/keybroker/src/encryptor.rs` and `crates/pb/protos/convex_keys.proto`; held to
//! recorded keys by tests.
//!
//! Backends from before June 2025 use another format, which is neither made nor opened here.

use std::str::FromStr;

use aws_lc_rs::aead;

use super::crypto::{self, CryptoError};
use super::instance::{InstanceName, InstanceSecret};
use super::secret::Secret;

mod claims;
mod pasted;

pub use claims::{Claims, Identity};
pub use pasted::AdminKeyError;

/// The length of a nonce, in bytes.
pub const NONCE_LENGTH: usize = 12;

/// The issue time in the keys made here, in seconds since 1970: 14 November 2023.
///
/// A constant, so that the key is a function of name, secret and access alone. It can then be
/// computed again at any time instead of being stored, and never differs between two runs. The
/// backend only asks that the time is not 0: there is no expiry and no upper or lower bound
/// (upstream `crates/keybroker/src/broker.rs`).
pub const ISSUED_S: u64 = 1_700_000_000;

const VERSION: u8 = 1;
const TAG_LENGTH: usize = 16;
const KEY_MESSAGE: &[u8] = b"\0\0\0\x01admin key";
const NONCE_MESSAGE: &str = "terraform-provider-convex/admin-key-nonce/v1";

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Everything, for ever.
    Full,
    /// Reading of data, variables and logs, and downloads of backups; writes are answered with 403.
    ReadOnly,
}

/// A text that is no [`Access`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither \"full\" nor \"read_only\". Write one of the two.")]
pub struct UnknownAccess {
    text: String,
}

impl FromStr for Access {
    type Err = UnknownAccess;

    fn from_str(text: &str) -> Result<Self, UnknownAccess> {
        match text {
            "full" => Ok(Self::Full),
            "read_only" => Ok(Self::ReadOnly),
            _ => Err(UnknownAccess {
                text: text.to_owned(),
            }),
        }
    }
}

/// An admin key of a self-hosted deployment, or a deploy key of Convex Cloud.
///
/// Full control over the deployment. A single key cannot be revoked: only a new instance secret
/// ends its validity, together with that of every other key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKey(Secret);

/// Why a key could not be opened with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No name before a `|`.
    #[error("The admin key has no instance name before a `|`. Copy the whole key.")]
    NoName,
    /// The part after `|` is not hexadecimal.
    #[error(
        "The admin key is not hexadecimal after the `|`. Copy the whole key; a key of Convex Cloud \
         cannot be opened."
    )]
    NotHexadecimal,
    /// The part after `|` is too short for a key.
    #[error("The admin key has only {length} bytes after the `|`. Copy the whole key.")]
    TooShort {
        /// The number of bytes found.
        length: usize,
    },
    /// A format this program does not know.
    #[error("The admin key has format {version}, and only format {VERSION} is known.")]
    Version {
        /// The version byte found.
        version: u8,
    },
    /// The tag does not fit: altered, or made with another secret.
    #[error(
        "The admin key does not belong to this instance secret, was altered, or has the format of \
         backends from before June 2025. Make a new key from the secret."
    )]
    Refused,
    /// The plaintext is no message the backend understands.
    #[error("The admin key opens, but what it says is malformed. Make a new key from the secret.")]
    Malformed,
    /// The plaintext has no issue time, or 0.
    #[error("The admin key has no time of issue, so no backend accepts it. Make a new one.")]
    NoIssueTime,
    /// The plaintext names neither a member nor the system.
    #[error("The admin key names no identity, so no backend accepts it. Make a new one.")]
    NoIdentity,
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl AdminKey {
    /// The key of an instance, computed from its secret.
    ///
    /// The same three inputs always give the same key, because issue time and nonce are not drawn
    /// but derived: the time is [`ISSUED_S`], the nonce the first 12 bytes of HMAC-SHA256, keyed
    /// with the secret, over a label, the access and the name. Keys that say different things thus
    /// have different nonces, and AES-GCM-SIV would bear even equal ones. The identity is member 0,
    /// which is what upstream's own key generator writes.
    pub fn issue(
        name: &InstanceName,
        secret: &InstanceSecret,
        access: Access,
    ) -> Result<Self, CryptoError> {
        let claims = Claims {
            issued_s: ISSUED_S,
            identity: Identity::Member(0),
            read_only: access == Access::ReadOnly,
        };
        let access = match access {
            Access::Full => "full",
            Access::ReadOnly => "read-only",
        };
        let message = format!("{NONCE_MESSAGE}\0{access}\0{name}");
        let nonce = crypto::hmac_sha256(secret.bytes(), message.as_bytes());
        seal(name, secret, &claims, nonce)
    }

    /// The key as text, for a header or a file.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The key as a secret, for an output.
    #[must_use]
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

/// Makes a key from all that it consists of. [`AdminKey::issue`] is what a deployment wants.
///
/// The same nonce must not be used for two different claims under one secret.
pub fn seal(
    name: &InstanceName,
    secret: &InstanceSecret,
    claims: &Claims,
    nonce: [u8; NONCE_LENGTH],
) -> Result<AdminKey, CryptoError> {
    let mut sealed = claims.encode();
    cipher(secret)?
        .seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from([VERSION]),
            &mut sealed,
        )
        .map_err(|_| CryptoError::during("seal an admin key"))?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Ok(AdminKey(Secret::from(format!(
        "{name}|{}",
        crypto::to_hex(&bytes)
    ))))
}

/// Checks a key against the secret and reads what it says.
///
/// The name before `|` is not covered by the seal. The backend compares it with its own, so a
/// caller who wants the backend's verdict compares [`AdminKey::instance_name`] as well.
pub fn open(key: &AdminKey, secret: &InstanceSecret) -> Result<Claims, OpenError> {
    let (name, hex) = key.expose().split_once('|').ok_or(OpenError::NoName)?;
    if name.is_empty() {
        return Err(OpenError::NoName);
    }
    let mut bytes = crypto::from_hex(hex).ok_or(OpenError::NotHexadecimal)?;
    let length = bytes.len();
    let (head, sealed) = bytes
        .split_at_mut_checked(1 + NONCE_LENGTH)
        .filter(|(_, sealed)| sealed.len() >= TAG_LENGTH)
        .ok_or(OpenError::TooShort { length })?;
    if head[0] != VERSION {
        return Err(OpenError::Version { version: head[0] });
    }
    let nonce =
        aead::Nonce::try_assume_unique_for_key(&head[1..]).map_err(|_| OpenError::Refused)?;
    let plaintext = cipher(secret)?
        .open_in_place(nonce, aead::Aad::from([VERSION]), sealed)
        .map_err(|_| OpenError::Refused)?;
    Claims::decode(plaintext)
}

fn cipher(secret: &InstanceSecret) -> Result<aead::LessSafeKey, CryptoError> {
    let key: [u8; 16] = crypto::hmac_sha256(secret.bytes(), KEY_MESSAGE);
    aead::UnboundKey::new(&aead::AES_128_GCM_SIV, &key)
        .map(aead::LessSafeKey::new)
        .map_err(|_| CryptoError::during("derive the key of admin keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> InstanceName {
        InstanceName::parse(name).unwrap()
    }

    #[test]
    fn issuing_twice_gives_the_same_key() {
        let secret = InstanceSecret::generate().unwrap();
        let one = AdminKey::issue(&name("app"), &secret, Access::Full).unwrap();
        let two = AdminKey::issue(&name("app"), &secret, Access::Full).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.instance_name(), Some("app"));
    }

    #[test]
    fn an_issued_key_says_who_it_is_for_and_no_more() {
        let secret = InstanceSecret::generate().unwrap();
        for (access, read_only) in [(Access::Full, false), (Access::ReadOnly, true)] {
            let key = AdminKey::issue(&name("app"), &secret, access).unwrap();
            let claims = Claims {
                issued_s: ISSUED_S,
                identity: Identity::Member(0),
                read_only,
            };
            assert_eq!(open(&key, &secret).unwrap(), claims);
        }
    }

    #[test]
    fn name_access_and_secret_each_change_the_nonce() {
        let nonce = |app: &str, secret: &InstanceSecret, access| {
            let key = AdminKey::issue(&name(app), secret, access).unwrap();
            key.expose().split_once('|').unwrap().1[2..26].to_owned()
        };
        let (one, two) = (
            InstanceSecret::generate().unwrap(),
            InstanceSecret::generate().unwrap(),
        );
        let base = nonce("app", &one, Access::Full);
        assert_ne!(base, nonce("apq", &one, Access::Full));
        assert_ne!(base, nonce("app", &one, Access::ReadOnly));
        assert_ne!(base, nonce("app", &two, Access::Full));
    }

    #[test]
    fn a_default_key_has_the_length_of_upstream_keys() {
        let secret = InstanceSecret::generate().unwrap();
        let key = AdminKey::issue(&name("app"), &secret, Access::Full).unwrap();
        assert_eq!(key.expose().len(), "app|".len() + 74);
        assert_eq!(format!("{key:?}"), "AdminKey(***)");
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_fault() {
        let secret = InstanceSecret::generate().unwrap();
        let cases = [
            ("0102", OpenError::NoName),
            ("|0102", OpenError::NoName),
            ("prod:happy-otter-123|eyJ2MiI6", OpenError::NotHexadecimal),
            ("app|0102", OpenError::TooShort { length: 2 }),
            ("app|", OpenError::TooShort { length: 0 }),
            // Version, nonce and 15 bytes, where the tag alone has 16.
            (
                "app|01000102030405060708090a0b000102030405060708090a0b0c0d0e",
                OpenError::TooShort { length: 28 },
            ),
        ];
        for (text, error) in cases {
            let key = AdminKey::parse(text).unwrap();
            assert_eq!(open(&key, &secret).unwrap_err(), error, "{text}");
        }
        let other = AdminKey::parse(&format!("app|02{}", "00".repeat(36))).unwrap();
        assert_eq!(
            open(&other, &secret).unwrap_err(),
            OpenError::Version { version: 2 }
        );
    }
}
