//! From what there is to what there should be.

use std::{collections::BTreeSet, fmt};

use super::{
    contract::DATA_DIRECTORY,
    desired::{Attachment, ContainerSpec, Desired, NetworkSpec, Renew, Role, labels},
    observed::{Observed, ObservedContainer, State},
};

/// One thing to do. Each can be done again without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetches the image of a container that is to be made, if the host lacks
    /// it.
    FetchImage(Role),
    /// Makes the network.
    CreateNetwork,
    /// Makes the volume.
    CreateVolume,
    /// Ends a container in its own time and removes it.
    RemoveContainer(Role),
    /// Makes a container, without starting it.
    CreateContainer(Role),
    /// Puts secrets where the backend will look for them.
    StoreSecrets,
    /// Puts the files into the container that it is started with.
    PutFiles,
    /// Starts a container.
    Start(Role),
    /// Waits until what runs in the container answers.
    AwaitReady(Role),
    /// Tells Docker to start the container again when it ends.
    KeepRunning(Role),
    /// Changes what a container that runs may use.
    Limit(Role),
    /// Removes the network, unless others are in it.
    RemoveNetwork,
}

impl Step {
    /// Whether containers that run stay as they are. Such steps come first, so
    /// that what fails in them takes nothing down.
    #[must_use]
    pub fn disturbs_nothing(&self) -> bool {
        matches!(
            self,
            Self::FetchImage(_) | Self::CreateVolume | Self::CreateNetwork
        )
    }
}

/// A kind of object, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
        })
    }
}

/// An object of somebody else has a name that the deployment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What it is.
    pub kind: Kind,
    /// The name.
    pub name: String,
    /// The deployment it belongs to, if it belongs to one.
    pub owner: Option<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, owner } = self;
        match owner {
            Some(owner) => write!(f, "{kind} {name}, part of deployment {owner:?}"),
            None => write!(f, "{kind} {name}, not made by this provider"),
        }
    }
}

/// In what a container is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It runs another image.
    Image,
    /// This environment variable differs, is missing or is too many.
    Env(String),
    /// This label differs, is missing or is too many.
    Label(String),
    /// Other ports of the host lead to it.
    Ports,
    /// Another volume, or none, holds the data.
    Volume,
    /// It is not in the network.
    Network,
    /// It knows other hosts by name.
    Hosts,
    /// It may use more or less. This alone can be changed while it runs, unless a limit is
    /// taken away.
    Limits {
        /// Whether it can.
        while_it_runs: bool,
    },
    /// It may do other things to its host.
    Confinement,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("image"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Label(name) => write!(f, "label {name}"),
            Self::Ports => f.write_str("published ports"),
            Self::Volume => f.write_str("data volume"),
            Self::Network => f.write_str("network"),
            Self::Hosts => f.write_str("extra hosts"),
            Self::Limits { .. } => f.write_str("limits"),
            Self::Confinement => f.write_str("capabilities or security options"),
        }
    }
}

/// Compares only what was asked for: Docker fills in much else, and different
/// versions of it fill in different things.
#[must_use]
pub fn differences(spec: &ContainerSpec, observed: &ObservedContainer) -> Vec<Difference> {
    let mut found = Vec::new();
    if observed.image != spec.program.image {
        found.push(Difference::Image);
    }
    found.extend(env_differences(spec, observed));
    found.extend(label_differences(spec, observed));
    if observed.volumes.get(DATA_DIRECTORY) != spec.volume.as_ref() {
        found.push(Difference::Volume);
    }
    let mut elsewhere = observed.network_mode != spec.network.mode();
    if let NetworkSpec::In {
        own,
        further,
        ports,
        ..
    } = &spec.network
    {
        let mut wanted = [own].into_iter().chain(further);
        elsewhere |= !wanted.all(|name| observed.networks.contains(name));
        if observed.ports != *ports {
            found.push(Difference::Ports);
        }
    }
    if elsewhere {
        found.push(Difference::Network);
    }
    if observed.hosts != spec.hosts {
        found.push(Difference::Hosts);
    }
    let confinement = &spec.confinement;
    if observed.dropped != confinement.dropped
        || observed.may_gain_rights != confinement.may_gain_rights
    {
        found.push(Difference::Confinement);
    }
    let limits = &spec.program.limits;
    let mut there = observed.limits;
    // Engines may set one of their own where none is asked for, as Podman does.
    if limits.processes.is_none() {
        there.processes = None;
    }
    if there != *limits {
        let while_it_runs = there.can_become(limits);
        found.push(Difference::Limits { while_it_runs });
    }
    found
}

