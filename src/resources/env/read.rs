//! Looking at variables.

use std::collections::BTreeMap;

use super::{
    backend::{Backend, Target, find, list},
    declared::{adopted, declarations},
    keys::{pair, same_private_key},
    model::{AuthModel, Model, SecretModel, auth_names},
    seen,
};
use crate::{
    convex::Secret,
    plugin::{Cx, Diagnostic, Diagnostics, Private, Timeouts},
    resources::{backend_error, deployment::no_such, imported, warn_down},
    runtime::docker::Patience,
    session::{Listing, Session},
};

/// Looks at the variables. A stopped backend says nothing, and everything stays
/// as it was.
pub(super) async fn read(
    cx: &mut Cx<Session>,
    mut model: Model,
) -> Result<Option<Model>, Diagnostics> {
    seen::identify(&mut cx.private);
    let target = Target::of(&model);
    let id = target.id().unwrap_or_default().to_owned();
    // Neither is known before there is a plan.
    if model
        .deployment
        .as_ref()
        .is_some_and(|it| !cx.session.reaches(it))
        || target.lacks_key()
    {
        cx.session.note_read(&id, None);
        return Ok(Some(model));
    }
    let timeouts = model.timeouts.clone().unwrap_or_default();
    let patience = Patience::new(timeouts.read(), cx.cancellation());
    let backend = find(cx, &target, &patience).await?;
    seen::note(&mut cx.private, &backend);
    let listing = match backend {
        Backend::Running { client, .. } => match list(&client).await {
            Ok(listing) => listing,
            // What is wrong with it must not keep anybody from mending it.
            Err(error) if error.is_down() => {
                warn_down(cx, &target.object(), "read the variables", &error);
                None
            }
            Err(error) => {
                return Err(backend_error(&target.object(), "read the variables", &error).into());
            }
        },
        Backend::Stopped { .. } => None,
        Backend::Gone => return Ok(None),
    };
    cx.session.note_read(&id, listing.clone());
    // What was never set cannot have been changed.
    if model.pending != Some(true)
        && let Some(live) = listing
    {
        take_over(&mut model, &cx.private, &live);
    }
    Ok(Some(model))
}

/// Puts what is live into the state, so that a plan shows each difference by
/// its name.
fn take_over(model: &mut Model, private: &Private, live: &Listing) {
    if model.is_exclusive() {
        let declared = declarations(model, None);
        let undeclared = live
            .keys()
            .filter(|name| !declared.contains_key(*name) && !model.leaves_alone(name));
        model.undeclared = Some(undeclared.cloned().collect());
    }
    let mut adopted = adopted(model);
    adopted.retain(|name| live.contains_key(name));
    let text = |name: &str| live.get(name).map(|value| value.expose().to_owned());
    if let Some(variables) = &mut model.variables {
        *variables = std::mem::take(variables)
            .into_iter()
            .filter_map(|(name, value)| {
                let value = if adopted.contains(&name) {
                    value
                } else {
                    text(&name)?
                };
                Some((name, value))
            })
            .collect();
    }
    if let Some(secrets) = &mut model.secrets {
        secrets.retain(|name, secret| {
            let there = live.get(name);
            secret.set = Some(there.is_some());
            if secret.value.is_some() && !adopted.contains(name) {
                secret.value = there.cloned();
                return there.is_some();
            }
            true
        });
    }
    let mut drifted = Vec::new();
    if let Some(auth) = &mut model.auth {
        if !adopted.contains(auth_names::PRIVATE_KEY) && !same_private_key(auth, private, live) {
            drifted.push(auth_names::PRIVATE_KEY.to_owned());
        }
        for (name, value) in [
            (auth_names::JWKS, &mut auth.jwks),
            (auth_names::ISSUER, &mut auth.issuer),
            (auth_names::SITE_ORIGIN, &mut auth.site_origin),
            (auth_names::SITE_URL, &mut auth.site_url),
            (auth_names::CUSTOM_SITE_URL, &mut auth.custom_site_url),
        ] {
            if value.is_some() && !adopted.contains(name) {
                *value = text(name);
            }
        }
    }
    model.drifted = Some(drifted);
    model.adopted = Some(adopted.into_iter().collect());
}

