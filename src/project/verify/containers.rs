//! The containers of a deployment on this machine.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Answer, Keeper};
use crate::{
    convex::DeploymentName,
    runtime::{
        Names, ObservedContainer, Role,
        docker::{Docker, DockerError, FromInside, HostConfig, Patience, Surroundings},
    },
};

/// How long all of it may take, questions from inside the container included.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long Docker may take to say what there is.
const LOOK: Duration = Duration::from_secs(10);

/// What Docker has of a deployment.
#[derive(Debug)]
pub(super) struct Containers {
    /// Whether they run.
    pub running: Answer<bool>,
    /// Who started them.
    pub keeper: Option<Keeper>,
    /// The inside of the container of the backend.
    pub inside: Option<FromInside<Arc<Docker>>>,
}

impl Containers {
    /// That nothing is known.
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self {
            running: Answer::NotAsked(why.into()),
            keeper: None,
            inside: None,
        }
    }

    fn found(docker: &Arc<Docker>, found: Found) -> Self {
        let patience = Patience::new(PATIENCE, CancellationToken::new());
        Self {
            running: Answer::Known(found.running),
            keeper: found.keeper,
            inside: found
                .running
                .then(|| FromInside::new(Arc::clone(docker), found.backend, patience)),
        }
    }
}

struct Found {
    /// The ID of the container of the backend.
    backend: String,
    keeper: Option<Keeper>,
    running: bool,
}

/// Looks at the containers of the deployment that is published at a port of this machine, or whose
/// instance has this name. Changes nothing.
///
/// `around` says which daemon, as it does to the docker command line. Where no daemon answers, as
/// within a workspace, or has no such deployment, the question stays open: something else may run
/// the backend.
pub(super) async fn containers(
    around: &Surroundings,
    port: Option<u16>,
    instance: Option<&str>,
) -> Containers {
    let unasked = |error: &dyn std::fmt::Display| {
        Containers::unknown(format!("Docker cannot be asked: {error}"))
    };
    let docker = match HostConfig::default().resolve(around) {
        Ok(connection) => Docker::new(connection, Arc::default()).map(Arc::new),
        Err(error) => return unasked(&error),
    };
    let docker = match docker {
        Ok(docker) => docker,
        Err(error) => return unasked(&error),
    };
    match find(&docker, port, instance).await {
        Ok(Some(found)) => Containers::found(&docker, found),
        Ok(None) => Containers::unknown(match instance {
            Some(instance) => format!("Docker has no deployment with the instance {instance:?}"),
            None => "there is no admin key that names the deployment".to_owned(),
        }),
        Err(error) => unasked(&error),
    }
}

async fn find(
    docker: &Docker,
    port: Option<u16>,
    instance: Option<&str>,
) -> Result<Option<Found>, DockerError> {
    let patience = Patience::new(LOOK, CancellationToken::new());
    // The container that an address leads to is the right one, whatever its name.
    if docker.endpoint().is_here()
        && let Some(port) = port
    {
        let holders = docker.port_holders(&patience).await?;
        let holder = holders
            .get(&port)
            .map(|it| it.trim_start_matches("container "));
        if let Some(name) = holder
            && let Some(container) = docker.any_container(&patience, name).await?
            && container.env.contains_key("INSTANCE_NAME")
        {
            return Ok(Some(of_holder(docker, &patience, container).await?));
        }
    }
    let Some(instance) = instance else {
        return Ok(None);
    };
    for deployment in docker.inventory(&patience).await?.names() {
        let Ok(name) = DeploymentName::parse(deployment) else {
            continue;
        };
        let names = Names::of(&name);
        let Some(backend) = docker
            .container_alone(&patience, &names, Role::Backend)
            .await?
        else {
            // The instance is called as the deployment is, unless it was given another name.
            if deployment == instance {
                return Ok(Some(Found {
                    backend: names.container(Role::Backend),
                    keeper: Some(Keeper::Terraform),
                    running: false,
                }));
            }
            continue;
        };
        if backend
            .env
            .get("INSTANCE_NAME")
            .is_some_and(|it| it == instance)
        {
            let running = backend.is_running() && dashboard_runs(docker, &patience, &names).await?;
            return Ok(Some(Found {
                backend: backend.id,
                keeper: Some(Keeper::Terraform),
                running,
            }));
        }
    }
    Ok(None)
}

/// What the container is that has a port.
async fn of_holder(
    docker: &Docker,
    patience: &Patience,
    container: ObservedContainer,
) -> Result<Found, DockerError> {
    let of_compose = container.labels.contains_key("com.docker.compose.project");
    let deployment = container.deployment().map(DeploymentName::parse);
    let (keeper, running) = match deployment {
        Some(Ok(name)) => {
            let dashboard = dashboard_runs(docker, patience, &Names::of(&name)).await?;
            (Some(Keeper::Terraform), dashboard)
        }
        _ => (of_compose.then_some(Keeper::Hand), true),
    };
    Ok(Found {
        backend: container.id,
        keeper,
        running,
    })
}

/// Whether the dashboard runs, if there is one.
async fn dashboard_runs(
    docker: &Docker,
    patience: &Patience,
    names: &Names,
) -> Result<bool, DockerError> {
    let dashboard = docker
        .container_alone(patience, names, Role::Dashboard)
        .await?;
    Ok(dashboard.is_none_or(|it| it.is_running()))
}
