//! What is declared while nothing can be set.

use super::{config, configure, env_of, lean};
use crate::support::{
    backend::Backend,
    docker::{Name, docker},
    on_each_core,
    terraform::{Core, Project},
};

fn blocks(name: &Name, running: bool, env: &str) -> String {
    lean(name, &format!("running = {running}\n volume = {{}}")) + &env_of(env)
}

fn apply(project: &Project, blocks: &str) {
    configure(project, blocks);
    project.apply().ok();
    project.assert_no_changes();
}

fn backend(project: &Project, name: &Name) -> Backend {
    Backend::of(name, &project.state("convex_deployment.app"))
}

on_each_core! {
    fn everything_that_was_declared_meanwhile_is_done_at_the_start(core) {
        let name = Name::new();
        let before = r#"
            on_conflict = "adopt"
            variables   = { KEPT = "1", CHANGED = "1", REMOVED = "1", ADOPTED = "ours" }
            secrets = {
              PINNED       = { value_wo = "1", value_wo_version = 1 }
              GONE         = { value_wo = "1" }
            }
        "#;
        let project = Project::new(core, &config(&lean(&name, "volume = {}")));
        project.apply().ok();
        backend(&project, &name).set(&[("ADOPTED", Some("theirs")), ("COMING", Some("theirs"))]);
        apply(&project, &blocks(&name, true, before));
        apply(&project, &blocks(&name, false, before));

        // Two changes while it is stopped.
        let first = before
            .replace("CHANGED = \"1\", REMOVED = \"1\"", "CHANGED = \"2\", NEVER = \"1\"")
            .replace("value_wo = \"1\", value_wo_version = 1", "value_wo = \"2\", value_wo_version = 2")
            .replace("GONE         = { value_wo = \"1\" }", "");
        apply(&project, &blocks(&name, false, &first));
        let second = first
            .replace(", NEVER = \"1\"", ", COMING = \"ours\"")
            .replace("ADOPTED = \"ours\"", "ADOPTED = \"ours at last\"");
        apply(&project, &blocks(&name, false, &second));
        let expected = [
            ("ADOPTED", "ours at last"), ("CHANGED", "2"), ("COMING", "theirs"), ("KEPT", "1"), ("PINNED", "2"),
        ];
        apply(&project, &blocks(&name, true, &second));
        let live = backend(&project, &name).variables();
        let live: Vec<_> = live.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(live, expected);

        // What was never set is not removed either.
        configure(&project, &lean(&name, "volume = {}"));
        project.apply().ok();
        let left: Vec<_> = backend(&project, &name).variables().into_keys().collect();
        assert_eq!(left, ["COMING"]);
        project.destroy().ok();
        docker(&["volume", "rm", &name.volume()]);
    }
}

