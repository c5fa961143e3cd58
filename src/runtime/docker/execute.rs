//! Doing what is to be done, one step at a time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::{
    models::{ContainerState, ContainerUpdateBody, VolumeCreateRequest},
    query_parameters::{
        RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions,
        StopContainerOptions,
    },
};
use tokio::time::Instant;

use super::{
    ASIDE, Credentials, Docker, DockerError, Patience,
    create::kept_running,
    found,
    output::{Output, missing_program},
    own::own_volume,
};
use crate::runtime::{
    ContainerSpec, Desired, Existing, File, Kind, Observed, Own, Readiness, Role, Step, labels,
};

/// Pause between two questions whether a program answers, in seconds.
const READY_PAUSE: &str = "0.1";

/// How long the daemon may take to notice that a container has ended.
const ENDING: Duration = Duration::from_secs(2);

/// What the steps are about.
#[derive(Debug)]
pub struct Job<'a> {
    /// The deployment as it should be.
    pub desired: &'a Desired,
    /// What is to be kept in the volume; what is absent stays as it is.
    pub credentials: &'a Credentials,
    /// What the backend is started with, where that is not in its image.
    pub files: &'a [File],
    /// The containers that were seen or made so far. A step acts on these, by their IDs, and on
    /// none that has their names by then.
    containers: Mutex<BTreeMap<Role, Own>>,
}

impl<'a> Job<'a> {
    /// For a deployment that was observed so.
    #[must_use]
    pub fn new(
        desired: &'a Desired,
        credentials: &'a Credentials,
        files: &'a [File],
        observed: &Observed,
    ) -> Self {
        let names = desired.names();
        let seen = [
            (Role::Backend, &observed.backend),
            (Role::Dashboard, &observed.dashboard),
        ];
        let seen = seen
            .into_iter()
            .filter_map(|(role, container)| Some((role, container.as_ref()?.own(&names, role)?)));
        Self {
            desired,
            credentials,
            files,
            containers: Mutex::new(seen.collect()),
        }
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<Role, Own>> {
        let containers = self.containers.lock();
        containers.unwrap_or_else(PoisonError::into_inner)
    }

    fn spec(&self, role: Role) -> Option<ContainerSpec> {
        match role {
            Role::Backend => Some(self.desired.backend_container()),
            Role::Dashboard => self.desired.dashboard_container(),
            Role::Probe => None,
        }
    }
}

impl Docker {
    /// Does one step.
    pub async fn carry_out(
        &self,
        patience: &Patience,
        job: &Job<'_>,
        step: &Step,
    ) -> Result<(), DockerError> {
        let names = job.desired.names();
        tracing::info!(deployment = names.deployment(), ?step, "carrying out");
        match step {
            Step::FetchImage(role) => match job.spec(*role) {
                Some(spec) => self.fetch_image(patience, &spec.program.image).await,
                None => Ok(()),
            },
            Step::CreateNetwork => self.create_network(patience, job.desired).await,
            Step::CreateVolume => {
                let made = self.create_volume(patience, job.desired).await?;
                // There was none just now.
                match (&job.desired.owner, made.labels.get(labels::OWNER)) {
                    (Some(own), Some(other)) if own != other => Err(DockerError::Claimed {
                        volume: names.volume(),
                        owner: other.clone(),
                    }),
                    _ => Ok(()),
                }
            }
            Step::RemoveContainer(role) => {
                let seen = job.containers().remove(role);
                let found = match seen {
                    None => self.own_container(patience, &names, *role).await?,
                    seen => seen,
                };
                match found {
                    Some(own) => self.remove(patience, &own).await,
                    None => Ok(()),
                }
            }
            Step::CreateContainer(role) => {
                if let Some(spec) = job.spec(*role) {
                    let own = self.create_container(patience, &names, &spec).await?;
                    job.containers().insert(*role, own);
                }
                Ok(())
            }
            Step::StoreSecrets => {
                let backend = self.container_of(patience, job, Role::Backend).await?;
                self.store_credentials(patience, &backend, job.credentials)
                    .await
            }
            Step::PutFiles => {
                let backend = self.container_of(patience, job, Role::Backend).await?;
                self.put_files(patience, &backend, job.files).await
            }
            Step::Start(role) => {
                let own = self.container_of(patience, job, *role).await?;
                self.start_in_networks(patience, &names, &own).await
            }
            Step::AwaitReady(role) => match job.spec(*role) {
                Some(spec) => {
                    let own = self.container_of(patience, job, *role).await?;
                    self.await_ready(patience, &own, &spec).await
                }
                None => Ok(()),
            },
            Step::KeepRunning(role) => {
                if !self.engine.changes_containers() {
                    // It was made so.
                    return Ok(());
                }
                let update = ContainerUpdateBody {
                    restart_policy: Some(kept_running()),
                    ..Default::default()
                };
                let own = self.container_of(patience, job, *role).await?;
                self.update(patience, &own, update).await
            }
            Step::Limit(role) => {
                let limits = job.spec(*role).map(|spec| spec.program.limits);
                let limits = limits.unwrap_or_default();
                let update = ContainerUpdateBody {
                    memory: limits.memory.map(signed),
                    memory_swap: limits.memory.map(signed),
                    nano_cpus: limits.nano_cpus.map(signed),
                    pids_limit: limits.processes.map(signed),
                    ..Default::default()
                };
                let own = self.container_of(patience, job, *role).await?;
                self.update(patience, &own, update).await
            }
            Step::RemoveNetwork => self.remove_networks(patience, &names).await,
        }
    }

