//! Docker hosts that the docker command line knows by name.

use std::{path::Path, process::Command};

use super::{blocks, project};
use crate::support::{
    certificates::{Authority, Time},
    docker::{Name, Proxy, SOCKET},
    gate::Gate,
    tools,
};

/// Lets the docker command line itself make a context.
fn create(directory: &Path, name: &str, endpoint: &str) {
    tools::run(
        Command::new("docker")
            .args(["context", "create", name, "--docker", endpoint])
            .env("DOCKER_CONFIG", directory)
            .env_remove("DOCKER_HOST"),
    );
}

#[test]
fn contexts_are_read_as_the_command_line_writes_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let (one, two) = (Proxy::start(), Proxy::start());
    create(at, "one", &format!("host={}", one.host()));
    create(at, "two", &format!("host={}", two.host()));
    let name = Name::new();
    let mut project = project("", &name, "running = false");
    project.set_env("DOCKER_CONFIG", &at.display().to_string());
    project.set_env("DOCKER_CONTEXT", "one");
    project.apply().ok();
    assert!(
        !one.take().is_empty() && two.take().is_empty(),
        "by DOCKER_CONTEXT"
    );

    tools::run(
        Command::new("docker")
            .args(["context", "use", "two"])
            .env("DOCKER_CONFIG", at)
            .env_remove("DOCKER_HOST"),
    );
    project.set_env("DOCKER_CONTEXT", "");
    project.assert_no_changes();
    assert!(
        one.take().is_empty() && !two.take().is_empty(),
        "the current one"
    );

    project.write(
        "main.tf",
        &blocks("context = \"one\"", &name, "running = false"),
    );
    project.assert_no_changes();
    assert!(
        !one.take().is_empty() && two.take().is_empty(),
        "by the provider"
    );

    project.set_env("DOCKER_HOST", &two.host());
    project.write("main.tf", &blocks("", &name, "running = false"));
    project.assert_no_changes();
    assert!(
        one.take().is_empty() && !two.take().is_empty(),
        "DOCKER_HOST goes before"
    );
    project.set_env("DOCKER_HOST", "");
    project.destroy().ok();

    project.write(
        "main.tf",
        &blocks("context = \"three\"", &name, "running = false"),
    );
    project.apply().fails_with(&[
        "Docker context cannot be used",
        "docker.context",
        "\"three\"",
        "docker context create",
    ]);
    std::fs::write(at.join("config.json"), "{").expect("a file");
    project.write("main.tf", &blocks("", &name, "running = false"));
    project
        .apply()
        .fails_with(&["Docker's configuration cannot be read", "config.json"]);
}

#[test]
fn a_context_brings_its_own_certificates() {
    let authority = Authority::new();
    let server = authority.server(&["localhost"], Time::Now);
    let gate = Gate::with_tls(SOCKET, authority.gate(&server));
    let directory = tempfile::tempdir().expect("a directory");
    let files = directory.path().join("files");
    authority.client(Time::Now).write(&authority, &files);
    let file = |name: &str| files.join(name).display().to_string();
    let host = format!("tcp://localhost:{}", gate.port());
    let endpoint = format!(
        "host={host},ca={},cert={},key={}",
        file("ca.pem"),
        file("cert.pem"),
        file("key.pem")
    );
    create(directory.path(), "secured", &endpoint);
    create(
        directory.path(),
        "half",
        &format!("host={host},ca={}", file("ca.pem")),
    );
    std::fs::remove_dir_all(&files).expect("the files");
    let name = Name::new();
    let mut project = project("context = \"secured\"", &name, "running = false");
    project.set_env("DOCKER_CONFIG", &directory.path().display().to_string());
    project.apply().ok();
    project.assert_no_changes();
    assert!(gate.let_in() > 0);
    project.write(
        "main.tf",
        &blocks("context = \"half\"", &name, "running = false"),
    );
    project.plan().fails_with(&[
        "The Docker daemon wants a client certificate",
        "Docker context",
    ]);
    project.write(
        "main.tf",
        &blocks("context = \"secured\"", &name, "running = false"),
    );
    project.destroy().ok();
}
