//! A deployment's attributes as values that cannot be wrong.

use std::collections::BTreeMap;

use super::{
    bonds::Bonds,
    confinement::confinement,
    database::{DatabaseModel, DatabaseServer},
    images::{default_backend_image, default_dashboard_image},
    model::{DashboardModel, Model, OriginsModel, PublishModel, UrlsModel},
    network::Network,
    ownership::Owner,
    storage::{StorageModel, Store, TOKEN},
};
use crate::{
    convex::{
        Access, AdminKey, ApiOrigin, AuthKeys, DashboardOrigin, Database, DeploymentName,
        InstanceName, InstanceSecret, OriginError, Origins, Reach, Secret, SiteOrigin,
        process_env::{BackendEnv, DASHBOARD_KEY, ExtraEnv, dashboard_env},
    },
    plugin::Diagnostic,
    render::{backend_entrypoint, env_local::ProjectEnv},
    resources::{docker_host::DockerModel, issue_key},
    runtime::{
        self, Confinement, DeploymentId, Desired, File, HostRef, Limits, Names, Program, Renew,
    },
};

/// What a deployment is to be, apart from its secret.
#[derive(Clone, Debug)]
pub struct Settings {
    pub name: DeploymentName,
    pub host: HostRef,
    pub running: bool,
    pub keeps_secrets: bool,
    pub origins: GivenOrigins,
    pub instance_name: InstanceName,
    pub backend_image: String,
    pub backend_env: ExtraEnv,
    pub backend_limits: Limits,
    pub dashboard_limits: Limits,
    pub confinement: Confinement,
    pub entrypoint: Option<Entrypoint>,
    pub dashboard_image: Option<String>,
    pub dashboard_login: Login,
    pub database: Option<DatabaseServer>,
    pub storage: Option<Store>,
    pub hidden_url: bool,
    pub hidden_version: Option<String>,
    pub network: Network,
    pub extra_hosts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// The resource that this is of, where it makes or changes something.
    pub owner: Option<Owner>,
}

/// The origins that are given, or known from an earlier apply. The others follow
/// the published ports.
#[derive(Clone, Debug)]
pub struct GivenOrigins {
    api: Option<ApiOrigin>,
    site: Option<SiteOrigin>,
    dashboard: Option<DashboardOrigin>,
    /// Whether the backend runs on the ports of its own container.
    pub internal: bool,
}

impl GivenOrigins {
    fn of(model: &Model) -> Result<Self, (&'static str, OriginError)> {
        fn read<T>(
            attribute: &'static str,
            given: Option<&String>,
            parse: fn(&str) -> Result<T, OriginError>,
        ) -> Result<Option<T>, (&'static str, OriginError)> {
            let origin = given.map(|text| parse(text)).transpose();
            origin.map_err(|error| (attribute, error))
        }
        let given = model.origins.as_ref();
        let (api, site, dashboard) = (
            given.and_then(|it| it.api.as_ref()),
            given.and_then(|it| it.site.as_ref()),
            given.and_then(|it| it.dashboard.as_ref()),
        );
        Ok(Self {
            api: read("origins.api", api, ApiOrigin::parse)?,
            site: read("origins.site", site, SiteOrigin::parse)?,
            dashboard: read("origins.dashboard", dashboard, DashboardOrigin::parse)?,
            // A state without it is of a backend that runs on public ones.
            internal: model.internal_origins == Some(true),
        })
    }
}

/// How the dashboard comes to the admin key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Whoever opens its page pastes the key.
    Pasted,
    /// Its page has the key.
    Prefilled,
}

impl Login {
    fn of(dashboard: Option<&DashboardModel>) -> Self {
        match dashboard.and_then(|it| it.prefill_admin_key) {
            Some(true) => Self::Prefilled,
            Some(false) | None => Self::Pasted,
        }
    }
}

/// What the environment has of a database whose URL is not at hand.
const HIDDEN: &[&str] = &[
    "DATABASE_URL",
    "DO_NOT_REQUIRE_SSL",
    "MYSQL_URL",
    "POSTGRES_URL",
];

