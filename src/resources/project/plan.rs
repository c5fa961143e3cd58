//! What a plan says of a project.

use serde::de::IgnoredAny;

use super::{inputs::Inputs, model::Model};
use crate::{
    convex::Secret,
    plugin::{Diagnostic, Known, Plan, value::Path},
};

/// What the files without secrets depend on.
const PLAIN: [&str; 11] = [
    "directory",
    "name",
    "url",
    "instance_name",
    "images",
    "slugs",
    "site_url",
    "pattern",
    "frontend",
    "policies",
    "package_manager",
];

/// What the others depend on besides.
const SECRET: [&str; 4] = ["origins", "admin_key", "database_url", "private_key"];

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
    let origins = known(plan, &["origins", "internal_origins", "install"]);
    let secret = known(plan, &SECRET);
    let outline = plan.outline::<Model>(Path::root());
    if plan.creates() {
        match &outline {
            Some(model) => plan.set("id", &model.directory),
            None => plan.set_unknown("id"),
        }
        plan.set_unknown("detected_package_manager");
    }
    let inputs = outline.map(|model| model.inputs());
    let rendered = inputs.filter(|_| files_known).map(|mut inputs| {
        for diagnostic in inputs.check_policies() {
            plan.report(diagnostic);
        }
        stand_in(plan, &mut inputs);
        inputs.rendered()
    });
    let rendered = match rendered {
        Some(Ok(rendered)) => Some(rendered),
        Some(Err(diagnostic)) => {
            plan.report(diagnostic);
            None
        }
        None => None,
    };
    match &rendered {
        Some(rendered) => plan.set("files", &rendered.files),
        None => plan.set_unknown("files"),
    }
    match &rendered {
        Some(rendered) if origins => plan.set("install_script", &rendered.install_script),
        _ => plan.set_unknown("install_script"),
    }
    match &rendered {
        Some(rendered) if origins && secret => {
            plan.set("secret_files", &rendered.secret_files);
            plan.set("secret_install_script", &rendered.secret_install_script);
        }
        _ => {
            plan.set_unknown("secret_files");
            plan.set_unknown("secret_install_script");
        }
    }
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

/// A key that is not known yet is one all the same.
fn stand_in(plan: &Plan<'_>, inputs: &mut Inputs) {
    if inputs.admin_key.is_none() && plan.config().has("admin_key") {
        let unknown = plan
            .config()
            .get::<Option<Secret>>("admin_key")
            .is_unknown();
        inputs.admin_key = unknown.then(|| ANY_KEY.into());
    }
    // Unknown origins read as such with gaps.
    if inputs
        .origins
        .as_ref()
        .is_some_and(|it| it.parse().is_none())
    {
        inputs.origins = None;
    }
}
