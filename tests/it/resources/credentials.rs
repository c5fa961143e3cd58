//! Credentials with a life of their own, run by real Terraform, and the backend that takes them.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use terraform_provider_convex::convex::{Access, AdminKey, InstanceName, InstanceSecret};

use super::{config, configure};
use crate::support::{
    docker::{Name, docker, images, port},
    on_each_core,
    terraform::{Core, Project},
};

const ADDRESS: &str = "convex_credentials.app";

/// What the plan says of every replaced secret.
const REPLACED: &str = "All admin keys will be revoked";

/// What no plan can know of a secret that is yet to be made.
const OPEN: [&str; 3] = ["admin_key", "instance_secret", "read_only_admin_key"];

/// One resource with these attributes beside its name.
fn credentials(attributes: &str) -> String {
    format!(
        "resource \"convex_credentials\" \"app\" {{\ninstance_name = \"my-app\"\n{attributes}\n}}"
    )
}

fn project(core: Core, attributes: &str) -> Project {
    Project::new(core, &config(&credentials(attributes)))
}

fn text(state: &Json, attribute: &str) -> String {
    let text = state[attribute].as_str();
    text.unwrap_or_else(|| panic!("{attribute} is no text in the state"))
        .to_owned()
}

/// The secret in the state, after a look at whether everything belongs together.
#[track_caller]
fn secret(project: &Project, name: &str) -> String {
    let state = project.state(ADDRESS);
    let hex = text(&state, "instance_secret");
    let secret = InstanceSecret::parse(&hex).expect("a secret");
    let instance = InstanceName::parse(name).expect("a name");
    for (attribute, access) in [
        ("admin_key", Access::Full),
        ("read_only_admin_key", Access::ReadOnly),
    ] {
        let key = AdminKey::issue(&instance, &secret, access).expect("a key");
        assert_eq!(text(&state, attribute), key.expose());
    }
    assert_eq!(text(&state, "id"), name);
    assert_eq!(text(&state, "instance_name"), name);
    assert_eq!(text(&state, "database_name"), name.replace('-', "_"));
    hex
}

/// What a plan leaves open, by attribute.
fn unknown(project: &Project) -> Vec<String> {
    let plan = project.plan_json();
    let change = &plan["resource_changes"][0]["change"]["after_unknown"];
    let open = change.as_object().expect("an object").iter();
    let mut names: Vec<_> = open
        .filter(|(_, unknown)| **unknown == Json::Bool(true))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}

