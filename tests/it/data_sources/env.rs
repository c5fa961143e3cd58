//! Looking at the variables of a deployment.

use crate::{
    resources::{config, configure, deployment},
    support::{
        docker::{Name, port},
        on_each_core,
        terraform::{Core, Project},
    },
};

const ADDRESS: &str = "data.convex_env.app";

/// A deployment, its variables, and the data source with these attributes.
fn blocks(name: &Name, deployment_attributes: &str, variables: &str, data: &str) -> String {
    format!(
        r#"{}
        resource "convex_env" "app" {{
          deployment = convex_deployment.app.id
          variables  = {variables}
          secrets    = {{ SECRET = {{ value = "canary-of-a-variable" }} }}
        }}
        data "convex_env" "app" {{
          {data}
          depends_on = [convex_env.app]
        }}"#,
        deployment(name, deployment_attributes)
    )
}

on_each_core! {
    fn names_are_seen_and_values_on_request(core) {
        let name = Name::new();
        let by_deployment = "deployment = convex_deployment.app.id";
        let mut project = Project::new(core, &config(&blocks(&name, "", r#"{ B = "2", A = "1" }"#, by_deployment)));
        // Planned while there is nothing, and looked at when there is something.
        project.apply().ok();
        project.assert_no_changes();
        let seen = project.state(ADDRESS);
        assert_eq!(seen["names"], serde_json::json!(["A", "B", "SECRET"]));
        assert_eq!(seen["values"], serde_json::Value::Null);
        assert_eq!(seen["running"], true);
        assert_eq!(seen["id"], name.as_str());
        assert!(!project.read("terraform.tfstate").contains("\"values\": {"), "values are in the state");

        // What others set is seen too, with its value when that is asked for.
        let variables = r#"{ B = "2", A = "1", C = "x \"y\" é" }"#;
        let with_values = format!("{by_deployment}\n include_values = true");
        configure(&project, &blocks(&name, "", variables, &with_values));
        project.set_env("TF_LOG", "trace");
        let said = project.apply().ok().text() + &project.plan().ok().text();
        project.set_env("TF_LOG", "");
        project.assert_no_changes();
        assert_eq!(
            project.state(ADDRESS)["values"],
            serde_json::json!({ "A": "1", "B": "2", "C": "x \"y\" é", "SECRET": "canary-of-a-variable" })
        );
        assert!(!said.contains("canary-of-a-variable"), "a value is shown");
        let output = format!("{}\noutput \"values\" {{\n value = data.convex_env.app.values\n}}", blocks(&name, "", variables, &with_values));
        configure(&project, &output);
        project.plan().fails_with(&["Output refers to sensitive values"]);

        // A deployment that is stopped is no error.
        configure(&project, &blocks(&name, "running = false", variables, &with_values));
        project.apply().ok();
        project.assert_no_changes();
        let seen = project.state(ADDRESS);
        assert_eq!(seen["running"], false);
        assert_eq!((&seen["names"], &seen["values"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        project.destroy().ok();
    }
}

on_each_core! {
    fn any_deployment_is_looked_at_by_its_url_with_a_key_that_may_only_read(core) {
        let (name, port) = (Name::new(), port());
        let publish = format!("network = {{ publish = {{ api = {port} }} }}");
        let data = |key: &str| format!("url = convex_deployment.app.urls.api\n admin_key = {key}\n include_values = true");
        let read_only = "provider::convex::admin_key(convex_deployment.app.instance_name, convex_deployment.app.instance_secret, \"read_only\")";
        let variables = r#"{ A = "1" }"#;
        let project = Project::new(core, &config(&blocks(&name, &publish, variables, &data(read_only))));
        project.apply().ok();
        project.assert_no_changes();
        let seen = project.state(ADDRESS);
        assert_eq!(seen["names"], serde_json::json!(["A", "SECRET"]));
        assert_eq!(seen["values"]["A"], "1");
        assert_eq!(seen["running"], true);
        assert_eq!(seen["id"], format!("http://127.0.0.1:{port}"));

        configure(&project, &blocks(&name, &publish, variables, &data("\"wrong|00\"")));
        project.plan().fails_with(&["The backend does not accept the admin key"]);

        // Whether what does not answer is stopped, nobody can tell: that is an error.
        let nobody = data(read_only).replace("convex_deployment.app.urls.api", "\"http://127.0.0.1:1\"");
        configure(&project, &blocks(&name, &publish, variables, &nobody));
        project.plan().fails_with(&["the deployment at http://127.0.0.1:1", "refused"]);
        configure(&project, &blocks(&name, &publish, variables, &data(read_only)));
        project.destroy().ok();
    }
}

#[test]
fn a_deployment_that_cannot_be_looked_at_is_named() {
    let name = Name::new();
    let project = Project::new(Core::Installed, &config(""));
    let data = |attributes: &str| format!("data \"convex_env\" \"app\" {{\n{attributes}\n}}");
    let cases = [
        ("", "Give deployment for one on the provider's Docker host"),
        (
            "deployment = \"a\"\nurl = \"https://a.convex.cloud\"\nadmin_key = \"a|01\"",
            "Both deployment and url are given",
        ),
        (
            "url = \"https://a.convex.cloud\"",
            "needs an admin or deploy key",
        ),
        (
            "deployment = \"a\"\nadmin_key = \"a|01\"",
            "admin_key goes with url",
        ),
        ("deployment = \"a\"\nca_pem = \"\"", "ca_pem goes with url"),
        ("deployment = \"A b\"", "Invalid value for deployment"),
        (
            "url = \"ftp://a\"\nadmin_key = \"a|01\"",
            "Invalid value for url",
        ),
        (
            "url = \"https://a.convex.cloud\"\nadmin_key = \"a|01\"\nca_pem = \"x\"",
            "Invalid value for ca_pem",
        ),
    ];
    for (attributes, says) in cases {
        configure(&project, &data(attributes));
        project.validate().fails_with(&[says]);
    }
    configure(&project, &data("deployment = \"no-such-deployment\""));
    project.plan().fails_with(&[
        "The Docker host has no deployment \"no-such-deployment\"",
        "Give the id of a convex_deployment",
    ]);

    // Made by the same apply. Terraform waits for what is referred to, but does
    // not see through a local value; then what has to be written is said.
    let both = |data_attributes: &str| {
        format!(
            "locals {{\n  id = convex_deployment.app.id\n}}\n{}\n{}",
            deployment(&name, "running = false"),
            data(data_attributes)
        )
    };
    configure(&project, &both("deployment = local.id"));
    project.plan().fails_with(&[
        "The deployment is not made yet",
        "Add depends_on with the convex_deployment",
    ]);
    configure(
        &project,
        &both("deployment = local.id\ndepends_on = [convex_deployment.app]"),
    );
    project.plan().ok();
    configure(&project, &both("deployment = convex_deployment.app.id"));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(project.state(ADDRESS)["running"], false);
    project.destroy().ok();
}
