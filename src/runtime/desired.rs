//! What there should be.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::contract::{
    BACKEND_PORT, BACKEND_READY, DASHBOARD_PORT, DASHBOARD_READY, Readiness, SITE_PORT,
};
use crate::convex::{DeploymentName, Secret};

/// Labels by which the objects of a deployment are known, whatever their names.
pub mod labels {
    /// What all of them begin with.
    pub const PREFIX: &str = "io.github.coder-convex.";
    /// The deployment an object belongs to.
    pub const DEPLOYMENT: &str = "io.github.coder-convex.deployment";
    /// What the object is to it; see [`Role`](super::Role).
    pub const ROLE: &str = "io.github.coder-convex.role";
    /// The names of the user's own variables, with commas between.
    pub const ENV: &str = "io.github.coder-convex.env";
    /// The names of the user's own labels, with commas between.
    pub const LABELS: &str = "io.github.coder-convex.labels";
    /// The names of further networks, with commas between.
    pub const NETWORKS: &str = "io.github.coder-convex.networks";
    /// Tells one version of settings that are kept nowhere else from another.
    pub const HIDDEN: &str = "io.github.coder-convex.hidden";
    /// The limit of the log, as bytes and files.
    pub const LOG: &str = "io.github.coder-convex.log";
    /// What the backend is started by, where that is not the image's own start
    /// script.
    pub const ENTRYPOINT: &str = "io.github.coder-convex.entrypoint";
    /// On a volume: the resource that made it, and where it is configured.
    pub const OWNER: &str = "io.github.coder-convex.owner";
    /// When the container whose network is shared was started.
    pub const NETWORK_STARTED: &str = "io.github.coder-convex.network-started";
    /// On a container that is not ours: the deployment that shares its network.
    pub const NETWORK_FOR: &str = "io.github.coder-convex.network-for";
}

/// What a container is to its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the backend.
    Backend,
    /// Runs the dashboard.
    Dashboard,
    /// Never runs; lends a look into the volume.
    Probe,
}

impl Role {
    /// As in names and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Dashboard => "dashboard",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names of a deployment's objects. They follow from its name, so that two
/// runs never make two of anything.
#[derive(Clone, Debug)]
pub struct Names {
    deployment: String,
}

impl Names {
    /// The names for a deployment.
    #[must_use]
    pub fn of(deployment: &DeploymentName) -> Self {
        Self {
            deployment: deployment.as_str().to_owned(),
        }
    }

    /// The deployment's own.
    #[must_use]
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// The container in this role.
    #[must_use]
    pub fn container(&self, role: Role) -> String {
        format!("{}-{role}", self.deployment)
    }

    /// The volume with the data.
    #[must_use]
    pub fn volume(&self) -> String {
        format!("{}-data", self.deployment)
    }

    /// The network of the deployment's own.
    #[must_use]
    pub fn network(&self) -> String {
        self.deployment.clone()
    }

    /// Under which name the backend is found by other containers of the
    /// network. A deployment's name always fits a DNS label, while the
    /// container's may be too long for one.
    #[must_use]
    pub fn backend_host(&self) -> &str {
        &self.deployment
    }
}

/// A program and its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The image it is in.
    pub image: String,
    /// Its environment beyond the image's.
    pub env: BTreeMap<String, String>,
    /// Which of these the user gave.
    pub user_env: Vec<String>,
    /// Names of variables whose values are not at hand: they are what they are.
    pub hidden_env: Vec<String>,
    /// Tells one version of these from another. Not a secret.
    pub hidden_version: Option<String>,
    /// What it may use at most.
    pub limits: Limits,
}

/// What a program may use at most. `None` means that nothing but the host limits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Time of processors, in billionths of one processor's.
    pub nano_cpus: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
}

impl Limits {
    /// Whether a container with these can be given the others while it runs. A limit can then be
    /// changed, but Docker takes none away.
    #[must_use]
    pub fn can_become(&self, others: &Self) -> bool {
        [
            (self.memory, others.memory),
            (self.nano_cpus, others.nano_cpus),
            (self.processes, others.processes),
        ]
        .into_iter()
        .all(|(had, has)| had.is_none() || has.is_some())
    }
}

