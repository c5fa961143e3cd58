//! Making, changing and removing a deployment.
//!
//! All three look first and then do what is missing, so that each also
//! finishes what an interrupted one has begun. A process can die at any await:
//! names and labels follow from the deployment's name, and the secret is in
//! the volume before the backend first starts, so the next run finds all.

use std::sync::Arc;

use super::{
    model::{Model, VolumeModel},
    settings::Settings,
};
use crate::{
    backend::{BackendError, Client, api},
    convex::{AdminKey, InstanceSecret, Secret, env_var::Changes},
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts, redact},
    resources::{backend_error, docker_error},
    runtime::{
        Conflict, DATA_DIRECTORY, Desired, Observed, Role,
        docker::{Credentials, Docker, DockerError, ExecTransport, Job, Patience},
        steps,
    },
    session::{Live, Session},
};

/// How a deployment is called in messages.
pub(super) fn object(name: &str) -> String {
    format!("deployment {name:?}")
}

fn timeouts(model: &Model) -> Timeouts {
    model.timeouts.clone().unwrap_or_default()
}

/// Makes a deployment, or finishes one that was begun.
pub(super) async fn create(cx: &mut Cx<Session>, mut planned: Model) -> Result<Model, Diagnostics> {
    let patience = Patience::new(timeouts(&planned).create(), cx.cancellation());
    let work = Work::new(cx, Settings::of(&planned)?, patience)?;
    let observed = work.observe(&[]).await?;
    let mut desired = work.settings.desired();
    work.check(&desired, &observed)?;
    let adopted = observed.volume.is_some();
    if adopted {
        cx.warn(Diagnostic::warning(
            "Existing data taken over",
            format!(
                "The Docker host has a volume {} from an earlier deployment {:?}. The deployment goes on with its data.",
                work.settings.names().volume(),
                planned.name
            ),
        ));
    }
    work.check_ports(&desired, &observed).await?;
    let stored = work.stored_credentials(&observed).await?;
    work.check_instance_name(&stored)?;
    let secret = choose_secret(planned.instance_secret.as_ref(), &stored)?;
    // A container that runs with another secret than the one asked for.
    desired.renew_backend = stored
        .secret
        .as_ref()
        .is_some_and(|stored| stored.expose() != secret.to_hex().expose());

    // From here on something exists, which must not be forgotten.
    work.settings.fill(&mut planned);
    fill_keys(&work.settings, &secret, &mut planned)?;
    planned.container_ids.get_or_insert_default();
    planned.image_digests.get_or_insert_default();
    cx.checkpoint(&unfinished(&planned, adopted));

    work.carry_out(&desired, &secret.to_hex(), &observed)
        .await?;
    work.finish(cx, &mut planned, &secret).await?;
    Ok(planned)
}

/// The state of a deployment whose create has not come to its end. Terraform
/// will destroy it before it tries again, and data that is older than this
/// create must not go with it, whatever was configured.
fn unfinished(planned: &Model, adopted: bool) -> Model {
    let mut model = planned.clone();
    if adopted {
        model.volume = Some(VolumeModel {
            on_destroy: Some(VolumeModel::RETAIN.to_owned()),
        });
    }
    model
}

/// Changes a deployment in place.
pub(super) async fn update(
    cx: &mut Cx<Session>,
    prior: Model,
    mut planned: Model,
) -> Result<Model, Diagnostics> {
    let patience = Patience::new(timeouts(&planned).update(), cx.cancellation());
    let work = Work::new(cx, Settings::of(&planned)?, patience)?;
    let known = prior.container_ids.clone().unwrap_or_default();
    let known: Vec<_> = known.backend.into_iter().chain(known.dashboard).collect();
    let observed = work.observe(&known).await?;
    let mut desired = work.settings.desired();
    work.check(&desired, &observed)?;
    work.check_ports(&desired, &observed).await?;
    let given = planned.instance_secret.clone();
    let secret = match given {
        Some(given) => choose_secret(Some(&given), &Credentials::default())?,
        // Imported while it was stopped.
        None => choose_secret(None, &work.stored_credentials(&observed).await?)?,
    };
    desired.renew_backend = prior
        .instance_secret
        .as_ref()
        .is_some_and(|prior| prior.expose() != secret.to_hex().expose());
    work.settings.fill(&mut planned);
    fill_keys(&work.settings, &secret, &mut planned)?;
    work.carry_out(&desired, &secret.to_hex(), &observed)
        .await?;
    work.finish(cx, &mut planned, &secret).await?;
    let new_origins = prior.origins != planned.origins;
    if work.settings.running && new_origins {
        let keys = work.settings.keys(&secret)?;
        work.evaluate_auth_anew(cx, keys.admin_key).await;
    }
    Ok(planned)
}

