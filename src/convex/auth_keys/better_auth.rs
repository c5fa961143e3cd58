//! The form in which better-auth keeps its keys.
//!
//! `@convex-dev/better-auth` (read at version 0.12.5, with `better-auth` 1.6.34) takes a fixed key
//! by its option `jwks`, for which its documentation uses the variable `JWKS`. In spite of the name
//! that is no key set but an array of rows of its table: a row has an `id`, which tokens carry as
//! `kid`; `publicKey`, a key in JSON form as text; `privateKey`, the same sealed with the secret of
//! the application, `BETTER_AUTH_SECRET`, as JSON; `createdAt`, in milliseconds; and `alg`, without
//! which it takes the key for one of another kind. An `expiresAt` may be left out.
//!
//! The seal is XChaCha20-Poly1305 under SHA-256 of the secret, the nonce in front, in hexadecimal.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use yasna::{ASN1Result, BERReader};
use zeroize::Zeroizing;

use super::super::crypto::{CryptoError, hmac_sha256, to_hex};
use super::super::secret::Secret;
use super::{AuthKeys, xchacha};

/// What nonces are derived for. Every sealed key follows from it, so it must not move.
const NONCE_MESSAGE: &[u8] = b"better-auth private key nonce\0";

/// Why a text is not the secret of an application. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BetterAuthSecretError {
    /// There is nothing.
    #[error(
        "The secret is empty. Give the value that the variable `BETTER_AUTH_SECRET` of the \
         deployment has."
    )]
    Empty,
}

/// What an application has in `BETTER_AUTH_SECRET`: any text but none.
///
/// It is taken as it is, with blanks and line breaks, since better-auth does so too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BetterAuthSecret(Secret);

impl BetterAuthSecret {
    /// Takes the secret.
    pub fn parse(text: &str) -> Result<Self, BetterAuthSecretError> {
        if text.is_empty() {
            return Err(BetterAuthSecretError::Empty);
        }
        Ok(Self(Secret::from(text)))
    }

    fn key(&self) -> Zeroizing<[u8; xchacha::KEY_LENGTH]> {
        let hash = digest::digest(&digest::SHA256, self.0.expose().as_bytes());
        let mut key = Zeroizing::new([0; xchacha::KEY_LENGTH]);
        key.copy_from_slice(hash.as_ref());
        key
    }
}

/// One row, with the fields in the order of better-auth's own type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    public_key: &'a str,
    private_key: &'a str,
    created_at: u64,
    alg: &'a str,
}

impl AuthKeys {
    /// The pair as better-auth wants it: an array of one row, as JSON.
    ///
    /// The same pair and secret always give the same text. The row's `id` is the thumbprint. It is
    /// dated to the beginning of 1970: better-auth looks at dates only to find the newest of
    /// several rows, and a real one would make another text of the same key.
    pub fn better_auth_jwks(&self, secret: &BetterAuthSecret) -> Result<Secret, CryptoError> {
        let (n, e) = self.public_parts();
        let public_key = format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#);
        let private_key = seal(secret, self.private_jwk()?.as_bytes())?;
        let row = Row {
            id: &self.thumbprint(),
            public_key: &public_key,
            private_key: &format!("\"{private_key}\""),
            created_at: 0,
            alg: "RS256",
        };
        serde_json::to_string(&[row])
            .map(Secret::from)
            .map_err(|_| CryptoError::during("write a key for better-auth"))
    }

    /// The private key in JSON form (RFC 7518, section 6.3.2).
    fn private_jwk(&self) -> Result<Zeroizing<String>, CryptoError> {
        let parts = yasna::parse_der(&self.pkcs8, read_pkcs8)
            .map_err(|_| CryptoError::during("read the RSA key that it wrote"))?;
        // Reserved at once, so that no copy of the key stays behind where the text grows.
        let length: usize = parts.iter().map(|part| part.len() * 4 / 3 + 16).sum();
        let mut jwk = Zeroizing::new(String::with_capacity(length + 16));
        jwk.push_str(r#"{"kty":"RSA""#);
        for (name, part) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"]
            .iter()
            .zip(parts)
        {
            let number = &part[usize::from(part[0] == 0)..];
            jwk.push_str(",\"");
            jwk.push_str(name);
            jwk.push_str("\":\"");
            jwk.push_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(number)));
            jwk.push('"');
        }
        jwk.push('}');
        Ok(jwk)
    }
}