/// What a container may do to its host, and how much it may write there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Capabilities that are taken from it, such as `NET_RAW`, or `ALL`.
    pub dropped: BTreeSet<String>,
    /// Whether its programs can gain rights that they were not started with.
    pub may_gain_rights: bool,
    /// How much of its log is kept; as the daemon does it where this is not given.
    pub log: Option<LogLimit>,
}

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimit {
    /// Size of a file at which the next one is begun, in bytes.
    pub file_size: u64,
    /// How many of them.
    pub files: u64,
}

/// Ports of the host, on the loopback interface, that lead to the deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// To the API.
    pub api: Option<u16>,
    /// To the HTTP actions.
    pub site: Option<u16>,
    /// To the dashboard.
    pub dashboard: Option<u16>,
}

/// How the containers of a deployment are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// They have a network of their own.
    Own {
        /// Other networks that they are in as well.
        further: Vec<String>,
        /// Ports of the host that lead to them.
        publish: Publish,
    },
    /// They share the network of another container, so that their ports are on
    /// its own loopback interface.
    Shared {
        /// Docker's ID of it.
        container: String,
        /// When it was started, in Docker's words. Each start makes another network, which is told
        /// from the last one by nothing else. It is compared with itself alone, and never with
        /// another time: clocks are set back.
        started: String,
    },
}

/// The network of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSpec {
    /// It is in networks.
    In {
        /// The deployment's own.
        own: String,
        /// Names by which others in its own network find it.
        aliases: Vec<String>,
        /// Other ones.
        further: Vec<String>,
        /// Ports of the container, and those of the host that lead to them.
        ports: BTreeMap<u16, u16>,
    },
    /// It shares that of another container.
    Of {
        /// Docker's ID of it.
        container: String,
    },
    /// It has none.
    None,
}

impl NetworkSpec {
    /// As Docker calls it.
    #[must_use]
    pub fn mode(&self) -> String {
        match self {
            Self::In { own, .. } => own.clone(),
            Self::Of { container } => format!("container:{container}"),
            Self::None => "none".to_owned(),
        }
    }
}

/// What is started in a container in place of the image's own program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrypoint {
    /// The program, which is among the files that are put into the container.
    pub command: String,
    /// Tells it from another one at the same path. Not a secret.
    pub version: String,
}

/// A file to be put into a container before it starts. It belongs to root.
#[derive(Clone, Debug)]
pub struct File {
    /// The absolute path.
    pub path: Cow<'static, str>,
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Secret,
}

/// Which containers must start anew even if they fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Renew {
    /// None.
    #[default]
    Nothing,
    /// That of the backend, because its secret has changed.
    Backend,
    /// All, because a limit was taken away.
    All,
}

/// A deployment as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its name, and so the names of its objects.
    pub name: DeploymentName,
    /// Whether it runs. If not, only the volume is kept.
    pub running: bool,
    /// Which containers must start anew even if they fit.
    pub renew: Renew,
    /// The backend.
    pub backend: Program,
    /// The dashboard, if there is one.
    pub dashboard: Option<Program>,
    /// What the backend is started by, if not by the image's own script.
    pub entrypoint: Option<Entrypoint>,
    /// Whether files are put into the backend's container before it starts.
    pub has_files: bool,
    /// How it is reached.
    pub attachment: Attachment,
    /// Addresses of further hosts that the backend knows by name.
    pub hosts: BTreeMap<String, String>,
    /// What all containers may do.
    pub confinement: Confinement,
    /// The user's own labels.
    pub labels: BTreeMap<String, String>,
    /// Whose volume it is, for one that is yet to be made.
    pub owner: Option<String>,
}

