//! Secrets stay out of what Terraform shows.

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker},
    on_each_core,
    terraform::Project,
};

const SECRETS: [&str; 3] = [
    "canary-variable-0123456789",
    "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffee0123",
    "canary-changed-9876543210",
];

fn blocks(name: &Name, value: &str) -> String {
    let deployment = deployment(name, &format!("instance_secret = {:?}", SECRETS[1]));
    format!(
        r#"{deployment}
        resource "convex_env" "app" {{
          deployment = convex_deployment.app.id
          secrets    = {{ KEY = {{ value = {value:?} }}, OTHER = {{ value = "other-canary-5555" }} }}
          auth       = {{}}
        }}"#
    )
}

on_each_core! {
    fn plans_and_traces_show_which_key_changes_and_never_a_value(core) {
        let name = Name::new();
        let mut project = Project::new(core, &config(&blocks(&name, SECRETS[0])));
        project.set_env("TF_LOG", "trace");
        let mut said = project.plan().ok().text();
        said += &project.apply().ok().text();
        configure(&project, &blocks(&name, SECRETS[2]));
        let plan = project.plan().ok().says(&[
            r#"~ "KEY" = {"#,
            "~ value = (sensitive value)",
            "0 to add, 1 to change, 0 to destroy",
        ]);
        assert!(!plan.text().contains(r#"~ "OTHER""#));
        said += &plan.text();
        said += &project.apply().ok().text();
        said += &project.run(&["plan", "-no-color", "-refresh-only"]).ok().text();

        let state = project.state("convex_deployment.app");
        let env = project.state("convex_env.app");
        let key = state["admin_key"].as_str().expect("a key").to_owned();
        let pem = env["auth"]["private_key"].as_str().expect("a key").to_owned();
        let line_of_pem = pem.lines().nth(3).expect("a line").to_owned();
        let hex_of_key = key.split('|').nth(1).expect("a part").to_owned();
        for secret in SECRETS.into_iter().chain([
            "other-canary-5555", key.as_str(), hex_of_key.as_str(), line_of_pem.as_str(),
        ]) {
            assert!(!said.contains(secret), "{secret}");
        }

        // Nor do they stand where everybody who may list containers sees them.
        let inspected = docker(&["inspect", &name.container("backend"), &name.container("dashboard"), &name.volume()]);
        for secret in [SECRETS[1], &key, &hex_of_key] {
            assert!(!inspected.contains(secret), "{secret}");
        }
        project.destroy().ok();
    }
}
