//! What a plan says of a deployment's variables.

use serde::de::IgnoredAny;

use super::{
    auth,
    backend::Target,
    batch::{self, Before},
    compare::{self, Comparison},
    forms, limits,
    model::{Model, OnConflict, SecretModel},
    seen::{self, Seen},
};
use crate::{
    convex::{ApiOrigin, Secret, env_var::VarName},
    plugin::{Config, Cx, Diagnostic, Known, Plan, value::Path},
    resources::deployment::{Found, look},
    session::{Claim, Session},
};

/// Finishes the plan of a deployment's variables.
pub async fn finish(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    if plan.deletes() {
        deletion(plan);
        return;
    }
    let target = target(plan);
    if plan.creates() {
        match target.as_ref().and_then(Target::id) {
            Some(id) => plan.set("id", id),
            None => plan.set_unknown("id"),
        }
    }
    let seen = seen(cx, plan);
    secrecy(cx, plan, &seen).await;
    if plan.config().has("auth") {
        auth::plan(plan, &seen);
    }
    if let Some(target) = &target {
        claim(cx, plan, target);
    }
    let comparison = match &target {
        Some(target) => compare::look(cx, plan, target, &seen).await,
        None => Comparison::default(),
    };
    mark(plan, &seen, &comparison);
    conclude(plan, &seen, &comparison);
    report(plan, target.as_ref(), &comparison);
    forms::report(plan, &comparison);
}

/// What a destruction leaves behind is said before.
fn deletion(plan: &mut Plan<'_>) {
    let Some(prior) = plan.prior::<Model>(Path::root()) else {
        return;
    };
    let target = Target::of(&prior);
    if prior.keeps_variables() {
        return;
    }
    if target.lacks_key() {
        plan.report(Diagnostic::warning(
            "The variables stay",
            format!(
                "The key of {} is not kept, so its variables cannot be removed when this resource is destroyed. They stay as they are; set on_destroy to \"keep\" to say that this is meant.",
                target.object()
            ),
        ));
    } else if seen::was_stopped(plan.private()) {
        let before = Before::of(&prior, plan.private());
        if let Some(warning) = stay_behind(&target, &before) {
            plan.report(warning);
        }
    }
}

/// What cannot be removed from a backend that does not run.
pub fn stay_behind(target: &Target, before: &Before) -> Option<Diagnostic> {
    let names: Vec<_> = before.managed().iter().map(VarName::as_str).collect();
    (!names.is_empty()).then(|| {
        Diagnostic::warning(
            "The variables stay",
            format!(
                "The backend of {} does not run, so these variables cannot be removed: {}. As long as its volume is kept they stay in it, and are there again when a backend runs on it. To remove them, start the deployment before this resource is destroyed.",
                target.object(),
                names.join(", ")
            ),
        )
    })
}

/// The backend that is meant, where that is known.
fn target(plan: &Plan<'_>) -> Option<Target> {
    let text = |path| plan.planned::<Option<String>>(path).known();
    let secret = |path| plan.config().get::<Option<Secret>>(path).known();
    Some(Target {
        deployment: text("deployment")?,
        url: text("url")?,
        admin_key: secret("admin_key")
            .flatten()
            .or_else(|| secret("admin_key_wo").flatten()),
        ca_pem: text("ca_pem")?,
    })
}

/// Whether the deployment is reached by a URL. Either of the two ways may be
/// not known yet and turn out not to be given.
fn by_url(plan: &Plan<'_>) -> Known<bool> {
    let config = plan.config();
    let deployment = config.get::<Option<String>>("deployment");
    match (deployment, config.has("url")) {
        (Known::Known(Some(_)), _) | (Known::Unknown, false) => Known::Known(false),
        (Known::Known(None), _) => Known::Known(true),
        (Known::Unknown, true) => Known::Unknown,
    }
}

