//! What the provider offers, as Terraform sees it.

use std::{fs, path::Path};

use serde_json::Value as Json;
use terraform_provider_convex::{
    plugin::Provider,
    provider::{Convex, Environment},
};

use crate::support::{
    golden, on_every_core,
    terraform::{Core, Project},
};

/// Where the schema is kept: a change of it is a change of the public surface.
pub const GOLDEN: &str = "tests/it/schema.json";

const CONFIG: &str = "terraform {\n  required_providers {\n    convex = { source = \"coder-convex/convex\" }\n  }\n}\n";

/// The schema as `terraform providers schema -json` prints it.
pub fn printed(core: Core) -> Json {
    let project = Project::new(core, CONFIG);
    let outcome = project.run(&["providers", "schema", "-json"]).ok();
    let all: Json = serde_json::from_str(&outcome.stdout).expect("JSON");
    let address = core.addressed(Convex::ADDRESS);
    all["provider_schemas"][address].clone()
}

#[test]
fn the_public_surface_is_the_one_agreed_on() {
    let schema = serde_json::to_string_pretty(&printed(Core::Installed)).expect("JSON");
    golden::check(Path::new(GOLDEN), &format!("{schema}\n"));
}

on_every_core! {
    fn every_core_sees_the_same(core) {
        let golden = fs::read_to_string(golden::path(Path::new(GOLDEN))).expect("the golden file");
        let golden: Json = serde_json::from_str(&golden).expect("JSON");
        let mut seen = printed(core);
        // Newer ones list kinds of objects that this provider has none of.
        if let Some(kinds) = seen.as_object_mut() {
            kinds.retain(|kind, _| golden.get(kind).is_some());
        }
        assert_eq!(seen, golden);
    }
}

#[test]
fn models_and_schemas_have_the_same_attributes() {
    let members = Convex::new(Environment::default()).members();
    assert_eq!(members.model_mismatches(), Vec::<String>::new());
}

/// Everything in the schema says what it is, in a sentence.
#[test]
fn everything_is_described() {
    fn walk(path: &str, json: &Json, missing: &mut Vec<String>) {
        let Some(object) = json.as_object() else {
            return;
        };
        for (name, attribute) in object
            .get("attributes")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            let path = format!("{path}.{name}");
            let described = attribute["description"]
                .as_str()
                .is_some_and(|text| text.ends_with(['.', '`']));
            if !described {
                missing.push(path.clone());
            }
            walk(&path, &attribute["nested_type"], missing);
        }
    }
    let schema = printed(Core::Installed);
    let mut missing = Vec::new();
    for kind in [
        "resource_schemas",
        "data_source_schemas",
        "ephemeral_resource_schemas",
    ] {
        for (name, schema) in schema[kind].as_object().expect("schemas") {
            walk(name, &schema["block"], &mut missing);
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
