//! The RSA key pair an application signs its users' tokens with.
//!
//! `@convex-dev/auth` reads two variables of the deployment: `JWT_PRIVATE_KEY`, a PKCS#8 PEM, and
//! `JWKS`, the public half. What is written here is what its own command line writes (version
//! 0.0.95, `src/cli/generateKeys.ts`).

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::crypto::CryptoError;
use super::pem::Instead;
use super::secret::Secret;

mod better_auth;
mod pem;
mod token;
mod xchacha;

pub use better_auth::{BetterAuthSecret, BetterAuthSecretError};

/// The smallest modulus, in bits. RS256 demands it (RFC 7518, section 3.3).
pub const MIN_BITS: usize = 2048;

/// How large a new key is. 2048 bits are what `@convex-dev/auth` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySize {
    /// 2048 bits.
    #[default]
    Rsa2048,
    /// 3072 bits.
    Rsa3072,
    /// 4096 bits. Takes seconds to make.
    Rsa4096,
}

/// A number of bits that is no [`KeySize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A key of {bits} bits cannot be made. Ask for 2048, 3072 or 4096.")]
pub struct KeySizeError {
    bits: u64,
}

impl KeySize {
    /// Takes a number of bits.
    pub fn from_bits(bits: u64) -> Result<Self, KeySizeError> {
        match bits {
            2048 => Ok(Self::Rsa2048),
            3072 => Ok(Self::Rsa3072),
            4096 => Ok(Self::Rsa4096),
            _ => Err(KeySizeError { bits }),
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

/// Why a text is not a private key that can sign tokens. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthKeyError {
    /// There is nothing.
    #[error("The private key is empty. {HOW}")]
    Empty,
    /// No `BEGIN` and `END` lines, or something beside them.
    #[error(
        "The private key is not a single PEM block. Give all from `-----BEGIN PRIVATE KEY-----` to \
         `-----END PRIVATE KEY-----` and nothing else."
    )]
    NotPem,
    /// Something else that stands for the block.
    #[error("The private key is not a PEM block. {0}.")]
    Instead(Instead),
    /// `BEGIN RSA PRIVATE KEY`.
    #[error(
        "The private key has the old PKCS#1 form, which token libraries refuse. Convert it with \
         `openssl pkcs8 -topk8 -nocrypt -in old.pem -out new.pem`."
    )]
    Pkcs1,
    /// `BEGIN ENCRYPTED PRIVATE KEY`, or PKCS#1 with encryption.
    #[error(
        "The private key is encrypted with a passphrase. Decrypt it with \
         `openssl pkcs8 -topk8 -nocrypt -in old.pem -out new.pem`."
    )]
    Encrypted,
    /// A public key or a certificate.
    #[error(
        "This is a public key or a certificate. Give the private key; the public one follows from it."
    )]
    Public,
    /// An elliptic curve key.
    #[error("The private key is an elliptic curve key, and tokens are signed with RS256. {HOW}")]
    EllipticCurve,
    /// A key of any other kind.
    #[error("The private key is not a plain RSA key, and tokens are signed with RS256. {HOW}")]
    OtherKind,
    /// Shorter than [`MIN_BITS`].
    #[error("The private key has fewer than {MIN_BITS} bits, too few for RS256. {HOW}")]
    TooSmall,
    /// Longer than 8192 bits.
    #[error("The private key has more than 8192 bits. {HOW}")]
    TooLarge,
    /// PEM lines around something that is no key.
    #[error("The private key is damaged between its first and last line. Copy it again, whole.")]
    Damaged,
}

const HOW: &str = "Give an RSA key in PKCS#8 PEM form, as \
    `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` prints it.";

