//! The life of a deployment.

use serde_json::Value as Json;

use super::{config, configure, deployment, project};
use crate::support::{
    docker::{Name, docker, images, port},
    on_each_core, on_every_core,
    terraform::Project,
};

/// What the backend itself says, asked in its container.
fn ask(name: &Name, arguments: &[&str]) -> String {
    let container = name.container("backend");
    docker(&[&["exec", &container, "curl", "-sS"], arguments].concat())
}

/// A variable that no configuration knows, as data to be kept.
fn set_data(name: &Name, key: &str, value: &str) {
    let body = format!(r#"{{"changes":[{{"name":"DATA","value":"{value}"}}]}}"#);
    let header = format!("Authorization: Convex {key}");
    let url = "http://127.0.0.1:3210/api/update_environment_variables";
    ask(name, &["-f", "-H", &header, "--json", &body, url]);
}

fn data(name: &Name, key: &str) -> String {
    let header = format!("Authorization: Convex {key}");
    let url = "http://127.0.0.1:3210/api/list_environment_variables";
    let list: Json = serde_json::from_str(&ask(name, &["-f", "-H", &header, url])).expect("JSON");
    list["environmentVariables"]["DATA"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn text<'a>(state: &'a Json, attribute: &str) -> &'a str {
    state[attribute].as_str().expect("text")
}

on_every_core! {
    fn a_whole_life_keeps_data_and_keys(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        project.assert_no_changes();
        let made = project.state("convex_deployment.app");
        let key = text(&made, "admin_key").to_owned();
        assert_eq!(ask(&name, &["http://127.0.0.1:3210/instance_name"]), name.as_str());
        set_data(&name, &key, "precious");

        // Changed origins: new containers, the same volume and keys.
        let attributes = r#"
            origins = {
              api       = "https://api.example.com"
              site      = "https://api.example.com/http"
              dashboard = "https://dash.example.com"
            }
            internal_origins = false
            labels = { "coder.workspace_id" = "w1" }
        "#;
        configure(&project, &deployment(&name, attributes));
        let plan = project.plan().ok().says(&[
            r#"~ api = "http://localhost:3210" -> "https://api.example.com""#,
            r#"~ backend = ""#,
            "0 to add, 1 to change, 0 to destroy",
        ]);
        assert!(!plan.text().contains(&key));
        project.apply().ok();
        project.assert_no_changes();
        let changed = project.state("convex_deployment.app");
        assert_eq!(changed["admin_key"], key.as_str());
        assert_ne!(changed["container_ids"], made["container_ids"]);
        let env = docker(&["inspect", "-f", "{{.Config.Env}}", &name.container("backend")]);
        assert!(env.contains("CONVEX_SITE_ORIGIN=https://api.example.com/http"), "{env}");
        assert_eq!(data(&name, &key), "precious");

        // Stopped: only the volume is left, and keys and addresses stay known.
        configure(&project, &deployment(&name, &format!("{attributes}\n running = false")));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), [format!("volume {}", name.volume())]);
        let stopped = project.state("convex_deployment.app");
        assert_eq!(stopped["admin_key"], key.as_str());
        assert_eq!(stopped["urls"], changed["urls"]);

        // Started again.
        configure(&project, &deployment(&name, attributes));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_deployment.app")["admin_key"], key.as_str());
        assert_eq!(data(&name, &key), "precious");

        // Forgotten and found again.
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        assert_eq!(project.state("convex_deployment.app")["admin_key"], key.as_str());
        // An object does not say what is to become of its data one day, so the
        // configuration's word is noted. Nothing restarts.
        let ids = || {
            let filter = format!("name={}", name.as_str());
            docker(&["ps", "-q", "--no-trunc", "--filter", &filter])
        };
        let before = ids();
        project.apply().ok();
        assert_eq!(ids(), before);
        project.assert_no_changes();

        project.destroy().ok().says(&["The data is deleted"]);
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn by_default_the_data_outlives_the_deployment(core) {
        let name = Name::new();
        let project = project(core, &name, "volume = {}");
        project.apply().ok();
        let made = project.state("convex_deployment.app");
        let key = text(&made, "admin_key").to_owned();
        set_data(&name, &key, "kept");
        project.destroy().ok();
        assert_eq!(name.objects(), [format!("volume {}", name.volume())]);

        // A later deployment of that name goes on with data and keys.
        project.apply().ok().says(&["Existing data taken over"]);
        project.assert_no_changes();
        assert_eq!(project.state("convex_deployment.app")["admin_key"], key.as_str());
        assert_eq!(data(&name, &key), "kept");
        project.destroy().ok();
    }
}

