//! Making and keeping a key pair.

use super::model::Model;
use crate::{
    convex::{AuthKeys, Secret, auth_keys::KeySize},
    plugin::{Diagnostic, Diagnostics, redact},
};

/// Fills in what the plan left open. A plan in which no private key stands is
/// one for a new pair.
pub async fn complete(mut model: Model) -> Result<Model, Diagnostics> {
    let keys = match model
        .private_key
        .as_ref()
        .or(model.private_key_pem.as_ref())
    {
        Some(pem) => parse(pem)?,
        None => generate(size(model.bits)?).await?,
    };
    fill(&mut model, &keys)?;
    Ok(model)
}

/// Takes over what follows from a pair.
pub fn fill(model: &mut Model, keys: &AuthKeys) -> Result<(), Diagnostic> {
    model
        .fill(keys)
        .map_err(|error| cannot_make(&error.to_string()))?;
    for secret in [
        &model.private_key,
        &model.private_key_pem,
        &model.private_key_line,
        &model.better_auth_jwks,
    ] {
        redact::remember(secret.as_ref().map_or("", Secret::expose));
    }
    Ok(())
}

fn parse(pem: &Secret) -> Result<AuthKeys, Diagnostic> {
    AuthKeys::parse(pem.expose()).map_err(|error| {
        Diagnostic::error("Invalid value for private_key", error.to_string()).at("private_key")
    })
}

fn size(bits: Option<u64>) -> Result<KeySize, Diagnostic> {
    bits.map_or(Ok(KeySize::default()), KeySize::from_bits)
        .map_err(|error| Diagnostic::error("Invalid value for bits", error.to_string()).at("bits"))
}

/// Makes a pair beside everything else: it takes up to seconds of one
/// processor.
pub async fn generate(size: KeySize) -> Result<AuthKeys, Diagnostic> {
    tokio::task::spawn_blocking(move || AuthKeys::generate(size))
        .await
        .map_err(|error| cannot_make(&error.to_string()))?
        .map_err(|error| cannot_make(&error.to_string()))
}

fn cannot_make(why: &str) -> Diagnostic {
    Diagnostic::error("Cannot make a key for sign-in tokens", why)
}