    /// The container that the steps of a job act on.
    pub async fn container_of(
        &self,
        patience: &Patience,
        job: &Job<'_>,
        role: Role,
    ) -> Result<Own, DockerError> {
        let seen = job.containers().get(&role).cloned();
        if let Some(own) = seen {
            return Ok(own);
        }
        let own = self
            .own_existing(patience, &job.desired.names(), role)
            .await?;
        job.containers().insert(role, own.clone());
        Ok(own)
    }

    /// Makes the volume, should there be none, and returns what there is then.
    pub async fn create_volume(
        &self,
        patience: &Patience,
        desired: &Desired,
    ) -> Result<Existing, DockerError> {
        let name = desired.names().volume();
        let mut volume_labels = desired.object_labels("data");
        let owner = desired.owner.clone();
        volume_labels.extend(owner.map(|owner| (labels::OWNER.to_owned(), owner)));
        let request = self.client.create_volume(VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(volume_labels.into_iter().collect()),
            ..Default::default()
        });
        let doing = format!("create volume {name}");
        // Docker answers with the existing one when there is one.
        let volume = self.call(patience, &doing, request).await?;
        let existing = Existing {
            labels: volume.labels.into_iter().collect(),
            created: volume.created_at,
        };
        own_volume(&name, &existing, desired.names().deployment())?;
        Ok(existing)
    }

    /// Removes an object of a deployment: a container after it has ended in its own time, a
    /// network unless others use it, a volume with the data in it. It having gone already is
    /// success.
    pub async fn remove(&self, patience: &Patience, own: &Own) -> Result<(), DockerError> {
        match own.kind() {
            Kind::Container => self.remove_container(patience, own).await,
            Kind::Network => self.remove_network(patience, own).await.map(drop),
            Kind::Volume => self.remove_volume(patience, own).await,
        }
    }

    async fn remove_container(&self, patience: &Patience, own: &Own) -> Result<(), DockerError> {
        let name = own.name();
        let stop = self
            .client
            .stop_container(own.id(), None::<StopContainerOptions>);
        match self.call(patience, &format!("stop {name}"), stop).await {
            // It does not run, or somebody else is removing it.
            Err(error) if error.is_of_state() => {}
            outcome => outcome?,
        }
        // Volumes without a name would be left behind; ours has one.
        let options = RemoveContainerOptionsBuilder::new()
            .v(true)
            .force(true)
            .build();
        let remove = self.client.remove_container(own.id(), Some(options));
        let doing = format!("remove {name}");
        let mut refused = match self.call(patience, &doing, remove).await {
            // A removal that is under way already is only reported, not awaited.
            Err(DockerError::WrongState { reason, .. }) if reason.contains("in progress") => None,
            Err(refused @ DockerError::WrongState { .. }) => Some(refused),
            outcome => {
                found(outcome)?;
                None
            }
        };
        let asked = Instant::now();
        while self.inspect(patience, own.id()).await?.is_some() {
            if let Some(refused) = refused.take_if(|_| asked.elapsed() > ASIDE) {
                return Err(refused);
            }
            let pause = tokio::time::sleep(Duration::from_millis(100));
            self.within(patience, &doing, pause).await?;
        }
        Ok(())
    }

