//! What there is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    desired::{Attachment, Limits, Names, Role, labels},
    own::Own,
    steps::{Conflict, Kind},
};

/// The objects of a deployment.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The network.
    pub network: Option<Own>,
    /// The volume.
    pub volume: Option<Existing>,
    /// The backend's container.
    pub backend: Option<ObservedContainer>,
    /// The dashboard's container.
    pub dashboard: Option<ObservedContainer>,
    /// A container that an interrupted look into the volume left.
    pub probe: Option<Existing>,
    /// Objects of others that have the names of the deployment's.
    pub strangers: Vec<Conflict>,
}

/// An object with labels.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, where the host tells.
    pub created: Option<String>,
}

impl Existing {
    /// The deployment it says it belongs to.
    #[must_use]
    pub fn deployment(&self) -> Option<&str> {
        self.labels.get(labels::DEPLOYMENT).map(String::as_str)
    }
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It was made and never started.
    Created,
    /// It ended.
    Exited {
        /// With this code.
        code: i64,
        /// Because it used more memory than it may.
        out_of_memory: bool,
    },
    /// It ends and is started again and again.
    Restarting {
        /// With this code, last time.
        code: i64,
        /// Because it used more memory than it may.
        out_of_memory: bool,
    },
    /// It is frozen.
    Paused,
    /// It is going away.
    Dying,
}

/// A container that exists.
#[derive(Clone, Debug)]
pub struct ObservedContainer {
    /// Docker's ID of it.
    pub id: String,
    /// The image it was asked to run.
    pub image: String,
    /// Docker's ID of that image.
    pub image_id: String,
    /// What it is doing.
    pub state: State,
    /// Its environment, the image's own included.
    pub env: BTreeMap<String, String>,
    /// Its labels, the image's own included.
    pub labels: BTreeMap<String, String>,
    /// Volumes by the directory they are at.
    pub volumes: BTreeMap<String, String>,
    /// Its network as Docker calls it: a name, or `container:` and an ID.
    pub network_mode: String,
    /// The networks it is in, by name.
    pub networks: BTreeSet<String>,
    /// Addresses of further hosts that it knows by name.
    pub hosts: BTreeMap<String, String>,
    /// When it was last started, as text that orders as time does; empty if
    /// never.
    pub started: String,
    /// Ports of the container, and those of the loopback interface that lead
    /// to them.
    pub ports: BTreeMap<u16, u16>,
    /// What it may use at most.
    pub limits: Limits,
    /// Capabilities that are taken from it.
    pub dropped: BTreeSet<String>,
    /// Whether its programs can gain rights that they were not started with.
    pub may_gain_rights: bool,
    /// Whether Docker starts it again when it ends.
    pub restarts: bool,
    /// How often Docker has started it again since it was last started on purpose.
    pub restart_count: u64,
    /// The environment of the image. Only looked up when the container is not
    /// one we know.
    pub image_env: Option<BTreeMap<String, String>>,
}

impl ObservedContainer {
    /// The deployment it says it belongs to.
    #[must_use]
    pub fn deployment(&self) -> Option<&str> {
        self.labels.get(labels::DEPLOYMENT).map(String::as_str)
    }

    /// The same, as one of a deployment that may be changed, if it is that deployment's.
    #[must_use]
    pub fn own(&self, names: &Names, role: Role) -> Option<Own> {
        let name = names.container(role);
        let (kind, owner) = (Kind::Container, self.deployment());
        Own::check(kind, &name, self.id.clone(), owner, names.deployment()).ok()
    }

    /// The names listed in a label of ours.
    #[must_use]
    pub fn listed(&self, label: &str) -> BTreeSet<&str> {
        let list = self.labels.get(label).map_or("", String::as_str);
        list.split(',').filter(|name| !name.is_empty()).collect()
    }

    /// How a deployment is attached that shares its network.
    #[must_use]
    pub fn shares_its_network(self) -> Attachment {
        Attachment::Shared {
            container: self.id,
            started: self.started,
        }
    }

    /// Whether it runs as it should.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }
}