on_every_core! {
    fn an_import_of_a_default_deployment_needs_no_change(core) {
        let name = Name::new();
        let attributes = r#"
            volume  = { on_destroy = "retain" }
            labels  = { a = "1" }
            backend = { image = "IMAGE", env = { RUST_LOG = "debug" }, memory_mb = 512 }
            network = { publish = { api = PORT } }
        "#.replace("IMAGE", &images().backend).replace("PORT", &port().to_string());
        let project = project(core, &name, &attributes);
        project.apply().ok();
        let made = project.state("convex_deployment.app");
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_deployment.app"), made);
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", "no-such-thing"])
            .fails_with(&["No such deployment"]);
        project.run(&["import", "-no-color", "convex_deployment.app", "Not_A_Name"])
            .fails_with(&["Not the name of a deployment"]);
    }
}

on_each_core! {
    fn it_can_be_made_stopped_and_started_later(core) {
        let name = Name::new();
        let project = project(core, &name, "running = false");
        project.apply().ok();
        project.assert_no_changes();
        let made = project.state("convex_deployment.app");
        assert_eq!(name.objects(), [format!("volume {}", name.volume())]);
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_deployment.app")["admin_key"], made["admin_key"]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn memory_is_limited_without_a_restart_and_the_dashboard_can_be_left_out(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        let id = docker(&["inspect", "-f", "{{.Id}}", &name.container("backend")]);
        let attributes = format!(
            "backend = {{ image = {:?}, memory_mb = 256 }}\n dashboard = {{ enabled = false }}",
            images().backend
        );
        configure(&project, &deployment(&name, &attributes));
        project.apply().ok();
        project.assert_no_changes();
        let now = docker(&["inspect", "-f", "{{.Id}} {{.HostConfig.Memory}}", &name.container("backend")]);
        assert_eq!(now, format!("{id} {}", 256 << 20));
        assert_eq!(project.state("convex_deployment.app")["urls"]["dashboard"], Json::Null);
        assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", name.container("dashboard"))]), "");
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_secret_may_be_given_and_changed(core) {
        let name = Name::new();
        let secret = |digit: &str| format!("instance_secret = {:?}", digit.repeat(64));
        let project = project(core, &name, &secret("a"));
        project.apply().ok();
        let before = project.state("convex_deployment.app");
        set_data(&name, text(&before, "admin_key"), "kept");
        configure(&project, &deployment(&name, &secret("b")));
        project.apply().ok();
        project.assert_no_changes();
        let after = project.state("convex_deployment.app");
        assert_ne!(after["admin_key"], before["admin_key"]);
        assert_eq!(data(&name, text(&after, "admin_key")), "kept");
        let header = format!("Authorization: Convex {}", text(&before, "admin_key"));
        let url = "http://127.0.0.1:3210/api/check_admin_key";
        let status = ask(&name, &["-o", "/dev/null", "-w", "%{http_code}", "-H", &header, url]);
        assert_eq!(status, "401");
        project.destroy().ok();
    }
}

on_each_core! {
    fn another_name_is_another_deployment(core) {
        let (name, other) = (Name::new(), Name::new());
        let project = project(core, &name, "volume = {}");
        project.apply().ok();
        configure(&project, &deployment(&other, "volume = {}"));
        project.plan().ok().says(&[
            "The new deployment starts without data",
            "forces replacement",
            "1 to add, 0 to change, 1 to destroy",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), [format!("volume {}", name.volume())]);
        project.destroy().ok();
    }
}

on_every_core! {
    fn an_ephemeral_key_waits_for_the_deployment_it_is_for(core) {
        let name = Name::new();
        let key = r#"
            ephemeral "convex_admin_key" "app" {
              deployment = convex_deployment.app.id
            }
            resource "terraform_data" "uses_it" {
              lifecycle {
                precondition {
                  condition     = startswith(ephemeral.convex_admin_key.app.admin_key, "NAME|01")
                  error_message = "No key."
                }
              }
            }
        "#.replace("NAME", name.as_str());
        let blocks = |attributes| deployment(&name, attributes) + &key;
        let project = Project::new(core, &config(&blocks("")));
        project.plan().ok();
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &blocks("running = false"));
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_deployment_is_read_by_others(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        let made = project.state("convex_deployment.app");
        let reader = Project::new(core, &config(&format!(r#"
            data "convex_deployment" "it" {{
              name = {:?}
            }}
            ephemeral "convex_admin_key" "it" {{
              deployment = {:?}
              read_only  = true
            }}
            output "key" {{
              value     = data.convex_deployment.it.admin_key
              sensitive = true
            }}
        "#, name.as_str(), name.as_str())));
        reader.apply().ok();
        reader.assert_no_changes();
        let read = reader.state("data.convex_deployment.it");
        for attribute in [
            "id", "running", "origins", "instance_name", "admin_key", "urls",
            "container_ids", "image_digests", "version",
        ] {
            assert_eq!(read[attribute], made[attribute], "{attribute}");
        }
        assert_eq!(reader.output("key"), made["admin_key"]);
        project.destroy().ok();
        reader.plan().fails_with(&["No such deployment"]);
    }
}