/// An RSA key pair for signing tokens with RS256.
#[derive(Clone)]
pub struct AuthKeys {
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl AuthKeys {
    /// Makes a new pair. 2048 bits take a tenth of a second, 4096 bits up to several.
    pub fn generate(size: KeySize) -> Result<Self, CryptoError> {
        let failed = |_| CryptoError::during("make an RSA key");
        let size = match size {
            KeySize::Rsa2048 => rsa::KeySize::Rsa2048,
            KeySize::Rsa3072 => rsa::KeySize::Rsa3072,
            KeySize::Rsa4096 => rsa::KeySize::Rsa4096,
        };
        rsa::KeyPair::generate(size)
            .and_then(|pair| Self::new(&pair))
            .map_err(failed)
    }

    /// Takes a private key in PKCS#8 PEM form.
    ///
    /// Lines may end with LF or CRLF, or be joined by blanks, by the two characters `\n` or by
    /// nothing at all, as environment variables and JSON do to them.
    pub fn parse(text: &str) -> Result<Self, AuthKeyError> {
        let pkcs8 = pem::decode(text)?;
        let pair =
            rsa::KeyPair::from_pkcs8(&pkcs8).map_err(|rejected| match rejected.description_() {
                "TooSmall" => AuthKeyError::TooSmall,
                "TooLarge" => AuthKeyError::TooLarge,
                _ => pem::why_rejected(&pkcs8),
            })?;
        Self::new(&pair).map_err(|_| AuthKeyError::Damaged)
    }

    /// The private key is always written anew, so that one key has one spelling.
    fn new(pair: &rsa::KeyPair) -> Result<Self, Unspecified> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let public = pair.public_key();
        let spki: PublicKeyX509Der<'_> = public.as_der()?;
        Ok(Self {
            pkcs8: Zeroizing::new(der.as_ref().to_vec()),
            spki: spki.as_ref().to_vec(),
            modulus: public.modulus().big_endian_without_leading_zero().to_vec(),
            exponent: public.exponent().big_endian_without_leading_zero().to_vec(),
        })
    }

    /// The private key as PKCS#8 PEM with lines of 64 characters and a line break at the end.
    #[must_use]
    pub fn private_key_pem(&self) -> Secret {
        Secret::from(pem::encode(pem::PRIVATE, &self.pkcs8))
    }

    /// The public key as PEM, in the form `BEGIN PUBLIC KEY` (SPKI), with a line break at the end.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        pem::encode(pem::PUBLIC, &self.spki)
    }

    /// The private key on one line: the PEM without its last line break, and one blank for every
    /// other. This is the form for `JWT_PRIVATE_KEY`; token libraries read it, env files carry it.
    #[must_use]
    pub fn private_key_single_line(&self) -> Secret {
        Secret::from(
            self.private_key_pem()
                .expose()
                .trim_end()
                .replace('\n', " "),
        )
    }

    /// The public key as a set of one, the form for `JWKS`.
    ///
    /// Neither `alg` nor `kid`: tokens carry no `kid`, and this is byte for byte what
    /// `@convex-dev/auth` writes.
    #[must_use]
    pub fn jwks(&self) -> String {
        let (n, e) = self.public_parts();
        format!(r#"{{"keys":[{{"use":"sig","kty":"RSA","n":"{n}","e":"{e}"}}]}}"#)
    }

    /// The SHA-256 thumbprint of the public key as base64url (RFC 7638): a public name for the pair.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (n, e) = self.public_parts();
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
    }

    /// The length of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        let leading = self
            .modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        self.modulus.len() * 8 - leading
    }

    fn public_parts(&self) -> (String, String) {
        (
            URL_SAFE_NO_PAD.encode(&self.modulus),
            URL_SAFE_NO_PAD.encode(&self.exponent),
        )
    }
}

