//! A workspace that is stopped and started many times, and given away from a
//! prebuilt one, again and again.
//!
//! Rounds go by the protocol as Terraform's core speaks it, with a new process
//! for each plan and each apply, and the first few by Terraform itself; with
//! `CONVEX_TEST_ROUNDS=terraform` all of them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::{config, configure, deployment as block};
use crate::support::{
    backend::Backend,
    docker::{Name, docker},
    driver::{Action, Block, Driver, deployment},
    terraform::{Core, Project},
};

/// How often a workspace is stopped and started.
const STARTS: usize = 50;

/// How often it is claimed.
const CLAIMS: usize = 20;

/// How many rounds Terraform itself makes.
const BY_TERRAFORM: usize = 5;

fn by_terraform(all: usize) -> usize {
    match std::env::var("CONVEX_TEST_ROUNDS").as_deref() {
        Ok("terraform") => all,
        _ => BY_TERRAFORM,
    }
}

/// The workspace at a time: who has it, and whether it runs.
#[derive(Clone, Copy)]
struct Workspace {
    owner: usize,
    running: bool,
}

impl Workspace {
    fn host(self, app: &str) -> String {
        format!(
            "https://{app}--w{}--owner-{}.example.com",
            self.owner, self.owner
        )
    }

    fn origins(self) -> Json {
        json!({ "api": self.host("api"), "site": self.host("site"), "dashboard": self.host("dash") })
    }

    fn blocks(self, name: &Name) -> Vec<Block> {
        let labels = json!({ "coder.owner": format!("owner-{}", self.owner) });
        vec![
            deployment(
                name,
                json!({ "running": self.running, "origins": self.origins(), "labels": labels }),
            ),
            Block::new(
                "convex_env",
                "app",
                json!({
                    "deployment": name.as_str(),
                    "variables": { "SAME": "1" },
                    "auth": { "site_url": self.host("app") },
                }),
            ),
        ]
    }

    /// The same for Terraform.
    fn configuration(self, name: &Name) -> String {
        let attributes = format!(
            "running = {}\n origins = {}\n labels = {{ \"coder.owner\" = \"owner-{}\" }}",
            self.running,
            self.origins(),
            self.owner
        );
        block(name, &attributes)
            + &format!(
                "resource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n variables = {{ SAME = \"1\" }}\n auth = {{ site_url = {:?} }}\n}}",
                self.host("app")
            )
    }
}

/// What must stay as it is, whatever happens.
#[derive(Debug, PartialEq, Eq)]
struct Lasting {
    key: String,
    variables: BTreeMap<String, String>,
    files: String,
}

/// Looks at what must stay, and demands that the rest has followed.
fn look(name: &Name, key: &str, workspace: Workspace) -> Lasting {
    let backend = Backend::of(name, &json!({ "admin_key": key }));
    let mut variables = backend.variables();
    let site_url = variables.remove("SITE_URL");
    assert_eq!(site_url, Some(workspace.host("app")), "SITE_URL follows");
    // Those that tell the origins may follow, the key must not.
    variables.retain(|_, value| !value.contains(".example.com"));
    assert!(variables.contains_key("JWT_PRIVATE_KEY"));
    let script = "cd /convex/data && find storage credentials/instance_secret credentials/instance_name -type f | sort | xargs sha256sum";
    Lasting {
        key: key.to_owned(),
        variables,
        files: docker(&["exec", &name.container("backend"), "sh", "-c", script]),
    }
}

/// Puts something there that no apply knows of.
fn leave_data(name: &Name, key: &str) {
    let backend = Backend::of(name, &json!({ "admin_key": key }));
    backend.set(&[("SET_BY_HAND", Some("kept"))]);
    let script = "echo a document > /convex/data/storage/document";
    docker(&["exec", &name.container("backend"), "sh", "-c", script]);
}

/// By the protocol: applies, with nothing replaced and nothing left to do.
fn step(driver: &mut Driver, blocks: &[Block]) {
    let plan = driver.apply(blocks);
    for (address, action) in plan.actions() {
        assert!(
            matches!(action, Action::Nothing | Action::Update),
            "{action:?} of {address}"
        );
    }
    driver.assert_no_changes(blocks);
}

