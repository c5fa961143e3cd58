//! Looking at a deployment. Nothing here changes anything.

use std::{collections::BTreeMap, time::Duration};

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
    network::{Container, Network},
    record::Record,
    release::UpgradeModel,
    secrets::stored_secret,
    settings::Settings,
    storage::{S3Model, StorageModel},
    whereabouts,
    work::{Work, object},
};
use crate::{
    backend::{BackendError, TransportError, api},
    convex::{
        InstanceSecret, Origins,
        process_env::{self, ExtraEnv},
    },
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts, redact},
    resources::{docker_error, docker_host::DockerModel, imported, warn_down},
    runtime::{
        Attachment, BACKEND_PORT, ContainerSpec, DASHBOARD_PORT, DeploymentId, Difference, Names,
        ObservedContainer, Role, SITE_PORT, State, differences,
        docker::{Credentials, Patience},
        labels,
    },
    session::{Live, Session},
};

/// How long a refresh waits at most for what a backend has published.
const PUBLISHED_LIMIT: Duration = Duration::from_secs(20);

/// The state with what is really there, or `None` when all of it is gone.
pub(super) async fn refresh(
    cx: &mut Cx<Session>,
    mut model: Model,
) -> Result<Option<Model>, Diagnostics> {
    let settings = Settings::of(&model)?;
    let limit = model.timeouts.clone().unwrap_or_default().read();
    let patience = Patience::new(limit, cx.cancellation());
    let docker = cx.session.hosts().docker(&settings.host)?;
    let names = settings.names();
    let object = object(&settings.id().to_string());
    let failed = |error| docker_error(&object, error);
    let ids = model.container_ids.clone().unwrap_or_default();
    let known: Vec<_> = ids.backend.iter().chain(&ids.dashboard).cloned().collect();

    let ours = |container: &ObservedContainer| container.deployment() == Some(names.deployment());
    let look = async |role| {
        let container = docker.container(&patience, &names, role, &known).await;
        container.map(|it| it.filter(ours)).map_err(failed)
    };
    let backend = look(Role::Backend).await?;
    let dashboard = look(Role::Dashboard).await?;
    // A backend that exists has its volume.
    if backend.is_none()
        && docker
            .volume(&patience, &names.volume())
            .await
            .map_err(failed)?
            .is_none()
    {
        whereabouts::check_absent(&cx.private, docker.endpoint(), &object)?;
        cx.warn(Diagnostic::warning(
            "Deployment is gone",
            format!(
                "Deployment {:?} has neither a backend nor the volume {} any more: its data is lost. It will be made anew, empty.",
                model.name,
                names.volume()
            ),
        ));
        return Ok(None);
    }

    whereabouts::note(&mut cx.private, &docker);
    let mut desired = settings.desired();
    let mut host_is_away = false;
    let mut host_started = String::new();
    if let (Network::Of(Container::Given(given)), Some(_)) = (&settings.network, &backend) {
        match docker
            .other_container(&patience, given)
            .await
            .map_err(failed)?
        {
            Some(host) => {
                host_is_away = !host.is_running();
                host_started = host.started;
                desired.attachment = Attachment::Shared { container: host.id };
            }
            None => host_is_away = true,
        }
    }
    // A container whose host has gone, or has started again, is in a network
    // that nobody else is in.
    let in_place =
        |container: &ObservedContainer| !host_is_away && container.started >= host_started;
    let mut odd = Vec::new();
    let mut ids = PerContainer::default();
    let running = backend
        .as_ref()
        .is_some_and(|it| it.is_running() && it.restarts);
    if let Some(backend) = &backend
        && matches!(backend.state, State::Restarting { .. })
        && let Some(ended) = docker
            .end_of_loop(&patience, &backend.id)
            .await
            .map_err(failed)?
    {
        warn_down(cx, &object, "look at the backend", &ended.into());
    }
    // Whether no container should be there. One that is started by others makes
    // a deployment run, unless it has no network to be in.
    let stopped = !(settings.running || running && settings.network.is_there());
    if let Some(backend) = &backend
        && !stopped
    {
        let spec = desired.backend_container();
        let found = absorb(&mut model, &spec, backend);
        if found.fits && running && in_place(backend) {
            ids.backend = Some(backend.id.clone());
        }
        if running && let Some(release) = backend.env.get(process_env::RELEASE) {
            model.version = Some(release.clone());
        }
        let odd_ones = found.odd.into_iter().map(|it| (Role::Backend, it));
        odd.extend(odd_ones.filter(|_| !host_is_away));
    }
    let dashboard_spec = desired.dashboard_container().filter(|_| !stopped);
    if let (Some(dashboard), Some(spec)) = (&dashboard, &dashboard_spec) {
        let found = absorb(&mut model, spec, dashboard);
        if found.fits && dashboard.is_running() && dashboard.restarts && in_place(dashboard) {
            ids.dashboard = Some(dashboard.id.clone());
        }
        let odd_ones = found.odd.into_iter().map(|it| (Role::Dashboard, it));
        odd.extend(odd_ones.filter(|_| !host_is_away));
    }
    if settings.running {
        report(cx, &model.name, &odd);
    }
    // What should not be there is in the state, so that a plan removes it.
    let strays = PerContainer {
        backend: backend.as_ref().filter(|_| stopped).map(id_of),
        dashboard: dashboard
            .as_ref()
            .filter(|_| dashboard_spec.is_none())
            .map(id_of),
    };
    report_strays(cx, &model.name, &strays);
    ids.backend = ids.backend.or(strays.backend);
    ids.dashboard = ids.dashboard.or(strays.dashboard);
    // Stopped for want of a container to share the network of, it is as it
    // should be.
    if running != settings.running {
        model.running = Some(running);
    }
    model.container_ids = Some(ids);
    let secret = match &model.instance_secret {
        Some(secret) => InstanceSecret::parse(secret.expose()).ok(),
        None if running => {
            let backend = names.container(Role::Backend);
            let stored = docker.credentials(&patience, &backend).await;
            stored_secret(&stored.map_err(failed)?)?
        }
        None => None,
    };
    if let Some(secret) = secret.as_ref().filter(|_| running && !stopped) {
        let patience = Patience::new(limit.min(PUBLISHED_LIMIT), cx.cancellation());
        let work = Work::new(cx, settings, patience)?;
        find_published(cx, &mut model, &work, secret).await?;
    }
    note(cx, &model, secret, running);
    Ok(Some(model))
}

