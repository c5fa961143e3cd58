//! From what there is to what there should be.

use std::fmt;

use super::{
    desired::{ContainerSpec, DATA_DIRECTORY, Desired, Role, labels},
    observed::{Existing, Observed, ObservedContainer, State},
};

/// One thing to do. Each can be done again without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
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
    /// Limits the memory of a container that runs.
    LimitMemory(Role),
    /// Removes the network, unless others are in it.
    RemoveNetwork,
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
    /// It may use another amount of memory. This alone can be changed while it
    /// runs.
    Memory,
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
            Self::Memory => f.write_str("memory limit"),
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
    if observed.ports != spec.ports {
        found.push(Difference::Ports);
    }
    if observed.volumes.get(DATA_DIRECTORY) != spec.volume.as_ref() {
        found.push(Difference::Volume);
    }
    if !observed.networks.contains(&spec.network) {
        found.push(Difference::Network);
    }
    if observed.memory != spec.program.memory {
        found.push(Difference::Memory);
    }
    found
}

fn env_differences(spec: &ContainerSpec, observed: &ObservedContainer) -> Vec<Difference> {
    let wanted = &spec.program.env;
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
        .filter(|(name, value)| observed.labels.get(*name) != Some(value))
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

/// What to do, in order. Nothing when all is as it should be.
pub fn steps(desired: &Desired, observed: &Observed) -> Result<Vec<Step>, Conflict> {
    no_conflict(desired, observed)?;
    if !desired.running {
        return Ok(stop(observed));
    }
    let mut steps = Vec::new();
    if observed.probe.is_some() {
        steps.push(Step::RemoveContainer(Role::Probe));
    }
    let mut backend = Container::new(desired.backend_container(), observed.backend.as_ref());
    backend.renew = desired.renew_backend && backend.existing.is_some();
    let dashboard = desired
        .dashboard_container()
        .map(|spec| Container::new(spec, observed.dashboard.as_ref()));

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
    if observed.network.is_none() {
        steps.push(Step::CreateNetwork);
    }
    if observed.volume.is_none() {
        steps.push(Step::CreateVolume);
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

fn no_conflict(desired: &Desired, observed: &Observed) -> Result<(), Conflict> {
    let names = desired.names();
    let check = |kind, name: String, owner: Option<Option<&str>>| match owner {
        Some(owner) if owner != Some(names.deployment()) => Err(Conflict {
            kind,
            name,
            owner: owner.map(str::to_owned),
        }),
        _ => Ok(()),
    };
    let container = |it: &Option<ObservedContainer>, role| {
        let owner = it.as_ref().map(ObservedContainer::deployment);
        check(Kind::Container, names.container(role), owner)
    };
    let volume = observed.volume.as_ref().map(Existing::deployment);
    check(Kind::Volume, names.volume(), volume)?;
    container(&observed.backend, Role::Backend)?;
    container(&observed.dashboard, Role::Dashboard)?;
    let network = observed.network.as_ref().map(Existing::deployment);
    check(Kind::Network, names.network(), network)
}

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
        let differs = self.differences.iter().any(|it| *it != Difference::Memory);
        let broken = self
            .existing
            .is_some_and(|it| !matches!(it.state, State::Running | State::Created));
        differs || broken || self.renew
    }

    fn steps(&self) -> Vec<Step> {
        let role = self.spec.role;
        let existing = self.existing.filter(|_| !self.must_go());
        let mut steps = Vec::new();
        if existing.is_none() {
            steps.push(Step::CreateContainer(role));
        } else if self.differences.contains(&Difference::Memory) {
            steps.push(Step::LimitMemory(role));
        }
        if !existing.is_some_and(ObservedContainer::is_running) {
            if role == Role::Backend {
                steps.push(Step::StoreSecrets);
                if self.spec.entrypoint.is_some() {
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
mod tests {
    use std::collections::BTreeMap;

    use super::{Conflict, Kind, Step, steps};
    use crate::{
        convex::DeploymentName,
        runtime::{
            ContainerSpec, Desired, Entrypoint, Existing, Observed, ObservedContainer, Program,
            Publish, Role, State, labels,
        },
    };

    fn program(image: &str) -> Program {
        Program {
            image: image.to_owned(),
            env: [("ORIGIN".to_owned(), "http://a".to_owned())].into(),
            user_env: Vec::new(),
            memory: None,
        }
    }

    fn desired() -> Desired {
        Desired {
            name: DeploymentName::parse("demo").unwrap(),
            running: true,
            renew_backend: false,
            backend: program("backend:1"),
            dashboard: Some(program("dashboard:1")),
            entrypoint: None,
            publish: Publish::default(),
            labels: BTreeMap::new(),
        }
    }

    /// What there is once `spec` is carried out.
    fn running(spec: &ContainerSpec) -> ObservedContainer {
        ObservedContainer {
            id: format!("id-{}", spec.role),
            image: spec.program.image.clone(),
            image_id: "sha256:0".to_owned(),
            state: State::Running,
            env: spec.program.env.clone(),
            labels: spec.labels.clone(),
            volumes: spec
                .volume
                .iter()
                .map(|volume| ("/convex/data".to_owned(), volume.clone()))
                .collect(),
            networks: [spec.network.clone()].into(),
            ports: spec.ports.clone(),
            memory: spec.program.memory,
            restarts: true,
            image_env: None,
        }
    }

    fn all_there(desired: &Desired) -> Observed {
        let labelled = |role| Existing {
            labels: desired.object_labels(role),
        };
        Observed {
            network: Some(labelled("network")),
            volume: Some(labelled("data")),
            backend: Some(running(&desired.backend_container())),
            dashboard: desired.dashboard_container().as_ref().map(running),
            probe: None,
        }
    }

    #[test]
    fn from_nothing_everything_is_made_in_order() {
        use Role::{Backend, Dashboard};
        assert_eq!(
            steps(&desired(), &Observed::default()).unwrap(),
            [
                Step::CreateNetwork,
                Step::CreateVolume,
                Step::CreateContainer(Backend),
                Step::StoreSecrets,
                Step::Start(Backend),
                Step::AwaitReady(Backend),
                Step::KeepRunning(Backend),
                Step::CreateContainer(Dashboard),
                Step::Start(Dashboard),
                Step::AwaitReady(Dashboard),
                Step::KeepRunning(Dashboard),
            ]
        );
    }

    #[test]
    fn when_all_is_as_it_should_be_nothing_is_done() {
        let desired = desired();
        assert_eq!(steps(&desired, &all_there(&desired)).unwrap(), []);
    }

    #[test]
    fn a_changed_origin_makes_the_containers_anew_and_nothing_else() {
        let mut changed = desired();
        let before = all_there(&changed);
        for program in [Some(&mut changed.backend), changed.dashboard.as_mut()] {
            program
                .unwrap()
                .env
                .insert("ORIGIN".to_owned(), "http://b".to_owned());
        }
        let todo = steps(&changed, &before).unwrap();
        assert_eq!(
            todo[..2],
            [
                Step::RemoveContainer(Role::Dashboard),
                Step::RemoveContainer(Role::Backend)
            ]
        );
        assert!(!todo.contains(&Step::CreateVolume));
        assert!(!todo.contains(&Step::RemoveNetwork));
        assert!(todo.contains(&Step::AwaitReady(Role::Backend)));
    }

    #[test]
    fn each_difference_of_a_container_makes_it_anew() {
        type Edit = fn(&mut ObservedContainer);
        let edits: [Edit; 7] = [
            |it| it.image = "other".to_owned(),
            |it| it.env = [("ORIGIN".to_owned(), "x".to_owned())].into(),
            |it| it.env.clear(),
            |it| it.ports = [(3210, 1)].into(),
            |it| it.volumes.clear(),
            |it| it.networks.clear(),
            |it| {
                it.labels
                    .extend([(labels::ENV.to_owned(), "GONE".to_owned())]);
            },
        ];
        let desired = desired();
        for (number, edit) in edits.into_iter().enumerate() {
            let mut observed = all_there(&desired);
            edit(observed.backend.as_mut().unwrap());
            let todo = steps(&desired, &observed).unwrap();
            assert_eq!(
                todo.first(),
                Some(&Step::RemoveContainer(Role::Backend)),
                "edit {number}"
            );
        }
    }

    #[test]
    fn a_variable_too_many_is_told_from_the_images_own() {
        let desired = desired();
        let mut observed = all_there(&desired);
        let backend = observed.backend.as_mut().unwrap();
        backend.env.insert("PATH".to_owned(), "/bin".to_owned());
        backend.image_env = Some([("PATH".to_owned(), "/bin".to_owned())].into());
        assert_eq!(steps(&desired, &observed).unwrap(), []);
        let backend = observed.backend.as_mut().unwrap();
        backend.env.insert("EXTRA".to_owned(), "1".to_owned());
        assert!(!steps(&desired, &observed).unwrap().is_empty());
    }

    #[test]
    fn a_memory_limit_is_changed_in_place() {
        let mut desired = desired();
        let observed = all_there(&desired);
        desired.backend.memory = Some(1 << 30);
        assert_eq!(
            steps(&desired, &observed).unwrap(),
            [Step::LimitMemory(Role::Backend)]
        );
    }

    #[test]
    fn a_missing_dashboard_is_made_again_beside_a_backend_that_runs_on() {
        let desired = desired();
        let mut observed = all_there(&desired);
        observed.dashboard = None;
        let todo = steps(&desired, &observed).unwrap();
        assert_eq!(todo[0], Step::CreateContainer(Role::Dashboard));
        assert!(!todo.contains(&Step::Start(Role::Backend)));
    }

    #[test]
    fn a_container_that_does_not_run_is_made_anew() {
        let desired = desired();
        let ended = State::Exited {
            code: 0,
            out_of_memory: false,
        };
        let looping = State::Restarting { code: 1 };
        for state in [ended, looping, State::Dying, State::Paused] {
            let mut observed = all_there(&desired);
            observed.backend.as_mut().unwrap().state = state;
            let todo = steps(&desired, &observed).unwrap();
            assert_eq!(todo[0], Step::RemoveContainer(Role::Backend), "{state:?}");
        }
    }

    #[test]
    fn a_create_that_died_before_the_end_is_finished() {
        let desired = desired();
        let mut observed = all_there(&desired);
        observed.backend.as_mut().unwrap().restarts = false;
        observed.dashboard.as_mut().unwrap().state = State::Created;
        observed.probe = Some(Existing::default());
        assert_eq!(
            steps(&desired, &observed).unwrap(),
            [
                Step::RemoveContainer(Role::Probe),
                Step::AwaitReady(Role::Backend),
                Step::KeepRunning(Role::Backend),
                Step::Start(Role::Dashboard),
                Step::AwaitReady(Role::Dashboard),
                Step::KeepRunning(Role::Dashboard),
            ]
        );
    }

    #[test]
    fn stopping_keeps_the_volume_and_a_second_stop_does_nothing() {
        let mut desired = desired();
        let observed = all_there(&desired);
        desired.running = false;
        assert_eq!(
            steps(&desired, &observed).unwrap(),
            [
                Step::RemoveContainer(Role::Dashboard),
                Step::RemoveContainer(Role::Backend),
                Step::RemoveNetwork,
            ]
        );
        let stopped = Observed {
            volume: observed.volume,
            ..Observed::default()
        };
        assert_eq!(steps(&desired, &stopped).unwrap(), []);
        assert_eq!(
            steps(&desired, &Observed::default()).unwrap(),
            [Step::CreateVolume]
        );
    }

    #[test]
    fn a_disabled_dashboard_goes() {
        let mut desired = desired();
        let observed = all_there(&desired);
        desired.dashboard = None;
        assert_eq!(
            steps(&desired, &observed).unwrap(),
            [Step::RemoveContainer(Role::Dashboard)]
        );
    }

    #[test]
    fn a_new_secret_makes_a_running_backend_start_anew() {
        let mut desired = desired();
        let observed = all_there(&desired);
        desired.renew_backend = true;
        let todo = steps(&desired, &observed).unwrap();
        assert_eq!(todo[0], Step::RemoveContainer(Role::Backend));
        assert!(todo.contains(&Step::StoreSecrets));
    }

    #[test]
    fn an_entrypoint_of_our_own_needs_its_files_before_each_start() {
        let mut desired = desired();
        let plain = all_there(&desired);
        desired.entrypoint = Some(Entrypoint {
            command: "/start".to_owned(),
            version: "1".to_owned(),
        });
        let todo = steps(&desired, &plain).unwrap();
        assert_eq!(todo[0], Step::RemoveContainer(Role::Backend));
        let at = |step: &Step| todo.iter().position(|it| it == step).unwrap();
        assert!(at(&Step::PutFiles) < at(&Step::Start(Role::Backend)));
        assert_eq!(steps(&desired, &all_there(&desired)).unwrap(), []);

        // Another key or script at the same path.
        let before = all_there(&desired);
        desired.entrypoint.as_mut().unwrap().version = "2".to_owned();
        assert!(!steps(&desired, &before).unwrap().is_empty());
        // And without it, the image's own again.
        desired.entrypoint = None;
        assert!(!steps(&desired, &before).unwrap().is_empty());
    }

    #[test]
    fn what_belongs_to_others_is_a_conflict() {
        let desired = desired();
        let mut foreign = all_there(&desired);
        foreign.volume = Some(Existing {
            labels: [(labels::DEPLOYMENT.to_owned(), "other".to_owned())].into(),
        });
        assert_eq!(
            steps(&desired, &foreign).unwrap_err(),
            Conflict {
                kind: Kind::Volume,
                name: "demo-data".to_owned(),
                owner: Some("other".to_owned()),
            }
        );
        let mut stranger = all_there(&desired);
        stranger.dashboard.as_mut().unwrap().labels.clear();
        let conflict = steps(&desired, &stranger).unwrap_err();
        assert_eq!((conflict.kind, conflict.owner), (Kind::Container, None));
        assert_eq!(conflict.name, "demo-dashboard");
    }
}
