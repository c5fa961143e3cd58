//! Looking at what there is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bollard::{
    models::{ContainerInspectResponse, ContainerStateStatusEnum, RestartPolicyNameEnum},
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder},
};
use futures_util::StreamExt;

use super::{Docker, DockerError, Patience, archive, found, own::unless_foreign};
use crate::{
    backend::log::{is_disk_full, says_disk_is_full, says_it_migrates},
    convex::Secret,
    runtime::{
        Conflict, Existing, Limits, Names, Observed, ObservedContainer, Role, State,
        contract::{CREDENTIALS_DIRECTORY, DATA_DIRECTORY},
    },
};

/// Most lines of a log that are shown.
const LOG_LINES: usize = 20;

/// Most lines of a log that are looked through for the progress of a migration.
const LOG_SEARCHED: usize = 2000;

/// Most bytes of a log that are looked through.
const MAX_LOG: usize = 2 << 20;

/// Most bytes of a log line.
const LOG_LINE: usize = 16 << 10;

/// What a volume says of the backend it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The instance secret.
    pub secret: Option<Secret>,
    /// The instance name, which the backend's start script leaves there.
    pub name: Option<String>,
    /// The key for sign-in tokens of a backend that has it in its own
    /// environment, as PKCS#8 PEM.
    pub jwt_key: Option<Secret>,
    /// What this provider notes of a deployment for those who only find it.
    pub record: Option<Secret>,
    /// How far a copy of other data into it has come.
    pub restore: Option<String>,
    /// Which releases have run on it, as this provider has noted.
    pub releases: Option<Secret>,
}

impl Docker {
    /// Looks at everything of a deployment. Containers whose ID is in `known`
    /// cannot have changed in what is fixed when a container is made, so their
    /// images are not looked up.
    pub async fn observe(
        &self,
        patience: &Patience,
        names: &Names,
        known: &[String],
    ) -> Result<Observed, DockerError> {
        let mut strangers = Vec::new();
        let volume = self.own_volume(patience, names).await;
        let volume = aside(volume, &mut strangers)?.map(|(_, volume)| volume);
        let mut containers = Vec::new();
        for role in [Role::Backend, Role::Dashboard, Role::Probe] {
            let container = self.inspect_own(patience, names, role).await;
            let container = match aside(container, &mut strangers)? {
                Some((_, it)) => Some(self.settled(patience, role, read(it)).await?),
                None => None,
            };
            containers.push(self.with_image_env(patience, container, known).await?);
        }
        let probe = containers.pop().flatten().map(|container| Existing {
            labels: container.labels,
            created: None,
        });
        let dashboard = containers.pop().flatten();
        let backend = containers.pop().flatten();
        let network = self.own_network(patience, names).await;
        Ok(Observed {
            network: aside(network, &mut strangers)?,
            volume,
            backend,
            dashboard,
            probe,
            strangers,
        })
    }

    /// Whether there is a network, whoever it belongs to.
    pub async fn has_network(&self, patience: &Patience, name: &str) -> Result<bool, DockerError> {
        let network = self.inspect_network(patience, name).await?;
        Ok(network.is_some())
    }

    /// A volume, whoever it belongs to.
    pub async fn volume(
        &self,
        patience: &Patience,
        name: &str,
    ) -> Result<Option<Existing>, DockerError> {
        let request = self.client.inspect_volume(name);
        let volume = found(self.call(patience, "look at the volume", request).await)?;
        Ok(volume.map(|volume| Existing {
            labels: volume.labels.into_iter().collect(),
            created: volume.created_at,
        }))
    }

    /// A container of the deployment; see [`Docker::observe`].
    pub async fn container(
        &self,
        patience: &Patience,
        names: &Names,
        role: Role,
        known: &[String],
    ) -> Result<Option<ObservedContainer>, DockerError> {
        let container = self.container_alone(patience, names, role).await?;
        self.with_image_env(patience, container, known).await
    }