on_each_core! {
    fn signing_in_can_be_declared_on_a_stopped_deployment(core) {
        let name = Name::new();
        let origins = "origins = { site = \"https://site.example\" }\n volume = { on_destroy = \"delete\" }";
        let stopped = lean(&name, &format!("running = false\n {origins}"));
        let env = env_of("auth = {}\n secrets = { KEY = { value_wo = \"1\" } }");
        let project = Project::new(core, &config(&stopped));
        project.apply().ok();
        apply(&project, &(stopped.clone() + &env));
        // A change meanwhile.
        apply(&project, &(stopped + &env.replace("auth = {}", "auth = { site_url = \"http://a\" }")));
        apply(&project, &(lean(&name, origins) + &env));
        let live = backend(&project, &name).variables();
        assert_eq!(live["JWT_ISSUER"], "http://127.0.0.1:3211");
        assert_eq!(live["KEY"], "1");
        let state = project.state("convex_env.app");
        assert_eq!(state["auth"]["jwks"], live["JWKS"].as_str());
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_plan_to_make_them_holds_when_the_backend_stops(core) {
        let name = Name::new();
        let project = Project::new(core, &config(&lean(&name, "")));
        project.apply().ok();
        let both = lean(&name, "") + &env_of("auth = {}\n variables = { A = \"1\" }");
        configure(&project, &both);
        project.run(&["plan", "-no-color", "-out=plan.bin"]).ok();
        docker(&["stop", "-t", "1", &name.container("backend")]);
        project.run(&["apply", "-no-color", "plan.bin"]).ok();
        assert_eq!(project.state("convex_env.app")["pending"], true);
        apply(&project, &both);
        let live = backend(&project, &name).variables();
        assert_eq!((live["A"].as_str(), live["JWT_ISSUER"].as_str()), ("1", "http://127.0.0.1:3211"));
        project.destroy().ok();
    }
}

on_each_core! {
    fn what_waits_does_not_touch_what_others_have_set(core) {
        let name = Name::new();
        let project = Project::new(core, &config(&lean(&name, "volume = {}")));
        project.apply().ok();
        backend(&project, &name).set(&[("A", Some("theirs"))]);
        apply(&project, &blocks(&name, false, "variables = { A = \"ours\" }"));
        configure(&project, &blocks(&name, true, "variables = { A = \"ours\" }"));
        project.apply().fails_with(&["Variable A exists already"]);
        assert_eq!(backend(&project, &name).get("A").as_deref(), Some("theirs"));
        // Nothing of it was ever set, so nothing is removed.
        configure(&project, &lean(&name, "volume = {}"));
        project.apply().ok();
        assert_eq!(backend(&project, &name).get("A").as_deref(), Some("theirs"));
        project.destroy().ok();
        docker(&["volume", "rm", &name.volume()]);
    }
}

on_each_core! {
    fn what_stays_in_the_volume_is_said_before_it_is_left(core) {
        let name = Name::new();
        let variables = "variables = { A = \"1\", B = \"1\" }";
        let stays = ["The variables stay", "these variables cannot be removed: A, B."];
        let project = Project::new(core, &config(&blocks(&name, true, variables)));
        project.apply().ok();
        // Stopped behind Terraform's back, between plan and apply.
        configure(&project, &lean(&name, "volume = {}"));
        let plan = project.run(&["plan", "-no-color", "-out=plan.bin"]).ok().text();
        assert!(!plan.contains("The variables stay"), "{plan}");
        docker(&["stop", "-t", "1", &name.container("backend")]);
        project.run(&["apply", "-no-color", "plan.bin"]).ok().says(&stays);
        project.apply().ok();
        assert_eq!(backend(&project, &name).variables().len(), 2);

        // Stopped as declared.
        apply(&project, &blocks(&name, true, variables));
        apply(&project, &blocks(&name, false, variables));
        project.run(&["plan", "-no-color", "-destroy"]).ok().says(&stays);
        configure(&project, &lean(&name, "running = false\n volume = {}"));
        // Terraform 1.11 plans to destroy what is declared no more before it
        // looks, so there only the apply can say it.
        project.apply().ok().says(&stays);
        apply(&project, &lean(&name, "volume = {}"));
        assert_eq!(backend(&project, &name).variables().len(), 2);

        // What is kept on purpose, or was never set, is nothing to speak of.
        let kept = |running| blocks(&name, running, &format!("on_destroy = \"keep\"\n {variables}"));
        apply(&project, &kept(true));
        apply(&project, &kept(false));
        configure(&project, &lean(&name, "running = false\n volume = {}"));
        let text = project.apply().ok().text();
        assert!(!text.contains("The variables stay"), "{text}");
        apply(&project, &blocks(&name, false, "variables = { C = \"1\" }"));
        configure(&project, &lean(&name, "running = false\n volume = {}"));
        let text = project.apply().ok().text();
        assert!(!text.contains("The variables stay"), "{text}");
        project.destroy().ok();
        docker(&["volume", "rm", &name.volume()]);
    }
}

#[test]
fn a_deployment_that_is_gone_takes_its_variables_with_it() {
    let name = Name::new();
    let env = "variables = { A = \"1\" }";
    let project = Project::new(Core::Installed, &config(&(lean(&name, "") + &env_of(env))));
    project.apply().ok();
    let text = project.destroy().ok().text();
    assert!(!text.contains("The variables stay"), "{text}");
    assert_eq!(name.objects(), Vec::<String>::new());
}
