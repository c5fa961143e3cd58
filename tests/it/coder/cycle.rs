//! The life of a workspace: started, stopped, changed and deleted.

use std::{collections::BTreeMap, time::Instant};

use super::{
    Id,
    inside::{Inside, USER_SECRET, text},
    provisioner::{Build, Transition, Workspace},
    template,
};
use crate::support::docker::docker;

const WORKSPACE: &str = "docker_container.workspace[0]";

/// The admin key.
pub(super) fn key(build: &Build) -> String {
    text(&build.resource("convex_deployment.app")["admin_key"])
}

/// The hosts that browsers are told to ask.
fn origin(build: &Build, service: &str) -> String {
    text(&build.resource("convex_deployment.app")["origins"][service])
}

/// What must hold of each workspace that runs.
#[track_caller]
pub(super) fn runs(build: &Build) {
    runs_and_warns(build, &[]);
}

/// The same of one whose build warns of these.
#[track_caller]
pub(super) fn runs_and_warns(build: &Build, expected: &[&str]) {
    assert_eq!(
        build.resource_of_agent().as_deref(),
        Some("docker_container.workspace")
    );
    assert_eq!(
        build
            .resource_of_metadata("coder_metadata.convex")
            .as_deref(),
        Some("convex_deployment.app")
    );
    // Of containers that are recreated for more than the workspace's new one.
    let warnings = build.said.lines();
    let unexpected: Vec<_> = warnings
        .filter_map(|line| line.strip_prefix("Warning: "))
        .filter(|it| !it.ends_with("is interrupted") && !expected.contains(it))
        .collect();
    assert_eq!(unexpected, <[&str; 0]>::default(), "{}", build.said);
    let follows = "the backend because of its network; the dashboard because of its network";
    assert!(!build.said.contains(follows), "{}", build.said);
    let inside = Inside::of(build);
    assert_eq!(inside.healthy_apps().len(), 3);

    let environment = inside.environment();
    let told = &build.resource("convex_deployment.app")["agent_env"];
    let told: BTreeMap<String, String> = serde_json::from_value(told.clone()).expect("texts");
    assert!(told.len() >= 8, "{told:?}");
    for (name, value) in &told {
        assert_eq!(environment.get(name), Some(value), "{name}");
    }
    assert_eq!(environment["CONVEX_SELF_HOSTED_ADMIN_KEY"], key(build));
    assert_eq!(
        environment["CONVEX_SELF_HOSTED_URL"],
        "http://localhost:3210"
    );
    assert_eq!(environment["VITE_CONVEX_URL"], origin(build, "api"));
    assert!(environment.contains_key("GIT_AUTHOR_EMAIL"));
    assert_eq!(
        environment["__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"],
        ".apps.example.com"
    );

    let env_file = inside.sh("cat ~/app/.env.convex.local");
    assert!(env_file.contains(&key(build)), "{env_file}");
    assert!(env_file.contains(&origin(build, "site")), "{env_file}");
    assert_eq!(
        inside.sh("cd ~/app && stat -c '%n %a %U' .env.convex.local convex/schema.ts"),
        ".env.convex.local 600 coder\nconvex/schema.ts 644 coder"
    );
    inside.run_scripts();
    let calls = inside.sh("cat ~/calls; rm ~/calls");
    let deployed = "npx convex deploy --yes in /home/coder/app: the key was answered with 200";
    assert!(calls.contains(deployed), "{calls}");
}

/// A wildcard that is not Coder's own is noticed.
fn wildcard_is_checked(build: &Build, name: &str) {
    let check = |suffix: &str| {
        let served = format!(
            "http://{{{{port}}}}--main--{}--Ann{suffix}",
            name.to_uppercase()
        );
        Inside::of(build).run_script(
            "Check the Convex addresses",
            &[("VSCODE_PROXY_URI", &served)],
        )
    };
    assert_eq!(check(".apps.example.com:7080"), Ok(()));
    for (suffix, wildcard) in [
        (".coder.example.com:7080", "*.coder.example.com:7080"),
        ("--apps.example.com:7080", "*--apps.example.com:7080"),
        (".apps.example.com", "*.apps.example.com"),
    ] {
        let said = check(suffix).expect_err(suffix);
        let remedy = format!("wildcard to {wildcard}, push the template");
        assert!(said.contains(&remedy), "{said}");
        assert!(said.contains(&origin(build, "api")), "{said}");
    }
}

/// Each app has the slug that its address begins with, and who may reach it is
/// as it should be.
fn apps_are_where_their_addresses_say(build: &Build, name: &str, api_slug: &str) {
    for (service, slug, share, hidden) in [
        ("dashboard", "convex", "owner", false),
        ("api", api_slug, "public", true),
        ("site", "convex-site", "public", true),
    ] {
        let app = build.resource(&format!("coder_app.convex[{service:?}]"));
        assert_eq!(app["slug"], slug);
        assert_eq!(app["share"], share);
        assert_eq!(app["hidden"], hidden);
        assert_eq!(app["subdomain"], true);
        assert_eq!(
            origin(build, service),
            format!("http://{slug}--{name}--ann.apps.example.com:7080")
        );
    }
}

