//! What a plan says of a deployment's variables.

use super::{
    model::{AuthModel, Model},
    seen::Seen,
};
use crate::{
    convex::{AuthKeys, Secret},
    plugin::{Cx, Known, Plan, value::Path},
    resources::deployment::locate,
    session::{Deployment, Session},
};

/// Finishes the plan of a deployment's variables.
pub async fn finish(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    if plan.deletes() {
        return;
    }
    if plan.creates() {
        match target(plan) {
            Some(target) => plan.set("id", &target),
            None => plan.set_unknown("id"),
        }
    }
    let deployment = deployment(cx, plan).await;
    let seen = Seen::of(deployment.as_ref(), plan.private());
    if plan.config().has("auth") {
        auth(plan, &seen);
    }
    state_of_backend(plan, &seen);
}

fn target(plan: &Plan<'_>) -> Option<String> {
    let of = |path| plan.planned::<Option<String>>(path).known().flatten();
    of("deployment").or_else(|| of("url"))
}

/// What this run knows of the deployment. For a new resource nothing may be
/// known yet; then, and only then, the deployment itself is looked at.
async fn deployment(cx: &Cx<Session>, plan: &Plan<'_>) -> Option<Deployment> {
    let name = plan
        .planned::<Option<String>>("deployment")
        .known()
        .flatten()?;
    let known = cx.session.deployment(&name);
    let nothing = known.planned.is_none() && known.live.is_none();
    if plan.creates() && nothing && cx.session.knows_docker() {
        // What cannot be found out now is left open until apply, which will
        // say what is wrong.
        let _ = locate(cx, &name).await;
        return Some(cx.session.deployment(&name));
    }
    Some(known)
}

fn auth(plan: &mut Plan<'_>, seen: &Seen) {
    let prior = plan.prior::<AuthModel>("auth");
    if !plan.config().has("auth.site_origin") {
        let before = prior.as_ref().and_then(|it| it.site_origin.as_ref());
        match (&seen.site_origin, before) {
            (Some(Known::Known(origin)), _) => plan.set("auth.site_origin", origin),
            // A deployment at a URL, which told it when it was first asked.
            (None, Some(before)) => plan.set("auth.site_origin", before),
            _ => plan.set_unknown("auth.site_origin"),
        }
    }
    if !plan.config().has("auth.issuer") {
        match plan.planned::<Option<String>>("auth.site_origin") {
            Known::Known(origin) => plan.set("auth.issuer", &origin),
            Known::Unknown => plan.set_unknown("auth.issuer"),
        }
    }
    if !plan.config().has("auth.private_key") {
        match prior.and_then(|prior| prior.private_key) {
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

/// Says whether the variables will be set or wait for the backend.
fn state_of_backend(plan: &mut Plan<'_>, seen: &Seen) {
    let by_url = plan.planned::<Option<String>>("url");
    let running = match by_url {
        Known::Known(Some(_)) => Known::Known(true),
        Known::Known(None) => seen.running,
        Known::Unknown => Known::Unknown,
    };
    let prior = plan.prior::<Model>(Path::root());
    let waits = prior.as_ref().and_then(|it| it.pending) == Some(true);
    let drifted = prior
        .as_ref()
        .and_then(|it| it.drifted.clone())
        .unwrap_or_default();
    let changes = plan.creates() || plan.changes_anything();
    if seen.made_anew && !plan.creates() {
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