/// Takes over variables that exist: `DEPLOYMENT` all of them, or
/// `DEPLOYMENT/NAME,NAME` some. Those for signing in become `auth`, all others
/// secrets, since nobody has said yet which ones may be seen; their values are
/// left out where secrets are not kept in the state.
pub(super) async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    let (deployment, names) = split(id);
    if deployment.contains("://") && !deployment.contains('@') {
        return Err(Diagnostic::error(
            "Only variables of a deployment of this provider are imported",
            format!(
                "Those at {id} cannot be read without an admin key, which an import has no place for. They need no import: declare them with url and admin_key_wo, and apply. A variable that has the declared value already is taken over as it is, and auth takes over the keys that are there. For those with another value set on_conflict to \"overwrite\" or \"adopt\"."
            ),
        )
        .into());
    }
    let wanted = names.map(|names| names.split(',').map(str::trim).collect::<Vec<_>>());
    let target = Target {
        deployment: Some(deployment.to_owned()),
        ..Target::default()
    };
    let object = target.object();
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let (client, keeps) = match find(cx, &target, &patience).await? {
        Backend::Running { client, traits } => (client, traits.is_none_or(|it| it.keeps_secrets)),
        Backend::Stopped { .. } => {
            return Err(Diagnostic::error(
                "The backend does not run",
                format!(
                    "The variables of {object} can only be read while its backend runs. Start it, and import again."
                ),
            )
            .into());
        }
        Backend::Gone => return Err(no_such(deployment).into()),
    };
    let live = client
        .variables()
        .await
        .map_err(|error| backend_error(&object, "read the variables", &error))?;
    if let Some(missing) = wanted
        .iter()
        .flatten()
        .find(|name| !live.contains_key(**name))
    {
        return Err(Diagnostic::error(
            "No such variable",
            format!(
                "{object} has no variable {missing:?}. Give the names of variables it has, with commas between them, or none for all."
            ),
        )
        .into());
    }
    let mut found = live;
    found.retain(|name, _| wanted.as_ref().is_none_or(|it| it.contains(&name.as_str())));
    let mut auth = take_auth(&mut found);
    if !keeps && let Some(auth) = &mut auth {
        auth.private_key = None;
        // What tells later whether it is still the same.
        seen::note_jwks(&mut cx.private, auth.jwks.as_deref());
    }
    imported::mark(&mut cx.private);
    let secrets = found.into_iter().map(|(name, value)| {
        let secret = SecretModel {
            value: Some(value).filter(|_| keeps),
            set: Some(true),
            ..SecretModel::default()
        };
        (name, secret)
    });
    Ok(Model {
        secrets: Some(secrets.collect()),
        auth,
        secrets_in_state: Some(keeps),
        ..Model::imported(deployment)
    })
}

/// The deployment and the names of an import. The address of a Docker host may
/// have a `/` in it itself, so variables of a deployment there are imported all
/// together, or by the host's name among the provider's `docker.hosts`.
fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once('/') {
        Some((deployment, names)) if !id.contains("://") => (deployment, Some(names)),
        _ => (id, None),
    }
}

/// Takes out what `auth` stands for, if all of it is there and the keys are a
/// pair: left among the secrets, a configuration with `auth` would replace the
/// keys, and everybody would have to sign in again.
fn take_auth(found: &mut BTreeMap<String, Secret>) -> Option<AuthModel> {
    let keys = pair(found)?;
    if !auth_names::ALWAYS
        .iter()
        .all(|name| found.contains_key(*name))
    {
        return None;
    }
    found.remove(auth_names::PRIVATE_KEY);
    let mut take = |name: &str| found.remove(name).map(|value| value.expose().to_owned());
    Some(AuthModel {
        site_url: take(auth_names::SITE_URL),
        site_origin: take(auth_names::SITE_ORIGIN),
        issuer: take(auth_names::ISSUER),
        custom_site_url: take(auth_names::CUSTOM_SITE_URL),
        private_key: Some(keys.private_key_pem()),
        private_key_wo: None,
        rotate_trigger: None,
        jwks: take(auth_names::JWKS),
    })
}