/// The same by Terraform.
fn step_by_terraform(project: &Project, blocks: &str) {
    configure(project, blocks);
    let plan = project.plan_json();
    for change in plan["resource_changes"].as_array().expect("changes") {
        let actions = &change["change"]["actions"];
        assert!(
            *actions == json!(["update"]) || *actions == json!(["no-op"]),
            "{actions} of {}",
            change["address"]
        );
    }
    project.run(&["apply", "-no-color", "plan.bin"]).ok();
    project.assert_no_changes();
}

/// Lets `rounds` pass by Terraform and then by the protocol, each of which
/// takes the workspaces of its number in order.
fn live(rounds: usize, of: impl Fn(usize) -> Vec<Workspace>) -> usize {
    let terraform_rounds = by_terraform(rounds);
    let first = Workspace {
        owner: 0,
        running: true,
    };
    let name = Name::new();
    let project = Project::new(Core::Installed, &config(&first.configuration(&name)));
    project.apply().ok();
    let key = |project: &Project| {
        let key = project.state("convex_deployment.app")["admin_key"].clone();
        key.as_str().expect("a key").to_owned()
    };
    leave_data(&name, &key(&project));
    let lasting = look(&name, &key(&project), first);
    assert!(lasting.files.contains("storage/document"));
    assert!(lasting.variables.contains_key("SET_BY_HAND"));
    for round in 0..terraform_rounds {
        for workspace in of(round) {
            step_by_terraform(&project, &workspace.configuration(&name));
            if workspace.running {
                assert_eq!(look(&name, &key(&project), workspace), lasting);
            }
        }
    }
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());

    let name = Name::new();
    let mut driver = Driver::new("");
    driver.apply(&first.blocks(&name));
    let key = |driver: &Driver| driver.text("convex_deployment.app", "admin_key");
    leave_data(&name, &key(&driver));
    let lasting = look(&name, &key(&driver), first);
    for round in terraform_rounds..rounds {
        for workspace in of(round) {
            step(&mut driver, &workspace.blocks(&name));
            if workspace.running {
                assert_eq!(look(&name, &key(&driver), workspace), lasting);
            }
        }
    }
    driver.apply(&[]);
    assert_eq!(name.objects(), Vec::<String>::new());
    terraform_rounds
}

#[test]
fn fifty_stops_and_starts_replace_nothing_and_keep_everything() {
    let terraform = live(STARTS, |_| {
        [false, true]
            .map(|running| Workspace { owner: 0, running })
            .to_vec()
    });
    println!(
        "measured: stopped and started {STARTS} times, {terraform} of them by Terraform: no replacement, the same data and key, each second plan empty"
    );
}

#[test]
fn twenty_claims_replace_nothing_and_variables_follow_the_new_site() {
    let terraform = live(CLAIMS, |round| {
        vec![Workspace {
            owner: round + 1,
            running: true,
        }]
    });
    println!(
        "measured: claimed {CLAIMS} times, {terraform} of them by Terraform: no replacement, the same data and key, variables follow, each second plan empty"
    );
}

/// An apply knows of a deployment only what it changes itself. A workspace that
/// is stopped is applied again when its template has changed.
#[test]
fn a_stopped_workspace_is_applied_again_though_its_key_cannot_be_had() {
    let name = Name::new();
    let blocks = |running: bool, value: &str| {
        config(&format!(
            r#"{}
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              variables  = {{ A = {value:?} }}
            }}
            ephemeral "convex_admin_key" "app" {{
              deployment = convex_deployment.app.id
            }}"#,
            block(&name, &format!("running = {running}"))
        ))
    };
    let project = Project::new(Core::Installed, &blocks(true, "1"));
    project.apply().ok();
    for value in ["1", "2"] {
        project.write("main.tf", &blocks(false, value));
        let said = project.apply().ok();
        if value == "2" {
            said.says(&["No key of a deployment that is stopped", "Start it"]);
        }
        project.assert_no_changes();
    }
    project.write("main.tf", &blocks(true, "2"));
    project.apply().ok();
    project.assert_no_changes();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    assert_eq!(backend.get("A").as_deref(), Some("2"));
    project.destroy().ok();
}
