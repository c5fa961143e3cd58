//! A deployment told from its containers and its volume alone.

use std::collections::BTreeMap;

use super::{
    bonds::Bonds,
    confinement::{HardeningModel, LimitsModel, LogModel},
    database::DatabaseModel,
    images::{default_backend_image, default_dashboard_image},
    lifecycle::fill_keys,
    model::{
        BackendModel, DashboardModel, Model, NetworkModel, OriginsModel, PerContainer,
        PublishModel, VolumeModel,
    },
    record::Record,
    release::UpgradeModel,
    secrets::stored_secret,
    settings::Settings,
    storage::{S3Model, StorageModel},
    work::object,
};
use crate::{
    convex::{
        Origins,
        process_env::{self, ExtraEnv},
    },
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts},
    resources::{docker_error, docker_host::DockerModel, imported},
    runtime::{
        BACKEND_PORT, DASHBOARD_PORT, DeploymentId, Names, ObservedContainer, Role, SITE_PORT,
        docker::{Credentials, Patience},
        labels,
    },
    session::Session,
};

/// Finds a deployment by its ID.
pub(super) async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    let id = DeploymentId::parse(id).map_err(|error| {
        Diagnostic::error(
            "Not the name of a deployment",
            format!(
                "{error} A deployment is imported by its name, and behind an `@` its Docker host where that is not the provider's own."
            ),
        )
    })?;
    let found = look_all_over(cx, &id).await?;
    imported::mark(&mut cx.private);
    Ok(found)
}

/// Everything about a deployment that can be seen.
pub(super) async fn look_all_over(
    cx: &mut Cx<Session>,
    id: &DeploymentId,
) -> Result<Model, Diagnostics> {
    let name = &id.name;
    let docker = cx.session.hosts().docker(&id.host)?;
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let names = Names::of(name);
    let failed = |error| docker_error(&object(&id.to_string()), error);
    let look = async |role| {
        let container = docker.container(&patience, &names, role, &[]).await;
        container.map_err(failed)
    };
    let backend = look(Role::Backend).await?;
    let dashboard = look(Role::Dashboard).await?;
    let has_volume = docker.has_volume(&patience, &names).await;
    if backend.is_none() && !has_volume.map_err(failed)? {
        return Err(Diagnostic::error(
            "No such deployment",
            format!(
                "The Docker host at {} has neither a backend nor a volume of a deployment {:?}. Check the name and the Docker host. Only deployments that this provider created are found; `terraform-provider-convex sweep` lists them.",
                docker.endpoint(),
                name.as_str(),
            ),
        )
        .into());
    }
    let stored = match &backend {
        Some(backend) => docker
            .credentials(&patience, &backend.id)
            .await
            .map_err(failed)?,
        None => Credentials::default(),
    };
    let mut model = describe(id, backend.as_ref(), dashboard.as_ref(), &stored);
    if let Ok(settings) = Settings::of(&model) {
        settings.fill(&mut model);
        let seen = match &backend {
            Some(_) => Record::bonds(&stored).or(model.bonds()),
            // What a stopped one is bound to, only its volume knows.
            None => Bonds::default(),
        };
        model.set_bonds(&seen);
        let secret = stored_secret(&stored).ok().flatten();
        if secret.is_some() || !settings.keeps_secrets {
            fill_keys(&settings, secret.as_ref(), &mut model)?;
        }
    }
    let digest = async |container: Option<&ObservedContainer>| match container {
        Some(container) => docker
            .image_digest(&patience, &container.image, Some(&container.image_id))
            .await
            .map_err(failed),
        None => Ok(None),
    };
    model.image_digests = Some(PerContainer {
        backend: digest(backend.as_ref()).await?,
        dashboard: digest(dashboard.as_ref()).await?,
    });
    model.version = backend
        .filter(ObservedContainer::is_running)
        .and_then(|it| it.env.get(process_env::RELEASE).cloned());
    Ok(model)
}

