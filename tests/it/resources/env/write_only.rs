//! Secrets that are compared and never kept.

use super::{config, configure, env_of, lean};
use crate::support::{
    backend::Backend,
    docker::Name,
    on_each_core, on_every_core,
    standin::faulty,
    terraform::{Core, Project},
};

const CANARY: &str = "canary-one-0123456789";
const SECOND: &str = "canary-two-9876543210";

/// A deployment and two secrets, one of them given from outside.
fn blocks(name: &Name, deployment: &str, key: &str) -> String {
    format!(
        "variable \"key\" {{\n type = string\n ephemeral = true\n}}\n{}{}",
        lean(name, deployment),
        env_of(&format!(
            "secrets = {{ KEY = {{ {key} }}, OTHER = {{ value_wo = \"other-canary\" }} }}"
        ))
    )
}

const FROM_OUTSIDE: &str = "value_wo = var.key";

fn project(core: Core, name: &Name, deployment: &str, key: &str) -> (Project, Backend) {
    let mut project = Project::new(core, &config(&blocks(name, deployment, key)));
    project.set_env("TF_VAR_key", CANARY);
    project.apply().ok();
    let backend = Backend::of(name, &project.state("convex_deployment.app"));
    assert_eq!(backend.get("KEY").as_deref(), Some(CANARY));
    project.assert_no_changes();
    (project, backend)
}

/// Demands that no file of Terraform's has a secret in it.
#[track_caller]
fn keeps_no_secret(project: &Project) {
    for entry in std::fs::read_dir(project.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            for secret in [CANARY, SECOND] {
                let found = bytes
                    .windows(secret.len())
                    .any(|it| it == secret.as_bytes());
                assert!(!found, "{secret} in {}", path.display());
            }
        }
    }
}

