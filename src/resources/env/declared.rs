//! The variables that the attributes stand for.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{AuthModel, Model, SecretModel, auth_names};
use crate::{
    convex::{AuthKeys, Secret, env_var::VarName},
    plugin::value::Path,
};

/// A variable that is declared.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The attribute that declares it.
    pub path: Path,
    /// Its value; `None` where nobody keeps it, and then it stays what it is.
    pub value: Option<Secret>,
    /// What tells one declaration from the next.
    pub stamp: Stamp,
}

/// What the state keeps of a declared value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The value itself.
    Value(Secret),
    /// Nothing, or the number it is pinned to.
    Version(Option<i64>),
}

impl Stamp {
    /// Whether the value is only to be set when its number changes.
    pub fn is_pinned(&self) -> bool {
        matches!(self, Self::Version(Some(_)))
    }
}

/// Everything a model declares, by name.
///
/// `keys` are those of `auth` where the model does not keep them.
pub fn declarations(model: &Model, keys: Option<&AuthKeys>) -> BTreeMap<String, Declared> {
    let mut all = BTreeMap::new();
    for (name, value) in model.variables.iter().flatten() {
        let path = Path::of("variables").key(name);
        all.insert(name.clone(), kept(path, value.as_str().into()));
    }
    for (name, secret) in model.secrets.iter().flatten() {
        all.insert(name.clone(), of_secret(name, secret));
    }
    if let Some(auth) = &model.auth {
        all.extend(of_auth(auth, keys));
    }
    all
}

fn kept(path: Path, value: Secret) -> Declared {
    Declared {
        path,
        stamp: Stamp::Value(value.clone()),
        value: Some(value),
    }
}

fn of_secret(name: &str, secret: &SecretModel) -> Declared {
    let path = Path::of("secrets").key(name);
    match &secret.value {
        Some(value) => kept(path.attribute("value"), value.clone()),
        None => Declared {
            path: path.attribute("value_wo"),
            value: secret.value_wo.clone(),
            stamp: Stamp::Version(secret.value_wo_version),
        },
    }
}

/// The variables of `auth`. Those the deployment does not have are left out.
fn of_auth(auth: &AuthModel, keys: Option<&AuthKeys>) -> Vec<(String, Declared)> {
    let text = |name: &str, attribute, value: &Option<String>| {
        let value = value.as_deref()?.into();
        let path = Path::of("auth").attribute(attribute);
        Some((name.to_owned(), kept(path, value)))
    };
    let stored = auth
        .private_key
        .as_ref()
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok());
    let path = Path::of("auth").attribute("private_key");
    // The form that @convex-dev/auth's own command line gives the key.
    let private_key = match (&stored, keys) {
        (Some(keys), _) => kept(path, keys.private_key_single_line()),
        (None, keys) => Declared {
            path,
            value: keys.map(AuthKeys::private_key_single_line),
            stamp: Stamp::Version(None),
        },
    };
    [
        // Without a public key there is no pair yet.
        auth.jwks
            .is_some()
            .then(|| (auth_names::PRIVATE_KEY.to_owned(), private_key)),
        text(auth_names::JWKS, "jwks", &auth.jwks),
        text(auth_names::ISSUER, "issuer", &auth.issuer),
        text(auth_names::SITE_ORIGIN, "site_origin", &auth.site_origin),
        text(auth_names::SITE_URL, "site_url", &auth.site_url),
        text(
            auth_names::CUSTOM_SITE_URL,
            "custom_site_url",
            &auth.custom_site_url,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The names that a state says were set by it, if nothing waits for a backend:
/// not those that were adopted.
pub fn managed(prior: &Model) -> BTreeSet<VarName> {
    let never_set = |name: &str| {
        prior
            .secrets
            .as_ref()
            .and_then(|secrets| secrets.get(name))
            .is_some_and(|secret| secret.set == Some(false))
    };
    let adopted = adopted(prior);
    // Of these, one that was removed by others is not in the state any more.
    let of_auth = prior.auth.iter().flat_map(|_| auth_names::ALWAYS);
    declarations(prior, None)
        .into_keys()
        .chain(of_auth.map(str::to_owned))
        .filter(|name| !never_set(name) && !adopted.contains(name))
        .filter_map(|name| VarName::parse(&name).ok())
        .collect()
}

/// The names that keep the value they had before they were declared.
pub fn adopted(model: &Model) -> BTreeSet<String> {
    model.adopted.iter().flatten().cloned().collect()
}
