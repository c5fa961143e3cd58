//! Finding all objects that belong to deployments, and removing some of them.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};

use super::{Docker, DockerError, Patience};
use crate::runtime::{
    Kind,
    inventory::{Inventory, Labelled},
    labels,
};

/// A container, as lists have it.
#[derive(Debug)]
pub struct Found {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The container whose network it shares.
    pub network_of: Option<String>,
}

impl Found {
    /// Whether it is meant by a name or an ID, which may be a short one.
    #[must_use]
    pub fn is(&self, name_or_id: &str) -> bool {
        name_or_id == self.name || (name_or_id.len() >= SHORT_ID && self.id.starts_with(name_or_id))
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
            found.extend(labelled(Kind::Container, name, &labels, is_running));
        }
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = self.client.list_volumes(Some(options));
        let volumes = self.call(patience, "list volumes", volumes).await?;
        for it in volumes.volumes.unwrap_or_default() {
            found.extend(labelled(Kind::Volume, Some(it.name), &it.labels, false));
        }
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let networks = self.client.list_networks(Some(options));
        for it in self.call(patience, "list networks", networks).await? {
            let labels = it.labels.unwrap_or_default();
            found.extend(labelled(Kind::Network, it.name, &labels, false));
        }
        Ok(found.into_iter().collect())
    }

    /// The containers whose label has this value.
    pub async fn with_label(
        &self,
        patience: &Patience,
        label: &str,
        value: &str,
    ) -> Result<Vec<Found>, DockerError> {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
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
                let mode = it.host_config.and_then(|host| host.network_mode);
                Some(Found {
                    id: it.id?,
                    name: name.trim_start_matches('/').to_owned(),
                    network_of: mode.and_then(|it| Some(it.strip_prefix("container:")?.to_owned())),
                })
            })
            .collect())
    }

    /// Removes an object. It having gone already is success.
    pub async fn remove(&self, patience: &Patience, object: &Labelled) -> Result<(), DockerError> {
        match object.kind {
            Kind::Container => self.remove_container(patience, &object.name).await,
            Kind::Network => self.remove_network(patience, &object.name).await,
            Kind::Volume => self.remove_volume(patience, &object.name).await,
        }
    }
}

fn labelled(
    kind: Kind,
    name: Option<String>,
    all: &HashMap<String, String>,
    is_running: bool,
) -> Option<Labelled> {
    Some(Labelled {
        kind,
        name: name?.trim_start_matches('/').to_owned(),
        deployment: all.get(labels::DEPLOYMENT)?.clone(),
        role: all.get(labels::ROLE).cloned().unwrap_or_default(),
        is_running,
    })
}

#[cfg(test)]
mod tests {
    use super::Found;

    #[test]
    fn a_container_is_meant_by_its_name_or_its_id() {
        let found = Found {
            id: "0123456789abcdef0123".to_owned(),
            name: "dev".to_owned(),
            network_of: None,
        };
        for given in ["dev", &found.id, "0123456789ab"] {
            assert!(found.is(given), "{given}");
        }
        for given in ["de", "", "0123", "123456789abc"] {
            assert!(!found.is(given), "{given}");
        }
    }
}