    /// A container of the deployment, without a look at its image.
    pub async fn container_alone(
        &self,
        patience: &Patience,
        names: &Names,
        role: Role,
    ) -> Result<Option<ObservedContainer>, DockerError> {
        match unless_foreign(self.inspect_own(patience, names, role).await)? {
            Some((_, container)) => self
                .settled(patience, role, read(container))
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    async fn with_image_env(
        &self,
        patience: &Patience,
        container: Option<ObservedContainer>,
        known: &[String],
    ) -> Result<Option<ObservedContainer>, DockerError> {
        let Some(mut container) = container else {
            return Ok(None);
        };
        if !known.contains(&container.id) {
            container.image_env = self.image_env(patience, &container.image_id).await?;
        }
        Ok(Some(container))
    }

    /// Whether the deployment has a volume.
    pub async fn has_volume(
        &self,
        patience: &Patience,
        names: &Names,
    ) -> Result<bool, DockerError> {
        let volume = unless_foreign(self.own_volume(patience, names).await)?;
        Ok(volume.is_some())
    }

    /// Looks at a container, whoever's it is.
    pub async fn any_container(
        &self,
        patience: &Patience,
        id_or_name: &str,
    ) -> Result<Option<ObservedContainer>, DockerError> {
        let container = self.inspect(patience, id_or_name).await?;
        Ok(container.map(read))
    }

    /// Ports of the host that running containers have, with the names of these.
    pub async fn port_holders(
        &self,
        patience: &Patience,
    ) -> Result<BTreeMap<u16, String>, DockerError> {
        let options = ListContainersOptionsBuilder::new().build();
        let request = self.client.list_containers(Some(options));
        let mut holders = BTreeMap::new();
        for container in self.call(patience, "list containers", request).await? {
            let name = container.names.unwrap_or_default().into_iter().next();
            let name = name.unwrap_or_default();
            for port in container.ports.unwrap_or_default() {
                if let Some(port) = port.public_port {
                    let holder = format!("container {}", name.trim_start_matches('/'));
                    holders.insert(port, holder);
                }
            }
        }
        Ok(holders)
    }

    /// The names of running containers that share the network of this one.
    pub async fn sharers(
        &self,
        patience: &Patience,
        container: &str,
    ) -> Result<Vec<String>, DockerError> {
        let options = ListContainersOptionsBuilder::new().build();
        let request = self.client.list_containers(Some(options));
        let all = self.call(patience, "list containers", request).await?;
        let shared = format!("container:{container}");
        let sharers = all.into_iter().filter(|it| {
            let host = it.host_config.as_ref();
            host.and_then(|host| host.network_mode.as_deref()) == Some(shared.as_str())
        });
        let names = sharers.filter_map(|it| it.names?.into_iter().next());
        Ok(names
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect())
    }

    pub(super) async fn inspect(
        &self,
        patience: &Patience,
        name: &str,
    ) -> Result<Option<ContainerInspectResponse>, DockerError> {
        let request = self
            .client
            .inspect_container(name, None::<InspectContainerOptions>);
        found(self.call(patience, "look at the container", request).await)
    }

    /// What the volume of a container, running or not, says of its backend.
    pub async fn credentials(
        &self,
        patience: &Patience,
        container: &str,
    ) -> Result<Credentials, DockerError> {
        let path = format!("{DATA_DIRECTORY}/{CREDENTIALS_DIRECTORY}");
        let doing = "read the credentials in the volume";
        let whole = (path.as_str(), archive::MAX_CREDENTIALS);
        let packed: Vec<_> = match self.download(patience, container, whole, doing).await {
            // Something else in there may be longer than all that is read.
            Err(DockerError::Failed { .. } | DockerError::Unreadable { .. }) => {
                let mut packed = Vec::new();
                for (name, limit) in archive::FILES {
                    let file = format!("{path}/{name}");
                    let limit = usize::try_from(limit).unwrap_or_default() + archive::MAX_HEADS;
                    let found = self.download(patience, container, (&file, limit), doing);
                    packed.extend(found.await?);
                }
                packed
            }
            packed => packed?.into_iter().collect(),
        };
        // What was removed meanwhile says nothing of what is in the volume.
        if packed.is_empty() && self.inspect(patience, container).await?.is_none() {
            return Err(DockerError::Absent {
                doing: doing.to_owned(),
                reason: "somebody removed the container meanwhile".to_owned(),
            });
        }
        let mut credentials = Credentials::default();
        for packed in packed {
            let read = archive::credentials(&packed, &mut credentials);
            read.map_err(|error| DockerError::Unreadable {
                doing: doing.to_owned(),
                reason: error.to_string(),
            })?;
        }
        Ok(credentials)
    }

    /// The end of a container's log, or nothing when it cannot be had: it only
    /// explains another failure.
    pub(super) async fn log_tail(&self, patience: &Patience, container: &str) -> String {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(&LOG_SEARCHED.to_string())
            .build();
        let mut stream = self.client.logs(container, Some(options));
        let collected = async {
            // The end of a longer log would be the better part, and only comes last.
            let mut bytes = VecDeque::new();
            let mut is_cut = false;
            while let Some(Ok(part)) = stream.next().await {
                bytes.extend(part.into_bytes());
                let too_many = bytes.len().saturating_sub(MAX_LOG);
                bytes.drain(..too_many);
                is_cut |= too_many > 0;
            }
            let mut bytes = Vec::from(bytes);
            // A secret could be in the rest of a line.
            if is_cut {
                let line = bytes.iter().position(|byte| *byte == b'\n');
                bytes.drain(..line.map_or(bytes.len(), |it| it + 1));
            }
            bytes
        };
        let bytes = self
            .within(patience, "read the log", collected)
            .await
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        end_of_log(&text)
    }
}

/// Puts an object of somebody else with the others.
fn aside<T>(
    outcome: Result<Option<T>, DockerError>,
    strangers: &mut Vec<Conflict>,
) -> Result<Option<T>, DockerError> {
    match outcome {
        Err(DockerError::Conflict(conflict)) => {
            strangers.push(conflict);
            Ok(None)
        }
        other => other,
    }
}

/// The last lines, and before them the last one that tells of a migration and
/// the last one that tells of a full disk, should many others have come after.
/// They are as they came, for a cause to be found in them.
fn end_of_log(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(shorten_line).collect();
    let (before, end) = lines.split_at(lines.len().saturating_sub(LOG_LINES));
    let mut telling: Vec<usize> = [says_it_migrates, says_disk_is_full]
        .into_iter()
        .filter(|tells| !end.iter().any(|line| tells(line)))
        .filter_map(|tells| before.iter().rposition(|line| tells(line)))
        // A disk that was full before the last start need not be full now.
        .filter(|at| !says_disk_is_full(before[*at]) || is_disk_full(text))
        .collect();
    telling.sort_unstable();
    let telling = telling.into_iter().map(|at| &before[at]);
    let all: Vec<_> = telling.chain(end).copied().collect();
    all.join("\n")
}

/// Cut if it is much longer than what is shown of it.
fn shorten_line(line: &str) -> &str {
    &line[..line.floor_char_boundary(LOG_LINE)]
}

pub(super) fn read(container: ContainerInspectResponse) -> ObservedContainer {
    let config = container.config.unwrap_or_default();
    let host = container.host_config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let code = state.exit_code.unwrap_or_default();
    let out_of_memory = state.oom_killed.unwrap_or_default();
    let started = state.started_at.clone();
    let state = match state.status {
        Some(ContainerStateStatusEnum::RUNNING) => State::Running,
        Some(ContainerStateStatusEnum::CREATED) => State::Created,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting {
            code,
            out_of_memory,
        },
        Some(ContainerStateStatusEnum::EXITED) => State::Exited {
            code,
            out_of_memory,
        },
        _ => State::Dying,
    };
    let restarts = host
        .restart_policy
        .and_then(|policy| policy.name)
        .is_some_and(|name| {
            !matches!(
                name,
                RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY
            )
        });
    let networks: BTreeSet<_> = container
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default()
        .into_keys()
        .collect();
    let mut network_mode = host.network_mode.unwrap_or_default();
    // Podman says of every network of its own which kind it is, not which one.
    if let ("bridge", 1, Some(only)) = (network_mode.as_str(), networks.len(), networks.first())
        && only != "bridge"
    {
        network_mode.clone_from(only);
    }
    ObservedContainer {
        id: container.id.unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        image_id: container.image.unwrap_or_default(),
        state,
        env: read_env(config.env.unwrap_or_default()),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        volumes: container
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(|mount| Some((mount.destination?, mount.name?)))
            .collect(),
        network_mode,
        hosts: read_hosts(host.extra_hosts.unwrap_or_default()),
        started: started_at(started),
        networks,
        ports: read_ports(host.port_bindings.unwrap_or_default()),
        limits: Limits {
            memory: limit(host.memory),
            nano_cpus: limit(host.nano_cpus),
            processes: limit(host.pids_limit),
        },
        dropped: host
            .cap_drop
            .unwrap_or_default()
            .iter()
            .map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned())
            .collect(),
        may_gain_rights: !host.security_opt.unwrap_or_default().iter().any(|option| {
            matches!(
                option.as_str(),
                "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true"
            )
        }),
        restarts,
        restart_count: container
            .restart_count
            .and_then(|count| count.try_into().ok())
            .unwrap_or_default(),
        image_env: None,
    }
}

/// Docker says that there is no limit by 0, or by a negative number.
fn limit(number: Option<i64>) -> Option<u64> {
    u64::try_from(number?).ok().filter(|number| *number > 0)
}

/// A time such as `2026-06-26T10:20:30.5Z`, whose fraction has as many digits
/// as it needs, as text that orders as time does.
fn started_at(time: Option<String>) -> String {
    let time = time.unwrap_or_default();
    // What was never started has the first day of the calendar.
    if time.starts_with("0001-") {
        return String::new();
    }
    time.trim_end_matches('Z').to_owned()
}

/// From Docker's `NAME=value`.
pub(super) fn read_env(list: Vec<String>) -> BTreeMap<String, String> {
    list.into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (pair, String::new()),
        })
        .collect()
}

