//! Variables that have a form, set by hand.

use super::{config, configure, env_of, lean};
use crate::support::{
    docker::Name,
    terraform::{Core, Project},
};

/// A deployment, and the address of its app, known during apply only.
fn blocks(name: &Name, running: bool, url: &str) -> String {
    format!(
        "resource \"terraform_data\" \"url\" {{\n input = {url:?}\n}}\n{}{}",
        lean(name, &format!("running = {running}")),
        env_of("secrets = { SITE_URL = { value_wo = terraform_data.url.output } }")
    )
}

#[test]
fn a_value_that_is_known_during_apply_is_warned_of_then() {
    let warning = "The value of SITE_URL cannot be used";
    let name = Name::new();
    let project = Project::new(
        Core::Installed,
        &config(&blocks(&name, false, "canary.example.com")),
    );
    let plan = project.plan().ok().text();
    assert!(!plan.contains(warning), "{plan}");
    let said = project.apply().ok().text();
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    // Nobody compares a write-only value with a backend that does not run.
    configure(&project, &blocks(&name, true, "canary.example.com"));
    let said = project.apply().ok().text();
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    project.assert_no_changes();
    configure(&project, &blocks(&name, true, "changed.example.com"));
    let said = project.apply().ok().text();
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    configure(&project, &blocks(&name, true, "https://app.example.com"));
    let said = project.apply().ok().text();
    assert!(!said.contains(warning), "{said}");
}
