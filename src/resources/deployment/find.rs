//! Finding a deployment from what only knows its name.

use super::{lifecycle::object, model::OriginsModel, read};
use crate::{
    convex::{DeploymentName, InstanceName, InstanceSecret, Origins},
    plugin::{Cx, Diagnostic, Diagnostics, Known, Timeouts, redact},
    resources::docker_error,
    runtime::{Names, ObservedContainer, Role, docker::Patience},
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
pub async fn find(cx: &mut Cx<Session>, name: &str) -> Result<super::model::Model, Diagnostics> {
    read::import(cx, name).await
}

/// Where a deployment is. Taken from what this run knows already, else from
/// Docker.
pub async fn locate(cx: &Cx<Session>, deployment: &str) -> Result<Found, Diagnostic> {
    if let Some(live) = cx.session.deployment(deployment).live {
        return Ok(if live.running {
            Found::Running(live)
        } else {
            Found::Stopped(Some(live))
        });
    }
    look(cx, deployment).await
}

async fn look(cx: &Cx<Session>, deployment: &str) -> Result<Found, Diagnostic> {
    let name = DeploymentName::parse(deployment).map_err(|error| {
        Diagnostic::error("Invalid value for deployment", error.to_string()).at("deployment")
    })?;
    let docker = cx.session.docker()?;
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let names = Names::of(&name);
    let failed = |error| docker_error(&object(deployment), error);
    let ours = |container: &ObservedContainer| container.deployment() == Some(names.deployment());
    // What its image adds to its environment plays no part here.
    let backend = docker
        .container_alone(&patience, &names, Role::Backend)
        .await
        .map_err(failed)?
        .filter(ours);
    let Some(backend) = backend else {
        let volume = docker
            .volume(&patience, &names.volume())
            .await
            .map_err(failed)?;
        return Ok(match volume {
            Some(_) => Found::Stopped(None),
            None => Found::Gone,
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
    let secret = stored
        .secret
        .and_then(|hex| InstanceSecret::parse(hex.expose()).ok())
        .ok_or_else(|| unusable("instance secret in its volume"))?;
    redact::remember(secret.to_hex().expose());
    let env = |name: &str| backend.env.get(name).cloned();
    let instance_name = env("INSTANCE_NAME")
        .and_then(|name| InstanceName::parse(&name).ok())
        .ok_or_else(|| unusable("instance name"))?;
    let origins = OriginsModel {
        api: env("CONVEX_CLOUD_ORIGIN"),
        site: env("CONVEX_SITE_ORIGIN"),
        dashboard: Some(Origins::default().dashboard.to_string()),
    };
    let live = Live {
        instance_name,
        secret,
        origins: origins.parse().ok_or_else(|| unusable("origins"))?,
        running: true,
    };
    cx.session
        .note(deployment, |it| it.live = Some(live.clone()));
    Ok(Found::Running(live))
}

/// The name and the secret of a deployment's instance. Unknown while this run
/// has only planned to make it.
pub async fn find_instance(
    cx: &Cx<Session>,
    deployment: &str,
) -> Result<Known<(InstanceName, InstanceSecret)>, Diagnostic> {
    let known = cx.session.deployment(deployment);
    if let Some(live) = known.live {
        return Ok(Known::Known((live.instance_name, live.secret)));
    }
    if known.planned.is_some_and(|planned| planned.creates) {
        return Ok(Known::Unknown);
    }
    match look(cx, deployment).await? {
        Found::Running(live) => Ok(Known::Known((live.instance_name, live.secret))),
        Found::Stopped(_) => Err(Diagnostic::error(
            "The deployment is stopped",
            format!(
                "The secret of {} can only be read from its volume while its backend runs. Start it, or give instance_name and instance_secret.",
                object(deployment)
            ),
        )
        .at("deployment")),
        Found::Gone => Err(no_such(deployment)),
    }
}

/// The diagnostic of a deployment that is not there.
#[must_use]
pub fn no_such(deployment: &str) -> Diagnostic {
    Diagnostic::error(
        "No such deployment",
        format!(
            "The Docker host has no {}. Give the id of a convex_deployment, and make sure that the provider's docker.host is the host it runs on.",
            object(deployment)
        ),
    )
    .at("deployment")
}
