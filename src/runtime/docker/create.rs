//! Making containers, without starting them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    container::AttachContainerResults,
    models::{
        ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings,
        HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, NetworkConnectRequest,
        NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder},
};

use tokio::time::Instant;

use super::{Docker, DockerError, Patience, clone::FROM, execute::signed};
use crate::runtime::{
    Confinement, ContainerSpec, DATA_DIRECTORY, HEALTH, Kind, Limits, LogLimit, Names, NetworkSpec,
    Own, Program, Readiness, Role, STOP_GRACE_S, STOP_SIGNAL, labels,
};

const SECOND_NS: i64 = 1_000_000_000;

/// A container that does nothing but be in a network. It ends when this is
/// dropped, at the latest with this process, and is then removed by the daemon.
pub struct Lender {
    /// The container.
    pub own: Own,
    /// Standard input of its program, which ends with it.
    _held: AttachContainerResults,
}

/// How often a name is asked for that is in use and then is not.
const TRIES: u32 = 5;

/// How long to wait between two looks at a container of another run.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a container that another run has made may take to start. One that an interrupted run
/// left never does.
const STARTING: Duration = Duration::from_secs(1);

impl Docker {
    pub(super) async fn create_container(
        &self,
        patience: &Patience,
        names: &Names,
        spec: &ContainerSpec,
    ) -> Result<Own, DockerError> {
        let mut pulled = false;
        let mut tries = TRIES;
        let own = loop {
            let refused = match self.try_create(patience, names, spec).await {
                Err(DockerError::Absent { reason, .. }) if lacks_image(&reason) && !pulled => {
                    self.pull(patience, &spec.program.image).await?;
                    pulled = true;
                    continue;
                }
                Err(refused @ DockerError::WrongState { .. }) => refused,
                outcome => break outcome?,
            };
            if let Some(own) = self.take_over(patience, names, spec).await? {
                break own;
            }
            tries -= 1;
            if tries == 0 {
                return Err(refused);
            }
        };
        self.connect_networks(patience, &own, spec).await?;
        Ok(own)
    }

    async fn try_create(
        &self,
        patience: &Patience,
        names: &Names,
        spec: &ContainerSpec,
    ) -> Result<Own, DockerError> {
        let options = CreateContainerOptionsBuilder::new()
            .name(&spec.name)
            .build();
        let mut body = body(spec);
        if !self.engine.changes_containers()
            && spec.role != Role::Probe
            && let Some(host) = &mut body.host_config
        {
            // It has to be kept running from its start on, or never is.
            host.restart_policy = Some(kept_running());
        }
        let request = self.client.create_container(Some(options), body);
        let doing = format!("create container {}", spec.name);
        let made = self.call(patience, &doing, request).await?;
        let owner = spec.labels.get(labels::DEPLOYMENT).map(String::as_str);
        let (name, deployment) = (&spec.name, names.deployment());
        Own::check(Kind::Container, name, made.id, owner, deployment).map_err(DockerError::Conflict)
    }

    /// Takes the container whose name is in use: it was made by a request whose reply was lost, is
    /// another run's, or a stranger's. `None` once the name is free.
    async fn take_over(
        &self,
        patience: &Patience,
        names: &Names,
        spec: &ContainerSpec,
    ) -> Result<Option<Own>, DockerError> {
        let found = match spec.role {
            Role::Probe => self.await_probe(patience, names).await?,
            _ => self.inspect_own(patience, names, spec.role).await?,
        };
        let Some((own, container)) = found else {
            return Ok(None);
        };
        // A probe that is to run something is never one that was there.
        let is_lookout = spec.entrypoint.is_none() && mounts(&container, spec.volume.as_deref());
        if spec.role != Role::Probe || is_lookout {
            return Ok(Some(own));
        }
        self.remove(patience, &own).await?;
        Ok(None)
    }