    pub(super) async fn start(&self, patience: &Patience, own: &Own) -> Result<(), DockerError> {
        let request = self
            .client
            .start_container(own.id(), None::<StartContainerOptions>);
        let doing = format!("start {}", own.name());
        match self.call(patience, &doing, request).await {
            Err(DockerError::PortTaken { port, .. }) => Err(DockerError::PortTaken {
                port,
                holder: self
                    .port_holders(patience)
                    .await
                    .ok()
                    .and_then(|mut holders| holders.remove(&port)),
            }),
            outcome => outcome,
        }
    }

    /// Waits until the program in a container answers. Ends at once when it
    /// ends.
    async fn await_ready(
        &self,
        patience: &Patience,
        own: &Own,
        spec: &ContainerSpec,
    ) -> Result<(), DockerError> {
        let started = patience.left().as_secs();
        let Readiness { port, path } = spec.ready;
        // The number bounds the loop should this process die meanwhile.
        let script = format!(
            "i=0; until curl -qfsS -m 5 -o /dev/null http://127.0.0.1:{port}{path}; do i=$((i+1)); [ $i -lt {} ] || exit 1; sleep {READY_PAUSE}; done",
            started * 10 + 1
        );
        let command = ["sh", "-c", script.as_str()];
        loop {
            let output = match self.exec(patience, own.id(), &command, b"").await {
                Ok(output) => output,
                // The container ended before it could be asked.
                Err(error) if error.is_of_state() => Output::default(),
                Err(DockerError::TimedOut { .. }) => {
                    let patience = patience.extended(ASIDE);
                    // A daemon that says nothing is not the program's fault.
                    self.inspect(&patience, own.id()).await?;
                    let log = self.log_tail(&patience, own.id()).await;
                    return Err(not_ready(spec, started, log));
                }
                Err(error) => return Err(error),
            };
            if output.code == Some(0) {
                return Ok(());
            }
            if let Some(reason) = missing_program(&output) {
                return Err(DockerError::NoProgram {
                    role: spec.role,
                    reason,
                });
            }
            self.explain_end(patience, own, spec, started).await?;
        }
    }

    /// Tells why a container ended. Nothing when it runs on after all.
    async fn explain_end(
        &self,
        patience: &Patience,
        own: &Own,
        spec: &ContainerSpec,
        seconds: u64,
    ) -> Result<(), DockerError> {
        let asked = Instant::now();
        loop {
            let state = self.state(patience, own, "wait for it").await?;
            if !state.running.unwrap_or_default() {
                return Err(DockerError::Exited {
                    role: spec.role,
                    code: state.exit_code.unwrap_or_default(),
                    out_of_memory: state.oom_killed.unwrap_or_default(),
                    log: self.log_tail(patience, own.id()).await,
                });
            }
            if patience.left() < Duration::from_secs(1) {
                let log = self.log_tail(patience, own.id()).await;
                return Err(not_ready(spec, seconds, log));
            }
            // What runs in a container ends a little before the daemon knows
            // that the container has ended.
            if asked.elapsed() > ENDING {
                return Ok(());
            }
            let pause = tokio::time::sleep(Duration::from_millis(50));
            self.within(patience, "wait for the container to end", pause)
                .await?;
        }
    }

    /// Waits until the program of a container has ended well.
    pub(super) async fn await_end(
        &self,
        patience: &Patience,
        own: &Own,
    ) -> Result<String, DockerError> {
        let doing = format!("run {} to its end", own.name());
        loop {
            let state = self.state(patience, own, &doing).await?;
            if !state.running.unwrap_or_default() {
                let printed = Output {
                    stdout: self.log_tail(patience, own.id()).await.into_bytes(),
                    code: state.exit_code,
                    ..Output::default()
                };
                let printed = printed.of_success(&doing)?;
                return Ok(String::from_utf8_lossy(&printed.stdout).into_owned());
            }
            let pause = tokio::time::sleep(Duration::from_millis(50));
            self.within(patience, &doing, pause).await?;
        }
    }