on_each_core! {
    fn a_secret_is_made_once_and_replaced_when_asked(core) {
        let project = project(core, "");
        assert_eq!(unknown(&project), OPEN);
        let said = project.apply().ok().text();
        assert!(!said.contains("Warning"), "{said}");
        project.assert_no_changes();
        let first = secret(&project, "my-app");

        configure(&project, &credentials("rotate_trigger = \"2026-11\""));
        project.plan().ok().says(&[
            "0 to add, 1 to change, 0 to destroy", REPLACED, "rotate_trigger has changed",
        ]);
        assert_eq!(unknown(&project), OPEN);
        project.apply().ok();
        project.assert_no_changes();
        let second = secret(&project, "my-app");
        assert_ne!(second, first);

        // Another name is in place too: the secret stays, the keys do not, and all is known.
        configure(&project, &credentials("rotate_trigger = \"2026-11\"").replace("my-app", "other-app"));
        project.plan().ok().says(&[
            "0 to add, 1 to change", "The instance gets another name", "it will look for the database \"other_app\"",
        ]);
        assert_eq!(unknown(&project), Vec::<String>::new());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(secret(&project, "other-app"), second);
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_given_secret_is_taken_and_stays_when_it_is_given_no_more(core) {
        let own = "0123456789abcdef".repeat(4);
        let other = "fedcba9876543210".repeat(4);
        let given = |hex: &str| format!("instance_secret = {hex:?}");
        let project = project(core, &given(&own));
        assert_eq!(unknown(&project), Vec::<String>::new());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(secret(&project, "my-app"), own);

        configure(&project, &credentials(&given(&other)));
        project.plan().ok().says(&[REPLACED, "instance_secret has changed"]);
        configure(&project, &credentials(&format!("{}\nrotate_trigger = \"1\"", given(&own))));
        project.plan().fails_with(&["A given secret is not rotated", "Remove one of the two"]);

        configure(&project, &credentials(""));
        project.assert_no_changes();
        configure(&project, &credentials("rotate_trigger = \"1\""));
        project.apply().ok().says(&[REPLACED]);
        project.assert_no_changes();
        assert_ne!(secret(&project, "my-app"), own);

        // One that another resource has yet to make.
        configure(&project, &format!(
            "resource \"terraform_data\" \"late\" {{\n  input = {other:?}\n}}\n{}",
            credentials("rotate_trigger = \"1\"\ninstance_secret = terraform_data.late.output"),
        ));
        project.plan().ok().says(&[REPLACED, "instance_secret is only known during apply"]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(secret(&project, "my-app"), other);
        project.destroy().ok();
    }
}

on_each_core! {
    fn the_credentials_of_a_running_backend_are_imported_by_the_path_of_their_files(core) {
        let own = "0123456789abcdef".repeat(4);
        let project = project(core, "");
        let directory = project.path().join("credentials");
        fs::create_dir(&directory).expect("a directory");
        fs::write(directory.join("instance_name"), "my-app").expect("a file");
        fs::write(directory.join("instance_secret"), format!("{own}\n")).expect("a file");
        let import = |id: &str| project.run(&["import", "-no-color", ADDRESS, id]);
        import("credentials").ok();
        assert_eq!(secret(&project, "my-app"), own);
        project.assert_no_changes();
        configure(&project, &credentials(&format!("instance_secret = {own:?}")));
        project.assert_no_changes();

        // What the configuration says of rotation, it says of this secret.
        configure(&project, &credentials("rotate_trigger = \"2026-11\""));
        let plan = project.plan().ok().says(&["The imported secret stays"]);
        assert!(!plan.text().contains(REPLACED), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(secret(&project, "my-app"), own);
        configure(&project, &credentials("rotate_trigger = \"2026-12\""));
        project.apply().ok().says(&[REPLACED]);
        assert_ne!(secret(&project, "my-app"), own);

        project.run(&["state", "rm", ADDRESS]).ok();
        let refused = |id: &str, says: &[&str]| {
            let said = import(id).fails_with(says).text();
            let ours = said.find("Cannot import credentials").expect("our words");
            assert!(!said[ours..].contains("hunter2"), "{said}");
        };
        refused("nowhere", &["\"nowhere/instance_name\" cannot be read on the machine that runs Terraform"]);
        fs::write(directory.join("instance_secret"), "hunter2").expect("a file");
        refused("credentials", &["In the file at \"credentials/instance_secret\": The instance secret has 7 characters"]);
        fs::remove_file(directory.join("instance_secret")).expect("it is there");
        refused("credentials", &["\"credentials/instance_secret\" cannot be read"]);
        for id in [own.clone(), format!("my-app:{own}"), format!("my-app|01{own}")] {
            let said = import(&id).fails_with(&["The import ID is a secret, and Terraform prints import IDs"]).text();
            let ours = said.find("Cannot import credentials").expect("our words");
            assert!(!said[ours..].contains(&own), "{said}");
        }
        assert_eq!(project.find_state(ADDRESS), None);
    }
}

on_each_core! {
    fn what_is_no_name_or_secret_is_refused_and_nothing_secret_is_shown(core) {
        let mut project = project(core, "");
        for (block, says) in [
            (credentials("").replace("my-app", "My_App"), "Write \"my-app\" instead."),
            (credentials("instance_secret = \"hunter2-hunter2\""), "The instance secret has 15 characters"),
            (credentials("admin_key = \"x\""), "admin_key is decided by the provider"),
        ] {
            configure(&project, &block);
            let said = project.validate().fails_with(&[says]).text();
            let ours = said.lines().filter(|line| !line.contains("instance_secret = ")).collect::<String>();
            assert!(!ours.contains("hunter2"), "{ours}");
        }
        project.set_env("TF_LOG", "trace");
        configure(&project, &credentials(""));
        let mut said = project.apply().ok().text();
        let before = project.state(ADDRESS);
        configure(&project, &credentials("rotate_trigger = \"1\""));
        said += &project.plan().ok().text();
        said += &project.apply().ok().text();
        let after = project.state(ADDRESS);
        for state in [&before, &after] {
            for attribute in OPEN {
                assert!(!said.contains(&text(state, attribute)), "{attribute} is shown");
            }
        }
        project.destroy().ok();
    }
}

/// A backend that somebody runs by plain Docker.
struct Elsewhere(Name, u16);

impl Elsewhere {
    /// With a network of its own, as what runs containers for others gives them one.
    fn new() -> Self {
        let it = Self(Name::new(), port());
        docker(&["network", "create", &it.network()]);
        it
    }

    fn network(&self) -> String {
        self.0.container("network")
    }

    fn run(&self, state: &Json) {
        let container = self.0.container("by-hand");
        let _ = Command::new("docker")
            .args(["rm", "-f", &container])
            .output();
        let publish = format!("127.0.0.1:{}:3210", self.1);
        let mount = format!("{}:/convex/data", self.0.volume());
        // The values come from the environment, so that no list of processes has them.
        let status = Command::new("docker")
            .args([
                "run",
                "--detach",
                "--name",
                &container,
                "--publish",
                &publish,
                "--network",
                &self.network(),
            ])
            .args([
                "--volume",
                &mount,
                "--env=INSTANCE_NAME",
                "--env=INSTANCE_SECRET",
            ])
            .arg(&images().backend)
            .env("INSTANCE_NAME", text(state, "instance_name"))
            .env("INSTANCE_SECRET", text(state, "instance_secret"))
            .env_remove("DOCKER_HOST")
            .output()
            .expect("Docker runs");
        assert!(status.status.success(), "{status:?}");
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.status("x", "/version", &[]) != "200" {
            assert!(Instant::now() < deadline, "{container} starts");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn status(&self, key: &str, path: &str, more: &[&str]) -> String {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H"])
            .arg(format!("Authorization: Convex {key}"))
            .args(more)
            .arg(format!("http://127.0.0.1:{}{path}", self.1))
            .output()
            .expect("curl is installed");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The statuses of a look at the key, and of a change made with it.
    fn judge(&self, key: &str) -> (String, String) {
        let body = r#"{"changes":[{"name":"A","value":"b"}]}"#;
        (
            self.status(key, "/api/check_admin_key", &[]),
            self.status(key, "/api/update_environment_variables", &["--json", body]),
        )
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let container = self.0.container("by-hand");
        for arguments in [
            &["rm", "-f", &container][..],
            &["volume", "rm", &self.0.volume()],
            &["network", "rm", &self.network()],
        ] {
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}

on_each_core! {
    fn a_backend_that_something_else_runs_takes_the_keys(core) {
        let project = project(core, "");
        project.apply().ok();
        let first = project.state(ADDRESS);
        let backend = Elsewhere::new();
        backend.run(&first);
        let judge = |state: &Json, attribute: &str| backend.judge(&text(state, attribute));
        let is = |seen: (String, String), status: &str, change: &str| {
            assert_eq!((seen.0.as_str(), seen.1.as_str()), (status, change));
        };
        is(judge(&first, "admin_key"), "200", "200");
        is(judge(&first, "read_only_admin_key"), "200", "403");

        configure(&project, &credentials("rotate_trigger = \"1\""));
        project.apply().ok();
        let second = project.state(ADDRESS);
        is(judge(&second, "admin_key"), "401", "401");
        backend.run(&second);
        is(judge(&second, "admin_key"), "200", "200");
        is(judge(&first, "admin_key"), "401", "401");

        // And the provider itself may use them, for what has no deployment of its own.
        configure(&project, &format!(
            "{}\nresource \"convex_env\" \"app\" {{\n  url       = \"http://127.0.0.1:{}\"\n  admin_key = convex_credentials.app.admin_key\n  variables = {{ GREETING = \"hello\" }}\n}}",
            credentials("rotate_trigger = \"1\""), backend.1,
        ));
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}
