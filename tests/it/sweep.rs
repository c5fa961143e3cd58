//! The command that tidies up a Docker host.

use std::process::Command;

use crate::support::{
    binaries,
    docker::{Name, docker, images},
};

/// Runs the command; returns whether it succeeded and all that it said.
fn sweep(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binaries::provider())
        .arg("sweep")
        .args(arguments)
        .env_remove("DOCKER_HOST")
        .output()
        .expect("the provider runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn labels(name: &Name, role: &str) -> [String; 4] {
    [
        "--label".to_owned(),
        format!("io.github.coder-convex.deployment={}", name.as_str()),
        "--label".to_owned(),
        format!("io.github.coder-convex.role={role}"),
    ]
}

fn make(arguments: &[&str], labels: &[String], rest: &[&str]) {
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    docker(&[arguments, &labels, rest].concat());
}

#[test]
fn a_host_is_listed_and_only_what_is_asked_for_goes() {
    let (stopped, gone) = (Name::new(), Name::new());
    let image = images().backend.as_str();
    make(
        &["volume", "create"],
        &labels(&stopped, "data"),
        &[&stopped.volume()],
    );
    make(
        &["network", "create"],
        &labels(&gone, "network"),
        &[gone.as_str()],
    );
    let dashboard = gone.container("dashboard");
    let probe = stopped.container("probe");
    make(
        &["create", "--name", &dashboard],
        &labels(&gone, "dashboard"),
        &[image],
    );
    make(
        &["create", "--name", &probe],
        &labels(&stopped, "probe"),
        &[image],
    );

    let (good, listed) = sweep(&[]);
    assert!(good, "{listed}");
    let of = |name: &Name, rest: &str| format!("{}{rest}", name.as_str());
    for line in [
        of(&stopped, " is stopped; its data is kept"),
        of(&gone, " has no data"),
        format!("container {probe}  (left over)"),
        format!("network {}  (left over)", gone.as_str()),
    ] {
        assert!(listed.contains(&line), "no {line:?} in:\n{listed}");
    }
    let all = [stopped.objects(), gone.objects()].concat();
    assert_eq!(all.len(), 4, "a list changes nothing");

    // Other tests have deployments on this host, so all that is left over is not removed here.
    let (good, said) = sweep(&["--remove", gone.as_str()]);
    assert!(good, "{said}");
    assert_eq!(gone.objects(), Vec::<String>::new());
    let (good, said) = sweep(&["--remove", stopped.as_str()]);
    assert!(good && said.contains(&probe), "{said}");
    assert_eq!(stopped.objects(), [format!("volume {}", stopped.volume())]);
    let (good, said) = sweep(&["--remove", "--data", stopped.as_str()]);
    assert!(good, "{said}");
    assert_eq!(stopped.objects(), Vec::<String>::new());

    let (good, said) = sweep(&["--remove", gone.as_str()]);
    assert!(
        !good && said.contains("has nothing of a deployment"),
        "{said}"
    );
    for wrong in [
        &["--data"][..],
        &["name"],
        &["--remove", "--data"],
        &["--all"],
    ] {
        let (good, said) = sweep(wrong);
        assert!(!good && said.contains("Usage"), "{wrong:?}: {said}");
    }
}
