//! The network of a deployment.
//!
//! Daemons before version 25 let two requests at the same time make two networks of one name, and
//! then start no container in a network of that name.

use bollard::models::{Network, NetworkCreateRequest};

use super::{Docker, DockerError, Patience, found};
use crate::runtime::{Desired, Kind, Names, Own, labels};

impl Docker {
    pub(super) async fn create_network(
        &self,
        patience: &Patience,
        desired: &Desired,
    ) -> Result<(), DockerError> {
        let names = desired.names();
        let name = names.network();
        let request = self.client.create_network(NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(desired.object_labels("network").into_iter().collect()),
            ..Default::default()
        });
        let doing = format!("create network {name}");
        match self.call(patience, &doing, request).await {
            Ok(_) => Ok(()),
            Err(refused @ DockerError::WrongState { .. }) => {
                // Made meanwhile, or by a request whose reply was lost.
                let own = self.own_network(patience, &names).await?;
                own.map(drop).ok_or(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a network unless others use it. Returns whether it has gone.
    pub(super) async fn remove_network(
        &self,
        patience: &Patience,
        own: &Own,
    ) -> Result<bool, DockerError> {
        let request = self.client.remove_network(own.id());
        let name = own.name();
        let doing = format!("remove network {name}");
        match found(self.call(patience, &doing, request).await) {
            Err(DockerError::Failed { reason, .. } | DockerError::WrongState { reason, .. })
                if is_used(&reason) =>
            {
                tracing::info!(name, "the network is in use by others and stays");
                Ok(false)
            }
            outcome => outcome.map(|_| true),
        }
    }

    /// The networks of a deployment, the oldest first. A stranger's of the same name is an error
    /// if the deployment has none.
    pub(super) async fn own_networks(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Vec<Own>, DockerError> {
        let name = names.network();
        let mut networks = self.networks_named(patience, &name).await?;
        networks.sort_by(|one, other| (&one.created, &one.id).cmp(&(&other.created, &other.id)));
        let (own, others): (Vec<_>, Vec<_>) = networks
            .into_iter()
            .map(|network| check(&name, network, names))
            .partition(Result::is_ok);
        let strangers = if own.is_empty() { others } else { Vec::new() };
        own.into_iter().chain(strangers).collect()
    }

    /// Removes the networks of a deployment.
    pub(super) async fn remove_networks(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<(), DockerError> {
        for own in self.own_networks(patience, names).await? {
            self.remove_network(patience, &own).await?;
        }
        Ok(())
    }

    /// Starts a container that may be in the deployment's network.
    pub(super) async fn start_in_networks(
        &self,
        patience: &Patience,
        names: &Names,
        own: &Own,
    ) -> Result<(), DockerError> {
        match self.start(patience, own).await {
            Err(error) if is_ambiguous(&error) => {
                self.settle_networks(patience, names).await?;
                self.start(patience, own).await
            }
            outcome => outcome,
        }
    }

    /// Keeps one of several networks of a deployment: one that is in use, else the oldest.
    async fn settle_networks(&self, patience: &Patience, names: &Names) -> Result<(), DockerError> {
        let own = self.own_networks(patience, names).await?;
        let mut left = own.len();
        for own in own.iter().rev() {
            if left > 1 && self.remove_network(patience, own).await? {
                left -= 1;
            }
        }
        Ok(())
    }
}

/// The network, if it is the deployment's own.
fn check(name: &str, network: Network, names: &Names) -> Result<Own, DockerError> {
    let all = network.labels.unwrap_or_default();
    let owner = all.get(labels::DEPLOYMENT).map(String::as_str);
    let id = network.id.unwrap_or_default();
    let own = Own::check(Kind::Network, name, id, owner, names.deployment());
    own.map_err(DockerError::Conflict)
}

/// Whether a container cannot be started because several networks have the name of its own (moby,
/// `daemon/network.go`).
fn is_ambiguous(error: &DockerError) -> bool {
    matches!(error, DockerError::Failed { reason, .. } | DockerError::WrongState { reason, .. }
        if reason.contains("is ambiguous"))
}

/// Whether containers are in a network that was to be removed, in Docker's words or Podman's.
fn is_used(reason: &str) -> bool {
    reason.contains("active endpoints") || reason.contains("network is being used")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{
        convex::DeploymentName,
        runtime::docker::daemon::{Daemon, json, refusal},
    };

    #[tokio::test]
    async fn of_several_networks_the_one_in_use_is_kept_and_strangers_are_left() {
        let names = Names::of(&DeploymentName::parse("a").unwrap());
        let network = |id: &str, owner: &str, created: &str| {
            serde_json::json!({
                "Id": id, "Name": "a", "Created": created,
                "Labels": { (labels::DEPLOYMENT): owner },
            })
        };
        let list = serde_json::json!([
            network("young", "a", "2026-11-28T10:00:01Z"),
            network("old", "a", "2026-11-28T10:00:00Z"),
            network("theirs", "b", "2026-11-28T09:00:00Z"),
        ]);
        for (used, removed) in [
            (None, "young"),
            (Some("young"), "old"),
            (Some("old"), "young"),
        ] {
            let gone = Arc::new(Mutex::new(Vec::new()));
            let (list, removals) = (list.to_string(), Arc::clone(&gone));
            let daemon = Daemon::new(move |asked| {
                if !asked.starts_with("DELETE") {
                    return json(200, &list);
                }
                let id = asked
                    .split(['/', ' ', '?'])
                    .find(|it| ["young", "old", "theirs"].contains(it));
                let id = id.unwrap_or_default().to_owned();
                if Some(id.as_str()) == used {
                    return refusal(403, "network a has active endpoints");
                }
                removals.lock().unwrap().push(id);
                json(204, "")
            });
            let settled = daemon.docker.settle_networks(&daemon.patience, &names);
            settled.await.unwrap();
            assert_eq!(*gone.lock().unwrap(), [removed], "{used:?} is in use");
        }
    }
}
