//! Looking at a deployment. Nothing here changes anything.

use std::time::Duration;

use super::{
    confinement::LimitsModel,
    model::{Model, PerContainer},
    network::{Container, Network},
    ownership, review,
    secrets::stored_secret,
    settings::Settings,
    whereabouts,
    work::{Work, object},
};
use crate::{
    backend::{BackendError, TransportError, api},
    convex::{
        InstanceSecret,
        process_env::{self},
    },
    plugin::{Cx, Diagnostic, Diagnostics, redact},
    resources::{docker_error, warn_down, warn_of_loop},
    runtime::{
        ContainerSpec, Difference, ObservedContainer, Own, Role, differences,
        docker::{Credentials, DockerError, Patience},
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

    let look = async |role| {
        let container = docker.container(&patience, &names, role, &known).await;
        container.map_err(failed)
    };
    let backend = look(Role::Backend).await?;
    let dashboard = look(Role::Dashboard).await?;
    // A backend that exists has its volume.
    if backend.is_none() && !docker.has_volume(&patience, &names).await.map_err(failed)? {
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
    let stored = match &backend {
        Some(backend) => docker.credentials(&patience, &backend.id).await,
        None => Ok(Credentials::default()),
    };
    let stored = match stored {
        // A plan may be what mends it.
        Err(error @ (DockerError::Failed { .. } | DockerError::Unreadable { .. })) => {
            let error = failed(error);
            let (summary, detail) = (error.summary().to_owned(), error.detail().to_owned());
            cx.warn(Diagnostic::warning(summary, detail));
            Credentials::default()
        }
        // It was removed just now.
        Err(error) if error.is_of_state() => Credentials::default(),
        stored => stored.map_err(failed)?,
    };
    if let Some(other) = ownership::refreshed(&object, &model, cx.session.place(), &stored) {
        cx.warn(other);
    }
    let mut desired = settings.desired();
    let mut host_is_away = false;
    if let (Network::Of(Container::Given(given)), Some(_)) = (&settings.network, &backend) {
        match docker
            .any_container(&patience, given)
            .await
            .map_err(failed)?
        {
            Some(host) => {
                host_is_away = !host.is_running();
                desired.attachment = host.shares_its_network();
            }
            None => host_is_away = true,
        }
    }
    let mut odd = Vec::new();
    let mut ids = PerContainer::default();
    let running = backend
        .as_ref()
        .is_some_and(|it| it.is_running() && it.restarts);
    for (role, container) in [(Role::Backend, &backend), (Role::Dashboard, &dashboard)] {
        let Some(container) = container else { continue };
        if let Some(ended) = docker.end_of_loop(&patience, container).await {
            warn_of_loop(cx, &object, role, &ended);
        }
    }
    let secret = match &model.instance_secret {
        Some(secret) => InstanceSecret::parse(secret.expose()).ok(),
        None if running => stored_secret(&stored)?,
        None => None,
    };
    if let Some(secret) = &secret {
        settings.prefill(&mut desired, secret)?;
    }
    // Whether no container should be there. One that is started by others makes
    // a deployment run, unless it has no network to be in.
    let stopped = !(settings.running || running && settings.network.is_there());
    if let Some(backend) = &backend
        && !stopped
    {
        let spec = desired.backend_container();
        let found = absorb(&mut model, &spec, backend);
        // One whose host has gone is in a network that nobody else is in.
        if found.fits && running && !host_is_away {
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
        let runs = dashboard.is_running() && dashboard.restarts;
        if found.fits && runs && !host_is_away {
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
    let own = backend
        .as_ref()
        .and_then(|it| it.own(&names, Role::Backend));
    if let Some(secret) = secret.as_ref().filter(|_| running && !stopped) {
        let patience = Patience::new(limit.min(PUBLISHED_LIMIT), cx.cancellation());
        let mut work = Work::new(cx, settings, patience)?;
        work.backend.clone_from(&own);
        find_published(cx, &mut model, &work, secret).await?;
    }
    note(cx, &model, secret, running, own);
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
    if name == labels::NETWORK_STARTED {
        // Its host was started again, and nobody changed the container.
        return true;
    }
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

fn note(
    cx: &Cx<Session>,
    model: &Model,
    secret: Option<InstanceSecret>,
    running: bool,
    backend: Option<Own>,
) {
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
        backend,
    };
    cx.session.note(&id, |deployment| {
        deployment.live = Some(live);
        deployment.standing = Some(review::standing(model));
    });
}
