//! What the operations on a deployment share: looking, checking, carrying out.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    history::{self, Unreadable},
    network::Network,
    ownership::{self, Expected},
    predecessor,
    record::Record,
    secrets::Secrets,
    settings::Settings,
    snapshot::Export,
    storage::Store,
};
use crate::{
    backend::{BackendError, Client, api},
    convex::{AdminKey, InstanceSecret},
    plugin::{Cx, Diagnostic, redact},
    resources::{backend_error, docker_error},
    runtime::{
        Conflict, Desired, HostRef, Observed, ObservedContainer, Own, Role, Step,
        docker::{Credentials, Docker, DockerError, ExecTransport, Job, Patience},
        steps,
    },
    session::Session,
};

/// The database file, where no variable says otherwise (upstream
/// `self-hosted/docker-build/run_backend.sh`).
const SQLITE_FILE: &str = "/convex/data/db.sqlite3";

/// Renames a file and what `SQLite` keeps beside it. Doing it again does nothing.
const PUT_ASIDE: &str = r#"set -e
[ -e "$1" ] || exit 0
aside="$1.aside.$(date -u +%Y%m%dT%H%M%SZ)"
for rest in -wal -shm; do
  if [ -e "$1$rest" ]; then mv "$1$rest" "$aside$rest"; fi
done
mv "$1" "$aside""#;

/// How often a volume is read whose container is removed meanwhile.
const READ_TRIES: u8 = 4;

/// How a deployment is called in messages.
pub fn object(name: &str) -> String {
    format!("deployment {name:?}")
}

/// What an operation on a deployment has at hand.
pub struct Work {
    pub settings: Settings,
    pub docker: Arc<Docker>,
    pub patience: Patience,
    pub object: String,
    /// The container of the backend, where nothing changes it and it was looked for already.
    pub(super) backend: Option<Own>,
    /// The network of the settings before ports were chosen.
    pub(super) open_network: Network,
    /// Whether ports were chosen here, and not by an earlier apply.
    pub(super) chose_ports: bool,
    /// Whether a database file is put aside before the backend starts.
    pub(super) puts_file_aside: bool,
    /// Whether the data of a deployment that is stopped is bound otherwise, or has another owner.
    pub(super) rebinds: bool,
    /// Ports that something outside Docker has.
    pub(super) refused_ports: BTreeSet<u16>,
    /// What the volume has to hold before anything is written to it, where it was not read yet.
    pub(super) expected: Option<Expected>,
    /// What becomes of a list of past releases that cannot be read.
    pub(super) unreadable_history: Unreadable,
    /// A snapshot that is due before the backend that runs is ended.
    pub(super) due: Option<Export>,
    /// Where a snapshot is that was exported.
    pub(super) exported: Option<String>,
}

/// Why a step was not taken.
enum Failed {
    /// By Docker.
    Docker(DockerError),
    /// By what has been said already.
    Said(Box<Diagnostic>),
}

impl From<DockerError> for Failed {
    fn from(error: DockerError) -> Self {
        Self::Docker(error)
    }
}

impl From<Diagnostic> for Failed {
    fn from(problem: Diagnostic) -> Self {
        Self::Said(Box::new(problem))
    }
}

impl Work {
    pub fn new(
        cx: &Cx<Session>,
        settings: Settings,
        patience: Patience,
    ) -> Result<Self, Diagnostic> {
        if let Some(database) = settings.database() {
            redact::remember(database.url_for_backend().expose());
            if let Some(password) = database.password() {
                redact::remember(password.expose());
            }
        }
        for secret in settings.storage.iter().flat_map(Store::secrets) {
            redact::remember(secret.expose());
        }
        Ok(Self {
            backend: None,
            puts_file_aside: false,
            rebinds: false,
            object: object(&settings.id().to_string()),
            docker: cx.session.hosts().docker(&settings.host).map_err(
                |problem| match settings.host {
                    HostRef::Default => problem,
                    HostRef::Named(_) | HostRef::At(_) => problem.at("docker.host"),
                },
            )?,
            open_network: settings.network.clone(),
            settings,
            patience,
            chose_ports: false,
            refused_ports: BTreeSet::new(),
            expected: None,
            unreadable_history: Unreadable::Kept,
            due: None,
            exported: None,
        })
    }