fn env_differences(spec: &ContainerSpec, observed: &ObservedContainer) -> Vec<Difference> {
    let wanted = &spec.program.env;
    let hidden = &spec.program.hidden_env;
    let missing = wanted
        .iter()
        .filter(|(name, value)| observed.env.get(*name) != Some(value))
        .map(|(name, _)| name.clone());
    // Without the image's environment at hand, those that an earlier apply
    // recorded are the only ones that can be too many.
    let recorded = observed.listed(labels::ENV);
    let too_many = observed
        .env
        .iter()
        .filter(|(name, value)| {
            !wanted.contains_key(*name)
                && !hidden.contains(name)
                && match &observed.image_env {
                    Some(image) => image.get(*name) != Some(value),
                    None => recorded.contains(name.as_str()),
                }
        })
        .map(|(name, _)| name.clone());
    missing.chain(too_many).map(Difference::Env).collect()
}

fn label_differences(spec: &ContainerSpec, observed: &ObservedContainer) -> Vec<Difference> {
    let wrong = spec
        .labels
        .iter()
        .filter(|(name, value)| !same_label(name, observed.labels.get(*name), value))
        .map(|(name, _)| name);
    // Of all other labels nobody can tell who wants them.
    let too_many = observed
        .labels
        .keys()
        .filter(|name| name.starts_with(labels::PREFIX) && !spec.labels.contains_key(*name));
    wrong
        .chain(too_many)
        .cloned()
        .map(Difference::Label)
        .collect()
}

/// Whether a label says the same. That of the networks is a list whose order means nothing.
fn same_label(name: &str, there: Option<&String>, wanted: &str) -> bool {
    let listed = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    there.is_some_and(|there| {
        there == wanted || name == labels::NETWORKS && listed(there) == listed(wanted)
    })
}

/// What to do, in order. Nothing when all is as it should be.
pub fn steps(desired: &Desired, observed: &Observed) -> Result<Vec<Step>, Conflict> {
    if let Some(stranger) = in_the_way(desired, observed) {
        return Err(stranger.clone());
    }
    if !desired.running {
        return Ok(stop(observed));
    }
    let container = |spec, existing: Option<_>, renews_from| Container {
        renew: desired.renew >= renews_from && existing.is_some(),
        ..Container::new(spec, existing)
    };
    let backend = container(
        desired.backend_container(),
        observed.backend.as_ref(),
        Renew::Backend,
    );
    let dashboard = desired
        .dashboard_container()
        .map(|spec| container(spec, observed.dashboard.as_ref(), Renew::All));
    let shared = matches!(desired.attachment, Attachment::Shared { .. });

    let mut steps: Vec<_> = [Some(&backend), dashboard.as_ref()]
        .into_iter()
        .flatten()
        .filter(|container| container.kept().is_none())
        .map(|container| Step::FetchImage(container.spec.role))
        .collect();
    // First of all that is made: it decides which of two runs makes a deployment.
    if observed.volume.is_none() {
        steps.push(Step::CreateVolume);
    }
    if observed.network.is_none() && !shared {
        steps.push(Step::CreateNetwork);
    }
    if observed.probe.is_some() {
        steps.push(Step::RemoveContainer(Role::Probe));
    }
    // The old ones go first: the new ones need their names and ports.
    if dashboard
        .as_ref()
        .map_or(observed.dashboard.is_some(), Container::must_go)
    {
        steps.push(Step::RemoveContainer(Role::Dashboard));
    }
    if backend.must_go() {
        steps.push(Step::RemoveContainer(Role::Backend));
    }
    // From before they shared one.
    if shared && observed.network.is_some() {
        steps.push(Step::RemoveNetwork);
    }
    steps.extend(backend.steps());
    // The dashboard comes after a backend that answers.
    steps.extend(dashboard.iter().flat_map(Container::steps));
    Ok(steps)
}

