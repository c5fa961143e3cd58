//! Builds that are broken off, and the builds that come after them.

use serde_json::Value as Json;

use super::{
    Id,
    inside::Inside,
    other_images,
    provisioner::{Build, Transition, Workspace},
    template,
};
use crate::support::docker::docker;

/// Whether a line says that work on a resource has begun.
fn begins(line: &Json, address: &str) -> bool {
    line["type"] == "apply_start" && line["hook"]["resource"]["addr"] == address
}

/// Whether it says that it is done.
fn done(line: &Json, address: &str) -> bool {
    line["type"] == "apply_complete" && line["hook"]["resource"]["addr"] == address
}

/// Builds it once more, which must make up for what was broken off.
#[track_caller]
fn recovers(workspace: &mut Workspace) -> Build {
    let build = workspace.build(Transition::Start);
    assert_eq!(Inside::of(&build).healthy_apps().len(), 3);
    Inside::of(&build).run_scripts();
    workspace.assert_settled(Transition::Start);
    build
}

#[test]
fn a_cancelled_start_is_made_up_for_by_the_next_one() {
    let id = Id::new();
    let mut workspace = id.workspace(template("docker"));
    // Cancelled at each step, from a container that is alone to a backend that nobody has waited
    // for yet.
    let volume = format!("volume {}-data", id.deployment());
    let backend = format!("container {}-backend", id.deployment());
    for reached in [None, Some(&volume), Some(&backend)] {
        let said = workspace.start_and_break_off("INT", |line| match reached {
            None => done(line, "docker_container.workspace[0]"),
            Some(object) => {
                let begins = begins(line, "convex_deployment.app");
                if begins {
                    id.wait_for(object);
                }
                begins
            }
        });
        assert!(said.contains("nterrupt"), "{said}");
        assert!(workspace.has_resources(), "{said}");
    }
    let first = recovers(&mut workspace);
    let key = first.resource("convex_deployment.app")["admin_key"].clone();

    // Cancelled between the deployment and its variables, on a start from a stop.
    workspace.build(Transition::Stop);
    workspace.start_and_break_off("INT", |line| done(line, "convex_deployment.app"));
    let second = recovers(&mut workspace);
    assert_eq!(second.resource("convex_deployment.app")["admin_key"], key);
    workspace.build(Transition::Destroy);
    assert_eq!(id.objects(), <[&str; 0]>::default());
}

/// The containers of the workspace that are not the deployment's own.
fn lenders(id: &Id) -> Vec<String> {
    let objects = id.objects().into_iter();
    let own = format!("container {}", id.deployment());
    objects
        .filter(|it| it.starts_with("container ") && !it.starts_with(&own))
        .collect()
}

/// What Coder kills after a cancel that takes too long leaves no state. Nobody needs to know
/// Docker to go on: the next build finds what was left, whether it starts or deletes.
#[test]
fn what_a_killed_start_has_left_is_found_by_the_next_build() {
    let id = Id::new();
    let mut workspace = id.workspace(template("docker"));
    workspace.start_and_break_off("KILL", |line| done(line, "convex_deployment.app"));
    assert!(!workspace.has_resources());
    let data = format!("volume {}-data", id.deployment());
    assert!(id.objects().contains(&data), "{:?}", id.objects());
    let script = "cat /convex/data/credentials/instance_secret";
    let secret = docker(&[
        "exec",
        &format!("{}-backend", id.deployment()),
        "sh",
        "-c",
        script,
    ]);
    let killed = lenders(&id);
    let build = recovers(&mut workspace);
    assert_eq!(
        build.resource("convex_deployment.app")["instance_secret"],
        secret
    );
    let name = killed[0].trim_start_matches("container ");
    assert!(
        build.said.contains("Leftover container removed"),
        "{}",
        build.said
    );
    assert!(build.said.contains(name), "{}", build.said);
    assert_eq!(lenders(&id).len(), 1, "{:?}", id.objects());
    assert_ne!(lenders(&id), killed);

    // With a state, from before the deployment was touched.
    for _ in 0..2 {
        workspace.start_and_break_off("KILL", |line| done(line, "docker_container.workspace[0]"));
    }
    recovers(&mut workspace);
    assert_eq!(lenders(&id).len(), 1, "{:?}", id.objects());

    workspace.build(Transition::Stop);
    workspace.start_and_break_off("KILL", |line| done(line, "convex_deployment.app"));
    assert_eq!(lenders(&id).len(), 1, "{:?}", id.objects());
    workspace.build(Transition::Destroy);
    assert_eq!(id.objects(), <[&str; 0]>::default());
}

/// The workspace's own PostgreSQL server is among it, and no two servers have the same data.
#[test]
fn a_killed_start_with_postgresql_is_resumed_on_the_same_data() {
    let id = Id::new();
    let template = template("docker-postgres").with("postgres_image", &other_images().postgres);
    let mut workspace = id.workspace(template);
    workspace.start_and_break_off("KILL", |line| done(line, "convex_deployment.app"));
    assert!(!workspace.has_resources());
    let first = recovers(&mut workspace);
    let key = first.resource("convex_deployment.app")["admin_key"].clone();
    workspace.start_and_break_off("KILL", |line| done(line, "docker_container.postgres[0]"));
    let second = recovers(&mut workspace);
    assert_eq!(second.resource("convex_deployment.app")["admin_key"], key);
    let servers = id.objects();
    let servers = servers.iter().filter(|it| it.contains("-postgres-"));
    assert_eq!(servers.count(), 1);
    workspace.build(Transition::Destroy);
    assert_eq!(id.objects(), <[&str; 0]>::default());
}
