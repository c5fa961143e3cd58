//! What a plan says of credentials.

use super::model::{Keys, Model};
use crate::{
    convex::{InstanceName, InstanceSecret, Secret},
    plugin::{Diagnostic, Known, Plan, value::Path},
    resources::imported,
};

/// Finishes the plan of credentials.
pub fn finish(plan: &mut Plan<'_>) {
    if plan.deletes() {
        return;
    }
    let prior = plan.prior::<Model>(Path::root());
    let name = plan.config().get::<String>("instance_name");
    // A name that is none is refused by the attribute's own check.
    let name = name.known().and_then(|it| InstanceName::parse(&it).ok());
    let secret = secret(plan, prior.as_ref());
    match &name {
        Some(name) => {
            plan.set("id", name.as_str());
            plan.set("database_name", &name.database_name());
            warn_of_name(plan, prior.as_ref(), name);
        }
        None => {
            plan.set_unknown("id");
            plan.set_unknown("database_name");
        }
    }
    let keys = name
        .zip(secret)
        .and_then(|(name, secret)| Keys::of(&name, &secret).ok());
    match keys {
        Some(keys) => {
            plan.set("admin_key", keys.admin.as_secret());
            plan.set("read_only_admin_key", keys.read_only.as_secret());
        }
        None => {
            plan.set_unknown("admin_key");
            plan.set_unknown("read_only_admin_key");
        }
    }
}

/// The secret as far as the plan can know it.
fn secret(plan: &mut Plan<'_>, prior: Option<&Model>) -> Option<InstanceSecret> {
    let parse = |hex: &Secret| InstanceSecret::parse(hex.expose()).ok();
    let had = prior.and_then(|prior| prior.instance_secret.as_ref());
    let fresh = imported::is_fresh(plan.private());
    let changed = !plan.creates() && plan.changes("rotate_trigger");
    match plan.config().get::<Option<Secret>>("instance_secret") {
        Known::Unknown => {
            if had.is_some() {
                warn(
                    plan,
                    "instance_secret",
                    "is only known during apply. If it is another one then",
                );
            }
            None
        }
        Known::Known(Some(given)) => {
            if changed && !fresh {
                plan.report(
                    Diagnostic::error(
                        "A given secret is not rotated",
                        "rotate_trigger replaces a secret that was generated, and instance_secret gives one. Remove one of the two; a given secret is replaced by giving another.",
                    )
                    .at("rotate_trigger"),
                );
            }
            if had.is_some_and(|had| *had != given) {
                warn(plan, "instance_secret", "has changed, so");
            }
            parse(&given)
        }
        Known::Known(None) if changed && !fresh => {
            warn(plan, "rotate_trigger", "has changed, so");
            plan.set_unknown("instance_secret");
            None
        }
        Known::Known(None) => {
            if changed {
                plan.report(
                    Diagnostic::warning(
                        "The imported secret stays",
                        "rotate_trigger is set for the first time after the import, and describes the secret that was imported. To replace that secret, apply this and then change rotate_trigger again.",
                    )
                    .at("rotate_trigger"),
                );
            }
            had.and_then(parse)
        }
    }
}

/// Says in words what a new secret ends.
fn warn(plan: &mut Plan<'_>, cause: &str, how: &str) {
    plan.report(
        Diagnostic::warning(
            "All admin keys will be revoked",
            format!(
                "{cause} {how} the instance gets another secret. Once its backend is started with that, every admin key made before is refused: those that people have pasted into the dashboard, those in .env files, and those of the convex command line. Until then the new keys are refused. So let what starts the backend take instance_secret from here, and start it anew in the same apply. Data, variables and the sign-in of the app's own users stay."
            ),
        )
        .at(cause),
    );
}

fn warn_of_name(plan: &mut Plan<'_>, prior: Option<&Model>, name: &InstanceName) {
    let Some(had) = prior.and_then(|prior| prior.instance_name.as_deref()) else {
        return;
    };
    if had == name.as_str() {
        return;
    }
    plan.report(
        Diagnostic::warning(
            "The instance gets another name",
            format!(
                "instance_name changes from {had:?} to {:?}. Every admin key made before is refused once the backend is started with the new name. On a server of PostgreSQL or MySQL it will look for the database {:?}, and its data stays in the old one; with SQLite the data stays in use.",
                name.as_str(),
                name.database_name()
            ),
        )
        .at("instance_name"),
    );
}
