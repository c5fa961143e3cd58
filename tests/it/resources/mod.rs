//! Resources on real Docker, run by real Terraform.

mod admin_key_file;
mod auth_keys;
mod budget;
mod credentials;
pub mod database;
mod deployment;
mod drift;
mod env;
mod guard;
mod hardening;
mod hostile;
mod in_container;
mod interrupted;
mod modes;
mod network;
mod ownership;
mod project;
mod project_in_container;
mod refusals;
mod restore;
mod secrecy;
mod sign_in;
mod strangers;
mod survival;
mod undecided;
mod upgrade;
mod verification;

use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::support::{
    docker::{Name, images},
    terraform::{Core, Project},
};

/// A configuration around these blocks.
pub fn config(blocks: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    convex = {{ source = \"coder-convex/convex\" }}\n  }}\n}}\n{blocks}\n"
    )
}

/// A deployment with these attributes beside name and images.
pub fn deployment(name: &Name, attributes: &str) -> String {
    let images = images();
    let has = |attribute: &str| {
        attributes
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("{attribute} ")))
    };
    let mut block = format!(
        "resource \"convex_deployment\" \"app\" {{\n  name = {:?}\n",
        name.as_str()
    );
    if !has("backend") {
        block += &format!("  backend = {{ image = {:?} }}\n", images.backend);
    }
    if !has("dashboard") {
        block += &format!("  dashboard = {{ image = {:?} }}\n", images.dashboard);
    }
    if !has("volume") {
        block += "  volume = { on_destroy = \"delete\" }\n";
    }
    format!("{block}{attributes}\n}}\n")
}

/// A project with one deployment, not applied yet.
pub fn project(core: Core, name: &Name, attributes: &str) -> Project {
    Project::new(core, &config(&deployment(name, attributes)))
}

/// Rewrites the configuration.
pub fn configure(project: &Project, blocks: &str) {
    project.write("main.tf", &config(blocks));
}

/// What random tests draw from.
fn runner(seed: usize) -> TestRunner {
    TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed as u64),
        failure_persistence: None,
        ..Config::default()
    })
}

/// A number that the environment gives, such as how many rounds there are.
fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |it| it.parse().expect("a number"))
}