on_every_core! {
    fn what_differs_is_shown_by_its_name_and_nothing_is_kept(core) {
        let name = Name::new();
        let (mut project, backend) = project(core, &name, "", FROM_OUTSIDE);
        let hidden = "~ set = true -> (known after apply)";

        // Another value: its name, and no other, is in the plan.
        project.set_env("TF_VAR_key", SECOND);
        let plan = project.plan().ok().says(&[r#"~ "KEY" = {"#, hidden, "1 to change"]);
        assert!(!plan.text().contains(r#""OTHER""#), "{}", plan.text());
        let json = project.plan_json().to_string();
        assert!(!json.contains(CANARY) && !json.contains(SECOND), "{json}");
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        keeps_no_secret(&project);

        // Changed by somebody else.
        backend.set(&[("OTHER", Some("theirs")), ("FOREIGN", Some("x"))]);
        let plan = project.plan().ok().says(&[r#"~ "OTHER" = {"#, hidden, "1 to change"]);
        assert!(!plan.text().contains(r#""KEY""#), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("OTHER").as_deref(), Some("other-canary"));

        // Removed by somebody else.
        backend.set(&[("KEY", None)]);
        let plan = project.plan().ok().says(&[r#"~ "KEY" = {"#, "~ set = false -> true"]);
        assert!(!plan.text().contains(r#""OTHER""#), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        keeps_no_secret(&project);

        // Declared no more.
        configure(&project, &(lean(&name, "") + &env_of("")));
        project.apply().ok();
        project.assert_no_changes();
        let left: Vec<_> = backend.variables().into_keys().collect();
        assert_eq!(left, ["FOREIGN"]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_value_that_is_another_in_each_run_is_pinned_by_a_number(core) {
        let name = Name::new();
        let pinned = |version| format!("{FROM_OUTSIDE}\n value_wo_version = {version}");
        let (mut project, backend) = project(core, &name, "", &pinned(1));
        project.set_env("TF_VAR_key", SECOND);
        project.assert_no_changes();
        configure(&project, &blocks(&name, "", &pinned(2)));
        project.plan().ok().says(&["~ value_wo_version = 1 -> 2"]);
        project.set_env("TF_VAR_key", "canary-two-9876543210-again");
        project.apply().ok();
        project.set_env("TF_VAR_key", "and-another");
        project.assert_no_changes();
        // Nor is it set when something else is.
        let other = blocks(&name, "", &pinned(2));
        configure(&project, &other.replace("other-canary", "other-changed"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("OTHER").as_deref(), Some("other-changed"));
        assert_eq!(
            backend.get("KEY").as_deref(),
            Some("canary-two-9876543210-again")
        );
        configure(&project, &other);
        project.apply().ok();
        // It is nobody's to compare, but it has to be there.
        backend.set(&[("KEY", Some("theirs"))]);
        project.assert_no_changes();
        backend.set(&[("KEY", None)]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("KEY").as_deref(), Some("and-another"));
        // Without the number it is compared again.
        configure(&project, &blocks(&name, "", FROM_OUTSIDE));
        project.set_env("TF_VAR_key", SECOND);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        keeps_no_secret(&project);
        project.destroy().ok();
    }
}

on_each_core! {
    fn without_a_refresh_it_is_compared_as_well(core) {
        let name = Name::new();
        let (mut project, backend) = project(core, &name, "", FROM_OUTSIDE);
        let run = |project: &Project, command: &str, more: &[&str]| {
            project.run(&[&[command, "-no-color", "-refresh=false"], more].concat())
        };
        let nothing = run(&project, "plan", &["-detailed-exitcode"]);
        assert_eq!(nothing.code, 0, "{}", nothing.text());
        project.set_env("TF_VAR_key", SECOND);
        run(&project, "plan", &[]).ok().says(&["~ revision", "1 to change"]);
        run(&project, "apply", &["-auto-approve"]).ok();
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        let nothing = run(&project, "plan", &["-detailed-exitcode"]);
        assert_eq!(nothing.code, 0, "{}", nothing.text());
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_stopped_backend_is_not_asked(core) {
        let name = Name::new();
        let (mut project, _) = project(core, &name, "", FROM_OUTSIDE);
        configure(&project, &blocks(&name, "running = false", FROM_OUTSIDE));
        project.apply().ok();
        project.set_env("TF_VAR_key", SECOND);
        project.assert_no_changes();
        configure(&project, &blocks(&name, "", FROM_OUTSIDE));
        project.apply().ok();
        project.assert_no_changes();
        let backend = Backend::of(&name, &project.state("convex_deployment.app"));
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        project.destroy().ok();
    }
}

on_each_core! {
    fn an_older_backend_is_asked_in_the_way_it_knows_on_the_standin(core) {
        let name = Name::new();
        // It cannot publish an address, so it runs on the public ones.
        let old = format!("{}\ninternal_origins = false", faulty("no_list"));
        let (mut project, backend) = project(core, &name, &old, FROM_OUTSIDE);
        project.set_env("TF_VAR_key", SECOND);
        let plan = project.plan().ok().says(&[r#"~ "KEY" = {"#]);
        assert!(!plan.text().contains(r#""OTHER""#), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        backend.set(&[("OTHER", Some("theirs"))]);
        project.plan().ok().says(&[r#"~ "OTHER" = {"#]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn where_nothing_is_listed_a_keyed_fingerprint_is_compared_on_the_standin(core) {
        let name = Name::new();
        let closed = serde_json::json!([
            { "path": "/api/list_environment_variables", "kind": "status", "status": 404, "times": 10_000 },
            { "path": "/api/query", "kind": "status", "status": 404, "times": 10_000 },
        ]);
        let (mut project, backend) = project(core, &name, "", FROM_OUTSIDE);
        backend.fail(&closed);
        // Nothing is known of what was set, so all of it is set once more.
        project.apply().ok();
        project.assert_no_changes();
        project.set_env("TF_VAR_key", SECOND);
        let plan = project.plan().ok().says(&[r#"~ "KEY" = {"#, "1 to change"]);
        assert!(!plan.text().contains(r#""OTHER""#), "{}", plan.text());
        backend.requests();
        project.apply().ok();
        let changes = backend.requests();
        let changes = changes.iter().filter(|it| it.ends_with("/update_environment_variables"));
        assert_eq!(changes.count(), 1);
        project.assert_no_changes();
        assert_eq!(backend.get("KEY").as_deref(), Some(SECOND));
        keeps_no_secret(&project);
        // What is declared no more goes, though nobody says that it is there.
        configure(&project, &blocks(&name, "", FROM_OUTSIDE).replace(
            ", OTHER = { value_wo = \"other-canary\" }", "",
        ));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("OTHER"), None);
        // It lists again.
        backend.heal();
        project.assert_no_changes();
        project.destroy().ok();
    }
}
