//! Setting and removing variables.
//!
//! Every change is one request that the backend applies whole or not at all,
//! so there is no state between: either the variables are as declared or as
//! they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    backend::{Backend, Target, Way, find, list},
    batch::{Batch, Before, conflict, work_out},
    declared::{Declared, Stamp, declarations},
    keys, limits,
    model::{Model, OnConflict},
    plan::stay_behind,
    seen,
};
use crate::{
    backend::{BackendError, Client, TransportError},
    convex::{
        Secret,
        env_var::{Changes, LEGACY_MAX_NAME_BYTES, VarName, Variables, seal},
    },
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts},
    resources::{backend_error, deployment::no_such, imported, warn_down},
    runtime::docker::Patience,
    session::{Listing, Session},
};

/// What is done when the variables are looked at.
const READ: &str = "read the variables";

fn timeouts(model: &Model) -> Timeouts {
    model.timeouts.clone().unwrap_or_default()
}

/// Sets the variables of a new resource.
pub(super) async fn create(cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
    let limit = timeouts(&planned).create();
    let patience = Patience::new(limit, cx.cancellation());
    seen::identify(&mut cx.private);
    apply(cx, &patience, None, planned).await
}

/// Changes the variables.
pub(super) async fn update(
    cx: &mut Cx<Session>,
    prior: &Model,
    planned: Model,
) -> Result<Model, Diagnostics> {
    let limit = timeouts(&planned).update();
    let patience = Patience::new(limit, cx.cancellation());
    apply(cx, &patience, Some(prior), planned).await
}

async fn apply(
    cx: &mut Cx<Session>,
    patience: &Patience,
    prior: Option<&Model>,
    mut planned: Model,
) -> Result<Model, Diagnostics> {
    let target = Target::of(&planned);
    let object = target.object();
    let id = target.id().unwrap_or_default().to_owned();
    planned.id = Some(id.clone());
    let backend = find(cx, &target, patience).await?;
    if matches!(backend, Backend::Gone) {
        return Err(no_such(&id).into());
    }
    seen::note(&mut cx.private, &backend);
    if planned.secrets_in_state.is_none() {
        let by_url = target.url.is_some().then_some(true);
        let of_deployment = backend.traits().map(|it| it.keeps_secrets);
        planned.secrets_in_state = of_deployment.or(by_url);
    }
    let session = Arc::clone(&cx.session);
    let alone = session.exclusively(&id).await;
    let mut before = before(cx, &id, prior);
    before.allow(OnConflict::of(&planned));
    before.spare(planned.unmanaged.iter().flatten());
    let other_data = match (&planned.deployment, &planned.url) {
        (Some(id), _) => cx.session.deployment(id).finds_other_data(),
        (None, Some(url)) => cx.session.gives_other_data(url),
        (None, None) => false,
    };
    if other_data {
        before.forget_values();
    }
    let live = match &backend {
        Backend::Running { client, .. } => match look(client).await {
            Err(BackendError::Transport(TransportError::NotRunning)) => Look::Silent,
            looked => looked.map_err(|error| backend_error(&object, READ, &error))?,
        },
        Backend::Stopped { .. } | Backend::Gone => Look::Silent,
    };
    let replaces = prior.filter(|_| !imported::is_fresh(&cx.private));
    let keys = keys::complete(&mut planned, replaces, &object, &backend, live.listing()).await?;
    let declared = declarations(&planned, keys.as_ref());
    let sent = match (&backend, &live) {
        (Backend::Running { client, .. }, Look::Listed(_) | Look::Closed) => {
            let had = (&before, other_data);
            let batch = work(cx, client, &planned, had, &live, &declared)?;
            send(client, &object, &batch.changes, &declared).await?;
            seal_all(cx, client, &live, &declared);
            Some(batch)
        }
        _ => None,
    };
    drop(alone);
    if sent.is_none() && planned.pending == Some(false) {
        return Err(Diagnostic::error(
            "The backend does not run",
            format!(
                "The backend of {object} was to run by now and does not, so its variables could not be set. Apply again; nothing was changed."
            ),
        )
        .into());
    }
    let waits = match &sent {
        Some(batch) => {
            tracing::info!(
                deployment = id,
                sets = batch.changes.sets().count(),
                unsets = batch.changes.unsets().count(),
                "variables are set"
            );
            None
        }
        None => Some(before.last_set(&declared)),
    };
    seen::note_last_set(&mut cx.private, waits.as_ref());
    seen::note_jwks(
        &mut cx.private,
        planned.auth.as_ref().and_then(|auth| auth.jwks.as_deref()),
    );
    let adopted = match &sent {
        Some(batch) => batch.adopted.clone(),
        None => before.still_adopted(&declared),
    };
    planned.adopted.get_or_insert(adopted);
    conclude(&mut planned, prior, &before, sent.as_ref());
    imported::settle(&mut cx.private);
    Ok(planned)
}