#[test]
fn a_workspace_of_the_docker_template_lives_its_life() {
    let began = Instant::now();
    let id = Id::new();
    let mut workspace = id.workspace(template("docker"));
    let backend = format!("{}-backend", id.deployment());
    let set_by_hand = |value: &str| {
        docker(&[
            "exec",
            &backend,
            "sh",
            "-c",
            &format!("echo {value} >/convex/data/storage/by-hand"),
        ])
    };

    let first = workspace.build(Transition::Start);
    runs(&first);
    apps_are_where_their_addresses_say(&first, &workspace.name, "convex-api");
    wildcard_is_checked(&first, &workspace.name);
    workspace.assert_settled(Transition::Start);
    set_by_hand("kept");
    Inside::of(&first).sh("echo mine >>~/app/convex/schema.ts");

    let stopped = workspace.build(Transition::Stop);
    assert_eq!(stopped.foreign_with_action("delete"), [WORKSPACE]);
    assert_eq!(stopped.resource_of_agent(), None, "{:?}", stopped.changes());
    assert_eq!(
        id.objects(),
        [
            format!("volume {}-data", id.deployment()),
            format!("volume {}-home", id.deployment()),
        ]
    );
    assert_eq!(key(&stopped), key(&first));
    workspace.assert_settled(Transition::Stop);

    let same = |build: &Build| {
        runs(build);
        assert_eq!(key(build), key(&first));
        let kept = docker(&["exec", &backend, "cat", "/convex/data/storage/by-hand"]);
        assert_eq!(kept, "kept");
        let mine = Inside::of(build).sh("tail -n 1 ~/app/convex/schema.ts");
        assert_eq!(mine, "mine");
    };
    let started = workspace.build(Transition::Start);
    assert_eq!(started.foreign_with_action("create"), [WORKSPACE]);
    assert_eq!(
        started.foreign_with_action("delete, create"),
        <[&str; 0]>::default()
    );
    same(&started);
    workspace.assert_settled(Transition::Start);

    // Without a stop between: the agent's new token is a new container.
    let again = workspace.build(Transition::Start);
    assert_eq!(again.foreign_with_action("delete, create"), [WORKSPACE]);
    assert_eq!(again.foreign_with_action("create"), <[&str; 0]>::default());
    same(&again);
    workspace.assert_settled(Transition::Start);

    // A new version of the template, and a parameter that was changed.
    workspace.template = workspace
        .template
        .edited(r#"slug = "convex-api""#, r#"slug = "api""#)
        .edited(
            "  backend = {\n",
            "  backend = {\n    env = { V8_ACTION_USER_TIMEOUT_SECS = \"300\" }\n",
        );
    let (secret, value) = USER_SECRET;
    let parameter = ("from_environment".to_owned(), format!("[{secret:?}]"));
    workspace.parameters.extend([parameter]);
    let updated = workspace.build(Transition::Start);
    assert_eq!(updated.foreign_with_action("delete, create"), [WORKSPACE]);
    let interrupted = "its environment (V8_ACTION_USER_TIMEOUT_SECS)";
    assert!(updated.said.contains(interrupted), "{}", updated.said);
    same(&updated);
    let ask = format!(
        "curl -fsS -H 'Authorization: Convex {}' http://localhost:3210/api/list_environment_variables",
        key(&updated)
    );
    let variables = Inside::of(&updated).sh(&ask);
    assert!(
        variables.contains(&format!("{secret:?}:{value:?}")),
        "{variables}"
    );
    assert!(!updated.said.contains(value), "{}", updated.said);
    apps_are_where_their_addresses_say(&updated, &workspace.name, "api");
    workspace.assert_settled(Transition::Start);

    let deleted = workspace.build(Transition::Destroy);
    assert!(deleted.changes().values().all(|action| action == "delete"));
    assert!(!workspace.has_resources());
    assert_eq!(id.objects(), <[&str; 0]>::default());
    println!(
        "measured: the life of a workspace as Coder builds it, seven builds and six plans more: {:.0} s",
        began.elapsed().as_secs_f64()
    );
}

#[test]
fn a_workspace_whose_name_has_become_too_long_can_be_stopped_and_deleted() {
    let id = Id::new();
    let mut workspace = id.workspace(template("docker"));
    workspace.build(Transition::Start);
    let name = std::mem::replace(&mut workspace.name, "n".repeat(32));
    "o".repeat(32).clone_into(&mut workspace.owner);

    let label = format!("convex-api--{}--{}", "n".repeat(32), "o".repeat(32));
    let refuses = |workspace: &mut Workspace| {
        let said = workspace.refuses(Transition::Start);
        for part in [&label, "78 characters", "Rename the workspace"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("\"workspace\" parameter"), "{said}");
    };
    refuses(&mut workspace);
    workspace.build(Transition::Stop);
    assert!(!id.objects().iter().any(|it| it.starts_with("container")));
    workspace.assert_settled(Transition::Stop);
    refuses(&mut workspace);

    // Renamed as it was told, it runs again; and again too long, it can be deleted.
    workspace.name = name;
    "ann".clone_into(&mut workspace.owner);
    runs(&workspace.build(Transition::Start));
    workspace.name = "n".repeat(63);
    workspace.build(Transition::Destroy);
    assert_eq!(id.objects(), <[&str; 0]>::default());
}