/// Takes over the API origin that is published, where one is to be. A backend
/// that does not tell is no reason to refuse a plan: the plan may be what mends
/// it.
async fn find_published(
    cx: &mut Cx<Session>,
    model: &mut Model,
    work: &Work,
    secret: &InstanceSecret,
) -> Result<(), Diagnostics> {
    let reach = work.settings.reach();
    let Some(published) = reach.canonical_api() else {
        return Ok(());
    };
    redact::remember(secret.to_hex().expose());
    let client = work.client(work.settings.admin_key(secret)?);
    let in_force = match client.call(&api::canonical_urls()).await {
        Ok(urls) => urls.convex_cloud_url,
        Err(error @ BackendError::Transport(TransportError::Ended { .. })) => {
            warn_down(cx, &work.object, "read the published origins", &error);
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(object = work.object, %error, "the published origins are not checked");
            return Ok(());
        }
    };
    if in_force != published.as_str()
        && let Some(origins) = &mut model.origins
    {
        origins.api = Some(in_force);
    }
    Ok(())
}

/// How a container compares to the one that was made.
struct Comparison {
    /// Whether it is as it was made, but for what is changed while it runs.
    fits: bool,
    /// In what it differs that no attribute shows.
    odd: Vec<Difference>,
}

/// Takes over into the state in what a container differs from it, so that the
/// plan shows each difference by its attribute.
fn absorb(model: &mut Model, spec: &ContainerSpec, container: &ObservedContainer) -> Comparison {
    let mut comparison = Comparison {
        fits: true,
        odd: Vec::new(),
    };
    for difference in differences(spec, container) {
        let taken = match &difference {
            Difference::Env(name) => take_env(model, spec, container, name),
            Difference::Label(name) => take_label(model, spec, container, name),
            Difference::Limits { .. } => {
                let LimitsModel {
                    memory_mb,
                    cpus,
                    pids,
                } = LimitsModel::from(&container.limits);
                let pids = pids.filter(|_| spec.program.limits.processes.is_some());
                match (spec.role, &mut model.backend, &mut model.dashboard) {
                    (Role::Backend, Some(it), _) => {
                        (it.memory_mb, it.cpus, it.pids) = (memory_mb, cpus, pids);
                    }
                    (Role::Dashboard, _, Some(it)) => {
                        (it.memory_mb, it.cpus, it.pids) = (memory_mb, cpus, pids);
                    }
                    _ => {}
                }
                continue;
            }
            // A plan would take over what the configuration leaves open.
            _ => false,
        };
        comparison.fits = false;
        if !taken {
            comparison.odd.push(difference);
        }
    }
    comparison
}

