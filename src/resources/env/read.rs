//! Looking at variables.

use super::{
    backend::{Backend, Target, find, list},
    declared::{adopted, declarations},
    keys::same_private_key,
    model::{Model, SecretModel, auth_names},
    seen,
};
use crate::{
    backend::{BackendError, TransportError},
    plugin::{Cx, Diagnostic, Diagnostics, Private, Timeouts},
    resources::{backend_error, deployment::no_such},
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
    if (model.deployment.is_some() && !cx.session.knows_docker()) || target.lacks_key() {
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
            Err(BackendError::Transport(TransportError::NotRunning)) => None,
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
        let undeclared = live.keys().filter(|name| !declared.contains_key(*name));
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
/// `DEPLOYMENT/NAME,NAME` some. All become secrets, since nobody has said yet
/// which ones may be seen.
pub(super) async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    let (deployment, wanted) = match id.split_once('/') {
        Some((deployment, names)) => (deployment, Some(names.split(',').collect::<Vec<_>>())),
        None => (id, None),
    };
    let target = Target {
        deployment: Some(deployment.to_owned()),
        ..Target::default()
    };
    let object = target.object();
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let client = match find(cx, &target, &patience).await? {
        Backend::Running { client, .. } => client,
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
            format!("{object} has no variable {missing}."),
        )
        .into());
    }
    let secrets = live
        .into_iter()
        .filter(|(name, _)| wanted.as_ref().is_none_or(|it| it.contains(&name.as_str())))
        .map(|(name, value)| {
            let secret = SecretModel {
                value: Some(value),
                set: Some(true),
                ..SecretModel::default()
            };
            (name, secret)
        });
    Ok(Model {
        secrets: Some(secrets.collect()),
        ..Model::imported(deployment)
    })
}
