//! Secrets stay out of what Terraform shows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value as Json;

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker},
    on_each_core,
    terraform::Project,
    tools,
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

/// The forms in which a secret could stand somewhere.
fn forms(secret: &str) -> Vec<String> {
    use base64::{Engine, engine::general_purpose as engines};
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = Json::from(secret).to_string();
    // In the middle of something longer, base64 begins at any of three places.
    let within = (0..3).filter_map(|shift| secret.get(shift..));
    let base64 = within.map(|part| {
        let whole = part.len() / 3 * 3;
        engines::STANDARD.encode(&part.as_bytes()[..whole])
    });
    [
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        url.clone(),
        url.replace('+', "%20"),
        hex.to_uppercase(),
        hex,
    ]
    .into_iter()
    .chain(base64)
    .collect()
}

/// Everything below a directory, archives unpacked.
fn everything(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else if path.file_name().is_some_and(|name| name == "plan.bin") {
            let unpacked = path.with_extension("unpacked");
            tools::run(
                Command::new("python3")
                    .args(["-m", "zipfile", "-e"])
                    .arg(&path)
                    .arg(&unpacked),
            );
            found.extend(everything(&unpacked));
        } else {
            let content = fs::read(&path).expect("the file can be read");
            found.push((path, String::from_utf8_lossy(&content).into_owned()));
        }
    }
    found
}

on_each_core! {
    fn without_secrets_in_the_state_a_canary_is_found_nowhere(core) {
        const CANARIES: [&str; 2] = ["canary \"quoted\"/+ é 31415926535", "canary-of-the-second-apply-27182818"];
        let name = Name::new();
        let blocks = |attributes: &str| deployment(&name, &format!("secrets_in_state = false\n {attributes}")) + r#"
            variable "canary" {
              type      = string
              ephemeral = true
              sensitive = true
            }
            ephemeral "convex_admin_key" "app" {
              deployment = convex_deployment.app.id
            }
            resource "convex_env" "app" {
              deployment = convex_deployment.app.id
              secrets    = { KEY = { value_wo = var.canary }, PINNED = { value_wo = var.canary, value_wo_version = 1 } }
              auth       = {}
            }
        "#;
        let mut project = Project::new(core, &config(&blocks("")));
        project.set_env("TF_LOG", "trace");
        let mut said = String::new();
        let inspected = |said: &mut String| {
            let objects = [name.container("backend"), name.container("dashboard"), name.volume(), name.as_str().to_owned()];
            let objects: Vec<_> = objects.iter().map(String::as_str).collect();
            said.push_str(&docker(&[&["inspect"], &objects[..]].concat()));
        };
        for canary in CANARIES {
            project.set_env("TF_VAR_canary", canary);
            said += &project.run(&["plan", "-no-color", "-input=false", "-out=plan.bin"]).ok().text();
            said += &project.run(&["show", "-json", "plan.bin"]).ok().text();
            said += &project.apply().ok().text();
            inspected(&mut said);
        }
        // A rotation, and failures in the middle of things.
        configure(&project, &blocks("rotate_trigger = \"1\""));
        said += &project.apply().ok().text();
        configure(&project, &blocks("rotate_trigger = \"1\"\n labels = { a = \"1\" }").replace("auth       = {}", "auth = { rotate_trigger = \"1\" }\n variables = { CONVEX_FAKE = \"1\", PATH_ = \"2\" }"));
        said += &project.apply().ok().text();
        inspected(&mut said);

        let read = |file: &str| docker(&["exec", &name.container("backend"), "cat", &format!("/convex/data/credentials/{file}")]);
        let secret = read("instance_secret");
        let key = docker(&["exec", &name.container("backend"), "./generate_admin_key.sh"]);
        let list = {
            let header = format!("Authorization: Convex {key}");
            docker(&["exec", &name.container("backend"), "curl", "-sSf", "-H", &header, "http://127.0.0.1:3210/api/list_environment_variables"])
        };
        let list: Json = serde_json::from_str(&list).expect("JSON");
        let variables = &list["environmentVariables"];
        assert_eq!(variables["KEY"], CANARIES[1]);
        assert_eq!(variables["PINNED"], CANARIES[0]);
        let private = variables["JWT_PRIVATE_KEY"].as_str().expect("a key");
        let line = private.split(' ').max_by_key(|part| part.len()).expect("a line");

        let mut places = everything(project.path());
        places.push((PathBuf::from("what was said"), said));
        let mut forms_tried = 0;
        for secret in CANARIES.into_iter().chain([secret.as_str(), line]) {
            for form in forms(secret) {
                forms_tried += 1;
                for (path, content) in &places {
                    assert!(!content.contains(&form), "{form:?} in {}", path.display());
                }
            }
        }
        assert!(places.len() > 5 && forms_tried > 30);
        project.destroy().ok();
    }
}