/// From Docker's `NAME:ADDRESS`, whose address may have colons of its own.
fn read_hosts(list: Vec<String>) -> BTreeMap<String, String> {
    list.into_iter()
        .filter_map(|pair| {
            let (name, address) = pair.split_once(':')?;
            Some((name.to_owned(), address.to_owned()))
        })
        .collect()
}

/// Ports of the container, and those of the loopback interface that lead to
/// them. What is bound elsewhere is not of our making and counts as port 0.
fn read_ports(
    bindings: impl IntoIterator<Item = (String, Option<Vec<bollard::models::PortBinding>>)>,
) -> BTreeMap<u16, u16> {
    bindings
        .into_iter()
        .filter_map(|(inside, outside)| {
            let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
            let binding = outside?.into_iter().next()?;
            let port = match binding.host_ip.as_deref() {
                Some("127.0.0.1") => binding.host_port?.parse().unwrap_or(0),
                _ => 0,
            };
            Some((inside, port))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LOG_LINES, end_of_log, started_at};
    use crate::runtime::docker::daemon::{Daemon, json, refusal};

    #[test]
    fn a_migration_is_told_however_much_comes_after_it() {
        let many = |line: &str| format!("{line}\n").repeat(LOG_LINES);
        let log = |tail: &str| format!("Executing Migration 1/3\nExecuting Migration 2/3\n{tail}");
        let told = end_of_log(&log(&many("GET")));
        assert_eq!(told.lines().count(), LOG_LINES + 1);
        assert!(told.starts_with("Executing Migration 2/3\nGET"), "{told}");
        assert_eq!(end_of_log(&log("GET\n")).lines().count(), 3);
        let full = log(&format!("database or disk is full\n{}", many("GET")));
        let told = end_of_log(&full);
        let both = "Executing Migration 2/3\ndatabase or disk is full\nGET";
        assert!(told.starts_with(both), "{told}");
        let freed = full.replace("full\n", "full\nbackend listening on a\n");
        assert_eq!(end_of_log(&freed).lines().count(), LOG_LINES + 1);
        assert_eq!(end_of_log(&many("GET")).lines().count(), LOG_LINES);
    }

    #[tokio::test]
    async fn a_container_that_went_does_not_count_as_an_empty_volume() {
        for (there, is_empty) in [(true, true), (false, false)] {
            let daemon = Daemon::new(move |asked| {
                if there && asked.starts_with("GET /containers/a/json") {
                    json(200, "{}")
                } else {
                    refusal(404, "no such thing")
                }
            });
            let read = daemon.docker.credentials(&daemon.patience, "a").await;
            let is_default = read.as_ref().is_ok_and(|it| it.secret.is_none());
            assert_eq!(is_default, is_empty, "{read:?}");
        }
    }

    #[test]
    fn times_order_as_texts_do() {
        let at = |time: &str| started_at(Some(time.to_owned()));
        assert!(at("2026-06-26T10:20:30Z") < at("2026-06-26T10:20:30.1Z"));
        assert!(at("2026-06-26T10:20:30.1Z") < at("2026-06-26T10:20:30.12Z"));
        assert!(at("2026-06-26T10:20:30.12Z") < at("2026-06-26T10:20:31Z"));
        assert!(at("0001-01-01T00:00:00Z") < at("2026-06-26T10:20:30Z"));
    }
}
