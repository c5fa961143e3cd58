//! Writing a project's files, looking at them, and removing them.

use std::collections::BTreeMap;

use super::model::{KEEP, Model};
use crate::{
    plugin::{Cx, Diagnostic, Diagnostics, redact},
    project::{
        BringError, bring, look, remove,
        target::{LocalDirectory, TargetError},
    },
    render::files::{Action, Desired, Policy, Written},
    session::Session,
};

/// Where the private data keeps what was written.
const WRITTEN: &str = "written";

type AllWritten = BTreeMap<String, Written>;

fn written(cx: &Cx<Session>) -> AllWritten {
    cx.private.get(WRITTEN).unwrap_or_default()
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
) -> Result<Model, Diagnostics> {
    remember_secrets(&planned);
    let files = desired(&planned)?;
    let target = LocalDirectory::new(&planned.directory);
    let mut before = written(cx);
    if let Some(prior) = prior {
        // What is not a file of the project any more goes, if it is still ours.
        let gone: Vec<Desired> = desired(prior)?
            .into_iter()
            .filter(|old| files.iter().all(|file| file.path != old.path))
            .collect();
        remove(&target, &gone, &before)
            .await
            .map_err(|error| target_error(&planned.directory, "remove files", &error))?;
        for old in gone {
            before.remove(old.path.as_str());
        }
    }
    let outlook = bring(&target, &files, &before)
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
    planned.id = Some(planned.directory.clone());
    planned.detected_package_manager = match &planned.detected_package_manager {
        None => outlook.manager.map(|it| it.to_string()),
        known => known.clone(),
    };
    planned.drifted = Some(Vec::new());
    let rendered = planned.inputs().rendered()?;
    planned.take(rendered);
    Ok(planned)
}

/// Looks at the files. What cannot be looked at stays as it was: whoever has broken a file sees
/// that when it is to be written.
pub(super) async fn read(
    cx: &mut Cx<Session>,
    mut model: Model,
) -> Result<Option<Model>, Diagnostics> {
    remember_secrets(&model);
    let files = desired(&model)?;
    let target = LocalDirectory::new(&model.directory);
    match look(&target, &files, &written(cx)).await {
        Ok(outlook) => {
            let drifted = outlook
                .files
                .iter()
                .filter(|file| file.action != Action::Keep)
                .map(|file| file.path.to_string());
            model.drifted = Some(drifted.collect());
            model.detected_package_manager = outlook.manager.map(|it| it.to_string());
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
    // After an import nothing was rendered yet.
    if model.files.is_none() {
        let rendered = model.inputs().rendered()?;
        model.take(rendered);
    }
    Ok(Some(model))
}

/// Removes what is still as it was written.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: &Model) -> Result<(), Diagnostics> {
    if prior.on_destroy.as_deref() == Some(KEEP) {
        return Ok(());
    }
    let target = LocalDirectory::new(&prior.directory);
    // Lines of a .gitignore guard files that may still be there.
    let files: Vec<Desired> = desired(prior)?
        .into_iter()
        .filter(|file| file.policy != Policy::Skip)
        .collect();
    remove(&target, &files, &written(cx))
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
        package_manager: None,
        policies: None,
        install: None,
        on_destroy: None,
        files: None,
        secret_files: None,
        install_script: None,
        secret_install_script: None,
        detected_package_manager: None,
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
