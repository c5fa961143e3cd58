//! All that a Docker host has of deployments, whoever made them.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Kind, Own, Role};

/// An object that says which deployment it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The object.
    pub own: Own,
    /// The deployment.
    pub deployment: String,
    /// What it is to the deployment; see [`Role`] for containers.
    pub role: String,
    /// Whether it is a container that runs.
    pub is_running: bool,
}

/// How a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its backend runs.
    Running,
    /// Its data is there, and nothing runs.
    Stopped,
    /// There is no data of it, so nobody can miss the rest.
    Remains,
}

/// The objects by deployment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    deployments: BTreeMap<String, Vec<Labelled>>,
}

impl FromIterator<Labelled> for Inventory {
    fn from_iter<I: IntoIterator<Item = Labelled>>(objects: I) -> Self {
        let mut deployments: BTreeMap<String, Vec<Labelled>> = BTreeMap::new();
        for object in objects {
            let of = deployments.entry(object.deployment.clone()).or_default();
            of.push(object);
        }
        Self { deployments }
    }
}

impl Inventory {
    /// How a deployment is; `None` when there is nothing of it.
    #[must_use]
    pub fn standing(&self, deployment: &str) -> Option<Standing> {
        self.deployments.get(deployment).map(|it| standing(it))
    }

    /// The deployments that there is something of.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.deployments.keys().map(String::as_str).collect()
    }

    /// What is left over: everything of a deployment without data, and of the others what lends a
    /// look into a volume and the network that nothing is in. An apply that is under way has such
    /// objects, too.
    #[must_use]
    pub fn left_over(&self) -> Vec<&Labelled> {
        let of_one = |objects: &'_ Vec<Labelled>| match standing(objects) {
            Standing::Remains => |_: &Labelled| true,
            Standing::Running => is_probe,
            Standing::Stopped => is_probe_or_network,
        };
        self.deployments
            .values()
            .flat_map(|objects| {
                let is_left = of_one(objects);
                objects.iter().filter(move |object| is_left(object))
            })
            .collect()
    }

    /// All objects of a deployment; those with data only on request.
    #[must_use]
    pub fn of(&self, deployment: &str, with_data: bool) -> Vec<&Labelled> {
        let objects = self.deployments.get(deployment).into_iter().flatten();
        objects
            .filter(|object| with_data || object.own.kind() != Kind::Volume)
            .collect()
    }

    /// One line per deployment and object, for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let left_over = self.left_over();
        for (deployment, objects) in &self.deployments {
            let standing = match standing(objects) {
                Standing::Running => "runs",
                Standing::Stopped => "is stopped; its data is kept",
                Standing::Remains => "has no data",
            };
            let _ = writeln!(text, "{deployment} {standing}");
            for object in objects {
                let note = if left_over.contains(&object) {
                    "  (left over)"
                } else {
                    ""
                };
                let (kind, name) = (object.own.kind(), object.own.name());
                let _ = writeln!(text, "    {kind} {name}{note}");
            }
        }
        text
    }
}

fn is_probe(object: &Labelled) -> bool {
    object.own.kind() == Kind::Container && object.role == Role::Probe.as_str()
}

fn is_probe_or_network(object: &Labelled) -> bool {
    is_probe(object) || object.own.kind() == Kind::Network
}

fn standing(objects: &[Labelled]) -> Standing {
    let runs = |it: &Labelled| it.is_running && it.role == Role::Backend.as_str();
    if objects.iter().any(runs) {
        Standing::Running
    } else if objects.iter().any(|it| it.own.kind() == Kind::Volume) {
        Standing::Stopped
    } else {
        Standing::Remains
    }
}

#[cfg(test)]
mod tests {
    use super::{Inventory, Kind, Labelled, Own, Standing};

    fn object(kind: Kind, deployment: &str, role: &str, is_running: bool) -> Labelled {
        let name = format!("{deployment}-{role}");
        let own = Own::check(kind, &name, name.clone(), Some(deployment), deployment);
        Labelled {
            own: own.unwrap(),
            deployment: deployment.to_owned(),
            role: role.to_owned(),
            is_running,
        }
    }

    #[test]
    fn only_what_nobody_can_miss_is_left_over() {
        let inventory: Inventory = [
            object(Kind::Container, "runs", "backend", true),
            object(Kind::Container, "runs", "probe", false),
            object(Kind::Network, "runs", "network", false),
            object(Kind::Volume, "runs", "data", false),
            object(Kind::Volume, "stopped", "data", false),
            object(Kind::Network, "stopped", "network", false),
            object(Kind::Container, "gone", "dashboard", true),
            object(Kind::Network, "gone", "network", false),
        ]
        .into_iter()
        .collect();
        let names: Vec<_> = inventory
            .left_over()
            .iter()
            .map(|it| it.own.name())
            .collect();
        assert_eq!(
            names,
            [
                "gone-dashboard",
                "gone-network",
                "runs-probe",
                "stopped-network"
            ]
        );
        assert_eq!(inventory.standing("stopped"), Some(Standing::Stopped));
        assert_eq!(inventory.standing("other"), None);
        assert_eq!(inventory.of("stopped", false).len(), 1);
        assert_eq!(inventory.of("stopped", true).len(), 2);
        assert!(inventory.table().contains("runs-probe  (left over)"));
    }
}
