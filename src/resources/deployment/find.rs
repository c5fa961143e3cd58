//! Finding a deployment from what only knows its name.

use super::{import, model::OriginsModel, record::Record, work::object};
use crate::{
    convex::{InstanceName, InstanceSecret, Origins, Reach},
    plugin::{Cx, Diagnostic, Diagnostics, Known, Timeouts, redact},
    resources::docker_error,
    runtime::{DeploymentId, Names, Role, docker::Patience},
    session::{Live, Session},
};

/// What there is of a deployment.
#[derive(Debug)]
pub enum Found {
    /// Its backend runs.
    Running(Live),
    /// Its data is there, and no backend runs. What it was like before is known
    /// when this run manages it.
    Stopped(Option<Live>),
    /// There is nothing.
    Gone,
}

/// Everything about a deployment that can be seen, as when it is imported.
pub async fn find(
    cx: &mut Cx<Session>,
    id: &DeploymentId,
) -> Result<super::model::Model, Diagnostics> {
    import::look_all_over(cx, id).await
}

/// Where a deployment is. Taken from what this run knows already, else from
/// Docker.
pub async fn locate(cx: &Cx<Session>, deployment: &str) -> Result<Found, Diagnostic> {
    match cx.session.deployment(deployment).live {
        Some(live) if !live.running => Ok(Found::Stopped(Some(live))),
        Some(live) if live.secret.is_some() => Ok(Found::Running(live)),
        _ => look(cx, deployment).await,
    }
}

/// Where a deployment is, by what Docker shows.
pub async fn look(cx: &Cx<Session>, deployment: &str) -> Result<Found, Diagnostic> {
    let id = DeploymentId::parse(deployment).map_err(|error| {
        Diagnostic::error("Invalid value for deployment", error.to_string()).at("deployment")
    })?;
    let docker = cx.session.hosts().docker(&id.host)?;
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let names = Names::of(&id.name);
    let failed = |error| docker_error(&object(deployment), error);
    // What its image adds to its environment plays no part here.
    let backend = docker
        .container_alone(&patience, &names, Role::Backend)
        .await
        .map_err(failed)?;
    let Some(backend) = backend else {
        let has_volume = docker.has_volume(&patience, &names).await;
        return Ok(if has_volume.map_err(failed)? {
            Found::Stopped(None)
        } else {
            Found::Gone
        });
    };
    if !backend.is_running() {
        return Ok(Found::Stopped(None));
    }
    let stored = docker
        .credentials(&patience, &backend.id)
        .await
        .map_err(failed)?;
    let unusable = |what: &str| {
        Diagnostic::error(
            "Deployment cannot be used",
            format!(
                "The backend of {} has no usable {what}. Apply the configuration that manages it.",
                object(deployment)
            ),
        )
    };
    let record = Record::read(&stored);
    let secret = stored
        .secret
        .and_then(|hex| InstanceSecret::parse(hex.expose()).ok())
        .ok_or_else(|| unusable("instance secret in its volume"))?;
    redact::remember(secret.to_hex().expose());
    let env = |name: &str| backend.env.get(name).cloned();
    let instance_name = env("INSTANCE_NAME")
        .and_then(|name| InstanceName::parse(&name).ok())
        .ok_or_else(|| unusable("instance name"))?;
    let process = OriginsModel {
        api: env("CONVEX_CLOUD_ORIGIN"),
        site: env("CONVEX_SITE_ORIGIN"),
        dashboard: Some(Origins::default().dashboard.to_string()),
    };
    let reach = match record.as_ref().and_then(Record::reach) {
        Some(reach) => reach,
        None => Reach::public(process.parse().ok_or_else(|| unusable("origins"))?),
    };
    let live = Live {
        instance_name,
        secret: Some(secret),
        reach,
        keeps_secrets: record.is_none_or(|record| record.keeps_secrets()),
        running: true,
        backend: backend.own(&names, Role::Backend),
    };
    cx.session
        .note(deployment, |it| it.live = Some(live.clone()));
    Ok(Found::Running(live))
}

/// The name and the secret of a deployment's instance. Unknown while this run
/// has only planned to make or to change them. Each is absent where it is not
/// known to this run and nothing runs that could be asked: an apply knows only
/// the deployments that it changes itself, and one that is stopped is no
/// reason for it to fail.
pub async fn find_instance(
    cx: &Cx<Session>,
    deployment: &str,
) -> Result<Known<(Option<InstanceName>, Option<InstanceSecret>)>, Diagnostic> {
    let known = cx.session.deployment(deployment);
    if known.awaits_keys() {
        return Ok(Known::Unknown);
    }
    if let Some(live) = known.live
        && (live.secret.is_some() || !live.running)
    {
        return Ok(Known::Known((Some(live.instance_name), live.secret)));
    }
    match look(cx, deployment).await? {
        Found::Running(live) => Ok(Known::Known((Some(live.instance_name), live.secret))),
        Found::Stopped(_) => Ok(Known::Known((None, None))),
        Found::Gone => Err(no_such(deployment)),
    }
}

/// The diagnostic of a deployment that is not there.
#[must_use]
pub fn no_such(deployment: &str) -> Diagnostic {
    Diagnostic::error(
        "No such deployment",
        format!(
            "The Docker host has no {}. Give the id of a convex_deployment, which says its host where that is not the provider's own, and make sure that the provider's docker.host is the one it was made with.",
            object(deployment)
        ),
    )
    .at("deployment")
}
