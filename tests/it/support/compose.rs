//! The real `docker compose`, version 2, which Debian has no package of.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools;

/// A directory for `DOCKER_CONFIG` in which Docker finds the plugin `compose`. Building it takes
/// minutes, the first time.
pub fn docker_config() -> PathBuf {
    let program = tools::printed(Command::new(".ci/tool").args(["compose", "docker-compose"]));
    let program = PathBuf::from(program);
    let version = program.parent().and_then(Path::file_name);
    let version = version.and_then(OsStr::to_str).expect("a directory");
    tools::installed(version, |directory| {
        let plugins = directory.join("cli-plugins");
        fs::create_dir(&plugins).expect("the plugins' directory");
        symlink(&program, plugins.join("docker-compose")).expect("the plugin");
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
