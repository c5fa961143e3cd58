//! The pair of keys that `auth` stands for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    backend::Backend,
    model::{AuthModel, Model, auth_names},
    seen,
};
use crate::{
    backend::{BackendError, api},
    convex::{AuthKeys, Secret, auth_keys::KeySize},
    plugin::{Diagnostic, Diagnostics, Private, redact},
    resources::{auth_keys::generate, backend_error},
    session::Listing,
};

/// Fills in what the plan left open, and returns the pair where it is at hand.
///
/// A pair that the backend has and that nobody here made is taken over rather
/// than replaced: an interrupted apply may have sent it, and users are signed
/// in with it. `prior` is absent if its trigger says nothing of rotation.
pub async fn complete(
    model: &mut Model,
    prior: Option<&Model>,
    object: &str,
    backend: &Backend,
    live: Option<&Listing>,
) -> Result<Option<AuthKeys>, Diagnostics> {
    let keeps = model.keeps_secrets();
    let has_own_site = model.declares_by_hand(auth_names::CUSTOM_SITE_URL);
    let Some(auth) = &mut model.auth else {
        return Ok(None);
    };
    if auth.site_origin.is_none() {
        auth.site_origin = site_origin(object, backend).await?;
    }
    if auth.custom_site_url.is_none() && !has_own_site {
        auth.custom_site_url = backend.traits().and_then(|it| it.custom_site.clone());
    }
    if auth.issuer.is_none() {
        auth.issuer.clone_from(&auth.site_origin);
    }
    let given = [
        (&auth.private_key, "auth.private_key"),
        (&auth.private_key_wo, "auth.private_key_wo"),
    ]
    .into_iter()
    .find_map(|(pem, path)| Some((pem.as_ref()?, path)));
    let keys = match given {
        Some((pem, path)) => AuthKeys::parse(pem.expose()).map_err(|error| {
            Diagnostic::error(format!("Invalid value for {path}"), error.to_string()).at(path)
        })?,
        // The pair stays, and the backend alone has it.
        None if !keeps && auth.jwks.is_some() => return Ok(None),
        // It could not be kept until the backend starts.
        None if !keeps && live.is_none() && !matches!(backend, Backend::Running { .. }) => {
            return Ok(None);
        }
        None => match live
            .and_then(|live| pair(live))
            .filter(|_| !rotates(prior, auth))
        {
            Some(keys) => keys,
            None => generate(KeySize::default()).await?,
        },
    };
    redact::remember(keys.private_key_pem().expose());
    redact::remember(keys.private_key_single_line().expose());
    auth.jwks = Some(keys.jwks());
    if keeps && auth.private_key_wo.is_none() && auth.private_key.is_none() {
        auth.private_key = Some(keys.private_key_pem());
    }
    Ok(Some(keys))
}

/// Whether a new pair is wanted in place of the one there is.
fn rotates(prior: Option<&Model>, auth: &AuthModel) -> bool {
    prior
        .and_then(|prior| prior.auth.as_ref())
        .is_some_and(|prior| prior.rotate_trigger != auth.rotate_trigger)
}

/// The pair a backend has, if both halves of it are there and fit.
pub fn pair(live: &BTreeMap<String, Secret>) -> Option<AuthKeys> {
    let pem = live.get(auth_names::PRIVATE_KEY)?;
    redact::remember(pem.expose());
    let keys = AuthKeys::parse(pem.expose()).ok()?;
    let jwks = live.get(auth_names::JWKS)?.expose();
    let public = |jwks: &str| {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Jwk>,
        }
        // Others write more beside it, such as a name for the key.
        #[derive(PartialEq, Eq, Deserialize)]
        struct Jwk {
            n: String,
            e: String,
        }
        let Jwks { keys } = serde_json::from_str(jwks).ok()?;
        let [key] = <[Jwk; 1]>::try_from(keys).ok()?;
        Some(key)
    };
    let (ours, theirs) = (public(&keys.jwks())?, public(jwks)?);
    (ours == theirs).then_some(keys)
}

/// Whether the private key of a backend is the one that was set. The state
/// keeps its own: a generated one would otherwise be lost.
pub fn same_private_key(auth: &AuthModel, private: &Private, live: &Listing) -> bool {
    let live_key = live.get(auth_names::PRIVATE_KEY);
    if let Some(pem) = &auth.private_key {
        let set = AuthKeys::parse(pem.expose()).ok();
        return set.map(|keys| keys.private_key_single_line()).as_ref() == live_key;
    }
    // The public key tells, where the private one is not kept.
    let Some(own) = seen::own_jwks(private) else {
        return true;
    };
    live_key
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
        .is_some_and(|keys| keys.jwks() == own)
}

/// Where HTTP actions answer. That of a stopped backend that nobody here runs
/// is found out when it starts.
async fn site_origin(object: &str, backend: &Backend) -> Result<Option<String>, Diagnostic> {
    if let Some(traits) = backend.traits() {
        return Ok(Some(traits.site_origin.clone()));
    }
    let Backend::Running { client, .. } = backend else {
        return Ok(None);
    };
    match client.call(&api::canonical_urls()).await {
        Ok(urls) => Ok(Some(urls.convex_site_url)),
        Err(BackendError::NotFound) => Err(Diagnostic::error(
            "Site origin not known",
            format!(
                "The backend of {object} is too old to tell its site origin. Give auth.site_origin."
            ),
        )
        .at("auth.site_origin")),
        Err(error) => Err(backend_error(object, "read the site origin", &error)),
    }
}
