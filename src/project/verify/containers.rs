//! Whether the containers of a deployment on this machine run.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Answer;
use crate::{
    convex::DeploymentName,
    runtime::{
        Names, ObservedContainer, Role,
        docker::{Connection, Docker, DockerError, HostConfig, Patience, Surroundings},
    },
};

/// How long Docker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the containers of the deployment whose instance has this name, which is that of the
/// deployment unless it was given another one. Changes nothing.
///
/// `around` says which daemon, as it does to the docker command line. Where
/// no daemon answers, as within a workspace, or has no such deployment, the question stays open:
/// something else may run the backend.
pub async fn containers(around: &Surroundings, instance: &str) -> Answer<bool> {
    let unasked = |error: &dyn std::fmt::Display| {
        Answer::NotAsked(format!("Docker cannot be asked: {error}"))
    };
    let connection = match HostConfig::default().resolve(around) {
        Ok(connection) => connection,
        Err(error) => return unasked(&error),
    };
    let Ok(name) = DeploymentName::parse(instance) else {
        return none(instance);
    };
    match look(connection, &name).await {
        Ok(Some(running)) => Answer::Known(running),
        Ok(None) => none(instance),
        Err(error) => unasked(&error),
    }
}

fn none(instance: &str) -> Answer<bool> {
    Answer::NotAsked(format!(
        "Docker has no deployment {instance:?} of this provider"
    ))
}

/// Whether they run; nothing where there is no such deployment.
async fn look(connection: Connection, name: &DeploymentName) -> Result<Option<bool>, DockerError> {
    let docker = Docker::new(connection, Arc::default())?;
    let patience = Patience::new(PATIENCE, CancellationToken::new());
    let names = Names::of(name);
    let ours = |container: &ObservedContainer| container.deployment() == Some(names.deployment());
    let volume = docker.volume(&patience, &names.volume()).await?;
    if volume.is_none_or(|volume| volume.deployment() != Some(names.deployment())) {
        return Ok(None);
    }
    let mut running = true;
    for role in [Role::Backend, Role::Dashboard] {
        let container = docker.container_alone(&patience, &names, role).await?;
        running &= match container.filter(ours) {
            Some(container) => container.is_running(),
            // There may be none of it.
            None => role == Role::Dashboard,
        };
    }
    Ok(Some(running))
}
