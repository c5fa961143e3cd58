//! The state of a key pair, and the schema beside it.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{
        AuthKeys, Secret,
        auth_keys::{BetterAuthSecret, KeySize},
        crypto::CryptoError,
    },
    plugin::{
        Diagnostics,
        schema::{Fields, OnUpdate, Schema, invalid, number, string},
        value::{Path, Value},
    },
};

/// The attributes of `convex_auth_keys`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub bits: Option<u64>,
    pub private_key: Option<Secret>,
    pub rotate_trigger: Option<String>,
    pub better_auth_secret: Option<Secret>,
    pub better_auth_secret_wo: Option<Secret>,
    pub private_key_pem: Option<Secret>,
    pub private_key_line: Option<Secret>,
    pub public_key_pem: Option<String>,
    pub jwks: Option<String>,
    pub thumbprint: Option<String>,
    pub better_auth_jwks: Option<Secret>,
}

impl Model {
    /// Takes over what follows from a pair. The one thing that also follows
    /// from something else, better-auth's form, is null without a secret.
    pub fn fill(&mut self, keys: &AuthKeys) -> Result<(), CryptoError> {
        self.id = Some(keys.thumbprint());
        self.bits = Some(keys.bits() as u64);
        self.private_key_pem = Some(keys.private_key_pem());
        self.private_key_line = Some(keys.private_key_single_line());
        self.public_key_pem = Some(keys.public_key_pem());
        self.jwks = Some(keys.jwks());
        self.thumbprint = Some(keys.thumbprint());
        self.better_auth_jwks = self
            .better_auth_secret
            .as_ref()
            .or(self.better_auth_secret_wo.as_ref())
            .and_then(|secret| BetterAuthSecret::parse(secret.expose()).ok())
            .map(|secret| keys.better_auth_jwks(&secret))
            .transpose()?;
        Ok(())
    }
}

/// What follows from a pair alone.
pub const FROM_PAIR: [&str; 6] = [
    "id",
    "private_key_pem",
    "private_key_line",
    "public_key_pem",
    "jwks",
    "thumbprint",
];

fn check_bits(value: &Value, path: &Path, found: &mut Diagnostics) {
    if let Value::Number(number) = value {
        let size = number.as_i64().and_then(|bits| u64::try_from(bits).ok());
        match size.map(KeySize::from_bits) {
            Some(Ok(_)) => {}
            Some(Err(error)) => found.push(invalid(path, error)),
            None => found.push(invalid(
                path,
                format!(
                    "{} is no number of bits. Give 2048, 3072 or 4096.",
                    number.as_str()
                ),
            )),
        }
    }
}

/// The schema.
pub fn schema() -> Schema {
    let text = |description| string(description).computed(OnUpdate::Keep);
    Schema::new(
        "An RSA key pair that an application signs its users' tokens with, in the forms that `@convex-dev/auth` and `better-auth` read. It is made during apply and lives in the state alone, private key included. Setting `auth` of `convex_env` is shorter where one deployment uses the pair; this is for a pair that several deployments share, that is rotated apart from them, or that other resources need. Destroying it forgets the pair and changes nothing where it was set.",
        Fields::new()
            .with(
                "id",
                text("The thumbprint of the public key. It changes when the pair does."),
            )
            .with(
                "bits",
                number("Size of a generated key: 2048, 3072 or 4096. Another size replaces the pair in place. Default: 2048 for a new pair, else the size that the pair has.")
                    .optional()
                    .check(check_bits)
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "private_key",
                string("Your own private key, instead of a generated one: RSA with 2048 to 8192 bits as PKCS#8 PEM, whose lines may also be joined by blanks, by `\\n` or by nothing. Another key replaces the pair in place; the same key in another spelling changes nothing. Without it, a key that was given or imported stays until the pair is rotated.")
                    .optional()
                    .parsed_with(AuthKeys::parse)
                    .inferred(OnUpdate::Keep)
                    .sensitive(),
            )
            .with(
                "rotate_trigger",
                string("Any text, such as a date. When it changes, a new pair is generated in place of the old one. Tokens signed with the old key end where the new pair is set.")
                    .optional(),
            )
            .with(
                "better_auth_secret",
                string("What the deployment has in `BETTER_AUTH_SECRET`, for `better_auth_jwks`. It is in the state.")
                    .optional()
                    .parsed_with(BetterAuthSecret::parse)
                    .sensitive(),
            )
            .with(
                "better_auth_secret_wo",
                string("The same as `better_auth_secret`, but never in plan or state.")
                    .optional()
                    .parsed_with(BetterAuthSecret::parse)
                    .sensitive()
                    .write_only(),
            )
            .with(
                "private_key_pem",
                text("The private key as PKCS#8 PEM, in lines.").sensitive(),
            )
            .with(
                "private_key_line",
                text("The same on one line, blanks instead of line breaks: for the variable `JWT_PRIVATE_KEY`, as the command line of `@convex-dev/auth` sets it.")
                    .sensitive(),
            )
            .with(
                "public_key_pem",
                text("The public key as PEM, in lines (`BEGIN PUBLIC KEY`)."),
            )
            .with(
                "jwks",
                text("The public key as a JSON Web Key Set of one key: for the variable `JWKS`, as `@convex-dev/auth` reads it. `better-auth` reads another form, see `better_auth_jwks`."),
            )
            .with(
                "thumbprint",
                text("SHA-256 thumbprint of the public key, as base64url (RFC 7638): a public name for the pair."),
            )
            .with(
                "better_auth_jwks",
                text("The pair for the option `jwks` of `@convex-dev/better-auth`, whose documentation uses the variable `JWKS` for it: no key set, but a JSON array of one row of its table, in which the private key is encrypted with the secret. Null unless `better_auth_secret` or `better_auth_secret_wo` is given.")
                    .sensitive(),
            ),
    )
}