/// What this run knows of the deployment.
fn seen(cx: &Cx<Session>, plan: &mut Plan<'_>) -> Seen {
    let by_url = by_url(plan);
    let name = plan.planned::<Option<String>>("deployment").known();
    let deployment = name.flatten().map(|name| cx.session.deployment(&name));
    let changes = deployment.as_ref().is_some_and(|it| it.planned.is_some());
    if plan.creates() && !changes && by_url != Known::Known(true) {
        return Seen::nothing();
    }
    let mut seen = Seen::of(deployment.as_ref(), plan.private());
    match by_url {
        // It is not for this provider to start or stop it. Its data may be for it all the same.
        Known::Known(true) => {
            seen.running = Known::Known(true);
            let url = plan.planned::<Option<String>>("url").known().flatten();
            seen.other_data = url.is_some_and(|url| cx.session.gives_other_data(&url));
        }
        Known::Known(false) => {}
        Known::Unknown => seen.running = Known::Unknown,
    }
    seen
}

/// Two resources must not declare the same variable of one backend: each would
/// undo what the other does.
fn claim(cx: &Cx<Session>, plan: &mut Plan<'_>, target: &Target) {
    let moves = !plan.creates() && (plan.changes("deployment") || plan.changes("url"));
    let Some(id) = target.id().filter(|_| !moves) else {
        return;
    };
    let names = planned_names(plan);
    let exclusive = plan.planned::<Option<bool>>("exclusive") == Known::Known(Some(true));
    let claim = Claim {
        // One that is replaced is planned once more as a new one, and then
        // still has its identity.
        owner: seen::identity(plan.private()),
        names: names.iter().map(|(name, _)| name.clone()).collect(),
        exclusive,
    };
    let Some(both) = cx.session.claim(id, claim) else {
        return;
    };
    let culprit = names.iter().find(|(name, _)| both.contains(name));
    plan.report(match culprit {
        Some((_, path)) => Diagnostic::error(
            "Declared by two resources",
            format!(
                "Another convex_env declares {} of {} too, so each would undo what the other does. Declare every variable in one of them only.",
                both.iter().cloned().collect::<Vec<_>>().join(", "),
                target.object()
            ),
        )
        .at(path.clone()),
        None => Diagnostic::error(
            "Not the only one",
            format!(
                "One of two convex_env of {} is exclusive, so it would remove what the other declares. Set exclusive to false, or put all variables into one.",
                target.object()
            ),
        )
        .at("exclusive"),
    });
}

/// Every name a configuration declares, with its attribute.
pub fn declared_names(config: Config<'_>) -> Vec<(String, Path)> {
    let of_map = |attribute: &str| {
        let keys = config.keys(attribute).known().unwrap_or_default();
        let path = Path::of(attribute);
        keys.into_iter()
            .map(move |key| (key.clone(), path.key(key)))
    };
    let of_auth = auth::declared_names(config);
    of_map("variables")
        .chain(of_map("secrets"))
        .chain(of_auth)
        .collect()
}

/// The value of a name that a configuration declares at `path`, and the attribute that holds it;
/// `None` while it is not known.
pub fn declared_value(config: Config<'_>, path: &Path) -> Option<(Secret, Path)> {
    let leaves = ["value", "value_wo"].map(|leaf| path.attribute(leaf));
    [path.clone()].into_iter().chain(leaves).find_map(|at| {
        Some((
            config.get::<Option<Secret>>(at.clone()).known().flatten()?,
            at,
        ))
    })
}

/// Every name a plan declares: also those whose value follows from the
/// deployment.
pub fn planned_names(plan: &Plan<'_>) -> Vec<(String, Path)> {
    let mut names = declared_names(plan.config());
    names.extend(auth::derived_names(plan));
    names
}

