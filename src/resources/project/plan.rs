//! What a plan says of a project.

use serde::de::IgnoredAny;

use super::{inputs::Inputs, model::Model, rendered::Overview};
use crate::{
    convex::Secret,
    plugin::{Diagnostic, Known, Plan, value::Path},
    render::project::{SETUP, VITE_CONFIG},
};

/// What the files without secrets depend on.
const PLAIN: [&str; 13] = [
    "directory",
    "name",
    "url",
    "instance_name",
    "images",
    "slugs",
    "site_url",
    "pattern",
    "frontend",
    "compose",
    "agents",
    "policies",
    "package_manager",
];

/// What the others depend on besides.
const SECRET: [&str; 5] = [
    "origins",
    "internal_origins",
    "admin_key",
    "database_url",
    "private_key",
];

/// Files without secrets in which the origins are.
const WITH_ORIGINS: [&str; 2] = [VITE_CONFIG, SETUP];

/// What stands for a key that is not known yet where only its presence counts.
const ANY_KEY: &str = "any|00";

/// Finishes the plan of a project.
pub fn finish(plan: &mut Plan<'_>) {
    if plan.deletes() {
        return;
    }
    container(plan);
    let known = |plan: &Plan<'_>, paths: &[&str]| {
        paths
            .iter()
            .all(|path| !plan.planned::<IgnoredAny>(*path).is_unknown())
    };
    let files_known = known(plan, &PLAIN);
    let origins = known(plan, &["origins"]);
    let install = known(plan, &["install"]);
    let secret = known(plan, &SECRET);
    let outline = plan.outline::<Model>(Path::root());
    if plan.creates() {
        match &outline {
            Some(model) => plan.set("id", &model.directory),
            None => plan.set_unknown("id"),
        }
    }
    let first = is_first(plan);
    if first {
        plan.set_unknown("detected_package_manager");
    }
    let inputs = outline.map(|model| model.inputs());
    let Some((made, keyless)) = inputs
        .filter(|_| files_known)
        .and_then(|inputs| rendered(plan, inputs))
    else {
        for attribute in [
            "files",
            "secret_files",
            "agent_env",
            "install_script",
            "next_steps",
        ] {
            plan.set_unknown(attribute);
        }
        return;
    };
    let overview = made.overview;
    let mut steps_known = !first || plan.config().has("package_manager");
    plan.set("files", &overview.files);
    if let Some(keyless) = keyless {
        steps_known &= keyless.steps == made.steps;
        for (path, file) in &overview.files {
            if keyless.overview.files.get(path) != Some(file) {
                contents_unknown(plan, path);
            }
        }
    }
    plan.set("secret_files", &overview.secret_files);
    plan.set("agent_env", &overview.agent_env);
    plan.set("install_script", &overview.install_script);
    plan.set("next_steps", &made.steps);
    for (attribute, known) in [
        ("secret_files", secret),
        ("agent_env", origins),
        ("install_script", install),
        ("next_steps", steps_known),
    ] {
        if !known {
            plan.set_unknown(attribute);
        }
    }
    // Without a key, two of the files are not written.
    if !known(plan, &["private_key"]) {
        plan.set_unknown("files");
    } else if !origins {
        for path in WITH_ORIGINS {
            if overview.files.contains_key(path) {
                contents_unknown(plan, path);
            }
        }
    }
}

/// Leaves open what is in a file that is written.
fn contents_unknown(plan: &mut Plan<'_>, path: &str) {
    let file = Path::of("files").key(path);
    plan.set_unknown(file.attribute("size"));
    plan.set_unknown(file.attribute("sha256"));
}

/// What a project's inputs come to.
struct Made {
    overview: Overview,
    steps: String,
}

/// What can be said of the files already. A key that is not known yet may turn out to be none, so
/// there is a second answer then, without it.
fn rendered(plan: &mut Plan<'_>, mut inputs: Inputs) -> Option<(Made, Option<Made>)> {
    for diagnostic in inputs.check_policies() {
        plan.report(diagnostic);
    }
    let key = plan.config().get::<Option<Secret>>("admin_key");
    // Unknown origins read as such with gaps.
    inputs.origins = inputs.origins.filter(|it| it.parse().is_some());
    let detected = plan.prior::<String>("detected_package_manager");
    let render = |inputs: &Inputs| {
        Ok(Made {
            overview: inputs.overview()?,
            steps: inputs.next_steps(detected.as_deref())?,
        })
    };
    let keyless = key.is_unknown().then(|| render(&inputs));
    if key.is_unknown() {
        inputs.admin_key = Some(ANY_KEY.into());
    }
    match keyless
        .transpose()
        .and_then(|keyless| Ok((render(&inputs)?, keyless)))
    {
        Ok(made) => Some(made),
        Err(diagnostic) => {
            plan.report(diagnostic);
            None
        }
    }
}

/// Whether the directory is looked at for the first time by this apply, or may be: what it says of
/// its package manager is not known then.
fn is_first(plan: &Plan<'_>) -> bool {
    let waits_on = matches!(plan.planned::<bool>("pending"), Known::Known(true));
    plan.creates() || (plan.prior::<bool>("pending") == Some(true) && !waits_on)
}

/// Says whether files will be written, or wait for the container.
fn container(plan: &mut Plan<'_>) {
    let config = plan.config();
    let directory = config.get::<Option<String>>("directory").known().flatten();
    if config.has("container") && directory.is_some_and(|it| !it.starts_with('/')) {
        plan.report(
            Diagnostic::error(
                "Not an absolute path",
                "In a container the directory must be an absolute path, such as /home/coder/app.",
            )
            .at("directory"),
        );
    }
    let waits = match config.get::<Option<String>>("container.id") {
        _ if !config.has("container") => Known::Known(false),
        Known::Known(id) => Known::Known(id.is_none()),
        Known::Unknown => Known::Unknown,
    };
    let prior = plan.prior::<Vec<String>>("drifted").unwrap_or_default();
    match waits {
        Known::Known(false) => {
            plan.set("pending", &false);
            plan.set("drifted", &Vec::<String>::new());
        }
        // Nothing can be brought in order.
        Known::Known(true) => {
            plan.set("pending", &true);
            plan.set("drifted", &prior);
        }
        Known::Unknown => {
            plan.set_unknown("pending");
            plan.set_unknown("drifted");
        }
    }
}
