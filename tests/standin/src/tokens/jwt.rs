//! A user's token: what it says, and whether its issuer has signed it.

use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// A token as it is presented.
#[derive(Debug)]
pub struct Token<'a> {
    signed: &'a str,
    header: Value,
    claims: Map<String, Value>,
    signature: Vec<u8>,
}

/// A user as functions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The identity, with the names that functions know.
    pub identity: Value,
    /// Seconds since 1970 until which the token is valid.
    pub expires: u64,
}

/// The claims that have a name of their own in an identity. All others have the one of the claim, but those of `OMITTED`.
const NAMES: [(&str, &str); 17] = [
    ("name", "name"),
    ("given_name", "givenName"),
    ("family_name", "familyName"),
    ("nickname", "nickname"),
    ("preferred_username", "preferredUsername"),
    ("profile", "profileUrl"),
    ("picture", "pictureUrl"),
    ("email", "email"),
    ("email_verified", "emailVerified"),
    ("gender", "gender"),
    ("birthdate", "birthday"),
    ("zoneinfo", "timezone"),
    ("locale", "language"),
    ("phone_number", "phoneNumber"),
    ("phone_number_verified", "phoneNumberVerified"),
    ("address", "address"),
    ("updated_at", "updatedAt"),
];

const OMITTED: [&str; 8] = ["sub", "iss", "aud", "exp", "iat", "nbf", "jti", "fva"];

impl<'a> Token<'a> {
    /// Reads a token without believing it.
    pub fn parse(text: &'a str) -> Result<Self, ApiError> {
        let malformed = || {
            ApiError::unauthenticated(
                "InvalidAuthHeader",
                "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded \
                 parts separated by dots.",
            )
        };
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).ok();
        let Some(Value::Object(claims)) = read(claims) else {
            return Err(malformed());
        };
        Ok(Self {
            signed,
            header: read(header).unwrap_or_default(),
            claims,
            signature: decode(signature).unwrap_or_default(),
        })
    }

    /// Who claims to have issued it.
    pub fn issuer(&self) -> Result<&str, ApiError> {
        self.text("iss").ok_or_else(|| {
            ApiError::unauthenticated(
                "InvalidAuthHeader",
                "The token names no issuer (claim 'iss').",
            )
        })
    }

    /// For whom it is.
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The user, if the one key that fits has signed the token and it is valid at this time. Otherwise what is wrong.
    pub fn verify(&self, audience: &str, keys: &Value, now: u64) -> Result<User, &'static str> {
        if self.audiences() != [audience] {
            return Err("it is for others as well");
        }
        let text = |name| self.text(name).ok_or("a claim is missing");
        let (subject, issuer) = (text("sub")?, text("iss")?);
        let number = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        let (Some(expires), Some(_)) = (number("exp"), number("iat")) else {
            return Err("a claim is missing");
        };
        self.check_signature(keys)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time of this age"
        )]
        let expires = expires as u64;
        if now >= expires {
            return Err("it has expired");
        }
        let mut identity = Map::new();
        for (claim, value) in &self.claims {
            if let Some((_, name)) = NAMES.iter().find(|(name, _)| name == claim) {
                identity.insert((*name).to_owned(), value.clone());
            } else if !OMITTED.contains(&claim.as_str()) {
                identity.insert(claim.clone(), value.clone());
            }
        }
        identity.insert("subject".into(), json!(subject));
        identity.insert("issuer".into(), json!(issuer));
        identity.insert(
            "tokenIdentifier".into(),
            json!(format!("{issuer}|{subject}")),
        );
        Ok(User {
            identity: Value::Object(identity),
            expires,
        })
    }

    fn check_signature(&self, keys: &Value) -> Result<(), &'static str> {
        let kind = match self.header["alg"].as_str() {
            Some("RS256") => "RSA",
            Some("EdDSA") => "OKP",
            _ => return Err("its algorithm is not accepted"),
        };
        let keys = keys["keys"].as_array().map_or(&[][..], Vec::as_slice);
        let id = &self.header["kid"];
        let mut fitting = keys.iter().filter(|key| {
            key["kty"] == kind
                && (key["use"].is_null() || key["use"] == "sig")
                && (id.is_null() || key["kid"] == *id)
        });
        let (Some(key), None) = (fitting.next(), fitting.next()) else {
            return Err("not exactly one key fits");
        };
        let part = |name: &str| {
            let text = key[name].as_str().unwrap_or_default();
            BASE64_URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| "the key is malformed")
        };
        let verified = if kind == "RSA" {
            let key = RsaPublicKeyComponents {
                n: part("n")?,
                e: part("e")?,
            };
            key.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                self.signed.as_bytes(),
                &self.signature,
            )
        } else {
            UnparsedPublicKey::new(&ED25519, part("x")?)
                .verify(self.signed.as_bytes(), &self.signature)
        };
        verified.map_err(|_| "the signature is wrong")
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};

    use super::*;

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn sign(pair: &RsaKeyPair, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{signed}.{}", encode(signature))
    }

    fn key(pair: &RsaKeyPair) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        json!({ "kty": "RSA", "use": "sig", "n": encode(n), "e": encode(e) })
    }

    #[test]
    fn a_token_is_of_its_user_only_where_all_of_it_fits() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let header = json!({ "alg": "RS256" });
        let claims = json!({
            "iss": "http://a", "aud": "convex", "sub": "u|s", "exp": 2000, "iat": 1000,
            "given_name": "Ada", "role": "admin", "jti": "x",
        });
        let keys = json!({ "keys": [key(&pair)] });
        let verify = |token: &str, keys: &Value, now| {
            Token::parse(token).unwrap().verify("convex", keys, now)
        };
        let token = sign(&pair, &header, &claims);
        let user = verify(&token, &keys, 1999).unwrap();
        assert_eq!(user.expires, 2000);
        assert_eq!(
            user.identity,
            json!({
                "subject": "u|s", "issuer": "http://a", "tokenIdentifier": "http://a|u|s",
                "givenName": "Ada", "role": "admin",
            })
        );
        assert_eq!(verify(&token, &keys, 2000), Err("it has expired"));

        let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let two = json!({ "keys": [key(&pair), key(&other)] });
        for (keys, problem) in [
            (json!({ "keys": [key(&other)] }), "the signature is wrong"),
            (two.clone(), "not exactly one key fits"),
            (json!({ "keys": [] }), "not exactly one key fits"),
            (json!([]), "not exactly one key fits"),
        ] {
            assert_eq!(verify(&token, &keys, 1500), Err(problem));
        }
        // A key that the token names is the one, of however many.
        let mut two = two;
        two["keys"][0]["kid"] = json!("1");
        two["keys"][1]["kid"] = json!("2");
        let named = sign(&pair, &json!({ "alg": "RS256", "kid": "1" }), &claims);
        assert!(verify(&named, &two, 1500).is_ok());

        let changed = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            sign(&pair, &header, &claims)
        };
        for (token, problem) in [
            (changed("aud", json!("other")), "it is for others as well"),
            (
                changed("aud", json!(["convex", "other"])),
                "it is for others as well",
            ),
            (changed("iat", Value::Null), "a claim is missing"),
            (
                sign(&pair, &json!({ "alg": "none" }), &claims),
                "its algorithm is not accepted",
            ),
        ] {
            assert_eq!(verify(&token, &keys, 1500), Err(problem));
        }
    }
}