/// Whether secrets are kept, and the attributes that may then not be used.
async fn secrecy(cx: &Cx<Session>, plan: &mut Plan<'_>, seen: &Seen) {
    if !plan.config().has("secrets_in_state") {
        let prior = plan.prior::<bool>("secrets_in_state");
        match &seen.traits {
            // Found out when the backend starts.
            _ if seen.is_stopped() && !plan.creates() && prior.is_none() => {
                plan.set("secrets_in_state", &None::<bool>);
            }
            Some(Known::Known(traits)) => plan.set("secrets_in_state", &traits.keeps_secrets),
            None if by_url(plan) == Known::Known(true) => plan.set("secrets_in_state", &true),
            None if prior.is_some() => plan.set("secrets_in_state", &prior),
            Some(Known::Unknown) | None => plan.set_unknown("secrets_in_state"),
        }
    }
    let keeps = match plan.planned::<Option<bool>>("secrets_in_state") {
        Known::Known(keeps) => keeps,
        Known::Unknown => keeps_secrets_now(cx, plan).await,
    };
    if keeps != Some(false) {
        return;
    }
    let mut kept = vec![
        (Path::of("admin_key"), "admin_key_wo"),
        (
            Path::of("auth").attribute("private_key"),
            "auth.private_key_wo",
        ),
    ];
    for name in plan.config().keys("secrets").known().unwrap_or_default() {
        kept.push((Path::of("secrets").key(name).attribute("value"), "value_wo"));
    }
    for (path, instead) in kept {
        let given = plan.config().get::<Option<Secret>>(path.clone());
        if matches!(given, Known::Known(Some(_))) {
            plan.report(
                Diagnostic::error(
                    "A secret that would be in the state",
                    format!("{path} is kept in the state, and secrets_in_state is false here or on the deployment. Use {instead}."),
                )
                .at(path),
            );
        }
    }
}

/// What the deployment of a new resource says of secrets now. It is not
/// promised, but what it refuses is refused before anything is in the state.
async fn keeps_secrets_now(cx: &Cx<Session>, plan: &Plan<'_>) -> Option<bool> {
    let name = plan.planned::<Option<String>>("deployment").known();
    let name = name.flatten().filter(|it| cx.session.reaches(it))?;
    match look(cx, &name).await.ok()? {
        Found::Running(live) => Some(live.keeps_secrets),
        Found::Stopped(_) | Found::Gone => None,
    }
}

/// Shows which secrets will be set.
fn mark(plan: &mut Plan<'_>, seen: &Seen, comparison: &Comparison) {
    let names = plan.config().keys("secrets").known().unwrap_or_default();
    for name in names {
        let element = Path::of("secrets").key(&name);
        let path = element.attribute("set");
        let before = plan
            .prior::<SecretModel>(element)
            .and_then(|secret| secret.set);
        match (seen.running, before) {
            (Known::Known(true), Some(false)) => plan.set(path, &true),
            (Known::Known(false), None) => plan.set(path, &false),
            (Known::Unknown, Some(false)) => plan.set_unknown(path),
            (_, Some(true)) if comparison.shows && comparison.differing.contains(&name) => {
                plan.set_unknown(path);
            }
            _ => {}
        }
    }
}

/// Says whether the variables will be set or wait for the backend.
fn conclude(plan: &mut Plan<'_>, seen: &Seen, comparison: &Comparison) {
    let prior = plan.prior::<Model>(Path::root());
    let waits = prior.as_ref().and_then(|it| it.pending) == Some(true);
    // Where the data may be other data, the variables are declared as before and sent anew.
    let unseen = comparison.differs || seen.other_data;
    let changes = plan.creates() || plan.changes_anything() || unseen;
    let has_adopted = prior
        .as_ref()
        .and_then(|it| it.adopted.as_ref())
        .is_some_and(|names| !names.is_empty());
    let may_adopt = match plan.planned::<Option<String>>("on_conflict") {
        Known::Known(text) => OnConflict::parse(text.as_deref()) == OnConflict::Adopt,
        Known::Unknown => true,
    };
    let nothing = Vec::<String>::new();
    match seen.running {
        Known::Known(true) => {
            plan.set("pending", &false);
            plan.set("drifted", &nothing);
            plan.set("undeclared", &nothing);
        }
        // Nothing can be set, and what is not changed does not wait.
        Known::Known(false) => {
            plan.set("pending", &(waits || changes));
            for (path, names) in [
                ("drifted", prior.as_ref().and_then(|it| it.drifted.as_ref())),
                (
                    "undeclared",
                    prior.as_ref().and_then(|it| it.undeclared.as_ref()),
                ),
            ] {
                plan.set(path, names.unwrap_or(&nothing));
            }
        }
        Known::Unknown if changes => {
            for path in ["pending", "drifted", "undeclared"] {
                plan.set_unknown(path);
            }
        }
        Known::Unknown => {}
    }
    let sends = plan.changes_anything() || unseen;
    let stopped = seen.is_stopped();
    if plan.creates() {
        if stopped {
            plan.set("revision", &0);
        }
        if stopped || !may_adopt {
            plan.set("adopted", &nothing);
        }
    } else if sends {
        if !stopped {
            plan.set_unknown("revision");
        }
        // What is declared anew is not left as it was any more.
        if has_adopted || (may_adopt && !stopped) {
            plan.set_unknown("adopted");
        }
    }
}

