//! Tidying up a Docker host: what the command `sweep` does.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Kind,
    docker::{Docker, DockerError, HostConfig, HostError, Patience, Surroundings},
    inventory::{Inventory, Labelled},
};

/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Whether anything is removed, or only listed.
    pub removes: bool,
    /// The deployments to remove; none means what is left over of all.
    pub deployments: Vec<String>,
    /// Whether the data of those goes, too.
    pub with_data: bool,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// It is not known where Docker is.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Docker failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// There is no such deployment.
    #[error("The Docker host has nothing of a deployment {name:?}. It has: {there}.")]
    NoSuch {
        /// The name.
        name: String,
        /// Those that there are.
        there: String,
    },
}

/// Lists what there is, and removes what is asked for, in an order that works: containers, then
/// networks and volumes. Returns what happened, for a person.
pub async fn sweep(request: &Request, around: &Surroundings) -> Result<String, SweepError> {
    let docker = Docker::new(HostConfig::default().resolve(around)?, Arc::default())?;
    let patience = Patience::new(PATIENCE, CancellationToken::new());
    let inventory = docker.inventory(&patience).await?;
    let mut chosen = choose(request, &inventory)?;
    if !request.removes {
        let table = inventory.table();
        return Ok(if table.is_empty() {
            "There is nothing of a deployment.\n".to_owned()
        } else {
            table
        });
    }
    chosen.sort_by_key(|object| object.own.kind() != Kind::Container);
    let mut said = String::new();
    for object in chosen {
        let own = &object.own;
        docker.remove(&patience, own).await?;
        said.push_str(&format!("removed {} {}\n", own.kind(), own.name()));
    }
    if said.is_empty() {
        said.push_str("Nothing is left over.\n");
    }
    Ok(said)
}

fn choose<'a>(
    request: &Request,
    inventory: &'a Inventory,
) -> Result<Vec<&'a Labelled>, SweepError> {
    if request.deployments.is_empty() {
        return Ok(inventory.left_over());
    }
    let mut chosen = Vec::new();
    for name in &request.deployments {
        if inventory.standing(name).is_none() {
            return Err(SweepError::NoSuch {
                name: name.clone(),
                there: inventory.names().join(", "),
            });
        }
        chosen.extend(inventory.of(name, request.with_data));
    }
    Ok(chosen)
}
