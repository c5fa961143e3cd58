//! Writing the file, looking at it, and removing it.

use std::time::Duration;

use super::model::Model;
use crate::{
    convex::Access,
    plugin::{Cx, Diagnostic, Diagnostics, Known},
    project::target::{Target, TargetError},
    render::files::{Edit, Existing, FilePath},
    resources::{
        find_instance, issue_key,
        place::{self, Place},
    },
    runtime::{DeploymentId, docker::Patience},
    session::Session,
};

/// Only the owner may read and write it.
const BITS: u32 = 0o600;

/// The directory and the name in it.
fn split(model: &Model) -> Result<(&str, FilePath), Diagnostic> {
    let (directory, name) = model.path.rsplit_once('/').unwrap_or(("", &model.path));
    let name = FilePath::parse(name).map_err(|error| {
        Diagnostic::error("Invalid value for path", error.to_string()).at("path")
    })?;
    Ok((if directory.is_empty() { "/" } else { directory }, name))
}

async fn place(
    cx: &Cx<Session>,
    model: &Model,
    patience: Patience,
) -> Result<Option<(Place, FilePath)>, Diagnostic> {
    let (directory, name) = split(model)?;
    let place = place::find(cx, directory, model.container.as_ref(), patience).await?;
    Ok(place.map(|place| (place, name)))
}

/// The content of the file; `None` while the deployment does not tell its
/// secret.
async fn content(cx: &Cx<Session>, model: &Model) -> Result<Option<Vec<u8>>, Diagnostic> {
    let Known::Known((Some(name), Some(secret))) = find_instance(cx, &model.deployment).await?
    else {
        return Ok(None);
    };
    let access = match model.read_only {
        Some(true) => Access::ReadOnly,
        _ => Access::Full,
    };
    let key = issue_key(&name, &secret, access)?;
    Ok(Some(format!("{}\n", key.expose()).into_bytes()))
}

/// Writes the file, unless something it needs is not there.
pub(super) async fn write(
    cx: &mut Cx<Session>,
    mut planned: Model,
    limit: Duration,
) -> Result<Model, Diagnostics> {
    let patience = Patience::new(limit, cx.cancellation());
    planned.id = Some(planned.path.clone());
    let place = place(cx, &planned, patience).await?;
    let written = match (place, content(cx, &planned).await?) {
        (Some((place, path)), Some(content)) => {
            let bits = BITS;
            let edit = Edit::Write {
                path,
                content,
                bits,
            };
            let outcome = place.change(&[edit]).await;
            outcome.map_err(|error| failed(&planned, "written", &error))?;
            true
        }
        _ => false,
    };
    planned.pending.get_or_insert(!written);
    planned.fresh.get_or_insert(written);
    Ok(planned)
}

/// Looks at the file. Where nothing can be seen it stays as it was.
pub(super) async fn read(cx: &mut Cx<Session>, mut model: Model) -> Model {
    let in_reach = DeploymentId::parse(&model.deployment)
        .is_ok_and(|id| cx.session.hosts().knows(&id.host))
        && model
            .container
            .as_ref()
            .is_none_or(|container| container.is_in_reach(&cx.session));
    if !in_reach {
        return model;
    }
    let limit = model.timeouts.clone().unwrap_or_default().read();
    let patience = Patience::new(limit, cx.cancellation());
    // A container that is not there has no file, and one that cannot be looked
    // at says nothing.
    let Ok(Some((place, path))) = place(cx, &model, patience).await else {
        return model;
    };
    let Ok(found) = place.look(std::slice::from_ref(&path)).await else {
        return model;
    };
    let wanted = content(cx, &model).await.ok().flatten();
    model.fresh = Some(match (found.get(&path), wanted) {
        (Some(Existing::File { content, bits }), Some(wanted)) => {
            *content == wanted && *bits == BITS
        }
        (Some(Existing::File { .. }), None) => model.fresh == Some(true),
        _ => false,
    });
    model
}

/// Removes the file. Its container being gone is fine.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: &Model) -> Result<(), Diagnostics> {
    let limit = prior.timeouts.clone().unwrap_or_default().delete();
    let patience = Patience::new(limit, cx.cancellation());
    if let Some(container) = &prior.container
        && place::is_gone(cx, container, &patience).await?
    {
        return Ok(());
    }
    let Some((place, path)) = place(cx, prior, patience).await? else {
        return Ok(());
    };
    let outcome = place.remove(&[path], &[]).await;
    Ok(outcome.map_err(|error| failed(prior, "removed", &error))?)
}

fn failed(model: &Model, doing: &str, error: &TargetError) -> Diagnostic {
    Diagnostic::error(
        format!("The file with the key could not be {doing}"),
        format!("{}: {error}", model.path),
    )
    .at("path")
}