/// The eight numbers of an RSA key in a PKCS#8 structure, in the order of RFC 8017, appendix A.1.2.
fn read_pkcs8(reader: BERReader<'_, '_>) -> ASN1Result<[Zeroizing<Vec<u8>>; 8]> {
    let key = reader.read_sequence(|key| {
        let _version = key.next().read_u8()?;
        key.next().read_sequence(|algorithm| {
            let _rsa = algorithm.next().read_oid()?;
            algorithm.next().read_null()
        })?;
        key.next().read_bytes().map(Zeroizing::new)
    })?;
    yasna::parse_der(&key, |reader| {
        reader.read_sequence(|numbers| {
            let _version = numbers.next().read_u8()?;
            let mut parts = <[Zeroizing<Vec<u8>>; 8]>::default();
            for part in &mut parts {
                *part = Zeroizing::new(numbers.next().read_bigint_bytes()?.0);
            }
            Ok(parts)
        })
    })
}

/// The text under the secret: nonce, sealed text and tag, in hexadecimal.
///
/// The nonce is derived from secret and text. So two texts never share one, which is all that is
/// asked of it, and nothing has to be remembered for the same result.
fn seal(secret: &BetterAuthSecret, text: &[u8]) -> Result<String, CryptoError> {
    let key = secret.key();
    let message = Zeroizing::new([NONCE_MESSAGE, text].concat());
    let nonce: [u8; xchacha::NONCE_LENGTH] = hmac_sha256(key.as_ref(), &message);
    let sealed = xchacha::seal(&key, &nonce, text)?;
    Ok(to_hex(&nonce) + &to_hex(&sealed))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::env_var::VarValue;
    use super::super::KeySize;
    use super::*;

    fn secret(text: &str) -> BetterAuthSecret {
        BetterAuthSecret::parse(text).unwrap()
    }

    #[test]
    fn a_pair_is_one_row_named_by_its_thumbprint() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let text = keys.better_auth_jwks(&secret("canary")).unwrap();
        let rows: Value = serde_json::from_str(text.expose()).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 1);
        let row = rows[0].as_object().unwrap();
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "createdAt", "id", "privateKey", "publicKey"]);
        assert_eq!(row["id"], keys.thumbprint());
        assert_eq!(row["alg"], "RS256");
        // Rows hold JSON as text.
        let inner =
            |name: &str| -> Value { serde_json::from_str(row[name].as_str().unwrap()).unwrap() };
        let of_set: Value = serde_json::from_str(&keys.jwks()).unwrap();
        assert_eq!(inner("publicKey")["n"], of_set["keys"][0]["n"]);
        let sealed = inner("privateKey").as_str().unwrap().to_owned();
        assert!(sealed.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(!text.expose().contains("canary"));
    }

    #[test]
    fn the_same_pair_and_secret_give_the_same_text() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let text = |it: &str| keys.better_auth_jwks(&secret(it)).unwrap();
        assert_eq!(text("one"), text("one"));
        assert_ne!(text("one"), text("one\n"));
    }

    #[test]
    fn the_largest_pair_fits_into_a_variable() {
        let keys = AuthKeys::generate(KeySize::Rsa4096).unwrap();
        let text = keys.better_auth_jwks(&secret("canary")).unwrap();
        assert!(VarValue::parse(text).is_ok());
        assert!(VarValue::parse(keys.private_key_single_line()).is_ok());
    }

    #[test]
    fn the_private_key_has_all_its_numbers_without_leading_zeros() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let jwk: Value = serde_json::from_str(&keys.private_jwk().unwrap()).unwrap();
        let (n, e) = keys.public_parts();
        assert_eq!((&jwk["n"], &jwk["e"]), (&Value::from(n), &Value::from(e)));
        for name in ["d", "p", "q", "dp", "dq", "qi"] {
            let number = URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            assert_ne!(number[0], 0, "{name}");
        }
    }

    #[test]
    fn an_application_without_a_secret_is_refused() {
        let error = BetterAuthSecret::parse("").unwrap_err();
        assert_eq!(error, BetterAuthSecretError::Empty);
        assert_eq!(format!("{:?}", secret("canary")), "BetterAuthSecret(***)");
    }
}
