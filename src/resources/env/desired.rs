//! The variables that the attributes stand for.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{AuthModel, Model, auth_names};
use crate::{
    convex::{
        AuthKeys, Secret,
        env_var::{VarName, VarValue, Variables},
    },
    plugin::{Diagnostic, value::Path},
};

/// All variables of a model in which everything is known. Every one was checked
/// before, so an error here is that of a state edited by hand.
pub fn variables(model: &Model) -> Result<Variables, Diagnostic> {
    let mut all = Variables::new();
    for (path, name, value) in entries(model) {
        let wrong = |error: &dyn std::fmt::Display| {
            Diagnostic::error(format!("Invalid value for {path}"), error.to_string())
                .at(path.clone())
        };
        let name = VarName::parse(&name).map_err(|error| wrong(&error))?;
        let value = VarValue::parse(value).map_err(|error| wrong(&error))?;
        all.insert(name, value);
    }
    Ok(all)
}

/// The names of all variables of a model.
pub fn names(model: &Model) -> BTreeSet<VarName> {
    entries(model)
        .into_iter()
        .filter_map(|(_, name, _)| VarName::parse(&name).ok())
        .collect()
}

/// The attribute of each variable.
pub fn paths(model: &Model) -> Vec<(String, Path)> {
    entries(model)
        .into_iter()
        .map(|(path, name, _)| (name, path))
        .collect()
}

/// Each variable with the attribute it comes from.
fn entries(model: &Model) -> Vec<(Path, String, Secret)> {
    let mut all = Vec::new();
    for (name, value) in model.variables.iter().flatten() {
        let path = Path::of("variables").key(name);
        all.push((path, name.clone(), value.as_str().into()));
    }
    for (name, secret) in model.secrets.iter().flatten() {
        if let Some(value) = &secret.value {
            let path = Path::of("secrets").key(name).attribute("value");
            all.push((path, name.clone(), value.clone()));
        }
    }
    if let Some(auth) = &model.auth {
        for (name, (attribute, value)) in auth_entries(auth) {
            let path = Path::of("auth").attribute(attribute);
            all.push((path, name.to_owned(), value));
        }
    }
    all
}

/// Each variable of `auth`, with its attribute.
fn auth_entries(auth: &AuthModel) -> BTreeMap<&'static str, (&'static str, Secret)> {
    let text = |value: &Option<String>| value.as_deref().map(Secret::from);
    // The form that @convex-dev/auth's own command line gives the key.
    let private_key = auth
        .private_key
        .as_ref()
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
        .map(|keys| keys.private_key_single_line());
    [
        (auth_names::PRIVATE_KEY, "private_key", private_key),
        (auth_names::JWKS, "jwks", text(&auth.jwks)),
        (auth_names::ISSUER, "issuer", text(&auth.issuer)),
        (
            auth_names::SITE_ORIGIN,
            "site_origin",
            text(&auth.site_origin),
        ),
        (auth_names::SITE_URL, "site_url", text(&auth.site_url)),
    ]
    .into_iter()
    .filter_map(|(name, attribute, value)| Some((name, (attribute, value?))))
    .collect()
}