/// A container as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// What runs in it.
    pub program: Program,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// The volume at [`DATA_DIRECTORY`](super::DATA_DIRECTORY).
    pub volume: Option<String>,
    /// A volume of others that it can only read.
    pub beside: Option<String>,
    /// The network it is in.
    pub network: NetworkSpec,
    /// Addresses of further hosts that it knows by name.
    pub hosts: BTreeMap<String, String>,
    /// What it may do.
    pub confinement: Confinement,
    /// What is started in place of the image's own program.
    pub entrypoint: Option<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whether it has a standard input, which ends with whoever started it, and is removed once
    /// its program ends.
    pub held: bool,
    /// Whether files are put into it before it starts.
    pub has_files: bool,
    /// What answers once it is ready.
    pub ready: Readiness,
}

/// The ports of a container, each with the one of the host that leads to it.
type PortOf = fn(&Publish) -> Vec<(u16, Option<u16>)>;

impl Desired {
    /// The names of the objects.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::of(&self.name)
    }

    /// The labels of an object that is no container.
    #[must_use]
    pub fn object_labels(&self, role: &str) -> BTreeMap<String, String> {
        let mut all = self.labels.clone();
        all.insert(labels::DEPLOYMENT.to_owned(), self.name.as_str().to_owned());
        all.insert(labels::ROLE.to_owned(), role.to_owned());
        all
    }

    /// The backend's container.
    #[must_use]
    pub fn backend_container(&self) -> ContainerSpec {
        let names = self.names();
        let ports: PortOf = |publish| vec![(BACKEND_PORT, publish.api), (SITE_PORT, publish.site)];
        let alias = Some(names.backend_host().to_owned());
        let mut spec = ContainerSpec {
            role: Role::Backend,
            volume: Some(names.volume()),
            hosts: self.hosts.clone(),
            has_files: self.has_files,
            ready: BACKEND_READY,
            ..self.container(Role::Backend, &self.backend, alias, ports)
        };
        if let Some(entrypoint) = &self.entrypoint {
            let version = (labels::ENTRYPOINT.to_owned(), entrypoint.version.clone());
            spec.labels.extend([version]);
            spec.entrypoint = Some(entrypoint.command.clone());
        }
        spec
    }

    /// The dashboard's container, if there is to be one.
    #[must_use]
    pub fn dashboard_container(&self) -> Option<ContainerSpec> {
        let ports: PortOf = |publish| vec![(DASHBOARD_PORT, publish.dashboard)];
        let program = self.dashboard.as_ref()?;
        Some(self.container(Role::Dashboard, program, None, ports))
    }

    fn container(
        &self,
        role: Role,
        program: &Program,
        alias: Option<String>,
        ports: PortOf,
    ) -> ContainerSpec {
        let names = self.names();
        let user_labels: Vec<_> = self.labels.keys().map(String::as_str).collect();
        let mut all = self.object_labels(role.as_str());
        all.insert(labels::ENV.to_owned(), program.user_env.join(","));
        all.insert(labels::LABELS.to_owned(), user_labels.join(","));
        if let Some(log) = &self.confinement.log {
            let limit = format!("{}x{}", log.file_size, log.files);
            all.insert(labels::LOG.to_owned(), limit);
        }
        if let Some(version) = &program.hidden_version {
            all.insert(labels::HIDDEN.to_owned(), version.clone());
        }
        let network = match &self.attachment {
            Attachment::Own { further, publish } => {
                if !further.is_empty() {
                    all.insert(labels::NETWORKS.to_owned(), further.join(","));
                }
                NetworkSpec::In {
                    own: names.network(),
                    aliases: alias.into_iter().collect(),
                    further: further.clone(),
                    ports: ports(publish)
                        .into_iter()
                        .filter_map(|(inside, outside)| Some((inside, outside?)))
                        .collect(),
                }
            }
            Attachment::Shared { container, started } => {
                all.insert(labels::NETWORK_STARTED.to_owned(), started.clone());
                NetworkSpec::Of {
                    container: container.clone(),
                }
            }
        };
        ContainerSpec {
            role,
            name: names.container(role),
            program: program.clone(),
            labels: all,
            volume: None,
            beside: None,
            network,
            hosts: BTreeMap::new(),
            confinement: self.confinement.clone(),
            entrypoint: None,
            arguments: Vec::new(),
            held: false,
            has_files: false,
            ready: DASHBOARD_READY,
        }
    }
}