/// A backend that has the signing key in its own environment.
#[derive(Clone, Debug)]
pub struct Entrypoint {
    /// The key, where one is given; else one is made, and kept in the volume.
    pub key: Option<Secret>,
}

/// What a project is told, for the state.
#[derive(Debug)]
pub struct ForProjects {
    pub env_local: Secret,
    pub agent_env: BTreeMap<String, Secret>,
}

impl Settings {
    /// Reads a model. Its attributes were checked before, so a failure here is
    /// that of a state edited by hand.
    pub fn of(model: &Model) -> Result<Self, Diagnostic> {
        let wrong = |attribute: &str, error: &dyn std::fmt::Display| {
            Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string())
                .at(attribute)
        };
        let name = DeploymentName::parse(&model.name).map_err(|error| wrong("name", &error))?;
        let origins =
            GivenOrigins::of(model).map_err(|(attribute, error)| wrong(attribute, &error))?;
        let instance_name = match &model.instance_name {
            Some(given) => {
                InstanceName::parse(given).map_err(|error| wrong("instance_name", &error))?
            }
            None => InstanceName::from(&name),
        };
        let backend = model.backend.as_ref();
        let env = backend
            .and_then(|backend| backend.env.clone())
            .unwrap_or_default();
        let backend_env = ExtraEnv::for_backend(env).map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            wrong("backend.env", &errors.join(" "))
        })?;
        let images = model.images();
        let network = Network::of(model.network.as_ref(), model.ports);
        let dashboard = model.dashboard.as_ref();
        let dashboard_enabled = dashboard.and_then(|it| it.enabled).unwrap_or(true);
        Ok(Self {
            host: DockerModel::host(model.docker.as_ref())?,
            running: model.running.unwrap_or(true) && network.is_there(),
            database: model
                .database
                .as_ref()
                .map(DatabaseModel::server)
                .transpose()?,
            hidden_url: model
                .database
                .as_ref()
                .is_some_and(|it| it.url_wo.is_some()),
            storage: model
                .storage
                .as_ref()
                .map(StorageModel::store)
                .transpose()?
                .flatten(),
            hidden_version: hidden_version(model),
            keeps_secrets: model.keeps_secrets(),
            origins,
            instance_name,
            backend_image: images.backend.unwrap_or_else(default_backend_image),
            backend_env,
            backend_limits: backend.map(|it| it.limits().limits()).unwrap_or_default(),
            dashboard_limits: dashboard.map(|it| it.limits().limits()).unwrap_or_default(),
            confinement: confinement(model.hardening.as_ref(), model.log),
            entrypoint: backend
                .filter(|backend| backend.jwt_entrypoint == Some(true))
                .map(|backend| Entrypoint {
                    key: backend.jwt_private_key.clone(),
                }),
            dashboard_login: Login::of(dashboard),
            dashboard_image: dashboard_enabled
                .then(|| images.dashboard.unwrap_or_else(default_dashboard_image)),
            extra_hosts: model
                .network
                .as_ref()
                .and_then(|it| it.extra_hosts.clone())
                .unwrap_or_default(),
            network,
            labels: model.labels.clone().unwrap_or_default(),
            owner: None,
            name,
        })
    }

    /// What it is called by what depends on it.
    pub fn id(&self) -> DeploymentId {
        DeploymentId {
            name: self.name.clone(),
            host: self.host.clone(),
        }
    }

    /// The names of the Docker objects.
    pub fn names(&self) -> Names {
        Names::of(&self.name)
    }

    /// How it is reached, each origin that is not given by its published port.
    pub fn reach(&self) -> Reach {
        let given = self.origins.clone();
        let local = self.network.local_origins();
        Reach {
            public: Origins {
                api: given.api.unwrap_or(local.api),
                site: given.site.unwrap_or(local.site),
                dashboard: given.dashboard.unwrap_or(local.dashboard),
            },
            internal: given.internal,
        }
    }

    /// Whether an origin follows an automatic port that is not chosen yet.
    pub fn awaits_origin(&self) -> bool {
        let given = &self.origins;
        let published = self.network.publish();
        let followed = PublishModel {
            api: published.api.filter(|_| given.api.is_none()),
            site: published.site.filter(|_| given.site.is_none()),
            dashboard: published.dashboard.filter(|_| given.dashboard.is_none()),
        };
        followed.is_open()
    }

    /// Whether there is a dashboard whose page has the admin key.
    pub fn prefills_key(&self) -> bool {
        self.dashboard_image.is_some() && self.dashboard_login == Login::Prefilled
    }

    /// What there should be on Docker.
    pub fn desired(&self) -> Desired {
        let reach = self.reach();
        let origins = reach.process();
        let backend = BackendEnv {
            instance_name: &self.instance_name,
            origins: &origins,
            release: tag(&self.backend_image),
            database: self.database(),
            extra: &self.backend_env,
        };
        let hidden = matches!(self.database, Some(DatabaseServer::Hidden));
        let mut hidden_env = if hidden { HIDDEN.to_vec() } else { Vec::new() };
        let mut env = backend.render();
        if let Some(store) = &self.storage {
            env = env.with_storage(&store.s3);
        }
        let mut env = env.into_map();
        let given = |name: &str| self.backend_env.has(name);
        let hidden = self.storage.iter().flat_map(|store| store.hidden);
        for name in hidden.filter(|name| **name != TOKEN || !given(name)) {
            env.remove(*name);
            hidden_env.push(name);
        }
        let dashboard = |image: &String| Program {
            image: image.clone(),
            env: dashboard_env(&reach.public.api, &ExtraEnv::default()).into_map(),
            user_env: Vec::new(),
            // Until the secret is known that the key follows from.
            hidden_env: if self.prefills_key() {
                vec![DASHBOARD_KEY.to_owned()]
            } else {
                Vec::new()
            },
            hidden_version: None,
            limits: self.dashboard_limits,
        };
        Desired {
            name: self.name.clone(),
            running: self.running,
            renew: Renew::Nothing,
            backend: Program {
                image: self.backend_image.clone(),
                env,
                user_env: self.backend_env.as_map().keys().cloned().collect(),
                hidden_env: hidden_env.into_iter().map(str::to_owned).collect(),
                hidden_version: self.hidden_version.clone(),
                limits: self.backend_limits,
            },
            dashboard: self.dashboard_image.as_ref().map(dashboard),
            entrypoint: self.entrypoint.as_ref().map(Entrypoint::program),
            has_files: self.entrypoint.is_some() || self.authorities().is_some(),
            attachment: self.network.attachment(),
            hosts: self.extra_hosts.clone(),
            confinement: self.confinement.clone(),
            labels: self.labels.clone(),
            owner: self.owner.as_ref().map(Owner::label),
        }
    }

    /// Puts the admin key that the secret makes into the dashboard, where it is to have it.
    pub fn prefill(
        &self,
        desired: &mut Desired,
        secret: &InstanceSecret,
    ) -> Result<(), Diagnostic> {
        if let Some(dashboard) = desired.dashboard.as_mut().filter(|_| self.prefills_key()) {
            let key = self.admin_key(secret)?;
            dashboard.hidden_env.retain(|name| name != DASHBOARD_KEY);
            let variable = (DASHBOARD_KEY.to_owned(), key.expose().to_owned());
            dashboard.env.extend([variable]);
        }
        Ok(())
    }

    /// The file with the authorities that the database's certificate comes from.
    pub fn authorities(&self) -> Option<File> {
        let ca = self.database()?.ca()?;
        Some(File {
            path: ca.path().into(),
            mode: 0o644,
            content: ca.pem().into(),
        })
    }

    /// The database server, where its URL is at hand.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref().and_then(DatabaseServer::known)
    }

    /// Where the database server listens, where that may be shown.
    pub fn database_server(&self) -> Option<String> {
        let database = self.database().filter(|_| !self.hidden_url);
        database.map(Database::address)
    }

    /// Where the deployment is reached from beside its containers; `None` while
    /// an automatic port is not chosen yet.
    pub fn urls(&self) -> Option<UrlsModel> {
        self.network
            .urls(&self.names(), self.dashboard_image.is_some())
    }

    /// The key that the secret makes.
    pub fn admin_key(&self, secret: &InstanceSecret) -> Result<AdminKey, Diagnostic> {
        issue_key(&self.instance_name, secret, Access::Full)
    }

    /// What a project is told: with the key, if it may be kept.
    pub fn for_projects(&self, admin_key: Option<&AdminKey>) -> Result<ForProjects, Diagnostic> {
        let failed = |error: &dyn std::fmt::Display| {
            Diagnostic::error("Cannot write the environment", error.to_string())
        };
        let url = self.urls().and_then(|urls| urls.api).unwrap_or_default();
        let self_hosted_url = ApiOrigin::parse(&url).map_err(|error| failed(&error))?;
        let env = ProjectEnv {
            reach: &self.reach(),
            self_hosted_url: &self_hosted_url,
            admin_key: admin_key.filter(|_| self.keeps_secrets),
            database: self
                .database()
                // What is kept nowhere is not kept here either.
                .filter(|_| self.keeps_secrets && !self.hidden_url)
                .and_then(Database::postgres),
        };
        Ok(ForProjects {
            env_local: env.env_local().map_err(|error| failed(&error))?,
            agent_env: env
                .agent_env()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        })
    }

    /// Puts everything that follows from the settings into a model.
    pub fn fill(&self, model: &mut Model) {
        model.id = Some(self.id().to_string());
        // As asked for: a container whose network is shared may be away.
        model.running.get_or_insert(true);
        model.origins = Some(OriginsModel::from(&self.reach().public));
        model.instance_name = Some(self.instance_name.to_string());
        model.database_name = Some(self.instance_name.database_name());
        model.database_server = self.database_server();
        model.set_bonds(&Bonds::of(self).or(model.bonds()));
        model.urls = self.urls();
        model.ports = Some(self.network.publish());
    }
}

