//! Through `data "external"` of real Terraform.
//!
//! The provider is `hashicorp/external` where the mirror of other providers has it, else a
//! stand-in that calls programs in the same way; `tests/run` says which.

use super::{PROJECT, cases};
use crate::support::{binaries, on_each_core, terraform::Project};

const PROVIDERS: &str = r#"
terraform {
  required_providers {
    convex   = { source = "coder-convex/convex" }
    external = { source = "hashicorp/external" }
  }
}
"#;

/// A data source that asks for an operation.
fn data(name: &str, operation: &str, query: &str) -> String {
    format!(
        "data \"external\" \"{name}\" {{\n  program = [\"{}\", \"external\", {operation:?}]\n  query   = {query}\n}}\n",
        binaries::provider().display()
    )
}

on_each_core! {
    fn the_result_is_that_of_the_functions(core) {
        let (cases, pem) = cases();
        let project = Project::new(core, PROVIDERS);
        project.write("key.pem", &pem);
        let mut text = String::from(PROJECT);
        for (number, case) in cases.iter().enumerate() {
            let name = format!("x{number}");
            text += &data(&name, case.operation, &format!("jsondecode({})", serde_json::json!(case.query.to_string())));
            let seen = match case.operation {
                "env_files" => format!("{{ for name, file in data.external.{name}.result : name => provider::convex::dotenv_decode(file) }}"),
                _ => format!("data.external.{name}.result"),
            };
            // Terraform compares maps and objects as JSON.
            text += &format!("output \"{name}\" {{\n  value = jsonencode({seen}) == jsonencode({})\n}}\n", case.expression);
        }
        project.write("x.tf", &text);
        project.apply().ok();
        project.assert_no_changes();
        for (number, case) in cases.iter().enumerate() {
            assert_eq!(project.output(&format!("x{number}")), true, "{}", case.operation);
        }
    }
}

on_each_core! {
    fn what_is_wrong_is_told_in_the_plan(core) {
        let project = Project::new(core, PROVIDERS);
        let refused = |operation: &str, query: &str, says: &[&str]| {
            project.write("x.tf", &data("x", operation, query));
            let outcome = project.plan().fails_with(says);
            let ours = outcome.text().lines().filter(|line| !line.contains("query ")).collect::<String>();
            assert!(!ours.contains("hunter2"), "{ours}");
        };
        refused(
            "app_url",
            "{ access_url = \"https://coder.example\", workspace = \"dev\", owner = \"ann\", slugs = \"x\" }",
            &["terraform-provider-convex external: app_url: slugs: There is no such key."],
        );
        // The real provider leaves nulls out, so that such a key is missing.
        refused("postgres_url", "{}", &["postgres_url: url: The key is missing or empty."]);
        refused("jwks", "{ private_key = sensitive(\"hunter2\") }", &["jwks: private_key: The private key"]);
    }
}
