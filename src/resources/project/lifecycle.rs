//! Writing a project's files, looking at them, and removing them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::model::{KEEP, Model};
use crate::{
    plugin::{Cx, Diagnostic, Diagnostics, redact},
    project::{
        BringError, bring, look, remove,
        target::{MadeDirectory, TargetError},
    },
    render::files::{Action, Desired, Policy, Written},
    resources::place::{self, ContainerModel, Place},
    runtime::docker::Patience,
    session::Session,
};

/// Where the private data keeps what was written.
const WRITTEN: &str = "written";

/// Where it keeps the directories that were made.
const MADE: &str = "made";

type AllWritten = BTreeMap<String, Written>;

fn written(cx: &Cx<Session>) -> AllWritten {
    cx.private.get(WRITTEN).unwrap_or_default()
}

fn made(cx: &Cx<Session>) -> BTreeSet<MadeDirectory> {
    cx.private.get(MADE).unwrap_or_default()
}

fn desired(model: &Model) -> Result<Vec<Desired>, Diagnostic> {
    Ok(model.inputs().project()?.files())
}

fn remember_secrets(model: &Model) {
    for secret in [&model.admin_key, &model.database_url, &model.private_key]
        .into_iter()
        .flatten()
    {
        redact::remember(secret.expose());
    }
}

/// Writes the files of a new resource, or of one that changed.
pub(super) async fn apply(
    cx: &mut Cx<Session>,
    prior: Option<&Model>,
    mut planned: Model,
    limit: Duration,
) -> Result<Model, Diagnostics> {
    remember_secrets(&planned);
    let files = desired(&planned)?;
    let patience = Patience::new(limit, cx.cancellation());
    planned.id = Some(planned.directory.clone());
    planned.drifted.get_or_insert_default();
    let inputs = planned.inputs();
    planned.take(inputs.overview()?);
    let detected = planned.detected_package_manager.as_deref();
    planned.next_steps = Some(inputs.next_steps(detected)?);
    let Some(target) =
        place::find(cx, &planned.directory, planned.container.as_ref(), patience).await?
    else {
        planned.pending = Some(true);
        return Ok(planned);
    };
    let (mut before, mut made) = (written(cx), made(cx));
    if let Some(prior) = prior {
        // What is not a file of the project any more goes, if it is still ours.
        let gone: Vec<Desired> = desired(prior)?
            .into_iter()
            .filter(|old| files.iter().all(|file| file.path != old.path))
            .collect();
        remove(&target, &gone, &before, &directories(&made))
            .await
            .map_err(|error| target_error(&planned.directory, "remove files", &error))?;
        for old in gone {
            before.remove(old.path.as_str());
        }
    }
    let (outlook, new) = bring(&target, &files, &before)
        .await
        .map_err(|error| bring_error(&planned.directory, error))?;
    for file in &outlook.files {
        if let Action::SetAside { to } = &file.action {
            cx.warn(Diagnostic::warning(
                format!("{} was changed, and set aside", file.path),
                format!(
                    "{} in {} is managed, and was changed by hand. The changed file is now {to}. To keep it, move it back and set policies = {{ {:?} = \"create\" }}; else remove it.",
                    file.path, planned.directory, file.path.as_str()
                ),
            ));
        }
    }
    tracing::info!(
        directory = planned.directory,
        changes = outlook.edits.len(),
        "project files"
    );
    before.extend(outlook.written);
    cx.private.set(WRITTEN, &before);
    made.extend(new);
    cx.private.set(MADE, &made);
    planned.pending = Some(false);
    if is_first(prior) {
        planned.detected_package_manager = outlook.manager.map(|it| it.to_string());
        let detected = planned.detected_package_manager.as_deref();
        planned.next_steps = Some(inputs.next_steps(detected)?);
    }
    planned.drifted = Some(Vec::new());
    Ok(planned)
}

fn directories(made: &BTreeSet<MadeDirectory>) -> Vec<MadeDirectory> {
    made.iter().cloned().collect()
}

/// Whether the directory is seen for the first time: the plan says that it is not known yet what
/// the directory will say of its package manager.
fn is_first(prior: Option<&Model>) -> bool {
    prior.is_none_or(|prior| prior.pending == Some(true))
}

