//! Builds that are cancelled or killed, and what their owner does then, with Coder alone.

use std::{fs, sync::Arc};

use super::{docker_template, life::works, log, person, running::Server, workspace::Workspace};
use crate::coder::provisioner::{children, send};

/// What the next build says of a start that was killed, and what it does about it.
const MENDED: [&str; 4] = [
    log::REPLACEMENTS,
    "Containers exist that should not",
    "Existing data taken over",
    "Leftover container removed",
];

/// The containers of a workspace.
fn containers(workspace: &Workspace) -> Vec<String> {
    let mut objects = workspace.id.objects();
    objects.retain(|object| object.starts_with("container "));
    objects
}

/// The container of the workspace's backend, as `Id::objects` has it.
fn backend(workspace: &Workspace) -> String {
    format!("container coder-{}-backend", workspace.id.as_str())
}

#[track_caller]
fn deleted(workspace: &Workspace) {
    workspace.build("delete");
    assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
}

/// Kills Terraform and the providers it has started, while they build a workspace.
fn kill_terraform(workspace: &Workspace) {
    let mark = format!("CODER_WORKSPACE_ID={}", workspace.id.as_str());
    let builds = |id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|it| it == mark.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let ids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
    let mut doomed: Vec<u32> = ids.filter(builds).collect();
    assert!(!doomed.is_empty(), "Terraform runs");
    // Those that are killed first start nothing any more.
    doomed.sort_by_key(|id| children(*id).is_empty());
    for id in doomed {
        send("KILL", id);
    }
}

#[test]
fn a_start_that_was_cancelled_or_killed_is_made_up_for_by_its_owner() {
    let server = Server::shared();
    let template = docker_template(&server);
    let max = server.admin().create(&person("max"));
    let workspace = Workspace::create(&max, "shop", template);
    let key = works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY");
    let again = || {
        workspace.build_with("start", &MENDED);
        assert_eq!(
            works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY"),
            key
        );
    };

    workspace.build("stop");
    workspace.begin("start");
    workspace.id.wait_for(&backend(&workspace));
    workspace.cancel();
    assert_ne!(workspace.ended(), "succeeded");
    again();

    workspace.build("stop");
    workspace.begin("start");
    workspace.id.wait_for(&backend(&workspace));
    kill_terraform(&workspace);
    assert_eq!(workspace.ended(), "failed");
    again();

    // Its first start is killed, too, of which Coder keeps nothing.
    let first = Workspace::begun(&max, "first", template);
    first.id.wait_for(&backend(&first));
    kill_terraform(&first);
    assert_eq!(first.ended(), "failed");
    first.build_with("start", &MENDED);
    works(&first);
    for workspace in [workspace, first] {
        deleted(&workspace);
    }
}

#[test]
fn a_start_that_was_killed_with_the_server_is_stopped_and_started_by_its_owner() {
    let server = Arc::new(Server::start());
    let template = docker_template(&server);
    let sam = server.admin().create(&person("sam"));
    let workspace = Workspace::create(&sam, "shop", template);
    let key = works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY");
    workspace.build("stop");
    workspace.begin("start");
    workspace.id.wait_for(&backend(&workspace));
    server.kill();
    assert_ne!(containers(&workspace), <[&str; 0]>::default());

    server.start_again();
    assert_eq!(workspace.ended(), "failed");
    workspace.build_with("stop", &MENDED);
    assert_eq!(containers(&workspace), <[&str; 0]>::default());
    workspace.build("start");
    assert_eq!(
        works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY"),
        key
    );
    deleted(&workspace);
}