/// Says what no attribute can show, and refuses what would be refused later.
fn report(plan: &mut Plan<'_>, target: Option<&Target>, comparison: &Comparison) {
    let is_declared_anew = plan.creates() || plan.changes("variables") || plan.changes("secrets");
    if is_declared_anew
        && !comparison.is_counted
        && let Some(overflow) = limits::of_config(plan.config())
    {
        plan.report(overflow);
    }
    let Some(target) = target else { return };
    let object = target.object();
    exposure(plan, target);
    for (name, path) in &comparison.conflicts {
        plan.report(batch::conflict(&object, name, path));
    }
    if let Some(overflow) = &comparison.overflow {
        plan.report(overflow.clone());
    }
    let list = |names: &[String]| names.join(", ");
    if !comparison.removes.is_empty() {
        plan.report(
            Diagnostic::warning(
                "Variables will be removed",
                format!(
                    "{object} has variables that are not declared here, and exclusive is true, so these go: {}.",
                    list(&comparison.removes)
                ),
            )
            .at("exclusive"),
        );
    }
    if !comparison.changed_outside.is_empty() {
        plan.report(Diagnostic::warning(
            "Variables were changed outside Terraform",
            format!(
                "These variables of {object} are not what was set, and will be set again: {}.",
                list(&comparison.changed_outside)
            ),
        ));
    }
}

/// Says that the key can be read on the way, when the way is new.
fn exposure(plan: &mut Plan<'_>, target: &Target) {
    if !plan.creates() && !plan.changes("url") {
        return;
    }
    let origin = target.url.as_deref().map(ApiOrigin::parse);
    let Some(Ok(origin)) = origin else { return };
    if origin.is_in_the_open() {
        plan.report(
            Diagnostic::warning(
                "The admin key is sent without encryption",
                format!(
                    "With every request to {origin} the admin key, which is full control over the deployment, and the values of all variables can be read on the way. Give an address with https, unless the network is your own."
                ),
            )
            .at("url"),
        );
    }
}

/// What a plan declares, as far as it is known. Write-only values are those of
/// the configuration.
pub fn planned_model(plan: &Plan<'_>) -> Model {
    let config = plan.config();
    let variables = config
        .keys("variables")
        .known()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| {
            let path = Path::of("variables").key(&name);
            let value = plan.planned::<Option<String>>(path).known().flatten()?;
            Some((name, value))
        });
    let secrets = config
        .keys("secrets")
        .known()
        .unwrap_or_default()
        .into_iter()
        .map(|name| {
            let element = Path::of("secrets").key(&name);
            let value = |path| config.get::<Option<Secret>>(path).known().flatten();
            let version = element.attribute("value_wo_version");
            let secret = SecretModel {
                value: value(element.attribute("value")),
                value_wo: value(element.attribute("value_wo")),
                value_wo_version: config.get::<Option<i64>>(version).known().flatten(),
                set: None,
            };
            (name, secret)
        });
    Model {
        variables: Some(variables.collect()),
        secrets: Some(secrets.collect()),
        auth: plan.outline("auth"),
        // Until it is known what stays, nothing is said to go.
        exclusive: plan
            .planned::<bool>("exclusive")
            .known()
            .filter(|_| !plan.planned::<IgnoredAny>("unmanaged").is_unknown()),
        unmanaged: plan.planned::<Option<_>>("unmanaged").known().flatten(),
        on_conflict: plan.planned("on_conflict").known(),
        ..Model::default()
    }
}
