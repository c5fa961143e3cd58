//! Setting, reading and removing variables.
//!
//! Every change is one request that the backend applies whole or not at all,
//! so there is no state between: either the variables are as declared or as
//! they were.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    backend::{Backend, Way, find, object},
    desired,
    model::{AuthModel, Model, SecretModel, auth_names},
    seen,
};
use crate::{
    backend::{BackendError, Client, TransportError, api},
    convex::{
        AuthKeys, Secret,
        auth_keys::KeySize,
        env_var::{Changes, VarName, Variables},
    },
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts, redact},
    resources::{backend_error, deployment::no_such},
    runtime::docker::Patience,
    session::Session,
};

fn timeouts(model: &Model) -> Timeouts {
    model.timeouts.clone().unwrap_or_default()
}

/// Sets the variables of a new resource.
pub(super) async fn create(cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
    let limit = timeouts(&planned).create();
    let patience = Patience::new(limit, cx.cancellation());
    apply(cx, &patience, &BTreeSet::new(), planned).await
}

/// Changes the variables.
pub(super) async fn update(
    cx: &mut Cx<Session>,
    prior: &Model,
    planned: Model,
) -> Result<Model, Diagnostics> {
    let limit = timeouts(&planned).update();
    let patience = Patience::new(limit, cx.cancellation());
    apply(cx, &patience, &desired::names(prior), planned).await
}

async fn apply(
    cx: &mut Cx<Session>,
    patience: &Patience,
    managed_before: &BTreeSet<VarName>,
    mut planned: Model,
) -> Result<Model, Diagnostics> {
    let id = planned.deployment.clone().or_else(|| planned.url.clone());
    planned.id = id;
    let backend = find(cx, &planned, patience).await?;
    if matches!(backend, Backend::Gone) {
        return Err(no_such(planned.deployment.as_deref().unwrap_or_default()).into());
    }
    seen::note(&mut cx.private, &backend);
    complete_auth(&mut planned, &backend).await?;
    let variables = desired::variables(&planned)?;
    let waits = match backend {
        Backend::Running { client, .. } => {
            set(cx, &client, &planned, &variables, managed_before).await?
        }
        Backend::Stopped { .. } | Backend::Gone => true,
    };
    if waits && planned.pending == Some(false) {
        return Err(Diagnostic::error(
            "The backend does not run",
            format!(
                "The backend of {} was to run by now and does not, so its variables could not be set. Apply again; nothing was changed.",
                object(&planned)
            ),
        )
        .into());
    }
    planned.pending = Some(waits);
    planned.drifted.get_or_insert_default();
    Ok(planned)
}

/// Fills in what the plan left open.
async fn complete_auth(model: &mut Model, backend: &Backend) -> Result<(), Diagnostics> {
    let object = object(model);
    let Some(auth) = &mut model.auth else {
        return Ok(());
    };
    if auth.site_origin.is_none() {
        auth.site_origin = Some(site_origin(&object, backend).await?);
    }
    if auth.issuer.is_none() {
        auth.issuer.clone_from(&auth.site_origin);
    }
    let keys = match &auth.private_key {
        Some(pem) => AuthKeys::parse(pem.expose()).map_err(|error| {
            Diagnostic::error("Invalid value for auth.private_key", error.to_string())
                .at("auth.private_key")
        })?,
        None => {
            let keys = tokio::task::spawn_blocking(|| AuthKeys::generate(KeySize::Rsa2048))
                .await
                .map_err(|error| Diagnostic::error("Cannot make a key", error.to_string()))?
                .map_err(|error| Diagnostic::error("Cannot make a key", error.to_string()))?;
            auth.private_key = Some(keys.private_key_pem());
            keys
        }
    };
    redact::remember(keys.private_key_pem().expose());
    redact::remember(keys.private_key_single_line().expose());
    auth.jwks = Some(keys.jwks());
    Ok(())
}

async fn site_origin(object: &str, backend: &Backend) -> Result<String, Diagnostic> {
    match backend {
        Backend::Running {
            site_origin: Some(origin),
            ..
        }
        | Backend::Stopped {
            site_origin: Some(origin),
        } => Ok(origin.clone()),
        Backend::Running { client, .. } => match client.call(&api::canonical_urls()).await {
            Ok(urls) => Ok(urls.convex_site_url),
            Err(BackendError::NotFound) => Err(unknown_site_origin(
                object,
                "its backend is too old to tell it",
            )),
            Err(error) => Err(backend_error(object, "read the site origin", &error)),
        },
        Backend::Stopped { site_origin: None } | Backend::Gone => {
            Err(unknown_site_origin(object, "its backend does not run"))
        }
    }
}

fn unknown_site_origin(object: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "Site origin not known",
        format!("The site origin of {object} cannot be found out: {why}. Give auth.site_origin."),
    )
    .at("auth.site_origin")
}

/// Brings the backend's variables to what they should be. Returns whether they
/// have to wait because it has just stopped.
async fn set(
    cx: &Cx<Session>,
    client: &Client<Way>,
    model: &Model,
    variables: &Variables,
    managed_before: &BTreeSet<VarName>,
) -> Result<bool, Diagnostics> {
    let object = object(model);
    let key = model.id.clone().unwrap_or_default();
    let _alone = cx.session.exclusively(&key).await;
    let live = match client.variables().await {
        Err(BackendError::Transport(TransportError::NotRunning)) => return Ok(true),
        live => live.map_err(|error| backend_error(&object, "read the variables", &error))?,
    };
    let changes = Changes::between(&live, variables, managed_before);
    tracing::info!(
        deployment = key,
        sets = changes.sets().count(),
        unsets = changes.unsets().count(),
        "setting variables"
    );
    client
        .update_variables(&changes)
        .await
        .map_err(|error| refused(&object, model, &error))?;
    Ok(false)
}