    pub fn failed(&self, error: DockerError) -> Diagnostic {
        docker_error(&self.object, error)
    }

    pub async fn observe(&self, known: &[String]) -> Result<Observed, Diagnostic> {
        self.docker
            .observe(&self.patience, &self.settings.names(), known)
            .await
            .map_err(|error| self.failed(error))
    }

    pub(super) fn conflict(&self, conflict: Conflict) -> Diagnostic {
        self.failed(DockerError::Conflict(conflict))
    }

    /// What the volume, if there is one, says of its backend.
    pub async fn stored_credentials(&self, observed: &Observed) -> Result<Credentials, Diagnostic> {
        if observed.volume.is_none() {
            return Ok(Credentials::default());
        }
        let mut tries = READ_TRIES;
        loop {
            tries -= 1;
            match self.read_volume().await {
                // By another run, which has put another one in its place.
                Err(removed) if removed.is_of_state() && tries > 0 => {}
                outcome => return outcome.map_err(|error| self.failed(error)),
            }
        }
    }

    async fn read_volume(&self) -> Result<Credentials, DockerError> {
        let (docker, patience) = (&self.docker, &self.patience);
        if let Some((_, backend)) = self.container(Role::Backend).await? {
            return docker.credentials(patience, &backend.id).await;
        }
        let probe = self.probe().await?;
        let credentials = docker.credentials(patience, probe.id()).await;
        docker.remove(patience, &probe).await?;
        credentials
    }

    /// A container of the deployment as it is at this moment.
    async fn container(&self, role: Role) -> Result<Option<(Own, ObservedContainer)>, DockerError> {
        let names = self.settings.names();
        let name = names.container(role);
        let found = self.docker.any_container(&self.patience, &name).await?;
        Ok(found.and_then(|it| Some((it.own(&names, role)?, it))))
    }

    /// A container that never runs, through which the volume can be reached.
    async fn probe(&self) -> Result<Own, DockerError> {
        let image = &self.settings.backend_image;
        let names = self.settings.names();
        self.docker.make_probe(&self.patience, &names, image).await
    }