/// Removes a deployment. What is gone already, or was never made, is fine.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
    let patience = Patience::new(timeouts(&prior).delete(), cx.cancellation());
    let work = Work::new(cx, Settings::of(&prior)?, patience)?;
    let observed = work.observe(&[]).await?;
    let ours = |deployment: Option<&str>| deployment == Some(prior.name.as_str());
    let names = work.settings.names();
    let failed = |error| docker_error(&object(&prior.name), error);
    for (role, owner) in [
        (
            Role::Dashboard,
            observed.dashboard.as_ref().map(|it| it.deployment()),
        ),
        (
            Role::Backend,
            observed.backend.as_ref().map(|it| it.deployment()),
        ),
        (
            Role::Probe,
            observed.probe.as_ref().map(|it| it.deployment()),
        ),
    ] {
        if owner.is_some_and(ours) {
            work.docker
                .remove_container(&work.patience, &names.container(role))
                .await
                .map_err(failed)?;
        }
    }
    if observed.network.is_some_and(|it| ours(it.deployment())) {
        work.docker
            .remove_network(&work.patience, &names.network())
            .await
            .map_err(failed)?;
    }
    let delete_data = prior
        .volume
        .as_ref()
        .and_then(|volume| volume.on_destroy.as_deref())
        == Some(VolumeModel::DELETE);
    if delete_data && observed.volume.is_some_and(|it| ours(it.deployment())) {
        work.docker
            .remove_volume(&work.patience, &names.volume())
            .await
            .map_err(failed)?;
    }
    cx.session
        .note(&prior.name, |deployment| deployment.live = None);
    Ok(())
}

/// The secret to use: the one given, else the one the data was made with, else
/// a new one.
fn choose_secret(
    given: Option<&Secret>,
    stored: &Credentials,
) -> Result<InstanceSecret, Diagnostic> {
    let chosen = given.or(stored.secret.as_ref());
    let secret = match chosen {
        Some(hex) => InstanceSecret::parse(hex.expose()).map_err(|error| {
            let remedy = if given.is_some() {
                String::new()
            } else {
                format!(
                    " It was found in the volume ({DATA_DIRECTORY}/credentials/instance_secret). Give instance_secret to replace it; keys made with the old one then end."
                )
            };
            Diagnostic::error("Invalid instance secret", format!("{error}{remedy}"))
                .at("instance_secret")
        })?,
        None => InstanceSecret::generate().map_err(|error| {
            Diagnostic::error("Cannot make an instance secret", error.to_string())
        })?,
    };
    redact::remember(secret.to_hex().expose());
    Ok(secret)
}

pub(super) fn fill_keys(
    settings: &Settings,
    secret: &InstanceSecret,
    model: &mut Model,
) -> Result<(), Diagnostic> {
    let keys = settings.keys(secret)?;
    redact::remember(keys.admin_key.expose());
    model.instance_secret = Some(secret.to_hex());
    model.admin_key = Some(keys.admin_key.as_secret().clone());
    model.env_local = Some(keys.env_local);
    model.agent_env = Some(keys.agent_env);
    Ok(())
}

/// What an operation on a deployment has at hand.
struct Work {
    settings: Settings,
    docker: Arc<Docker>,
    patience: Patience,
    object: String,
}

impl Work {
    fn new(cx: &Cx<Session>, settings: Settings, patience: Patience) -> Result<Self, Diagnostic> {
        Ok(Self {
            object: object(settings.name.as_str()),
            settings,
            docker: cx.session.docker()?,
            patience,
        })
    }

    fn failed(&self, error: DockerError) -> Diagnostic {
        docker_error(&self.object, error)
    }

    async fn observe(&self, known: &[String]) -> Result<Observed, Diagnostic> {
        self.docker
            .observe(&self.patience, &self.settings.names(), known)
            .await
            .map_err(|error| self.failed(error))
    }

    fn conflict(&self, conflict: Conflict) -> Diagnostic {
        self.failed(DockerError::Conflict(conflict))
    }

    /// Refuses, before anything is done, what would end in a conflict.
    fn check(&self, desired: &Desired, observed: &Observed) -> Result<(), Diagnostic> {
        steps(desired, observed)
            .map(|_| ())
            .map_err(|conflict| self.conflict(conflict))
    }

    /// Refuses, before anything is done, a port that another container has.
    /// Programs outside Docker show only when the port is taken.
    async fn check_ports(&self, desired: &Desired, observed: &Observed) -> Result<(), Diagnostic> {
        if !desired.running {
            return Ok(());
        }
        let ours = |port| {
            [&observed.backend, &observed.dashboard]
                .into_iter()
                .flatten()
                .any(|container| container.ports.values().any(|it| *it == port))
        };
        let publish = &desired.publish;
        let wanted = [
            ("api", publish.api),
            ("site", publish.site),
            ("dashboard", publish.dashboard),
        ];
        for (key, port) in wanted {
            let Some(port) = port.filter(|port| !ours(*port)) else {
                continue;
            };
            if let Some(holder) = self.docker.holder_of(&self.patience, port).await {
                let error = DockerError::PortTaken {
                    port,
                    holder: Some(holder),
                };
                return Err(self
                    .failed(error)
                    .at(format!("network.publish.{key}").as_str()));
            }
        }
        Ok(())
    }

