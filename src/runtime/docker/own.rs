//! The objects of a deployment, told from those of others that have its names.

use std::collections::HashMap;

use bollard::{
    models::{ContainerInspectResponse, Network},
    query_parameters::ListNetworksOptionsBuilder,
};

use super::{Docker, DockerError, Patience};
use crate::runtime::{Existing, Kind, Names, Own, Role, labels};

impl Docker {
    /// A container of a deployment; `None` if nothing has its name.
    pub async fn own_container(
        &self,
        patience: &Patience,
        names: &Names,
        role: Role,
    ) -> Result<Option<Own>, DockerError> {
        let container = self.inspect_own(patience, names, role).await?;
        Ok(container.map(|(own, _)| own))
    }

    /// The container of the backend, which has to be there.
    pub async fn own_backend(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Own, DockerError> {
        self.own_existing(patience, names, Role::Backend).await
    }

    /// The container of a role, which has to be there.
    pub(super) async fn own_existing(
        &self,
        patience: &Patience,
        names: &Names,
        role: Role,
    ) -> Result<Own, DockerError> {
        let own = self.own_container(patience, names, role).await?;
        own.ok_or_else(|| DockerError::Absent {
            doing: format!("look for the {role}"),
            reason: format!("there is no container {}", names.container(role)),
        })
    }

    /// The same as [`own_container`](Self::own_container), with all that it says of itself.
    pub(super) async fn inspect_own(
        &self,
        patience: &Patience,
        names: &Names,
        role: Role,
    ) -> Result<Option<(Own, ContainerInspectResponse)>, DockerError> {
        let name = names.container(role);
        let Some(container) = self.inspect(patience, &name).await? else {
            return Ok(None);
        };
        let all = container.config.as_ref().and_then(|it| it.labels.as_ref());
        let owner = all.and_then(|it| it.get(labels::DEPLOYMENT));
        let id = container.id.clone().unwrap_or_default();
        let owner = owner.map(String::as_str);
        let own = Own::check(Kind::Container, &name, id, owner, names.deployment());
        Ok(Some((own.map_err(DockerError::Conflict)?, container)))
    }

    /// The network of a deployment; `None` if nothing has its name. Docker allows several networks
    /// of one name, so a stranger's counts only if none is the deployment's.
    pub async fn own_network(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Option<Own>, DockerError> {
        let own = self.own_networks(patience, names).await?;
        Ok(own.into_iter().next())
    }

    /// A network of this name, whoever it belongs to.
    pub(super) async fn inspect_network(
        &self,
        patience: &Patience,
        name: &str,
    ) -> Result<Option<Network>, DockerError> {
        let networks = self.networks_named(patience, name).await?;
        Ok(networks.into_iter().next())
    }

    /// The networks of exactly this name. To inspect a network is no way to find it: if none has
    /// the name, Docker takes the name for the beginning of an ID.
    pub(super) async fn networks_named(
        &self,
        patience: &Patience,
        name: &str,
    ) -> Result<Vec<Network>, DockerError> {
        let filters = HashMap::from([("name", vec![name])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let request = self.client.list_networks(Some(options));
        let mut networks = self.call(patience, "look at the network", request).await?;
        // The filter also lets names through that only contain it.
        networks.retain(|it| it.name.as_deref() == Some(name));
        Ok(networks)
    }

    /// The volume of a deployment, and what is known of it; `None` if nothing has its name.
    pub async fn own_volume(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Option<(Own, Existing)>, DockerError> {
        let name = names.volume();
        let Some(volume) = self.volume(patience, &name).await? else {
            return Ok(None);
        };
        let own = own_volume(&name, &volume, names.deployment())?;
        Ok(Some((own, volume)))
    }
}

/// The volume, if it is the deployment's own. A volume has no ID but its name.
pub(super) fn own_volume(
    name: &str,
    volume: &Existing,
    deployment: &str,
) -> Result<Own, DockerError> {
    let id = name.to_owned();
    Own::check(Kind::Volume, name, id, volume.deployment(), deployment)
        .map_err(DockerError::Conflict)
}

/// Turns an object of somebody else into `None`, for those who only look.
pub(super) fn unless_foreign<T>(
    outcome: Result<Option<T>, DockerError>,
) -> Result<Option<T>, DockerError> {
    match outcome {
        Err(DockerError::Conflict(_)) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{DockerError, Names, labels};
    use crate::{
        convex::DeploymentName,
        runtime::docker::daemon::{Daemon, json, refusal},
    };

    /// A network as lists have it, with the deployment that it belongs to.
    fn network(id: &str, name: &str, owner: &str) -> String {
        let label = labels::DEPLOYMENT;
        format!(r#"{{"Id":{id:?},"Name":{name:?},"Labels":{{{label:?}:{owner:?}}}}}"#)
    }

    #[tokio::test]
    async fn a_network_is_found_by_its_whole_name_alone() {
        let names = Names::of(&DeploymentName::parse("cafe").unwrap());
        let other = network("cafe01", "other", "other");
        let longer = network("aa", "my-cafe-2", "cafe");
        let own = network("bb", "cafe", "cafe");
        let stranger = network("cc", "cafe", "other");
        for (there, found, exists) in [
            (vec![&other, &longer], Ok(None), false),
            (vec![&longer, &own], Ok(Some("bb")), true),
            (vec![&stranger, &own], Ok(Some("bb")), true),
            (vec![&stranger], Err("other"), true),
        ] {
            let there: Vec<_> = there.into_iter().map(String::as_str).collect();
            let list = format!("[{}]", there.join(","));
            let reply = list.clone();
            let daemon = Daemon::new(move |asked| {
                if asked.starts_with("GET /networks?") {
                    json(200, &reply)
                } else {
                    refusal(400, "network cafe is ambiguous")
                }
            });
            let (docker, patience) = (&daemon.docker, &daemon.patience);
            let network = docker.own_network(patience, &names).await;
            let network = match &network {
                Ok(own) => Ok(own.as_ref().map(crate::runtime::Own::id)),
                Err(DockerError::Conflict(it)) => Err(it.owner.as_deref().unwrap_or_default()),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(network, found, "{list}");
            assert_eq!(
                docker.has_network(patience, "cafe").await.unwrap(),
                exists,
                "{list}"
            );
        }
    }
}
