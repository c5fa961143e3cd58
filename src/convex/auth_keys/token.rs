//! Tokens, as `@convex-dev/auth` signs them for its users.

use std::time::Duration;

use aws_lc_rs::{rand::SystemRandom, rsa, signature};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{super::secret::Secret, AuthKeys, CryptoError};

/// The audience of tokens: the `applicationID` of `auth.config.ts`.
const AUDIENCE: &str = "convex";

impl AuthKeys {
    /// A token of `issuer` for `subject`, valid for `lifetime` from `now` on, the time since 1970.
    /// Header and claims are those of `@convex-dev/auth` 0.0.95 (`src/server/implementation/tokens.ts`).
    pub fn token(
        &self,
        issuer: &str,
        subject: &str,
        now: Duration,
        lifetime: Duration,
    ) -> Result<Secret, CryptoError> {
        let claims = serde_json::json!({
            "sub": subject,
            "iat": now.as_secs(),
            "iss": issuer,
            "aud": AUDIENCE,
            "exp": (now + lifetime).as_secs(),
        });
        let mut token = [r#"{"alg":"RS256"}"#, &claims.to_string()]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let failed = || CryptoError::during("sign a token");
        let pair = rsa::KeyPair::from_pkcs8(&self.pkcs8).map_err(|_| failed())?;
        let mut signed = vec![0; pair.public_modulus_len()];
        pair.sign(
            &signature::RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            token.as_bytes(),
            &mut signed,
        )
        .map_err(|_| failed())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signed));
        Ok(token.into())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::RsaPublicKeyComponents;

    use super::*;
    use crate::convex::auth_keys::KeySize;

    #[test]
    fn a_token_says_what_it_should_and_is_signed_with_the_key() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let (now, lifetime) = (Duration::from_secs(1000), Duration::from_mins(1));
        let token = keys.token("http://a", "nobody", now, lifetime).unwrap();
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(header), r#"{"alg":"RS256"}"#);
        let claims: serde_json::Value = serde_json::from_str(&read(claims)).unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "sub": "nobody", "iat": 1000, "iss": "http://a", "aud": "convex", "exp": 1060
            })
        );
        let public = RsaPublicKeyComponents {
            n: &keys.modulus,
            e: &keys.exponent,
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        public
            .verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                signed.as_bytes(),
                &signature,
            )
            .unwrap();
    }
}