/// The diagnostic of a batch that was refused, at the variable it is about.
fn refused(object: &str, model: &Model, error: &BackendError) -> Diagnostic {
    let diagnostic = backend_error(object, "set the variables", error);
    let BackendError::Refused { message, .. } = error else {
        return diagnostic;
    };
    // The backend quotes the name of the culprit where there is one.
    let named = desired::paths(model)
        .into_iter()
        .find(|(name, _)| message.contains(name.as_str()));
    match named {
        Some((_, path)) => diagnostic.at(path),
        None => diagnostic,
    }
}

/// Looks at the variables. A stopped backend says nothing, and everything stays
/// as it was.
pub(super) async fn read(
    cx: &mut Cx<Session>,
    mut model: Model,
) -> Result<Option<Model>, Diagnostics> {
    if model.deployment.is_some() && !cx.session.knows_docker() {
        return Ok(Some(model));
    }
    let patience = Patience::new(timeouts(&model).read(), cx.cancellation());
    let backend = find(cx, &model, &patience).await?;
    seen::note(&mut cx.private, &backend);
    let client = match backend {
        Backend::Running { client, .. } => client,
        Backend::Stopped { .. } => return Ok(Some(model)),
        Backend::Gone => return Ok(None),
    };
    // What was never set cannot have been changed.
    if model.pending == Some(true) {
        return Ok(Some(model));
    }
    let live = match client.variables().await {
        Ok(live) => live,
        Err(BackendError::Transport(TransportError::NotRunning)) => return Ok(Some(model)),
        Err(error) => {
            return Err(backend_error(&object(&model), "read the variables", &error).into());
        }
    };
    for value in live.values() {
        redact::remember(value.expose());
    }
    take_over(&mut model, &live);
    Ok(Some(model))
}

/// Puts what is live into the state, so that a plan shows each difference by
/// its name.
fn take_over(model: &mut Model, live: &BTreeMap<String, Secret>) {
    let text = |name: &str| live.get(name).map(|value| value.expose().to_owned());
    if let Some(variables) = &mut model.variables {
        *variables = std::mem::take(variables)
            .into_keys()
            .filter_map(|name| Some((name.clone(), text(&name)?)))
            .collect();
    }
    if let Some(secrets) = &mut model.secrets {
        *secrets = std::mem::take(secrets)
            .into_keys()
            .filter_map(|name| {
                let value = Some(live.get(&name)?.clone());
                Some((name, SecretModel { value }))
            })
            .collect();
    }
    let mut drifted = Vec::new();
    if let Some(auth) = &mut model.auth {
        if !same_key(auth, live.get(auth_names::PRIVATE_KEY)) {
            drifted.push(auth_names::PRIVATE_KEY.to_owned());
        }
        auth.jwks = text(auth_names::JWKS);
        auth.issuer = text(auth_names::ISSUER);
        auth.site_origin = text(auth_names::SITE_ORIGIN);
        if auth.site_url.is_some() {
            auth.site_url = text(auth_names::SITE_URL);
        }
    }
    model.drifted = Some(drifted);
}

/// Whether the live private key is the one that was set. The state keeps its
/// own: a generated one would otherwise be lost.
fn same_key(auth: &AuthModel, live: Option<&Secret>) -> bool {
    let set = auth
        .private_key
        .as_ref()
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
        .map(|keys| keys.private_key_single_line());
    set.as_ref() == live
}

/// Removes the variables. Where there is no backend there are none.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: &Model) -> Result<(), Diagnostics> {
    let patience = Patience::new(timeouts(prior).delete(), cx.cancellation());
    let Backend::Running { client, .. } = find(cx, prior, &patience).await? else {
        return Ok(());
    };
    let managed = desired::names(prior);
    match set(cx, &client, prior, &Variables::new(), &managed).await {
        Ok(_) => Ok(()),
        Err(errors) => Err(errors),
    }
}

/// Takes over variables that exist: `DEPLOYMENT` all of them, or
/// `DEPLOYMENT/NAME,NAME` some. All become secrets, since nobody has said yet
/// which ones may be seen.
pub(super) async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    let (deployment, wanted) = match id.split_once('/') {
        Some((deployment, names)) => (deployment, Some(names.split(',').collect::<Vec<_>>())),
        None => (id, None),
    };
    let mut model = Model {
        id: Some(deployment.to_owned()),
        deployment: Some(deployment.to_owned()),
        url: None,
        admin_key: None,
        variables: None,
        secrets: None,
        auth: None,
        pending: Some(false),
        drifted: Some(Vec::new()),
        timeouts: None,
    };
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let client = match find(cx, &model, &patience).await? {
        Backend::Running { client, .. } => client,
        Backend::Stopped { .. } => {
            return Err(Diagnostic::error(
                "The backend does not run",
                format!(
                    "The variables of {} can only be read while its backend runs. Start it, and import again.",
                    object(&model)
                ),
            )
            .into());
        }
        Backend::Gone => return Err(no_such(deployment).into()),
    };
    let live = client
        .variables()
        .await
        .map_err(|error| backend_error(&object(&model), "read the variables", &error))?;
    if let Some(missing) = wanted
        .iter()
        .flatten()
        .find(|name| !live.contains_key(**name))
    {
        return Err(Diagnostic::error(
            "No such variable",
            format!("{} has no variable {missing}.", object(&model)),
        )
        .into());
    }
    let secrets = live
        .into_iter()
        .filter(|(name, _)| wanted.as_ref().is_none_or(|it| it.contains(&name.as_str())))
        .map(|(name, value)| (name, SecretModel { value: Some(value) }));
    model.secrets = Some(secrets.collect());
    Ok(model)
}