/// Looks at the files. What cannot be looked at stays as it was: whoever has broken a file sees
/// that when it is to be written.
pub(super) async fn read(
    cx: &mut Cx<Session>,
    mut model: Model,
) -> Result<Option<Model>, Diagnostics> {
    remember_secrets(&model);
    // After an import nothing was rendered yet.
    if model.files.is_none() {
        model.take(model.inputs().overview()?);
    }
    let files = desired(&model)?;
    let Some(target) = at_rest(cx, &model).await else {
        return Ok(Some(model));
    };
    match look(&target, &files, &written(cx)).await {
        Ok(outlook) => {
            let drifted = outlook
                .files
                .iter()
                .filter(|file| file.action != Action::Keep)
                .map(|file| file.path.to_string());
            model.drifted = Some(drifted.collect());
            model.detected_package_manager = outlook.manager.map(|it| it.to_string());
            let detected = model.detected_package_manager.as_deref();
            model.next_steps = Some(model.inputs().next_steps(detected)?);
        }
        Err(error) => {
            let error = bring_error(&model.directory, error);
            for diagnostic in &error {
                cx.warn(Diagnostic::warning(
                    diagnostic.summary(),
                    diagnostic.detail(),
                ));
            }
        }
    }
    Ok(Some(model))
}

/// The directory, if it can be had. Containers come and go, and one that has gone has taken its
/// files along or left them on a volume; either way there is nothing to look at.
async fn at_rest(cx: &Cx<Session>, model: &Model) -> Option<Place> {
    let in_reach = |container: &ContainerModel| container.is_in_reach(&cx.session);
    if !model.container.as_ref().is_none_or(in_reach) {
        return None;
    }
    let limit = model.timeouts.clone().unwrap_or_default().read();
    let patience = Patience::new(limit, cx.cancellation());
    place::find(cx, &model.directory, model.container.as_ref(), patience)
        .await
        .ok()
        .flatten()
}

/// Removes what is still as it was written.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: &Model) -> Result<(), Diagnostics> {
    if prior.on_destroy.as_deref() == Some(KEEP) {
        return Ok(());
    }
    let limit = prior.timeouts.clone().unwrap_or_default().delete();
    let patience = Patience::new(limit, cx.cancellation());
    if let Some(container) = &prior.container
        && (!container.is_in_reach(&cx.session) || place::is_gone(cx, container, &patience).await?)
    {
        return Ok(());
    }
    let container = prior.container.as_ref();
    let Some(target) = place::find(cx, &prior.directory, container, patience).await? else {
        return Ok(());
    };
    // Lines of a .gitignore guard files that may still be there.
    let files: Vec<Desired> = desired(prior)?
        .into_iter()
        .filter(|file| file.policy != Policy::Skip)
        .collect();
    remove(&target, &files, &written(cx), &directories(&made(cx)))
        .await
        .map_err(|error| target_error(&prior.directory, "remove files", &error))?;
    Ok(())
}

/// Takes over a directory.
pub(super) fn import(id: &str) -> Model {
    Model {
        id: Some(id.to_owned()),
        directory: id.to_owned(),
        name: None,
        origins: None,
        internal_origins: None,
        url: None,
        admin_key: None,
        database_url: None,
        instance_name: None,
        images: None,
        slugs: None,
        site_url: None,
        private_key: None,
        pattern: None,
        frontend: None,
        compose: None,
        agents: None,
        package_manager: None,
        policies: None,
        install: None,
        container: None,
        on_destroy: None,
        timeouts: None,
        files: None,
        secret_files: None,
        agent_env: None,
        install_script: None,
        next_steps: None,
        detected_package_manager: None,
        pending: None,
        drifted: None,
    }
}

fn target_error(directory: &str, doing: &str, error: &TargetError) -> Diagnostic {
    let attribute = match error {
        TargetError::NotDirectory { .. } | TargetError::Failed { .. } => "directory",
        TargetError::LeadsOut { .. }
        | TargetError::NotFile { .. }
        | TargetError::TooLarge { .. } => "policies",
    };
    Diagnostic::error(
        format!("Cannot {doing} of the project"),
        format!("In {directory}: {error}"),
    )
    .at(attribute)
}

fn bring_error(directory: &str, error: BringError) -> Diagnostics {
    match error {
        BringError::Target(error) => target_error(directory, "write files", &error).into(),
        BringError::Refused(refusals) => {
            let mut found = Diagnostics::default();
            for refusal in refusals {
                found.push(
                    Diagnostic::error(
                        format!("{} cannot be added to", refusal.path),
                        format!(
                            "In {directory}: {} Nothing was written. Apply again after that, or set policies = {{ {:?} = \"skip\" }}.",
                            refusal.problem,
                            refusal.path.as_str()
                        ),
                    )
                    .at("policies"),
                );
            }
            found
        }
    }
}
