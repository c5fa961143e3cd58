//! Objects of others that have the names a deployment needs.

use std::process::Command;

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker, images},
    terraform::{Core, Project},
};

/// An object that is not the deployment's, and the promise to remove it. Volumes are those of
/// another deployment, the others have no label of ours.
struct Stranger {
    kind: &'static str,
    name: String,
    /// What it was when it was made.
    was: String,
}

impl Stranger {
    fn new(kind: &'static str, name: &str) -> Self {
        match kind {
            "container" => {
                let image = &images().backend;
                let sleep = ["--entrypoint", "sleep", image, "600"];
                docker(&[&["run", "-d", "--name", name][..], &sleep].concat());
            }
            "network" => {
                docker(&["network", "create", name]);
            }
            _ => {
                let label = "io.github.coder-convex.deployment=other";
                docker(&["volume", "create", "--label", label, name]);
            }
        }
        let mut made = Self {
            kind,
            name: name.to_owned(),
            was: String::new(),
        };
        made.was = made.is();
        made
    }

    fn is(&self) -> String {
        let name = self.name.as_str();
        let format = match self.kind {
            "container" => {
                "{{.Id}} {{.Name}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}} {{json .HostConfig}} {{json .NetworkSettings.Networks}}"
            }
            "network" => "{{.Id}} {{json .Labels}}",
            _ => "{{.CreatedAt}} {{json .Labels}}",
        };
        let mut is = docker(&["inspect", "--type", self.kind, "-f", format, name]);
        if self.kind == "container" {
            is += &docker(&["diff", name]);
            is += &docker(&["exec", name, "ls", "-A", "/convex/data"]);
        }
        is
    }

    #[track_caller]
    fn assert_left_alone(&self) {
        assert_eq!(self.is(), self.was, "{} {}", self.kind, self.name);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let arguments: &[&str] = match self.kind {
            "container" => &["rm", "-f", "-v"],
            "network" => &["network", "rm"],
            _ => &["volume", "rm"],
        };
        let _ = Command::new("docker")
            .args(arguments)
            .arg(&self.name)
            .output();
    }
}

#[test]
fn no_verb_touches_the_objects_of_strangers() {
    let name = Name::new();
    let (backend, dashboard) = (name.container("backend"), name.container("dashboard"));
    let (probe, volume, network) = (name.container("probe"), name.volume(), name.as_str());
    let all = [
        ("container", backend.as_str()),
        ("container", &dashboard),
        ("container", &probe),
        ("network", network),
        ("volume", &volume),
    ];
    let refusal = |kind: &str, of: &str| format!("The {kind} {of} belongs to somebody else");
    let project = Project::new(Core::Installed, &config(&deployment(&name, "")));

    // Create, beside each of them.
    for (kind, of) in all {
        let stranger = Stranger::new(kind, of);
        let (whose, remedy) = match kind {
            "volume" => ("part of deployment \"other\"", "docker volume rm"),
            _ => ("not made by this provider", "Choose another name"),
        };
        project
            .apply()
            .fails_with(&[&refusal(kind, of), whose, remedy]);
        project.destroy().ok();
        stranger.assert_left_alone();
        assert_eq!(name.objects(), Vec::<String>::new());
    }

    // Change and restart, while one has the name of a container that went.
    project.apply().ok();
    for (role, of) in [("dashboard", &dashboard), ("backend", &backend)] {
        docker(&["rm", "-f", of]);
        let stranger = Stranger::new("container", of);
        configure(
            &project,
            &deployment(&name, &format!("labels = {{ a = {role:?} }}")),
        );
        project.apply().fails_with(&[&refusal("container", of)]);
        stranger.assert_left_alone();
        drop(stranger);
        project.apply().ok();
    }

    // Stop: nothing of theirs is in the way.
    let stranger = {
        docker(&["rm", "-f", &dashboard]);
        Stranger::new("container", &dashboard)
    };
    configure(&project, &deployment(&name, "running = false"));
    project.apply().ok();
    stranger.assert_left_alone();
    let mut strangers = vec![stranger];
    strangers.extend(
        [("container", &*backend), ("network", network)].map(|(kind, of)| Stranger::new(kind, of)),
    );
    project.assert_no_changes();
    configure(
        &project,
        &deployment(&name, "network = { container = null }"),
    );
    project.apply().ok();
    project.assert_no_changes();

    // Start.
    configure(&project, &deployment(&name, ""));
    project.apply().fails_with(&["belongs to somebody else"]);
    for stranger in &strangers {
        stranger.assert_left_alone();
    }

    // Destroy. What lends a look into the volume needs a name as well.
    let lender = Stranger::new("container", &probe);
    project
        .destroy()
        .fails_with(&[&refusal("container", &probe)]);
    lender.assert_left_alone();
    drop(lender);
    let left = [
        "Objects of others are left in place",
        &backend,
        &dashboard,
        network,
    ];
    project.destroy().ok().says(&left);
    for stranger in &strangers {
        stranger.assert_left_alone();
    }
    assert_eq!(name.objects(), Vec::<String>::new());
}