    /// What the volume, if there is one, says of its backend.
    async fn stored_credentials(&self, observed: &Observed) -> Result<Credentials, Diagnostic> {
        if observed.volume.is_none() {
            return Ok(Credentials::default());
        }
        let names = self.settings.names();
        let read = async {
            if observed.backend.is_some() {
                let container = names.container(Role::Backend);
                return self.docker.credentials(&self.patience, &container).await;
            }
            let image = &self.settings.backend_image;
            let probe = self
                .docker
                .make_probe(&self.patience, &names, image)
                .await?;
            let credentials = self.docker.credentials(&self.patience, &probe).await;
            self.docker.remove_container(&self.patience, &probe).await?;
            credentials
        };
        read.await.map_err(|error| self.failed(error))
    }

    /// The data is bound to the name of its instance.
    fn check_instance_name(&self, stored: &Credentials) -> Result<(), Diagnostic> {
        match &stored.name {
            Some(name) if name != self.settings.instance_name.as_str() => Err(Diagnostic::error(
                "The data belongs to another instance",
                format!(
                    "The volume {} was made by instance {name:?}, and {:?} is configured. Set instance_name to {name:?}, or choose another name for the deployment.",
                    self.settings.names().volume(),
                    self.settings.instance_name.as_str()
                ),
            )
            .at("instance_name")),
            _ => Ok(()),
        }
    }

    async fn carry_out(
        &self,
        desired: &Desired,
        secret: &Secret,
        observed: &Observed,
    ) -> Result<(), Diagnostic> {
        let todo = steps(desired, observed).map_err(|conflict| self.conflict(conflict))?;
        let job = Job { desired, secret };
        for step in todo {
            self.docker
                .carry_out(&self.patience, &job, &step)
                .await
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn client(&self, key: AdminKey) -> Client<ExecTransport<Arc<Docker>>> {
        let container = self.settings.names().container(Role::Backend);
        let transport =
            ExecTransport::new(Arc::clone(&self.docker), container, self.patience.clone());
        Client::new(transport, key)
    }

    /// Fills in what is only known at the end, and tells the rest of this run.
    /// What the plan has promised stays as it is, even if something else was
    /// made meanwhile: the next look puts it right.
    async fn finish(
        &self,
        cx: &Cx<Session>,
        model: &mut Model,
        secret: &InstanceSecret,
    ) -> Result<(), Diagnostic> {
        let keys = self.settings.keys(secret)?;
        let mut ids = model.container_ids.take().unwrap_or_default();
        let mut digests = model.image_digests.take().unwrap_or_default();
        if self.settings.running {
            if ids.backend.is_none() {
                self.check_key(keys.admin_key.clone()).await?;
            }
            let backend = Some(self.settings.backend_image.as_str());
            self.identify(
                Role::Backend,
                backend,
                &mut ids.backend,
                &mut digests.backend,
            )
            .await?;
            let dashboard = self.settings.dashboard_image.as_deref();
            self.identify(
                Role::Dashboard,
                dashboard,
                &mut ids.dashboard,
                &mut digests.dashboard,
            )
            .await?;
            if model.version.is_none() {
                let version = self
                    .client(keys.admin_key.clone())
                    .call(&api::version())
                    .await;
                model.version =
                    Some(version.map_err(|error| {
                        backend_error(&self.object, "read the version", &error)
                    })?);
            }
        }
        model.container_ids = Some(ids);
        model.image_digests = Some(digests);
        let live = Live {
            instance_name: self.settings.instance_name.clone(),
            secret: secret.clone(),
            origins: self.settings.origins.clone(),
            running: self.settings.running,
        };
        cx.session.note(self.settings.name.as_str(), |deployment| {
            deployment.live = Some(live);
        });
        Ok(())
    }

    /// Fills in the IDs of a container and of what runs in it.
    async fn identify(
        &self,
        role: Role,
        image: Option<&str>,
        id: &mut Option<String>,
        digest: &mut Option<String>,
    ) -> Result<(), Diagnostic> {
        let Some(image) = image else {
            return Ok(());
        };
        if id.is_none() {
            let name = self.settings.names().container(role);
            let found = self.docker.container_id(&self.patience, &name).await;
            *id = found.map_err(|error| self.failed(error))?;
        }
        if digest.is_none() {
            let found = self.docker.image_digest(&self.patience, image).await;
            *digest = found.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Shows a backend that has just started the key that was computed for it.
    async fn check_key(&self, key: AdminKey) -> Result<(), Diagnostic> {
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

    /// A backend evaluates the app's auth config when variables change, but not
    /// when it starts with another issuer. An empty batch makes it do so.
    async fn evaluate_auth_anew(&self, cx: &mut Cx<Session>, key: AdminKey) {
        let client = self.client(key);
        let call = api::update_variables(&Changes::default());
        if let Err(error) = client.call(&call).await {
            cx.warn(Diagnostic::warning(
                "Sign-in may fail until the next deploy of functions",
                format!(
                    "The origins of {} have changed, but its backend did not evaluate the auth config anew: {error}. Deploy the functions again, or apply a change of a variable.",
                    self.object
                ),
            ));
        }
    }
}
