//! The objects of a deployment, told from those of others that have its names.

use bollard::{
    models::{ContainerInspectResponse, NetworkInspect},
    query_parameters::InspectNetworkOptions,
};

use super::{Docker, DockerError, Patience, found};
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
        let backend = self.own_container(patience, names, Role::Backend).await?;
        backend.ok_or_else(|| DockerError::Absent {
            doing: "look for the backend".to_owned(),
            reason: format!("there is no container {}", names.container(Role::Backend)),
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

    /// The network of a deployment; `None` if nothing has its name.
    pub async fn own_network(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Option<Own>, DockerError> {
        let name = names.network();
        let Some(network) = self.inspect_network(patience, &name).await? else {
            return Ok(None);
        };
        let all = network.labels.unwrap_or_default();
        let owner = all.get(labels::DEPLOYMENT).map(String::as_str);
        let id = network.id.unwrap_or_default();
        let own = Own::check(Kind::Network, &name, id, owner, names.deployment());
        own.map(Some).map_err(DockerError::Conflict)
    }

    pub(super) async fn inspect_network(
        &self,
        patience: &Patience,
        name: &str,
    ) -> Result<Option<NetworkInspect>, DockerError> {
        let request = self
            .client
            .inspect_network(name, None::<InspectNetworkOptions>);
        found(self.call(patience, "look at the network", request).await)
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