fn take_label(
    model: &mut Model,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    name: &str,
) -> bool {
    let Some(labels) = model.labels.as_mut().filter(|it| it.contains_key(name)) else {
        return false;
    };
    if spec.role != Role::Backend {
        return false;
    }
    match container.labels.get(name) {
        Some(value) => labels.insert(name.to_owned(), value.clone()),
        None => labels.remove(name),
    };
    true
}

fn take_env(
    model: &mut Model,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    name: &str,
) -> bool {
    if spec.role != Role::Backend {
        return false;
    }
    let found = container.env.get(name);
    let internal = model.internal_origins == Some(true);
    let origins = model.origins.as_mut().filter(|_| !internal);
    match (name, origins, found) {
        ("CONVEX_CLOUD_ORIGIN", Some(origins), Some(value)) => {
            origins.api = Some(value.clone());
            return true;
        }
        ("CONVEX_SITE_ORIGIN", Some(origins), Some(value)) => {
            origins.site = Some(value.clone());
            return true;
        }
        _ => {}
    }
    let given = spec.program.user_env.iter().any(|it| it == name);
    let our_own = spec.program.env.contains_key(name) && !given;
    let Some(backend) = model.backend.as_mut().filter(|_| !our_own) else {
        return false;
    };
    let env = backend.env.get_or_insert_default();
    match found {
        Some(value) => env.insert(name.to_owned(), value.clone()),
        None => env.remove(name),
    };
    true
}

fn report(cx: &mut Cx<Session>, name: &str, odd: &[(Role, Difference)]) {
    if odd.is_empty() {
        return;
    }
    let list: Vec<_> = odd
        .iter()
        .map(|(role, difference)| format!("- {difference} of the {role}"))
        .collect();
    cx.warn(Diagnostic::warning(
        "Containers were changed outside Terraform",
        format!(
            "Containers of deployment {name:?} are not as they were made:\n{}\n\nThe next apply makes them anew; the data is kept.",
            list.join("\n")
        ),
    ));
}

fn id_of(container: &ObservedContainer) -> String {
    container.id.clone()
}

fn report_strays(cx: &mut Cx<Session>, name: &str, strays: &PerContainer) {
    let which = match (&strays.backend, &strays.dashboard) {
        (None, None) => return,
        (Some(_), None) => "a backend",
        (None, Some(_)) => "a dashboard",
        (Some(_), Some(_)) => "a backend and a dashboard",
    };
    cx.warn(Diagnostic::warning(
        "Containers exist that should not",
        format!(
            "Deployment {name:?} has {which} that its state knows nothing of, for example from an interrupted start. An apply that stops the deployment removes them, and one that starts it takes them over. The data is kept."
        ),
    ));
}

fn note(cx: &Cx<Session>, model: &Model, secret: Option<InstanceSecret>, running: bool) {
    let Ok(settings) = Settings::of(model) else {
        return;
    };
    let id = settings.id().to_string();
    let live = Live {
        secret,
        reach: settings.reach(),
        instance_name: settings.instance_name,
        keeps_secrets: settings.keeps_secrets,
        running,
    };
    cx.session
        .note(&id, |deployment| deployment.live = Some(live));
}

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
    let ours = |container: &ObservedContainer| container.deployment() == Some(names.deployment());
    let look = async |role| {
        let container = docker.container(&patience, &names, role, &[]).await;
        container.map(|it| it.filter(ours)).map_err(failed)
    };
    let backend = look(Role::Backend).await?;
    let dashboard = look(Role::Dashboard).await?;
    let volume = docker
        .volume(&patience, &names.volume())
        .await
        .map_err(failed)?
        .filter(|volume| volume.deployment() == Some(names.deployment()));
    if backend.is_none() && volume.is_none() {
        return Err(Diagnostic::error(
            "No such deployment",
            format!(
                "The Docker host at {} has neither a backend nor a volume of a deployment {:?}. Only deployments made by this provider can be imported, by their name.",
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
    let network = (published || shared.is_some() || !further.is_empty()).then(|| NetworkModel {
        container: shared.map(str::to_owned),
        networks: (!further.is_empty()).then_some(further),
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
        .filter(|it| !it.listed(labels::ENV).contains("S3_STORAGE_FILES_BUCKET"))
        .and_then(|it| S3Model::among(&it.env))
        .map(|s3| StorageModel {
            s3: Some(S3Model {
                secret_access_key: s3.secret_access_key.filter(|_| keeps_secrets),
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
            memory_mb: limits(dashboard).memory_mb,
            cpus: limits(dashboard).cpus,
            pids: limits(dashboard).pids,
        }),
        database,
        storage,
        allow_data_loss: Some(false),
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