fn stop(observed: &Observed) -> Vec<Step> {
    [
        // By its volume a deployment is known to exist while it is stopped.
        (observed.volume.is_none(), Step::CreateVolume),
        (observed.probe.is_some(), Step::RemoveContainer(Role::Probe)),
        (
            observed.dashboard.is_some(),
            Step::RemoveContainer(Role::Dashboard),
        ),
        (
            observed.backend.is_some(),
            Step::RemoveContainer(Role::Backend),
        ),
        // Docker has few address ranges for networks, and this one holds
        // nothing that is worth keeping.
        (observed.network.is_some(), Step::RemoveNetwork),
    ]
    .into_iter()
    .filter_map(|(needed, step)| needed.then_some(step))
    .collect()
}

/// The first object of somebody else that has a name the deployment needs now. One that is stopped
/// needs no more than its volume, and one without a dashboard not the name of that.
fn in_the_way<'a>(desired: &Desired, observed: &'a Observed) -> Option<&'a Conflict> {
    let shared = matches!(desired.attachment, Attachment::Shared { .. });
    let dashboard = desired.names().container(Role::Dashboard);
    observed.strangers.iter().find(|it| match it.kind {
        Kind::Volume => true,
        Kind::Container => desired.running && (desired.dashboard.is_some() || it.name != dashboard),
        Kind::Network => desired.running && !shared,
    })
}

/// What needs no new container.
const LIMITS: Difference = Difference::Limits {
    while_it_runs: true,
};

struct Container<'a> {
    spec: ContainerSpec,
    existing: Option<&'a ObservedContainer>,
    differences: Vec<Difference>,
    /// Whether it must start anew though it fits.
    renew: bool,
}

impl<'a> Container<'a> {
    fn new(spec: ContainerSpec, existing: Option<&'a ObservedContainer>) -> Self {
        let differences = existing.map_or_else(Vec::new, |it| differences(&spec, it));
        Self {
            spec,
            existing,
            differences,
            renew: false,
        }
    }

    fn must_go(&self) -> bool {
        let differs = self.differences.iter().any(|it| *it != LIMITS);
        let broken = self
            .existing
            .is_some_and(|it| !matches!(it.state, State::Running | State::Created));
        differs || broken || self.renew
    }

    /// The container that there is, unless it must go.
    fn kept(&self) -> Option<&'a ObservedContainer> {
        self.existing.filter(|_| !self.must_go())
    }

    fn steps(&self) -> Vec<Step> {
        let role = self.spec.role;
        let existing = self.kept();
        let mut steps = Vec::new();
        if existing.is_none() {
            steps.push(Step::CreateContainer(role));
        } else if self.differences.contains(&LIMITS) {
            steps.push(Step::Limit(role));
        }
        if !existing.is_some_and(ObservedContainer::is_running) {
            if role == Role::Backend {
                steps.push(Step::StoreSecrets);
                if self.spec.has_files {
                    steps.push(Step::PutFiles);
                }
            }
            steps.push(Step::Start(role));
        }
        // A container that Docker keeps running was seen ready before.
        if !existing.is_some_and(|it| it.is_running() && it.restarts) {
            steps.extend([Step::AwaitReady(role), Step::KeepRunning(role)]);
        }
        steps
    }
}

#[cfg(test)]
mod tests;