impl std::fmt::Debug for AuthKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthKeys")
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::{rand, signature};
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    static KEYS: LazyLock<AuthKeys> =
        LazyLock::new(|| AuthKeys::generate(KeySize::Rsa2048).unwrap());

    #[test]
    fn the_public_half_checks_what_the_private_half_signs() {
        let parsed = AuthKeys::parse(KEYS.private_key_single_line().expose()).unwrap();
        let pair = rsa::KeyPair::from_pkcs8(&parsed.pkcs8).unwrap();
        let mut signed = vec![0; pair.public_modulus_len()];
        let random = rand::SystemRandom::new();
        pair.sign(
            &signature::RSA_PKCS1_SHA256,
            &random,
            b"a token",
            &mut signed,
        )
        .unwrap();

        let jwks: serde_json::Value = serde_json::from_str(&KEYS.jwks()).unwrap();
        let part = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(jwks["keys"][0][name].as_str().unwrap())
                .unwrap()
        };
        let public = signature::RsaPublicKeyComponents {
            n: part("n"),
            e: part("e"),
        };
        let check = |message: &[u8]| {
            public.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, &signed)
        };
        assert!(check(b"a token").is_ok());
        assert!(check(b"a taken").is_err());
    }

    #[test]
    fn the_forms_are_those_of_convex_auth() {
        let pem = KEYS.private_key_pem();
        let lines: Vec<&str> = pem.expose().lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(lines.last(), Some(&"-----END PRIVATE KEY-----"));
        assert!(pem.expose().ends_with("-----\n"));
        let body = &lines[1..lines.len() - 1];
        assert!(body[..body.len() - 1].iter().all(|line| line.len() == 64));
        assert_eq!(KEYS.private_key_single_line().expose(), lines.join(" "));
        let jwks = KEYS.jwks();
        assert!(
            jwks.starts_with(r#"{"keys":[{"use":"sig","kty":"RSA","n":""#),
            "{jwks}"
        );
        assert!(jwks.ends_with(r#"","e":"AQAB"}]}"#), "{jwks}");
        assert_eq!(jwks.len(), 396);
    }

    #[test]
    fn every_way_to_join_the_lines_is_read() {
        let pem = KEYS.private_key_pem();
        let pem = pem.expose();
        let joined = [
            pem.to_owned(),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', " "),
            pem.replace('\n', ""),
            pem.replace('\n', "\\n"),
            format!("\n  {}  \n", pem.replace('\n', "\n  ")),
        ];
        for text in joined {
            let keys = AuthKeys::parse(&text).unwrap();
            assert_eq!(keys.private_key_pem(), KEYS.private_key_pem());
            assert_eq!(keys.jwks(), KEYS.jwks());
            assert_eq!(keys.thumbprint(), KEYS.thumbprint());
        }
    }

    #[test]
    fn the_public_key_is_what_the_pem_says() {
        let pem = KEYS.public_key_pem();
        let body = pem
            .strip_prefix("-----BEGIN PUBLIC KEY-----\n")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----\n"))
            .unwrap();
        let der = STANDARD.decode(body.replace('\n', "")).unwrap();
        let public = rsa::PublicEncryptingKey::from_der(&der).unwrap();
        assert_eq!(public.key_size_bits(), 2048);
        assert!(der.windows(256).any(|window| window == KEYS.modulus));
    }

    #[test]
    fn larger_keys_can_be_made() {
        assert_eq!(KEYS.bits(), 2048);
        assert_eq!(AuthKeys::generate(KeySize::Rsa3072).unwrap().bits(), 3072);
        for size in [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096] {
            assert_eq!(KeySize::from_bits(size.bits()), Ok(size));
        }
        let message = KeySize::from_bits(1024).unwrap_err().to_string();
        assert_eq!(
            message,
            "A key of 1024 bits cannot be made. Ask for 2048, 3072 or 4096."
        );
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let keys = AuthKeys {
            pkcs8: Zeroizing::default(),
            spki: Vec::new(),
            modulus: URL_SAFE_NO_PAD.decode(n).unwrap(),
            exponent: vec![1, 0, 1],
        };
        assert_eq!(
            keys.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn debug_output_names_the_pair_and_no_more() {
        let shown = format!("{:?}", *KEYS);
        assert_eq!(
            shown,
            format!("AuthKeys {{ thumbprint: {:?}, .. }}", KEYS.thumbprint())
        );
    }
}