/// What was set before, without what has become another resource's.
fn before(cx: &Cx<Session>, id: &str, prior: Option<&Model>) -> Before {
    let mut before = prior
        .map(|prior| Before::of(prior, &cx.private))
        .unwrap_or_default();
    let owner = seen::identity(&cx.private);
    before.spare(&cx.session.claimed_by_others(id, owner.as_deref()));
    before
}

/// What a backend says of its variables.
enum Look {
    /// All of them.
    Listed(Listing),
    /// It takes changes, but tells nothing.
    Closed,
    /// It does not run.
    Silent,
}

impl Look {
    fn listing(&self) -> Option<&Listing> {
        match self {
            Self::Listed(listing) => Some(listing),
            Self::Closed | Self::Silent => None,
        }
    }
}

async fn look(client: &Client<Way>) -> Result<Look, BackendError> {
    let listing = list(client).await?;
    Ok(listing.map_or(Look::Closed, Look::Listed))
}

/// Works out what to send, and refuses what may not be.
fn work(
    cx: &mut Cx<Session>,
    client: &Client<Way>,
    planned: &Model,
    (before, other_data): (&Before, bool),
    live: &Look,
    declared: &BTreeMap<String, Declared>,
) -> Result<Batch, Diagnostics> {
    let object = &Target::of(planned).object();
    let on_conflict = OnConflict::of(planned);
    let batch = match live {
        Look::Listed(listing) => {
            let exclusive = planned.is_exclusive();
            work_out(listing, declared, before, on_conflict, exclusive)?
        }
        Look::Closed | Look::Silent => {
            if planned.is_exclusive() {
                return Err(Diagnostic::error(
                    "Variables cannot be listed",
                    format!("{object} does not tell which variables it has, so those that are not declared cannot be removed. Set exclusive to false, or give a key that may list variables."),
                )
                .at("exclusive")
                .into());
            }
            let seals = seen::seals(&cx.private).unwrap_or_default();
            let assumed = if other_data {
                BTreeMap::new()
            } else {
                assume(before, declared, &seals, client)
            };
            work_out(&assumed, declared, before, OnConflict::Overwrite, false)?
        }
    };
    let mut refused = Diagnostics::default();
    for (name, path) in &batch.conflicts {
        refused.push(conflict(object, name, path));
    }
    for (name, path) in &batch.lost {
        refused.push(
            Diagnostic::error(
                format!("Variable {name} is gone"),
                format!("{object} has lost {name}, and its value is kept nowhere else. Plan again: a new one is made then."),
            )
            .at(path.clone()),
        );
    }
    if client.is_old() {
        warn_of_long_names(cx, object, declared);
    }
    if refused.has_errors() {
        Err(refused)
    } else {
        Ok(batch)
    }
}