    /// Removes what was looked for, if it is the deployment's own.
    pub async fn remove_own(
        &self,
        found: Result<Option<Own>, DockerError>,
    ) -> Result<(), Diagnostic> {
        let removed = match found {
            Ok(Some(own)) => self.docker.remove(&self.patience, &own).await,
            Ok(None) | Err(DockerError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| self.failed(error))
    }

    /// Renames the database file, should there be one. No backend may run.
    pub async fn put_file_aside(&self) -> Result<(), DockerError> {
        let given = self.settings.backend_env.as_map().get("SQLITE_DB");
        let file = given.map_or(SQLITE_FILE, String::as_str);
        let image = &self.settings.backend_image;
        let names = self.settings.names();
        let command = ["-c", PUT_ASIDE, "sh", file];
        self.docker
            .run_on_volume(&self.patience, &names, image, None, &command)
            .await
            .map(drop)
    }

    /// Puts credentials into the volume of a deployment that does not run.
    pub async fn store_while_stopped(&self, credentials: &Credentials) -> Result<(), Diagnostic> {
        let store = async {
            let probe = self.probe().await?;
            let stored = async {
                self.check_expected(&probe).await?;
                let store = self
                    .docker
                    .store_credentials(&self.patience, &probe, credentials);
                Ok::<_, Failed>(store.await?)
            };
            let stored = stored.await;
            self.docker.remove(&self.patience, &probe).await?;
            stored
        };
        store.await.map_err(|failed: Failed| match failed {
            Failed::Docker(error) => self.failed(error),
            Failed::Said(problem) => *problem,
        })
    }

    /// Refuses to write to a volume whose data is somebody else's by now.
    async fn check_expected(&self, container: &Own) -> Result<(), Failed> {
        if let Some(expected) = &self.expected {
            let stored = self.docker.credentials(&self.patience, container.id());
            expected.check(&self.object, &stored.await?)?;
        }
        Ok(())
    }

    /// Does what is to be done. What is noted of the deployment goes into its
    /// volume, with the secrets or, where nothing is started, alone.
    pub async fn carry_out(
        &mut self,
        cx: &mut Cx<Session>,
        mut desired: Desired,
        secrets: &Secrets,
        mut observed: Observed,
    ) -> Result<(), Diagnostic> {
        let record = Some(Record::of(&self.settings).text());
        let credentials = Credentials {
            record: record.clone(),
            ..secrets.to_store()
        };
        loop {
            if let Some(secret) = &secrets.instance {
                self.settings.prefill(&mut desired, secret)?;
            }
            let todo = steps(&desired, &observed).map_err(|conflict| self.conflict(conflict))?;
            if desired.running && !todo.contains(&Step::StoreSecrets) {
                // Before the steps, which look who has the deployment.
                let record = Credentials {
                    record: record.clone(),
                    ..Credentials::default()
                };
                let names = self.settings.names();
                let store = async {
                    let backend = self.docker.own_backend(&self.patience, &names).await?;
                    let stored = self
                        .docker
                        .store_credentials(&self.patience, &backend, &record);
                    stored.await
                };
                store.await.map_err(|error| self.failed(error))?;
            }
            let job = Job::new(&desired, &credentials, &secrets.files, &observed);
            let failed = match self.take_steps(cx, &job, &observed, &todo).await {
                Ok(()) => break,
                Err(failed) => failed,
            };
            let other = match &failed {
                Failed::Docker(DockerError::PortTaken { port, .. }) => {
                    self.choose_others(*port, &desired).await?
                }
                _ => None,
            };
            match (other, failed) {
                (Some(other), _) => (desired, observed) = other,
                (None, Failed::Docker(error)) => {
                    self.check_taken(&error).await?;
                    return Err(self.not_done(error, &desired).await);
                }
                (None, Failed::Said(problem)) => return Err(*problem),
            }
        }
        if !desired.running && self.rebinds {
            // Once it is started again, nobody else will know.
            if self.puts_file_aside {
                let aside = self.put_file_aside().await;
                aside.map_err(|error| self.failed(error))?;
            }
            let record = Credentials {
                record,
                ..Credentials::default()
            };
            self.store_while_stopped(&record).await?;
        }
        Ok(())
    }

    /// Names the new owner, where an object went because the deployment was taken over meanwhile.
    async fn check_taken(&self, error: &DockerError) -> Result<(), Diagnostic> {
        if let Some(owner) = self.settings.owner.as_ref().filter(|_| error.is_of_state())
            && let Ok(observed) = self.observe(&[]).await
            && let Ok(stored) = self.stored_credentials(&observed).await
        {
            let holder = ownership::holder(Record::owner(&stored), observed.volume.as_ref());
            return ownership::check(&self.object, owner, holder.as_ref());
        }
        Ok(())
    }

    /// What takes nothing down comes first: images, the network, a look at the
    /// database from there, and a snapshot.
    async fn take_steps(
        &mut self,
        cx: &mut Cx<Session>,
        job: &Job<'_>,
        observed: &Observed,
        todo: &[Step],
    ) -> Result<(), Failed> {
        predecessor::note(&mut cx.private, observed);
        let (first, rest): (Vec<_>, Vec<_>) = todo.iter().partition(|step| step.disturbs_nothing());
        for step in first {
            self.docker.carry_out(&self.patience, job, step).await?;
        }
        if todo.contains(&Step::Start(Role::Backend)) {
            self.prepare_database(cx, job.desired, observed).await?;
        }
        if let Some(export) = self.due.take() {
            self.exported = Some(self.take_snapshot(export).await?);
        }
        for step in rest {
            if *step == Step::StoreSecrets {
                let backend = self.docker.container_of(&self.patience, job, Role::Backend);
                let backend = backend.await?;
                self.check_expected(&backend).await?;
            }
            // After the old backend has ended, and before the volume says that
            // it is bound otherwise.
            if *step == Step::StoreSecrets && self.puts_file_aside {
                self.put_file_aside().await?;
            }
            self.docker.carry_out(&self.patience, job, step).await?;
            // What migrates the data is a backend that answers.
            if *step == Step::AwaitReady(Role::Backend) {
                self.remember_release(job).await?;
            }
        }
        Ok(())
    }

    /// Notes in the volume which release runs on it now.
    async fn remember_release(&self, job: &Job<'_>) -> Result<(), Failed> {
        let backend = self.docker.container_of(&self.patience, job, Role::Backend);
        let backend = backend.await?;
        let runs = self.docker.any_container(&self.patience, backend.id());
        let facts = match runs.await? {
            Some(runs) => {
                let facts = self.docker.image_facts(&self.patience, &runs.image_id);
                facts.await?
            }
            None => None,
        };
        let stored = self
            .docker
            .credentials(&self.patience, backend.id())
            .await?;
        // Another run may have made the same meanwhile, and then has the last word.
        if let Some(owner) = &self.settings.owner {
            ownership::check(&self.object, owner, Record::owner(&stored).as_ref())?;
        }
        let before = match history::read(&stored) {
            Ok(before) => before,
            Err(_) if self.unreadable_history == Unreadable::Replaced => Vec::new(),
            // Whoever changes the image is told of it.
            Err(_) => return Ok(()),
        };
        let image = &self.settings.backend_image;
        let after = history::remember(before.clone(), image, facts.as_ref());
        if after == before {
            return Ok(());
        }
        let noted = Credentials {
            releases: Some(serde_json::json!(after).to_string().into()),
            ..Credentials::default()
        };
        let noted = self
            .docker
            .store_credentials(&self.patience, &backend, &noted);
        Ok(noted.await?)
    }

    pub fn client(&self, key: AdminKey) -> Client<ExecTransport<Arc<Docker>>> {
        let (docker, names) = (Arc::clone(&self.docker), self.settings.names());
        let transport = ExecTransport::new(docker, names, self.patience.clone());
        Client::new(transport.in_container(self.backend.clone()), key)
    }

    /// The secret a running backend has, by its volume.
    pub async fn secret_in_use(&self) -> Result<InstanceSecret, Diagnostic> {
        let names = self.settings.names();
        let read = async {
            let backend = self.docker.own_backend(&self.patience, &names).await?;
            self.docker.credentials(&self.patience, backend.id()).await
        };
        let stored = read.await.map_err(|error| self.failed(error))?;
        super::secrets::stored_secret(&stored)?.ok_or_else(|| {
            Diagnostic::error(
                "The instance secret is gone",
                format!(
                    "The backend of {} runs, and its volume has no instance secret. Set rotate_trigger to another text to give it a new one.",
                    self.object
                ),
            )
            .at("secrets_in_state")
        })
    }

    /// Fills in the IDs of a container and of what runs in it.
    pub async fn identify(
        &self,
        role: Role,
        image: Option<&str>,
        id: &mut Option<String>,
        digest: &mut Option<String>,
    ) -> Result<(), Diagnostic> {
        let Some(image) = image.filter(|_| id.is_none() || digest.is_none()) else {
            return Ok(());
        };
        let found = self.container(role).await;
        let Some((_, container)) = found.map_err(|error| self.failed(error))? else {
            return Ok(());
        };
        if digest.is_none() {
            let made_from = Some(container.image_id.as_str());
            let found = self.docker.image_digest(&self.patience, image, made_from);
            *digest = found.await.map_err(|error| self.failed(error))?;
        }
        id.get_or_insert(container.id);
        Ok(())
    }

    /// Shows a backend that has just started the key that was computed for it.
    pub async fn check_key(&self, key: AdminKey) -> Result<(), Diagnostic> {
        match self.client(key).call(&api::check_admin_key()).await {
            Ok(()) => Ok(()),
            Err(BackendError::KeyRefused) => Err(Diagnostic::error(
                "The backend does not accept its admin key",
                format!(
                    "The key was computed from the instance name and secret of {}, and its backend refuses it. Either its image makes keys in another way (images from before June 2025 do; use a newer one), or its volume holds other credentials than these.",
                    self.object
                ),
            )
            .at("backend.image")),
            Err(error) => Err(backend_error(&self.object, "check the admin key", &error)),
        }
    }
}
