//! Docker hosts that are reached by SSH.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{blocks, project, quoted};
use crate::support::{
    docker::{Name, Proxy},
    sshd::{Sshd, program},
};

fn at(host: &str, key: &str, known_hosts: &str) -> String {
    format!(
        "host = {host:?}\nssh = {{\nprivate_key = {}\nknown_hosts = {}\n}}",
        quoted(key),
        quoted(known_hosts)
    )
}

#[test]
fn a_host_behind_ssh_runs_a_deployment() {
    let sshd = Sshd::start();
    let proxy = Proxy::start();
    let name = Name::new();
    // The path behind the host is the daemon's socket over there.
    let host = format!("{}{}", sshd.address(), proxy.socket().display());
    let project = project(&at(&host, &sshd.key(), &sshd.known_hosts()), &name, "");
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(name.objects().len(), 4);
    assert!(sshd.let_in() > 0);
    assert!(!proxy.take().is_empty(), "its socket was used");
    let state = project.read("terraform.tfstate");
    assert!(!state.contains("PRIVATE KEY"), "the key is in the state");
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());

    // Nothing of it stays behind: neither a file with the key nor a program.
    let left = fs::read_dir(std::env::temp_dir())
        .expect("a directory")
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .filter(|text| text.contains(sshd.key().trim()))
        .count();
    assert_eq!(left, 0);
    let port = host
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next());
    let port = port.expect("a port");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) && !clients(port).is_empty() {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(clients(port), Vec::<String>::new());
}

/// The command lines of all `ssh` that are connected to this port.
fn clients(port: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines
        .filter(|line| line.starts_with("ssh ") && line.contains(&format!("-p {port} ")))
        .collect()
}

#[test]
fn each_way_of_not_getting_there_has_its_own_name() {
    let sshd = Sshd::start();
    let empty = tempfile::tempdir().expect("a directory");
    let bare = Sshd::with_path(&empty.path().display().to_string());
    let old = tempfile::tempdir().expect("a directory");
    program(
        old.path(),
        "docker",
        "#!/bin/sh\necho \"docker: 'dial-stdio' is not a docker command.\" >&2\nexit 1\n",
    );
    let ancient = Sshd::with_path(&old.path().display().to_string());
    let name = Name::new();
    let project = project("", &name, "running = false");
    let fails = |docker: &str, texts: &[&str]| {
        project.write("main.tf", &blocks(docker, &name, "running = false"));
        let text = project.apply().fails_with(texts).text();
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    };
    let (host, key) = (sshd.address(), sshd.key());
    fails(
        &at(&host, &key, &bare.known_hosts()),
        &[
            "The host key of the Docker host is not known",
            &host,
            "docker.ssh.known_hosts",
        ],
    );
    fails(
        &at(&host, &key, &sshd.changed_hosts()),
        &[
            "The host key of the Docker host has changed",
            "stands between",
        ],
    );
    fails(
        &at(&host, &sshd.strange_key(), &sshd.known_hosts()),
        &[
            "The Docker host lets nobody in with this key",
            "authorized_keys",
        ],
    );
    fails(
        &at(&bare.address(), &bare.key(), &bare.known_hosts()),
        &["There is no program docker on the Docker host", "docker.io"],
    );
    fails(
        &at(&ancient.address(), &ancient.key(), &ancient.known_hosts()),
        &[
            "The program docker on the Docker host cannot be used",
            "18.09",
        ],
    );
    let nowhere = format!("{host}/nowhere/docker.sock");
    fails(
        &at(&nowhere, &key, &sshd.known_hosts()),
        &[
            "No Docker daemon answers on the Docker host",
            "path of its socket",
        ],
    );
    let (closed, known) = (sshd.address(), sshd.known_hosts());
    drop(sshd);
    fails(
        &at(&closed, &key, &known),
        &[
            "The Docker host cannot be reached by SSH",
            "Connection refused",
        ],
    );
    assert_eq!(name.objects(), Vec::<String>::new());
}