    /// The probe, if it is not another run's, which is using it or about to.
    async fn await_probe(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<Option<(Own, ContainerInspectResponse)>, DockerError> {
        let began = Instant::now();
        loop {
            let found = self.inspect_own(patience, names, Role::Probe).await?;
            let state = found.as_ref().and_then(|(_, it)| it.state.as_ref());
            let runs = state.and_then(|it| it.running) == Some(true);
            let status = state.and_then(|it| it.status);
            let is_made = status == Some(ContainerStateStatusEnum::CREATED);
            let may_start = is_made && began.elapsed() < STARTING;
            if !runs && !may_start {
                return Ok(found);
            }
            let doing = "wait for the end of another run's container";
            self.within(patience, doing, tokio::time::sleep(PAUSE))
                .await?;
        }
    }

    /// Puts a container into the networks that are not its own.
    async fn connect_networks(
        &self,
        patience: &Patience,
        own: &Own,
        spec: &ContainerSpec,
    ) -> Result<(), DockerError> {
        let NetworkSpec::In { further, .. } = &spec.network else {
            return Ok(());
        };
        for network in further {
            let request = self.client.connect_network(
                network,
                NetworkConnectRequest {
                    container: own.id().to_owned(),
                    endpoint_config: None,
                },
            );
            let doing = format!("connect {} to network {network}", spec.name);
            match self.call(patience, &doing, request).await {
                Err(DockerError::Absent { reason, .. }) if reason.contains("not found") => {
                    return Err(DockerError::NoNetwork {
                        network: network.clone(),
                    });
                }
                // By a request whose reply was lost.
                Err(
                    DockerError::Failed { reason, .. } | DockerError::WrongState { reason, .. },
                ) if is_connected(&reason) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Makes a container that never runs, to read the deployment's volume with
    /// an image that is needed anyway. The caller removes it.
    pub async fn make_probe(
        &self,
        patience: &Patience,
        names: &Names,
        image: &str,
    ) -> Result<Own, DockerError> {
        let spec = probe(names, image, NetworkSpec::None);
        self.create_container(patience, names, &spec).await
    }

    /// Runs a shell with these arguments on the deployment's volume, which no
    /// other container may be using, to its end. Returns what it printed.
    /// It can read the volume `beside` at the same time.
    pub async fn run_on_volume(
        &self,
        patience: &Patience,
        names: &Names,
        image: &str,
        beside: Option<&str>,
        arguments: &[&str],
    ) -> Result<String, DockerError> {
        let spec = on_volume(names, image, beside, arguments);
        let own = self.create_container(patience, names, &spec).await?;
        self.start(patience, &own).await?;
        let ended = self.await_end(patience, &own).await;
        self.remove(patience, &own).await?;
        ended
    }

    /// Makes a container that does nothing but be in a network, where it knows these further
    /// hosts, and starts it. It has no part in the data. The caller removes it.
    pub async fn start_lender(
        &self,
        patience: &Patience,
        names: &Names,
        image: &str,
        (network, hosts): (NetworkSpec, &BTreeMap<String, String>),
    ) -> Result<Lender, DockerError> {
        let spec = ContainerSpec {
            hosts: hosts.clone(),
            ..lender(names, image, network)
        };
        let own = self.create_container(patience, names, &spec).await?;
        let options = AttachContainerOptionsBuilder::new()
            .stdin(true)
            .stream(true)
            .build();
        let attached = self.client.attach_container(own.id(), Some(options));
        let doing = format!("attach to {}", own.name());
        let held = self.call(patience, &doing, attached).await?;
        self.start_in_networks(patience, names, &own).await?;
        Ok(Lender { own, _held: held })
    }
}

/// A container that runs a shell with these arguments on the deployment's
/// volume, out of all networks.
fn on_volume(
    names: &Names,
    image: &str,
    beside: Option<&str>,
    arguments: &[&str],
) -> ContainerSpec {
    ContainerSpec {
        beside: beside.map(str::to_owned),
        entrypoint: Some("sh".to_owned()),
        arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
        ..probe(names, image, NetworkSpec::None)
    }
}

/// A container whose program ends with its standard input.
fn lender(names: &Names, image: &str, network: NetworkSpec) -> ContainerSpec {
    ContainerSpec {
        volume: None,
        entrypoint: Some("cat".to_owned()),
        held: true,
        ..probe(names, image, network)
    }
}

/// Whether a container has this volume, if it is to have one.
fn mounts(container: &ContainerInspectResponse, volume: Option<&str>) -> bool {
    let mounts = container.mounts.iter().flatten();
    let mut names = mounts.filter_map(|it| it.name.as_deref());
    volume.is_none_or(|volume| names.any(|it| it == volume))
}

fn probe(names: &Names, image: &str, network: NetworkSpec) -> ContainerSpec {
    ContainerSpec {
        role: Role::Probe,
        name: names.container(Role::Probe),
        program: Program {
            image: image.to_owned(),
            env: BTreeMap::new(),
            user_env: Vec::new(),
            hidden_env: Vec::new(),
            hidden_version: None,
            limits: Limits::default(),
        },
        labels: [
            (labels::DEPLOYMENT.to_owned(), names.deployment().to_owned()),
            (labels::ROLE.to_owned(), Role::Probe.to_string()),
        ]
        .into(),
        volume: Some(names.volume()),
        beside: None,
        network,
        hosts: BTreeMap::new(),
        confinement: Confinement::default(),
        entrypoint: None,
        arguments: Vec::new(),
        held: false,
        has_files: false,
        ready: Readiness { port: 0, path: "" },
    }
}

/// Docker keeps as many files as are allowed, each in its own format.
fn log_config(limit: &LogLimit) -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(HashMap::from([
            ("max-size".to_owned(), limit.file_size.to_string()),
            ("max-file".to_owned(), limit.files.to_string()),
        ])),
    }
}

/// What keeps a container running that has shown that it can.
pub(super) fn kept_running() -> RestartPolicy {
    RestartPolicy {
        name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
        maximum_retry_count: None,
    }
}

/// Whether a container is in a network already, in Docker's words or Podman's.
fn is_connected(reason: &str) -> bool {
    reason.contains("already exists in network") || reason.contains("network is already connected")
}

/// Whether an image is missing, in Docker's words or Podman's.
fn lacks_image(reason: &str) -> bool {
    reason.contains("No such image") || reason.contains("image not known")
}

/// The request that makes a container. It is started without a restart policy,
/// so that one that cannot start ends once and says why.
fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let seconds = |seconds: u32| i64::from(seconds) * SECOND_NS;
    let health = HealthConfig {
        test: Some(
            ["CMD".to_owned()]
                .into_iter()
                .chain(spec.ready.command())
                .collect(),
        ),
        interval: Some(seconds(HEALTH.interval_s)),
        timeout: Some(seconds(HEALTH.timeout_s)),
        retries: Some(i64::from(HEALTH.retries)),
        start_period: Some(seconds(HEALTH.start_period_s)),
        // Docker 25 and newer asks more often in the beginning.
        start_interval: Some(SECOND_NS),
    };
    let mount = |volume: &String, target: &str, read_only| Mount {
        target: Some(target.to_owned()),
        source: Some(volume.clone()),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        ..Default::default()
    };
    let own_volume = spec.volume.iter();
    let own_volume = own_volume.map(|it| mount(it, DATA_DIRECTORY, false));
    let mounts = own_volume.chain(spec.beside.iter().map(|it| mount(it, FROM, true)));
    let binding = |(inside, outside): (&u16, &u16)| {
        let outside = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(outside.to_string()),
        };
        (format!("{inside}/tcp"), Some(vec![outside]))
    };
    // Nothing that a probe does has to be brought to an end, and the first
    // program of a container takes only this signal without being asked.
    let (stop_signal, stop_timeout) = match spec.role {
        Role::Probe => ("SIGKILL", 0),
        Role::Backend | Role::Dashboard => (STOP_SIGNAL, i64::from(STOP_GRACE_S)),
    };
    let program = &spec.program;
    let none = BTreeMap::new();
    let (own, ports) = match &spec.network {
        NetworkSpec::In {
            own,
            aliases,
            ports,
            ..
        } => (
            Some((own, aliases)).filter(|(_, aliases)| !aliases.is_empty()),
            ports,
        ),
        NetworkSpec::Of { .. } | NetworkSpec::None => (None, &none),
    };
    ContainerCreateBody {
        image: Some(program.image.clone()),
        env: Some(
            program
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        entrypoint: spec.entrypoint.clone().map(|program| vec![program]),
        labels: Some(spec.labels.clone().into_iter().collect()),
        cmd: spec.entrypoint.as_ref().map(|_| spec.arguments.clone()),
        healthcheck: (spec.role != Role::Probe).then_some(health),
        stop_signal: Some(stop_signal.to_owned()),
        stop_timeout: Some(stop_timeout),
        open_stdin: Some(spec.held),
        stdin_once: Some(spec.held),
        host_config: Some(HostConfig {
            auto_remove: Some(spec.held),
            mounts: Some(mounts.collect()),
            port_bindings: Some(ports.iter().map(binding).collect()),
            network_mode: Some(spec.network.mode()),
            extra_hosts: Some(
                spec.hosts
                    .iter()
                    .map(|(name, address)| format!("{name}:{address}"))
                    .collect(),
            ),
            memory: program.limits.memory.map(signed),
            memory_swap: program.limits.memory.map(signed),
            nano_cpus: program.limits.nano_cpus.map(signed),
            pids_limit: program.limits.processes.map(signed),
            cap_drop: Some(spec.confinement.dropped.iter().cloned().collect()),
            security_opt: (!spec.confinement.may_gain_rights)
                .then(|| vec!["no-new-privileges:true".to_owned()]),
            log_config: spec.confinement.log.as_ref().map(log_config),
            ..Default::default()
        }),
        networking_config: own.map(|(own, aliases)| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                own.clone(),
                EndpointSettings {
                    aliases: Some(aliases.clone()),
                    ..Default::default()
                },
            )])),
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        convex::DeploymentName,
        runtime::docker::daemon::{Daemon, json, refusal},
    };

    #[test]
    fn a_probe_ends_at_once_and_a_lender_removes_itself() {
        let names = Names::of(&DeploymentName::parse("a").unwrap());
        let lent = body(&lender(&names, "image", NetworkSpec::None));
        let ran = body(&on_volume(&names, "image", Some("other"), &["-c", "true"]));
        for (body, held) in [(&lent, true), (&ran, false)] {
            assert_eq!(body.stop_signal.as_deref(), Some("SIGKILL"));
            assert_eq!(body.stop_timeout, Some(0));
            assert_eq!((body.open_stdin, body.stdin_once), (Some(held), Some(held)));
            let host = body.host_config.as_ref().unwrap();
            assert_eq!(host.auto_remove, Some(held), "its exit code is asked for");
        }
        let mounts = ran.host_config.unwrap().mounts.unwrap();
        let read_only: Vec<_> = mounts.iter().map(|it| it.read_only).collect();
        assert_eq!(read_only, [Some(false), Some(true)]);
        // It reads its standard input to the end, and needs no shell for it.
        assert_eq!(lent.entrypoint, Some(vec!["cat".to_owned()]));
        assert_eq!(lent.cmd, Some(Vec::new()));
        assert!(lent.host_config.unwrap().mounts.unwrap().is_empty());
    }

    /// What an interrupted check of a database leaves has no volume to read. What runs is another
    /// run's, and goes away by itself.
    #[tokio::test]
    async fn a_probe_without_the_volume_is_replaced_once_it_does_not_run() {
        let names = Names::of(&DeploymentName::parse("a").unwrap());
        for (running, volume, replaced) in [
            (false, "a-data", false),
            (false, "another", true),
            (true, "a-data", false),
        ] {
            let removed = Arc::new(AtomicBool::new(false));
            let is_removed = Arc::clone(&removed);
            let looks = AtomicUsize::new(0);
            let left = serde_json::json!({
                "Id": "left",
                "Config": { "Labels": { (labels::DEPLOYMENT): "a" } },
                "Mounts": [{ "Name": volume }],
                "State": { "Running": running, "Status": if running { "running" } else { "created" } },
            });
            let daemon = Daemon::new(move |asked| {
                let look = usize::from(asked.starts_with("GET"));
                let has_ended = looks.fetch_add(look, Ordering::Relaxed) > 1;
                let gone = is_removed.load(Ordering::Relaxed) || running && has_ended;
                match asked.split(' ').next() {
                    Some("POST") if asked.contains("/containers/create") && gone => {
                        json(201, r#"{"Id":"new","Warnings":[]}"#)
                    }
                    Some("POST") if asked.contains("/containers/create") => {
                        refusal(409, "the name is in use")
                    }
                    Some("POST") => refusal(304, ""),
                    Some("DELETE") => {
                        is_removed.store(true, Ordering::Relaxed);
                        json(204, "")
                    }
                    _ if gone => refusal(404, "no such container"),
                    _ => json(200, &left.to_string()),
                }
            });
            let made = daemon.docker.make_probe(&daemon.patience, &names, "image");
            let made = made.await.map(|own| own.id().to_owned());
            let expected = if running || replaced { "new" } else { "left" };
            assert_eq!(made.as_deref().ok(), Some(expected), "{made:?}");
            assert_eq!(removed.load(Ordering::Relaxed), replaced);
        }
    }
}
