//! What a plan says of a deployment's variables.

use super::model::{AuthModel, Model};
use crate::{
    convex::{AuthKeys, Secret},
    plugin::{Cx, Known, Plan, value::Path},
    provider::{Deployment, Session},
};

/// Finishes the plan of a deployment's variables.
pub fn finish(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    if plan.deletes() {
        return;
    }
    if plan.creates() {
        match target(plan) {
            Some(target) => plan.set("id", &target),
            None => plan.set_unknown("id"),
        }
    }
    let deployment = match plan.planned::<Option<String>>("deployment") {
        Known::Known(Some(name)) => Some(cx.session.deployment(&name)),
        _ => None,
    };
    if plan.config().has("auth") {
        auth(plan, deployment.as_ref());
    }
    state_of_backend(plan, deployment.as_ref());
}

fn target(plan: &Plan<'_>) -> Option<String> {
    let of = |path| plan.planned::<Option<String>>(path).known().flatten();
    of("deployment").or_else(|| of("url"))
}

/// Where the deployment's HTTP actions will answer, as far as this run knows.
fn site_origin(deployment: Option<&Deployment>) -> Option<Known<String>> {
    let deployment = deployment?;
    if let Some(planned) = &deployment.planned {
        return Some(match &planned.origins {
            Known::Known(origins) => Known::Known(origins.site.to_string()),
            Known::Unknown => Known::Unknown,
        });
    }
    let live = deployment.live.as_ref()?;
    Some(Known::Known(live.origins.site.to_string()))
}

fn auth(plan: &mut Plan<'_>, deployment: Option<&Deployment>) {
    let prior = plan.prior::<AuthModel>("auth");
    if !plan.config().has("auth.site_origin") {
        match (
            site_origin(deployment),
            prior.as_ref().and_then(|it| it.site_origin.as_ref()),
        ) {
            (Some(Known::Known(origin)), _) => plan.set("auth.site_origin", &origin),
            // A deployment at a URL, or one that another configuration manages.
            (None, Some(prior)) => plan.set("auth.site_origin", prior),
            _ => plan.set_unknown("auth.site_origin"),
        }
    }
    if !plan.config().has("auth.issuer") {
        match plan.planned::<Option<String>>("auth.site_origin") {
            Known::Known(origin) => plan.set("auth.issuer", &origin),
            Known::Unknown => plan.set_unknown("auth.issuer"),
        }
    }
    let generated = prior.and_then(|prior| prior.private_key);
    if !plan.config().has("auth.private_key") {
        match generated {
            Some(key) => plan.set("auth.private_key", &key),
            None => plan.set_unknown("auth.private_key"),
        }
    }
    let jwks = plan
        .planned::<Option<Secret>>("auth.private_key")
        .known()
        .flatten()
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
        .map(|keys| keys.jwks());
    match jwks {
        Some(jwks) => plan.set("auth.jwks", &jwks),
        None => plan.set_unknown("auth.jwks"),
    }
}

/// Whether the backend will run when the variables are to be set.
fn will_run(plan: &Plan<'_>, deployment: Option<&Deployment>) -> Known<bool> {
    match plan.planned::<Option<String>>("url") {
        Known::Known(Some(_)) => return Known::Known(true),
        Known::Unknown => return Known::Unknown,
        Known::Known(None) => {}
    }
    let Some(deployment) = deployment else {
        return Known::Unknown;
    };
    match (&deployment.planned, &deployment.live) {
        (Some(planned), _) => planned.running,
        (None, Some(live)) => Known::Known(live.running),
        (None, None) => Known::Unknown,
    }
}

/// Says whether the variables will be set or wait for the backend.
fn state_of_backend(plan: &mut Plan<'_>, deployment: Option<&Deployment>) {
    let prior = plan.prior::<Model>(Path::root());
    let waits = prior.as_ref().and_then(|it| it.pending) == Some(true);
    let drifted = prior
        .as_ref()
        .and_then(|it| it.drifted.clone())
        .unwrap_or_default();
    let running = will_run(plan, deployment);
    let changes = plan.creates() || plan.changes_anything();
    let made_anew = deployment
        .and_then(|deployment| deployment.planned.as_ref())
        .is_some_and(|planned| planned.creates);
    if made_anew && !plan.creates() {
        // The variables are declared as before, but the backend that has them
        // is not the same any more.
        plan.set_unknown("pending");
        plan.set_unknown("drifted");
        return;
    }
    match running {
        Known::Known(true) => {
            plan.set("pending", &false);
            plan.set("drifted", &Vec::<String>::new());
        }
        // Nothing can be set, and what is not changed does not wait.
        Known::Known(false) => {
            plan.set("pending", &(waits || changes));
            plan.set("drifted", &drifted);
        }
        Known::Unknown if changes => {
            plan.set_unknown("pending");
            plan.set_unknown("drifted");
        }
        Known::Unknown => {}
    }
}