    /// The state of a container that has to be there. One that is not has not ended well.
    async fn state(
        &self,
        patience: &Patience,
        own: &Own,
        doing: &str,
    ) -> Result<ContainerState, DockerError> {
        let container = self.inspect(patience, own.id()).await?;
        let state = container.and_then(|it| it.state);
        state.ok_or_else(|| DockerError::Absent {
            doing: doing.to_owned(),
            reason: format!("somebody removed container {} meanwhile", own.name()),
        })
    }

    async fn update(
        &self,
        patience: &Patience,
        own: &Own,
        update: ContainerUpdateBody,
    ) -> Result<(), DockerError> {
        if !self.engine.changes_containers() {
            return Err(DockerError::Failed {
                doing: format!("change {} while it runs", own.name()),
                reason: "Podman before release 5.1 cannot. Stop the deployment once and start it again with `running`: its containers are made anew then".to_owned(),
            });
        }
        let request = self.client.update_container(own.id(), update);
        self.call(patience, &format!("update {}", own.name()), request)
            .await
    }

    async fn remove_volume(&self, patience: &Patience, own: &Own) -> Result<(), DockerError> {
        let request = self
            .client
            .remove_volume(own.id(), None::<RemoveVolumeOptions>);
        let doing = format!("remove volume {}", own.name());
        found(self.call(patience, &doing, request).await).map(drop)
    }
}

fn not_ready(spec: &ContainerSpec, seconds: u64, log: String) -> DockerError {
    DockerError::NotReady {
        role: spec.role,
        seconds,
        log,
    }
}

/// As Docker takes numbers.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::runtime::{
        Kind, Own,
        docker::{
            DockerError,
            daemon::{Daemon, json, refusal},
        },
    };

    fn own(kind: Kind) -> Own {
        Own::check(kind, "a", "0f".to_owned(), Some("a"), "a").unwrap()
    }

    /// A daemon that answers every removal in this way, and knows nothing of anything else.
    fn removing(status: u16, message: &'static str) -> Daemon {
        Daemon::new(move |request| match request.split(' ').next() {
            Some("DELETE") => refusal(status, message),
            _ => refusal(404, "no such object"),
        })
    }

    #[tokio::test]
    async fn only_what_does_not_exist_counts_as_removed() {
        for (status, message, gone) in [
            (404, "get a: no such volume", true),
            (409, "remove a: volume is in use - [0f]", false),
            (409, "remove a: the driver has not let go of it", false),
            (
                409,
                "volume a is being used by: 0f: volume is being used",
                false,
            ),
            (500, "no such volume plugin", false),
        ] {
            let it = removing(status, message);
            let outcome = it.docker.remove(&it.patience, &own(Kind::Volume)).await;
            assert_eq!(outcome.is_ok(), gone, "{message}: {outcome:?}");
        }
        for (status, message, gone) in [
            (404, "network a not found", true),
            (
                403,
                "network a has active endpoints (name:\"b\" id:\"0f\")",
                true,
            ),
            (500, "\"a\" has containers: network is being used", true),
            (409, "network a is being removed", false),
            (500, "network a is in an unknown state", false),
        ] {
            let it = removing(status, message);
            let outcome = it.docker.remove(&it.patience, &own(Kind::Network)).await;
            assert_eq!(outcome.is_ok(), gone, "{message}: {outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_stays_is_not_removed() {
        let it = Daemon::new(|request| match request.split(' ').next() {
            Some("POST") => refusal(404, "no such container"),
            Some("DELETE") => refusal(409, "cannot remove a: the driver holds it"),
            _ => json(200, "{}"),
        });
        let stays = it.docker.remove(&it.patience, &own(Kind::Container)).await;
        let stays = stays.unwrap_err().to_string();
        assert_eq!(
            stays,
            "cannot remove a: cannot remove a: the driver holds it"
        );
    }

    #[tokio::test]
    async fn a_container_that_was_removed_has_not_ended_well() {
        let it = removing(404, "");
        let ended = it
            .docker
            .await_end(&it.patience, &own(Kind::Container))
            .await;
        assert!(
            matches!(ended, Err(DockerError::Absent { .. })),
            "{ended:?}"
        );
        let it = Daemon::new(|_| json(200, r#"{"State":{"Running":false}}"#));
        let ended = it
            .docker
            .await_end(&it.patience, &own(Kind::Container))
            .await;
        assert!(
            matches!(ended, Err(DockerError::Failed { .. })),
            "{ended:?}"
        );
    }
}