impl Entrypoint {
    /// What is started in place of the image's own start script. It tells one
    /// key from another by the public half.
    fn program(&self) -> runtime::Entrypoint {
        let thumbprint = self
            .key
            .as_ref()
            .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
            .map(|keys| keys.thumbprint());
        runtime::Entrypoint {
            command: backend_entrypoint::SCRIPT_PATH.to_owned(),
            version: format!(
                "{}:{}",
                backend_entrypoint::VERSION,
                thumbprint.unwrap_or_default()
            ),
        }
    }

    /// The files it needs in the container.
    pub fn files(key: Option<&AuthKeys>) -> Vec<File> {
        let script = File {
            path: backend_entrypoint::SCRIPT_PATH.into(),
            mode: 0o755,
            content: backend_entrypoint::SCRIPT.into(),
        };
        let key = key.map(|key| File {
            path: backend_entrypoint::KEY_PATH.into(),
            mode: 0o600,
            content: key.private_key_pem(),
        });
        [script].into_iter().chain(key).collect()
    }
}

/// Tells one version of what is kept nowhere from another.
fn hidden_version(model: &Model) -> Option<String> {
    let database = model.database.as_ref().and_then(|it| it.url_wo_version);
    let s3 = model.storage.as_ref().and_then(|it| it.s3.as_ref());
    let store = s3.and_then(|it| it.secret_access_key_wo_version);
    let text = |version: Option<i64>| version.map(|it| it.to_string());
    match (text(database), text(store)) {
        (database, None) => database,
        (database, Some(store)) => Some(format!("{}/{store}", database.unwrap_or_default())),
    }
}

/// The tag of an image, which the backend is told as its release: stock images
/// do not know it themselves.
pub fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    name.rsplit_once(':')
        .map(|(_, tag)| tag)
        .filter(|tag| !tag.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn the_release_is_the_tag() {
        assert_eq!(tag("ghcr.io/a/b:903b"), Some("903b"));
        assert_eq!(tag("localhost:5000/a"), None);
        assert_eq!(tag("a:1@sha256:00"), Some("1"));
        assert_eq!(tag("a"), None);
    }
}
