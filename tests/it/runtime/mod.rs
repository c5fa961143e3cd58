//! Where deployments run: Docker hosts of every kind, and the ways to them.

mod contexts;
mod podman;
mod registries;
mod sharing;
mod ssh;
mod tls;

use crate::{
    resources::config,
    support::{
        docker::Name,
        terraform::{Core, Project},
    },
};

/// A project with a provider of these attributes and a deployment, which is
/// not to run unless its attributes say so.
pub fn project(docker: &str, name: &Name, attributes: &str) -> Project {
    Project::new(Core::Installed, &blocks(docker, name, attributes))
}

/// The configuration of such a project.
pub fn blocks(docker: &str, name: &Name, attributes: &str) -> String {
    config(&format!(
        "provider \"convex\" {{\n  docker = {{\n{docker}\n  }}\n}}\n{}",
        crate::resources::deployment(name, attributes)
    ))
}

/// A text as a value of the configuration.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text)
        .expect("a text")
        .replace("${", "$${")
}
