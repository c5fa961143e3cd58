//! Where secrets are, which origins a backend runs on, and what it is started by.

use serde_json::Value as Json;

use super::{config, configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Name, docker, images},
    on_each_core, on_every_core, standin,
    terraform::Project,
};

/// What a program in the backend's container prints.
fn inside(name: &Name, command: &[&str]) -> String {
    docker(&[&["exec", &name.container("backend")], command].concat())
}

/// The secret of the instance, as it lies in the volume.
fn secret_in_volume(name: &Name) -> String {
    inside(name, &["cat", "/convex/data/credentials/instance_secret"])
}

/// Whether the backend accepts a key.
fn accepts(name: &Name, key: &str) -> bool {
    let header = format!("Authorization: Convex {key}");
    let url = "http://127.0.0.1:3210/api/check_admin_key";
    let status = ["-o", "/dev/null", "-w", "%{http_code}", "-H", &header, url];
    inside(name, &[&["curl", "-s"], &status[..]].concat()) == "200"
}

/// A deployment, its variables and something that takes its key, in which the
/// attributes of the first two are given.
fn blocks(name: &Name, attributes: &str, env: &str) -> String {
    deployment(name, attributes)
        + &format!(
            r#"
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              {env}
            }}
            "#
        )
}

const EPHEMERAL: &str = r#"
    ephemeral "convex_admin_key" "app" {
      deployment = convex_deployment.app.id
    }
"#;

