//! The real `docker compose`, version 2, which Debian has no package of.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools;

/// A directory for `DOCKER_CONFIG` in which Docker finds the plugin `compose`. Building it takes
/// minutes, the first time.
pub fn docker_config() -> PathBuf {
    tools::installed("docker-compose-2.40.3", |directory| {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/compose");
        fs::create_dir(directory.join("cli-plugins")).expect("the plugins' directory");
        tools::run(
            Command::new("go")
                .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
                .arg(directory.join("cli-plugins/docker-compose"))
                .arg("github.com/docker/compose/v2/cmd")
                .env("CGO_ENABLED", "0")
                .current_dir(module),
        );
    })
}

/// `docker compose` with these arguments.
pub fn compose(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command
        .arg("compose")
        .args(arguments)
        .current_dir(directory)
        .env("DOCKER_CONFIG", docker_config())
        .env_remove("DOCKER_HOST");
    command
}