/// What a backend that tells nothing is taken to have: what was set last.
fn assume(
    before: &Before,
    declared: &BTreeMap<String, Declared>,
    seals: &BTreeMap<String, String>,
    client: &Client<Way>,
) -> BTreeMap<String, Secret> {
    before
        .managed()
        .iter()
        .map(|name| {
            let name = name.as_str();
            let now = declared.get(name).and_then(|it| it.value.clone());
            let was = before.value(name).cloned();
            let sealed = |value: &Secret| {
                seals.get(name).map(String::as_str)
                    == Some(seal(client.key(), name, value.expose()).as_str())
            };
            let value = match (was, now) {
                (Some(was), _) => was,
                (None, Some(now)) if sealed(&now) => now,
                // No variable has this value.
                (None, _) => Secret::from("\0"),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Keeps seals of write-only values where there is no other way to recognise
/// them.
fn seal_all(
    cx: &mut Cx<Session>,
    client: &Client<Way>,
    live: &Look,
    declared: &BTreeMap<String, Declared>,
) {
    let sealed = || {
        declared
            .iter()
            .filter(|(_, it)| it.stamp == Stamp::Version(None))
            .filter_map(|(name, it)| {
                let value = it.value.as_ref()?;
                Some((name.clone(), seal(client.key(), name, value.expose())))
            })
            .collect()
    };
    let seals = matches!(live, Look::Closed).then(sealed);
    seen::note_seals(&mut cx.private, seals.as_ref());
}

fn warn_of_long_names(cx: &mut Cx<Session>, object: &str, declared: &BTreeMap<String, Declared>) {
    for (name, it) in declared {
        if name.len() > LEGACY_MAX_NAME_BYTES {
            cx.warn(
                Diagnostic::warning(
                    "The name may be too long",
                    format!(
                        "{object} runs an old release, and before May 2026 names had {LEGACY_MAX_NAME_BYTES} bytes at most; {name} has {}. Shorten it, or use a newer image.",
                        name.len()
                    ),
                )
                .at(it.path.clone()),
            );
        }
    }
}

async fn send(
    client: &Client<Way>,
    object: &str,
    changes: &Changes,
    declared: &BTreeMap<String, Declared>,
) -> Result<(), Diagnostic> {
    client
        .update_variables(changes)
        .await
        .map_err(|error| refused(object, declared, &error))
}

/// The diagnostic of a batch that was refused, at the variable it is about.
fn refused(
    object: &str,
    declared: &BTreeMap<String, Declared>,
    error: &BackendError,
) -> Diagnostic {
    if let Some(limit) = limits::refusal(object, error) {
        return limit;
    }
    let diagnostic = backend_error(object, "set the variables", error);
    let BackendError::Refused { message, .. } = error else {
        return diagnostic;
    };
    // The backend quotes the name of the culprit where there is one. Of names
    // within names the longest is meant.
    let named = declared
        .iter()
        .filter(|(name, _)| message.as_str().contains(name.as_str()))
        .max_by_key(|(name, _)| name.len());
    match named {
        Some((_, it)) => diagnostic.at(it.path.clone()),
        None => diagnostic,
    }
}

/// Fills in what is known now. What the plan has promised stays as it is.
fn conclude(model: &mut Model, prior: Option<&Model>, before: &Before, sent: Option<&Batch>) {
    let set_before: BTreeSet<&str> = before.managed().iter().map(VarName::as_str).collect();
    for (name, secret) in model.secrets.iter_mut().flatten() {
        let is_there = sent.is_some() || set_before.contains(name.as_str());
        secret.set.get_or_insert(is_there);
    }
    let changed = sent.is_some_and(|batch| !batch.changes.is_empty());
    let last = prior.and_then(|prior| prior.revision).unwrap_or(0);
    model.revision.get_or_insert(last + u64::from(changed));
    model.pending.get_or_insert(sent.is_none());
    model.drifted.get_or_insert_default();
    model.undeclared.get_or_insert_default();
}

/// Removes the variables. Where there is no backend there are none.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: &Model) -> Result<(), Diagnostics> {
    let target = Target::of(prior);
    let object = target.object();
    if prior.keeps_variables() || target.lacks_key() {
        return Ok(());
    }
    let patience = Patience::new(timeouts(prior).delete(), cx.cancellation());
    let id = target.id().unwrap_or_default();
    let client = match find(cx, &target, &patience).await? {
        Backend::Running { client, .. } => client,
        Backend::Stopped { .. } => {
            stopped(cx, &target, prior);
            return Ok(());
        }
        Backend::Gone => return Ok(()),
    };
    let session = Arc::clone(&cx.session);
    let _alone = session.exclusively(id).await;
    let before = before(cx, id, Some(prior));
    let live = match list(&client).await {
        Ok(Some(listing)) => listing,
        Ok(None) => {
            let names = before.managed().iter();
            let blank = |name: &VarName| (name.as_str().to_owned(), Secret::default());
            Arc::new(names.map(blank).collect())
        }
        Err(error) if error.is_down() => {
            stopped(cx, &target, prior);
            return Ok(());
        }
        Err(error) => return Err(backend_error(&object, READ, &error).into()),
    };
    let mut removable = before.managed().clone();
    let mut kept = Vec::new();
    loop {
        let changes = Changes::between(&live, &Variables::new(), &removable);
        let error = match client.update_variables(&changes).await {
            Ok(()) => break,
            Err(error) => error,
        };
        // Nobody can remove them by now, and the deployment may be next.
        if error.is_down() || error == BackendError::DiskFull {
            warn_down(cx, &object, "remove the variables", &error);
            stopped(cx, &target, prior);
            return Ok(());
        }
        // The app's own configuration may need a variable. Without it the rest
        // can still go.
        let BackendError::Refused { message, .. } = &error else {
            return Err(backend_error(&object, "remove the variables", &error).into());
        };
        let culprit = removable
            .iter()
            .filter(|name| {
                live.contains_key(name.as_str()) && message.as_str().contains(name.as_str())
            })
            .max_by_key(|name| name.as_str().len())
            .cloned();
        let Some(culprit) = culprit else {
            return Err(backend_error(&object, "remove the variables", &error).into());
        };
        removable.remove(&culprit);
        kept.push(culprit.as_str().to_owned());
    }
    if !kept.is_empty() {
        cx.warn(Diagnostic::warning(
            "Variables were left",
            format!(
                "The functions on {object} need {}, so the backend does not let go of them. Deploy functions that do without, then remove them with `npx convex env remove`.",
                kept.join(", ")
            ),
        ));
    }
    Ok(())
}

/// Says what stays, unless the plan has said so already.
fn stopped(cx: &mut Cx<Session>, target: &Target, prior: &Model) {
    if !seen::was_stopped(&cx.private)
        && let Some(warning) = stay_behind(target, &Before::of(prior, &cx.private))
    {
        cx.warn(warning);
    }
}
