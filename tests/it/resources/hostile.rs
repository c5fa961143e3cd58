//! A workspace that does its worst with all that is its own: files, containers, data and the
//! address of a backend. What it can make the provider do, it would do to all users of a machine.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{config, configure, deployment};
use crate::support::{
    binaries,
    docker::{Name, docker, images},
    processes::Peak,
    terraform::{Core, Project},
};

/// What the provider may hold, in MiB.
const MOST: u64 = 64;

/// What a wait may take that nothing asked for.
const LONGEST: Duration = Duration::from_mins(1);

/// Directories and files that are as bad as files can be: holes of 2 GiB, thousands of them, FIFOs,
/// and links that lead out.
const FILES: &str = r"
    mkdir -p convex/many scripts
    truncate -s 2G .env.convex.local convex/huge.ts scripts/setup-convex.sh
    rm -f package.json convex.json tsconfig.json
    mkfifo package.json convex/pipe.ts
    ln -sf /etc/passwd convex.json
    ln -sf ../../../../../../etc convex/lib
    ln -sf /dev/zero convex/zero.ts
    i=0; while [ $i -lt 3000 ]; do truncate -s 1G convex/many/$i.ts; i=$((i + 1)); done
";

/// An address where a server never stops to answer.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                break;
            };
            thread::spawn(move || {
                let _ = connection.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"environmentVariables\":{\"A\":\"";
                let mut sent = connection.write_all(head.as_bytes());
                let part = vec![b'x'; 1 << 16];
                while sent.is_ok() {
                    sent = connection.write_all(&part);
                }
            });
        }
    });
    url
}

/// What this comes to, which must not take long.
fn measure<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let outcome = run();
    let took = began.elapsed();
    assert!(took < LONGEST, "{what} took {took:?}");
    outcome
}

/// All below a directory, with what changes when something is written there.
fn list(directory: &Path) -> String {
    let output = Command::new("find")
        .arg(directory)
        .args(["-printf", "%p %y %s %m %U %T@\n"])
        .output()
        .expect("find");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_hostile_workspace_takes_neither_memory_nor_time_nor_foreign_files() {
    let name = Name::new();
    let mut project = Project::new(Core::Installed, &config(""));
    let mark = format!("MARK_{}", name.as_str());
    project.set_env(&mark, "1");
    let peak = Peak::watch(&mark);

    // Files on this machine.
    let outside = TempDir::new().expect("a directory");
    let app = TempDir::new().expect("a directory");
    fs::write(outside.path().join("key"), "mine").expect("a file");
    let sh = |script: &str| {
        let status = Command::new("sh")
            .args(["-ec", script])
            .current_dir(app.path())
            .status();
        assert!(status.expect("sh").success());
    };
    sh(FILES);
    let before = list(outside.path());
    symlink(outside.path(), app.path().join("convex/_generated")).expect("a link");
    let verified = measure("verify", || {
        Command::new(binaries::provider())
            .args(["verify", "--json"])
            .arg(app.path())
            .env(&mark, "1")
            .output()
            .expect("the program starts")
    });

    assert_eq!(verified.status.code(), Some(1));
    assert!(verified.stdout.len() < 1 << 16);
    let files = |container: &str, directory: &str| {
        format!(
            "resource \"convex_project\" \"app\" {{\n  directory = {directory:?}\n  admin_key = \"app|01c0ffee\"\n  compose = true\n{container}\n}}\n"
        )
    };
    let directory = app.path().display().to_string();
    configure(&project, &files("", &directory));
    measure("files", || project.apply()).fails_with(&[".env.convex.local has more than 4 MiB"]);
    sh("rm .env.convex.local");
    measure("a FIFO", || project.apply()).fails_with(&["package.json is something special"]);
    assert_eq!(list(outside.path()), before);

    // Files in a container.
    let workspace = name.container("workspace");
    docker(&[
        "run",
        "-d",
        "--name",
        &workspace,
        "--entrypoint",
        "sleep",
        &images().backend,
        "1000",
    ]);
    let inside = |script: &str| docker(&["exec", &workspace, "sh", "-ec", script]);
    inside(&format!(
        "mkdir -p /home/coder/app && cd /home/coder/app\n{FILES}"
    ));
    let in_container = format!("  container = {{ id = {workspace:?} }}");
    configure(&project, &files(&in_container, "/home/coder/app"));
    measure("a link in a container", || project.apply())
        .fails_with(&["/home/coder/app/convex/lib is, or is below, a link that leads out"]);
    inside("rm /home/coder/app/convex/lib");
    measure("files in a container", || project.apply()).fails_with(&["has more than 4 MiB"]);
    docker(&["rm", "-f", "-v", &workspace]);

    // A backend that never ends its answer.
    let url = endless();
    configure(
        &project,
        &format!(
            "resource \"convex_env\" \"app\" {{\n  url = {url:?}\n  admin_key = \"app|01c0ffee\"\n  variables = {{ A = \"1\" }}\n}}\n"
        ),
    );
    measure("an endless answer", || project.apply()).fails_with(&["cannot be reached"]);

    // The data of a deployment, and the programs in its container.
    let app = format!(
        "{}resource \"convex_env\" \"app\" {{\n  deployment = convex_deployment.app.id\n  variables  = {{ A = \"1\" }}\n}}\n",
        deployment(&name, "")
    );
    configure(&project, &app);
    project.apply().ok();
    let backend = name.container("backend");
    let inside = |script: &str| docker(&["exec", &backend, "sh", "-ec", script]);
    inside(
        "mv /usr/bin/curl /usr/bin/curl.kept && printf '#!/bin/sh\\nexec yes' >/usr/bin/curl && chmod 755 /usr/bin/curl",
    );
    measure("endless output", || project.plan())
        .fails_with(&["it printed more than 16777216 bytes"]);
    inside("mv -f /usr/bin/curl.kept /usr/bin/curl");
    let credentials = "/convex/data/credentials";
    inside(&format!(
        "cp -a {credentials} /tmp/kept && cd {credentials} && truncate -s 2G instance_secret"
    ));
    let unreadable = [
        "A file in a container cannot be read",
        "instance_secret has more than 8192 bytes",
    ];
    measure("a plan with a secret of 2 GiB", || project.plan())
        .ok()
        .says(&unreadable);
    configure(
        &project,
        &app.replace(
            "app\" {\n  name",
            "app\" {\n  labels = { a = \"1\" }\n  name",
        ),
    );
    measure("a secret of 2 GiB", || project.apply()).fails_with(&unreadable);
    configure(&project, &app);
    inside(&format!(
        "cd {credentials} && rm instance_secret && mkfifo instance_secret && ln -sf /dev/zero deployment.json"
    ));
    let unreadable = ["A file in a container cannot be read", "is not a file"];
    measure("a secret that is a FIFO", || project.plan())
        .ok()
        .says(&unreadable);
    inside(&format!(
        "rm -rf {credentials} && mv /tmp/kept {credentials}"
    ));
    project.assert_no_changes();
    project.destroy().ok();

    let megabytes = peak.megabytes();
    println!("measured: a hostile workspace made the provider hold {megabytes} MiB at most");
    assert!(megabytes <= MOST, "{megabytes} MiB");
}
