//! Finding all objects that belong to deployments, and removing some of them.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};

use super::{Docker, DockerError, Patience};
use crate::runtime::{
    Kind, Own,
    inventory::{Inventory, Labelled},
    labels,
};

/// A container, as lists have it.
#[derive(Debug)]
pub struct Found {
    /// The container.
    pub own: Own,
    /// The container whose network it shares.
    pub network_of: Option<String>,
}

impl Found {
    /// Whether it is meant by a name or an ID, which may be a short one.
    #[must_use]
    pub fn is(&self, name_or_id: &str) -> bool {
        name_or_id == self.own.name()
            || (name_or_id.len() >= SHORT_ID && self.own.id().starts_with(name_or_id))
    }
}

/// The length of the IDs that Docker prints.
const SHORT_ID: usize = 12;

impl Docker {
    /// Everything with a label of ours.
    pub async fn inventory(&self, patience: &Patience) -> Result<Inventory, DockerError> {
        let filters = HashMap::from([("label", vec![labels::DEPLOYMENT])]);
        let mut found = Vec::new();
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = self.client.list_containers(Some(options));
        for it in self.call(patience, "list containers", containers).await? {
            let name = it.names.unwrap_or_default().into_iter().next();
            let is_running = it.state.is_some_and(|state| state.to_string() == "running");
            let labels = it.labels.unwrap_or_default();
            found.extend(labelled(Kind::Container, it.id, name, &labels, is_running));
        }
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = self.client.list_volumes(Some(options));
        let volumes = self.call(patience, "list volumes", volumes).await?;
        for it in volumes.volumes.unwrap_or_default() {
            let id = Some(it.name.clone());
            found.extend(labelled(Kind::Volume, id, Some(it.name), &it.labels, false));
        }
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let networks = self.client.list_networks(Some(options));
        for it in self.call(patience, "list networks", networks).await? {
            let labels = it.labels.unwrap_or_default();
            found.extend(labelled(Kind::Network, it.id, it.name, &labels, false));
        }
        Ok(found.into_iter().collect())
    }

    /// The containers of others whose label says that they exist for a deployment to share their
    /// network.
    pub async fn network_hosts(
        &self,
        patience: &Patience,
        deployment: &str,
    ) -> Result<Vec<Found>, DockerError> {
        let filters = HashMap::from([("label", vec![labels::NETWORK_FOR])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = self.client.list_containers(Some(options));
        let containers = self.call(patience, "list containers", containers).await?;
        Ok(containers
            .into_iter()
            .filter_map(|it| {
                let name = it.names?.into_iter().next()?;
                let name = name.trim_start_matches('/');
                let owner = it.labels?.remove(labels::NETWORK_FOR);
                let owner = owner.as_deref();
                let mode = it.host_config.and_then(|host| host.network_mode);
                Some(Found {
                    own: Own::check(Kind::Container, name, it.id?, owner, deployment).ok()?,
                    network_of: mode.and_then(|it| Some(it.strip_prefix("container:")?.to_owned())),
                })
            })
            .collect())
    }
}

fn labelled(
    kind: Kind,
    id: Option<String>,
    name: Option<String>,
    all: &HashMap<String, String>,
    is_running: bool,
) -> Option<Labelled> {
    let name = name?;
    let deployment = all.get(labels::DEPLOYMENT)?;
    let name = name.trim_start_matches('/');
    Some(Labelled {
        own: Own::check(kind, name, id?, Some(deployment), deployment).ok()?,
        deployment: deployment.clone(),
        role: all.get(labels::ROLE).cloned().unwrap_or_default(),
        is_running,
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, Kind, Own};

    #[test]
    fn a_container_is_meant_by_its_name_or_its_id() {
        let id = "0123456789abcdef0123";
        let own = Own::check(Kind::Container, "dev", id.to_owned(), Some("a"), "a");
        let found = Found {
            own: own.unwrap(),
            network_of: None,
        };
        for given in ["dev", id, "0123456789ab"] {
            assert!(found.is(given), "{given}");
        }
        for given in ["de", "", "0123", "123456789abc"] {
            assert!(!found.is(given), "{given}");
        }
    }
}