/// The configuration that would make these containers.
fn describe(
    id: &DeploymentId,
    backend: Option<&ObservedContainer>,
    dashboard: Option<&ObservedContainer>,
    stored: &Credentials,
) -> Model {
    let env = |key: &str| backend.and_then(|it| it.env.get(key).cloned());
    let default = Origins::default();
    let process = OriginsModel {
        api: Some(env("CONVEX_CLOUD_ORIGIN").unwrap_or_else(|| default.api.to_string())),
        site: Some(env("CONVEX_SITE_ORIGIN").unwrap_or_else(|| default.site.to_string())),
        dashboard: Some(default.dashboard.to_string()),
    };
    let record = Record::read(stored);
    let reach = record.as_ref().and_then(Record::reach);
    let origins = reach
        .as_ref()
        .map_or(process, |reach| OriginsModel::from(&reach.public));
    let keeps_secrets = record.is_none_or(|record| record.keeps_secrets());
    let port = |container: Option<&ObservedContainer>, port| {
        container.and_then(|it| it.ports.get(&port).copied())
    };
    let publish = PublishModel {
        api: port(backend, BACKEND_PORT),
        site: port(backend, SITE_PORT),
        dashboard: port(dashboard, DASHBOARD_PORT),
    };
    let shared = backend.and_then(|it| it.network_mode.strip_prefix("container:"));
    let further: Vec<String> = backend
        .map(|it| it.listed(labels::NETWORKS))
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let published = publish != PublishModel::default();
    let hosts = backend.map(|it| it.hosts.clone()).unwrap_or_default();
    let is_given = published || shared.is_some() || !further.is_empty() || !hosts.is_empty();
    let network = is_given.then(|| NetworkModel {
        container: shared.map(str::to_owned),
        networks: (!further.is_empty()).then_some(further),
        extra_hosts: (!hosts.is_empty()).then_some(hosts),
        publish: published.then_some(publish),
    });
    let database = ["POSTGRES_URL", "MYSQL_URL"]
        .into_iter()
        .find_map(|name| backend?.env.get(name))
        .filter(|_| user_env_has_no_database(backend))
        .map(|url| DatabaseModel {
            url: Some(url.as_str().into()),
            ..DatabaseModel::default()
        })
        .filter(|_| keeps_secrets);
    let running = backend.is_some_and(|it| it.is_running() && it.restarts);
    let limits = |container: Option<&ObservedContainer>| {
        container.map_or_else(LimitsModel::default, |it| LimitsModel::from(&it.limits))
    };
    let storage = backend
        .and_then(|it| S3Model::among(&without_user_env(it)))
        .map(|s3| StorageModel {
            s3: Some(S3Model {
                secret_access_key: s3.secret_access_key.filter(|_| keeps_secrets),
                session_token: s3.session_token.filter(|_| keeps_secrets),
                ..s3
            }),
        });
    Model {
        id: None,
        name: id.name.to_string(),
        docker: DockerModel::of(&id.host),
        running: Some(running),
        origins: Some(origins),
        // A backend without a record runs on its public origins. One that does
        // not run can be started on internal ones.
        internal_origins: Some(reach.map_or(backend.is_none(), |reach| reach.internal)),
        instance_name: env("INSTANCE_NAME").or_else(|| Some(id.name.to_string())),
        instance_secret: None,
        secrets_in_state: Some(keeps_secrets),
        rotate_trigger: None,
        backend: Some(BackendModel {
            image: Some(backend.map_or_else(default_backend_image, |it| it.image.clone())),
            env: backend.and_then(user_env),
            memory_mb: limits(backend).memory_mb,
            cpus: limits(backend).cpus,
            pids: limits(backend).pids,
            jwt_entrypoint: Some(
                backend.is_some_and(|it| it.labels.contains_key(labels::ENTRYPOINT)),
            ),
            jwt_private_key: None,
        }),
        dashboard: Some(DashboardModel {
            enabled: Some(dashboard.is_some() || !running),
            image: Some(dashboard.map_or_else(default_dashboard_image, |it| it.image.clone())),
            prefill_admin_key: dashboard
                .is_some_and(|it| it.env.contains_key(process_env::DASHBOARD_KEY))
                .then_some(true),
            memory_mb: limits(dashboard).memory_mb,
            cpus: limits(dashboard).cpus,
            pids: limits(dashboard).pids,
        }),
        database,
        storage,
        allow_data_loss: Some(false),
        on_conflict: Some(Model::FAIL.to_owned()),
        upgrade: Some(UpgradeModel::unsaid()),
        restore_from: None,
        network,
        hardening: backend.and_then(|it| HardeningModel::of(&it.dropped, it.may_gain_rights)),
        log: backend.and_then(log_limit),
        volume: Some(VolumeModel {
            on_destroy: Some(VolumeModel::RETAIN.to_owned()),
        }),
        labels: backend.and_then(user_labels),
        timeouts: None,
        admin_key: None,
        database_name: None,
        database_server: None,
        database_kind: None,
        storage_kind: None,
        urls: None,
        owner_id: Record::owner(stored).map(|owner| owner.id().to_owned()),
        container_ids: Some(PerContainer {
            backend: backend.map(|it| it.id.clone()),
            dashboard: dashboard.map(|it| it.id.clone()),
        }),
        image_digests: Some(PerContainer::default()),
        version: None,
        kept_images: None,
        last_snapshot: None,
        ports: None,
        env_local: None,
        agent_env: None,
    }
}

/// The limit of the log, by the record on the container.
fn log_limit(container: &ObservedContainer) -> Option<LogModel> {
    let (size, files) = container.labels.get(labels::LOG)?.split_once('x')?;
    Some(LogModel {
        max_size_mb: Some(size.parse::<u64>().ok()? / 1_000_000),
        max_files: Some(files.parse().ok()?),
    })
}

fn user_env_has_no_database(backend: Option<&ObservedContainer>) -> bool {
    let given = backend.map(|it| it.listed(labels::ENV)).unwrap_or_default();
    !given.contains("POSTGRES_URL") && !given.contains("MYSQL_URL")
}

/// The variables that follow from attributes other than `backend.env`.
fn without_user_env(container: &ObservedContainer) -> BTreeMap<String, String> {
    let given = container.listed(labels::ENV);
    let mut env = container.env.clone();
    env.retain(|name, _| !given.contains(name.as_str()));
    env
}

/// The variables that the user gave, by the record on the container.
fn user_env(container: &ObservedContainer) -> Option<BTreeMap<String, String>> {
    let env: BTreeMap<_, _> = container
        .listed(labels::ENV)
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), container.env.get(name)?.clone())))
        .collect();
    let usable = ExtraEnv::for_backend(env.clone()).is_ok();
    (!env.is_empty() && usable).then_some(env)
}

fn user_labels(container: &ObservedContainer) -> Option<BTreeMap<String, String>> {
    let all: BTreeMap<_, _> = container
        .listed(labels::LABELS)
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), container.labels.get(name)?.clone())))
        .collect();
    (!all.is_empty()).then_some(all)
}