on_every_core! {
    fn without_secrets_in_the_state_everything_works_and_the_state_has_none(core) {
        let name = Name::new();
        let env = r#"variables = { A = "1" }
            auth = {}"#;
        let all = |attributes: &str| blocks(&name, attributes, env) + EPHEMERAL;
        let project = Project::new(core, &config(&all("secrets_in_state = false")));
        project.plan().ok();
        project.apply().ok();
        project.assert_no_changes();
        let secret = secret_in_volume(&name);
        let state = project.read("terraform.tfstate");
        assert!(!state.contains(&secret));
        assert!(!state.contains("PRIVATE KEY"));
        let made = project.state("convex_deployment.app");
        assert_eq!(made["admin_key"], Json::Null);
        assert_eq!(made["instance_secret"], Json::Null);
        let env_local = made["env_local"].as_str().expect("text");
        assert!(env_local.contains("VITE_CONVEX_URL=") && !env_local.contains("ADMIN_KEY"));
        assert_eq!(made["agent_env"].get("CONVEX_SELF_HOSTED_ADMIN_KEY"), None);
        let jwks = project.state("convex_env.app")["auth"]["jwks"].clone();
        assert!(jwks.is_string());

        // A change, a stop, a change while stopped, and a start.
        configure(&project, &all("secrets_in_state = false\n labels = { a = \"1\" }"));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &all("secrets_in_state = false\n running = false"));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &all("secrets_in_state = false"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(secret_in_volume(&name), secret);
        assert_eq!(project.state("convex_env.app")["auth"]["jwks"], jwks);

        // Switched on and off again, in place.
        let id = || project.state("convex_deployment.app")["container_ids"]["backend"].clone();
        let before = id();
        configure(&project, &all(""));
        project.plan().ok().says(&["~ secrets_in_state = false -> true", "0 to destroy"]);
        project.apply().ok();
        project.assert_no_changes();
        let shown = project.state("convex_deployment.app");
        assert_eq!(shown["instance_secret"], secret.as_str());
        assert!(accepts(&name, shown["admin_key"].as_str().expect("a key")));
        configure(&project, &all("secrets_in_state = false"));
        project.apply().ok().says(&["Earlier states still have the secret"]);
        project.assert_no_changes();
        assert!(!project.read("terraform.tfstate").contains(&secret));
        assert_eq!(id(), before, "nothing restarts");

        // Found again.
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        assert!(!project.read("terraform.tfstate").contains(&secret));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(id(), before);
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn a_secret_that_would_be_in_the_state_is_refused(core) {
        let name = Name::new();
        let given = format!("secrets_in_state = false\n instance_secret = {:?}", "ab".repeat(32));
        let project = project(core, &name, &given);
        project.plan().fails_with(&["A secret that would be in the state", "instance_secret"]);
        for (env, path) in [
            (r#"secrets = { A = { value = "x" } }"#, "secrets[\"A\"].value"),
            (r#"auth = { private_key = file("key.pem") }"#, "auth.private_key"),
        ] {
            let pem = include_str!("../convex/data/rsa_2048_for_tests.pem");
            project.write("key.pem", pem);
            configure(&project, &blocks(&name, "secrets_in_state = false", env));
            project.plan().fails_with(&["A secret that would be in the state", path]);
        }
    }
}

on_each_core! {
    fn a_rotation_ends_old_keys_and_everything_follows_in_one_apply(core) {
        let name = Name::new();
        let user = r#"
            output "user" {
              value     = convex_deployment.app.admin_key
              sensitive = true
            }
        "#;
        let all = |attributes: &str| blocks(&name, attributes, "variables = { A = \"1\" }") + user + EPHEMERAL;
        let project = Project::new(core, &config(&all("rotate_trigger = \"1\"")));
        project.apply().ok();
        project.assert_no_changes();
        let old = project.state("convex_deployment.app")["admin_key"].clone();
        let old = old.as_str().expect("a key");
        assert!(accepts(&name, old));

        configure(&project, &all("rotate_trigger = \"2\""));
        let plan = project.plan().ok().says(&[
            "All admin keys will be revoked",
            r#"~ rotate_trigger = "1" -> "2""#,
            "~ backend = ",
            "0 to destroy",
        ]);
        assert!(!plan.text().contains(old));
        project.apply().ok();
        project.assert_no_changes();
        let new = project.state("convex_deployment.app")["admin_key"].clone();
        let new = new.as_str().expect("a key");
        assert!(accepts(&name, new) && !accepts(&name, old));
        assert_eq!(project.output("user"), new);

        // Without secrets in the state, and while stopped.
        configure(&project, &all("rotate_trigger = \"3\"\n secrets_in_state = false").replace(user, ""));
        project.apply().ok();
        project.assert_no_changes();
        assert!(!accepts(&name, new));
        let third = secret_in_volume(&name);
        for attributes in [
            "rotate_trigger = \"4\"\n secrets_in_state = false\n running = false",
            "rotate_trigger = \"4\"\n secrets_in_state = false",
        ] {
            configure(&project, &all(attributes).replace(user, ""));
            project.apply().ok();
            project.assert_no_changes();
        }
        assert_ne!(secret_in_volume(&name), third);

        // Another secret that is given revokes keys as well.
        configure(&project, &all(&format!("rotate_trigger = \"4\"\n instance_secret = {:?}", "cd".repeat(32))));
        project.apply().ok().says(&["If it differs from the secret in the volume"]);
        project.assert_no_changes();
        configure(&project, &all(&format!("rotate_trigger = \"4\"\n instance_secret = {:?}", "ef".repeat(32))));
        project.plan().ok().says(&[
            "All admin keys will be revoked",
            "instance_secret has changed, so the instance of deployment",
        ]);
        configure(&project, &all(&format!("rotate_trigger = \"5\"\n instance_secret = {:?}", "ab".repeat(32))));
        project.plan().fails_with(&["A given secret is not rotated", "rotate_trigger"]);
        configure(&project, &all("rotate_trigger = \"4\""));
        project.destroy().ok();
    }
}

on_each_core! {
    fn an_import_takes_the_triggers_over_and_rotates_nothing(core) {
        let name = Name::new();
        let all = |trigger: &str| {
            let trigger = format!("rotate_trigger = {trigger:?}");
            blocks(&name, &trigger, &format!("auth = {{ {trigger} }}"))
        };
        let project = Project::new(core, &config(&all("1")));
        project.apply().ok();
        let key = || project.state("convex_deployment.app")["admin_key"].clone();
        let jwks = || project.state("convex_env.app")["auth"]["jwks"].clone();
        let before = (key(), jwks());
        for resource in ["convex_env.app", "convex_deployment.app"] {
            project.run(&["state", "rm", resource]).ok();
        }
        for resource in ["convex_deployment.app", "convex_env.app"] {
            project.run(&["import", "-no-color", resource, name.as_str()]).ok();
        }
        project.plan().ok().says(&[
            "The imported instance secret is kept",
            "The imported signing key is kept",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!((key(), jwks()), before);

        configure(&project, &all("2"));
        project.apply().ok().says(&["All admin keys will be revoked"]);
        project.assert_no_changes();
        assert_ne!(key(), before.0);
        assert_ne!(jwks(), before.1);
        project.destroy().ok();
    }
}

/// The URLs that the backend has in force.
fn canonical(name: &Name, key: &Json) -> Json {
    let header = format!("Authorization: Convex {}", key.as_str().expect("a key"));
    let url = "http://127.0.0.1:3210/api/v1/get_canonical_urls";
    let printed = inside(name, &["curl", "-sSf", "-H", &header, url]);
    serde_json::from_str(&printed).expect("JSON")
}

on_each_core! {
    fn on_internal_origins_the_public_ones_are_published_and_change_without_a_restart(core) {
        let name = Name::new();
        let all = |host: &str, internal: bool| blocks(&name, &format!(
            "origins = {{ api = \"https://api.{host}\", site = \"https://site.{host}\" }}\n{}",
            if internal { "" } else { "internal_origins = false" }
        ), "auth = {}\n exclusive = true");
        let project = Project::new(core, &config(&all("one.example", true)));
        project.plan().ok().says(&[
            r#"+ custom_site_url = "https://site.one.example""#,
            r#"+ issuer = "http://127.0.0.1:3211""#,
        ]);
        project.apply().ok();
        project.assert_no_changes();
        let made = project.state("convex_deployment.app");
        let env = inside(&name, &["env"]);
        assert!(env.contains("CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210"), "{env}");
        assert!(env.contains("CONVEX_SITE_ORIGIN=http://127.0.0.1:3211"), "{env}");
        let urls = canonical(&name, &made["admin_key"]);
        assert_eq!(urls["convexCloudUrl"], "https://api.one.example");
        assert_eq!(urls["convexSiteUrl"], "http://127.0.0.1:3211");
        let dashboard = docker(&["inspect", "-f", "{{.Config.Env}}", &name.container("dashboard")]);
        assert!(dashboard.contains("NEXT_PUBLIC_DEPLOYMENT_URL=https://api.one.example"), "{dashboard}");

        // Other public origins: the backend's container stays.
        configure(&project, &all("two.example", true));
        let plan = project.plan().ok().says(&[
            r#"~ custom_site_url = "https://site.one.example" -> "https://site.two.example""#,
        ]);
        assert!(!plan.text().contains("~ issuer"), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        let changed = project.state("convex_deployment.app");
        assert_eq!(changed["container_ids"]["backend"], made["container_ids"]["backend"]);
        assert_eq!(canonical(&name, &made["admin_key"])["convexCloudUrl"], "https://api.two.example");

        // Published by somebody else.
        let header = format!("Authorization: Convex {}", made["admin_key"].as_str().expect("a key"));
        let body = r#"{"requestDestination":"convexCloud","url":"https://evil.example"}"#;
        inside(&name, &["curl", "-sSf", "-H", &header, "--json", body, "http://127.0.0.1:3210/api/v1/update_canonical_url"]);
        project.plan().ok().says(&[r#"~ api = "https://evil.example" -> "https://api.two.example""#]);
        project.apply().ok();
        project.assert_no_changes();

        // Imported with what nobody can see in a container.
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        let found = project.state("convex_deployment.app");
        assert_eq!(found["origins"], changed["origins"]);
        assert_eq!(found["internal_origins"], true);
        project.apply().ok();
        project.assert_no_changes();

        // All that a project reads agrees on the issuer.
        let made = project.state("convex_deployment.app");
        let env_local = made["env_local"].as_str().expect("text");
        for (name, value) in [
            ("JWT_ISSUER", "http://127.0.0.1:3211"),
            ("CONVEX_SITE_URL", "http://127.0.0.1:3211"),
            ("VITE_CONVEX_SITE_URL", "https://site.two.example"),
        ] {
            assert_eq!(made["agent_env"][name], value);
            assert!(env_local.contains(&format!("\n{name}={value}\n")), "{env_local}");
        }

        // And back to public ones.
        configure(&project, &all("two.example", false));
        project.plan().ok().says(&[
            "~ internal_origins = true -> false",
            "The issuer of sign-in tokens changes",
            "moves to public origins",
            r#"- custom_site_url = "https://site.two.example" -> null"#,
        ]);
        project.apply().ok();
        project.assert_no_changes();
        let urls = canonical(&name, &made["admin_key"]);
        assert_eq!(urls["convexCloudUrl"], "https://api.two.example");
        assert_eq!(urls["convexSiteUrl"], "https://site.two.example");
        let auth = project.state("convex_env.app")["auth"].clone();
        assert_eq!(auth["issuer"], "https://site.two.example");
        assert_eq!(auth["custom_site_url"], Json::Null);

        // As the state of an earlier version of the provider is upgraded.
        configure(&project, &all("two.example", true));
        project.plan().ok().says(&[
            "~ internal_origins = false -> true",
            "The issuer of sign-in tokens changes",
            "Users stay signed in",
            "the backend because of its environment (CONVEX_CLOUD_ORIGIN, CONVEX_SITE_ORIGIN)",
            r#"~ issuer = "https://site.two.example" -> "http://127.0.0.1:3211""#,
            r#"+ custom_site_url = "https://site.two.example""#,
            "0 to destroy",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_backend_that_cannot_publish_origins_is_not_moved_to_internal_ones_on_the_standin(core) {
        let name = Name::new();
        let old = standin::faulty("no_list");
        let project = project(core, &name, &format!("{old}\n internal_origins = false"));
        project.apply().ok();
        let id = || docker(&["inspect", "-f", "{{.Id}}", &name.container("backend")]);
        let before = id();
        configure(&project, &deployment(&name, &old));
        project.apply().fails_with(&[
            "The backend is too old for internal origins",
            "set internal_origins to false",
        ]);
        assert_eq!(id(), before, "nothing restarts");
        configure(&project, &deployment(&name, &format!("{old}\n internal_origins = false")));
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_backend_that_does_not_tell_its_origins_can_be_planned_all_the_same_on_the_standin(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        let fault = serde_json::json!([
            { "path": "/api/v1/get_canonical_urls", "kind": "status", "status": 500, "times": 1000 },
        ]);
        Backend::of(&name, &project.state("convex_deployment.app")).fail(&fault);
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_variable_that_is_declared_by_hand_is_not_derived(core) {
        let name = Name::new();
        let custom = "CUSTOM_AUTH_SITE_URL = \"https://mine.example\"";
        let own = format!("auth = {{}}\n variables = {{ {custom} }}");
        let project = Project::new(core, &config(&blocks(&name, "", &own)));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_env.app")["auth"]["custom_site_url"], Json::Null);

        // And not by two resources.
        let two = blocks(&name, "", "auth = {}") + &format!(
            "resource \"convex_env\" \"two\" {{\n deployment = convex_deployment.app.id\n variables = {{ {custom} }}\n}}\n"
        );
        configure(&project, &two);
        project.plan().fails_with(&["Declared by two resources", "CUSTOM_AUTH_SITE_URL"]);
        configure(&project, &blocks(&name, "", "auth = {}"));
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn variables_added_later_are_planned_alike_before_and_during_apply(core) {
        let origins = "origins = { api = \"https://api.example\", site = \"https://site.example\" }";
        for attributes in ["", "running = false", "secrets_in_state = false", "secrets_in_state = false\n running = false", "internal_origins = false"] {
            let name = Name::new();
            let attributes = format!("{origins}\n {attributes}");
            let project = project(core, &name, &attributes);
            project.apply().ok();
            configure(&project, &blocks(&name, &attributes, "variables = { A = \"1\" }\n auth = {}"));
            project.apply().ok();
            project.assert_no_changes();
            let started = attributes.replace("running = false", "");
            configure(&project, &blocks(&name, &started, "variables = { A = \"1\" }\n auth = {}"));
            project.apply().ok();
            project.assert_no_changes();
            let auth = project.state("convex_env.app")["auth"].clone();
            let internal = !attributes.contains("internal_origins");
            let issuer = if internal { "http://127.0.0.1:3211" } else { "https://site.example" };
            assert_eq!(auth["issuer"], issuer, "{attributes}");
            assert_eq!(auth["private_key"].is_null(), attributes.contains("secrets_in_state"));
            project.destroy().ok();
        }
    }
}

on_each_core! {
    fn the_entrypoint_puts_the_signing_key_where_the_recipe_has_it(core) {
        let name = Name::new();
        let backend = |more: &str| format!("backend = {{ image = {:?}, {more} }}", images().backend);
        let project = project(core, &name, &backend("jwt_entrypoint = true"));
        project.apply().ok();
        project.assert_no_changes();
        let env_file = || inside(&name, &["sh", "-c", ". /convex/jwt_env.sh; printf %s \"$JWT_PRIVATE_KEY\""]);
        let of_process = || inside(&name, &["sh", "-c", "tr '\\0' '\\n' </proc/1/environ"]);
        let made = env_file();
        assert!(made.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(of_process().contains(&made));
        for file in ["/jwt_private_key.pem", "/convex/jwt_env.sh", "/convex/data/credentials/jwt_private_key.pem"] {
            assert_eq!(inside(&name, &["stat", "-c", "%a", file]), "600", "{file}");
        }
        let line = made.lines().nth(3).expect("a line").to_owned();
        assert!(!project.read("terraform.tfstate").contains(&line));
        assert!(!docker(&["inspect", &name.container("backend")]).contains(&line));
        let arguments = inside(&name, &["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"]);
        assert!(arguments.contains("--instance-name") && arguments.contains("--port 3210"), "{arguments}");

        // The same key in the next container.
        docker(&["rm", "-f", &name.container("backend")]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(env_file(), made);

        // One's own, and one among the variables of the process.
        let pem = include_str!("../convex/data/rsa_2048_for_tests.pem");
        project.write("key.pem", pem);
        configure(&project, &deployment(&name, &backend("jwt_entrypoint = true, jwt_private_key = file(\"key.pem\")")));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(env_file(), pem.trim_end());
        configure(&project, &deployment(&name, &backend("jwt_entrypoint = true, env = { JWT_PRIVATE_KEY_BASE64 = filebase64(\"key.pem\") }")));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(env_file(), pem.trim_end());

        // Without it, nothing is left.
        configure(&project, &deployment(&name, &backend("")));
        project.apply().ok();
        project.assert_no_changes();
        assert!(!of_process().contains("JWT_PRIVATE_KEY"));
        project.destroy().ok();
    }
}
