//! Looking changes nothing: what Docker is asked by validate, plan, refresh and
//! import, in every state a deployment can be in.

use std::cell::Cell;

use super::super::{config, configure, deployment};
use crate::support::{
    backend::Backend,
    docker::{Bridge, Name, Proxy, docker, images},
    driver::{self, Block, Driver},
    proxy::Call,
    terraform::{Core, Project},
};

/// Ways of the backend that only read, beside all that are asked with GET.
const QUERIES: [&str; 2] = ["/api/query", "/api/check_admin_key"];

/// Programs in a workspace that only read, up to the paths that they are given.
const READERS: [&[&str]; 2] = [
    &["ls", "-1", "-d", "--"],
    &["tar", "-c", "-f", "-", "--no-recursion", "-C", "/", "--"],
];

fn only_reads(command: &[String]) -> bool {
    let begins_with = |start: &&[&str]| {
        command.len() > start.len()
            && command
                .iter()
                .zip(*start)
                .all(|(word, known)| word == known)
    };
    command == ["curl", "-q", "-K", "-"] || READERS.iter().any(begins_with)
}

/// Why a call might change something.
fn suspicion(call: &Call) -> Option<String> {
    if call.changes() {
        return Some(format!("{} {}", call.method, call.path));
    }
    if !call.command.is_empty() && !only_reads(&call.command) {
        return Some(format!("runs {:?}", call.command));
    }
    if let Some((method, path)) = call.input.request()
        && method != "GET"
        && !QUERIES.contains(&path.as_str())
    {
        return Some(format!("asks the backend: {method} {path}"));
    }
    None
}

/// A project whose calls of Docker are watched.
struct Watched {
    project: Project,
    proxy: Proxy,
    looks: Cell<usize>,
    calls: Cell<usize>,
}

impl Watched {
    fn new(blocks: &str) -> Self {
        let proxy = Proxy::start();
        let mut project = Project::new(Core::Installed, &config(blocks));
        project.set_env("DOCKER_HOST", &proxy.host());
        Self {
            project,
            proxy,
            looks: Cell::new(0),
            calls: Cell::new(0),
        }
    }

    /// Runs a command that must be content with looking.
    fn look(&self, what: &str, arguments: &[&str]) {
        self.proxy.take();
        let outcome = self.project.run(arguments);
        assert_eq!(outcome.code, 0, "{what}: {}", outcome.text());
        let calls = self.proxy.take();
        let suspicions: Vec<_> = calls.iter().filter_map(suspicion).collect();
        assert!(
            suspicions.is_empty(),
            "{arguments:?} {what}: {suspicions:#?}"
        );
        self.looks.set(self.looks.get() + 1);
        self.calls.set(self.calls.get() + calls.len());
    }

    /// Plans.
    fn plan(&self, what: &str) {
        self.look(what, &["plan", "-no-color", "-input=false"]);
    }

    /// Everything that looks.
    fn look_in_every_way(&self, what: &str) {
        self.plan(what);
        self.look(what, &["validate", "-no-color"]);
        self.look(what, &["plan", "-no-color", "-input=false", "-destroy"]);
        self.look(
            what,
            &["plan", "-no-color", "-input=false", "-refresh-only"],
        );
    }

    /// Applies these blocks, which changes things.
    fn apply(&self, blocks: &str) {
        configure(&self.project, blocks);
        self.project.apply().ok();
    }
}

/// A container that stands for a workspace.
struct Workspace(String, Bridge);

impl Workspace {
    fn start(name: &Name) -> Self {
        let workspace = Self(name.container("workspace"), Bridge::beside(name));
        let network = workspace.1.as_str();
        let arguments = ["run", "-d", "--network", network, "--name", &workspace.0];
        let image = &images().backend;
        docker(&[&arguments[..], &["--entrypoint", "sleep", image, "900"]].concat());
        workspace
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// A deployment with everything that looks at it.
fn blocks(name: &Name, workspace: &Workspace, attributes: &str) -> String {
    format!(
        r#"{}
        resource "convex_env" "plain" {{
          deployment = convex_deployment.app.id
          variables  = {{ PLAIN = "1" }}
          auth       = {{ site_url = "http://localhost:5173" }}
        }}
        resource "convex_env" "secrets" {{
          deployment = convex_deployment.app.id
          secrets = {{
            KEPT   = {{ value = "one" }}
            UNKEPT = {{ value_wo = ephemeral.convex_admin_key.app.admin_key, value_wo_version = 1 }}
          }}
        }}
        data "convex_deployment" "app" {{
          name       = convex_deployment.app.name
          depends_on = [convex_env.plain, convex_env.secrets]
        }}
        data "convex_env" "app" {{
          deployment     = convex_deployment.app.id
          include_values = true
          depends_on     = [convex_env.plain, convex_env.secrets]
        }}
        ephemeral "convex_admin_key" "app" {{
          deployment = convex_deployment.app.id
        }}
        resource "convex_project" "app" {{
          directory = "/convex/project"
          admin_key = convex_deployment.app.admin_key
          container = {{ id = {:?} }}
        }}"#,
        deployment(name, attributes),
        workspace.0
    )
}

#[test]
fn nothing_that_looks_at_a_deployment_changes_anything() {
    let name = Name::new();
    let workspace = Workspace::start(&name);
    let all = |attributes: &str| blocks(&name, &workspace, attributes);
    let joined = format!("network = {{ container = {:?} }}", workspace.0);

    let watched = Watched::new(&all(""));
    watched.look("before there is anything", &["validate", "-no-color"]);
    watched.plan("before there is anything");

    watched.apply(&all(""));
    watched.look_in_every_way("while it runs");
    let key = watched.project.state("convex_deployment.app");
    let backend = Backend::of(&name, &key);

    backend.set(&[("PLAIN", Some("2")), ("KEPT", None)]);
    watched.plan("with other variables");
    docker(&["rm", "-f", &name.container("dashboard")]);
    watched.plan("without its dashboard");
    docker(&["stop", &name.container("backend")]);
    watched.plan("with a backend that was stopped");
    docker(&["rm", "-f", &name.container("backend")]);
    let refresh = ["refresh", "-no-color", "-input=false"];
    watched.look("without its backend", &refresh);

    watched.apply(&all("running = false"));
    watched.look_in_every_way("while it is stopped");
    configure(&watched.project, &all(""));
    watched.plan("before it starts");

    watched.apply(&all(&joined));
    watched.look_in_every_way("in the network of a workspace");
    docker(&["restart", "-t", "0", &workspace.0]);
    watched.plan("after a restart of that workspace");

    watched.apply(&format!(
        r#"{}
        resource "convex_env" "plain" {{
          deployment = convex_deployment.app.id
          variables  = {{ PLAIN = "1" }}
        }}
        ephemeral "convex_admin_key" "app" {{
          deployment = convex_deployment.app.id
        }}"#,
        deployment(&name, "secrets_in_state = false"),
    ));
    watched.plan("with no secret in the state");

    // The same deployment as another configuration finds it.
    let importing = Watched::new(&format!(
        r#"{}
        import {{
          to = convex_deployment.app
          id = {name:?}
        }}
        resource "convex_env" "plain" {{
          deployment = {name:?}
          variables  = {{ PLAIN = "1" }}
        }}
        import {{
          to = convex_env.plain
          id = "{id}/PLAIN"
        }}"#,
        deployment(&name, ""),
        name = name.as_str(),
        id = name.as_str(),
    ));
    importing.plan("before an import");
    configure(
        &importing.project,
        &format!(
            "{}\nresource \"convex_env\" \"plain\" {{\n}}",
            deployment(&name, "")
        ),
    );
    let import = |address, id| ["import", "-no-color", "-input=false", address, id];
    importing.look("an import", &import("convex_deployment.app", name.as_str()));

    watched.project.destroy().ok();
    println!(
        "measured: {} commands of Terraform looked in {} calls of Docker, and none changed anything",
        watched.looks.get() + importing.looks.get(),
        watched.calls.get() + importing.calls.get(),
    );
}

/// The watch is worth something only if it sees changes.
#[test]
fn what_an_apply_does_is_seen_as_changes() {
    let name = Name::new();
    let proxy = Proxy::start();
    let mut driver = Driver::new(&proxy.host());
    let variables = |value: &str| {
        vec![
            driver::deployment(&name, serde_json::json!({})),
            Block::new(
                "convex_env",
                "app",
                serde_json::json!({ "deployment": name.as_str(), "variables": { "A": value } }),
            ),
        ]
    };
    driver.apply(&variables("1"));
    let made: Vec<_> = proxy.take().iter().filter_map(suspicion).collect();
    for part in [
        "/networks/create",
        "/volumes/create",
        "/containers/create",
        "runs [\"sh\"",
    ] {
        assert!(made.iter().any(|it| it.contains(part)), "{part}: {made:#?}");
    }
    driver.apply(&variables("2"));
    let changed: Vec<_> = proxy.take().iter().filter_map(suspicion).collect();
    let posted = |it: &&String| it.contains("POST /api/update_environment_variables");
    assert_eq!(changed.iter().filter(posted).count(), 1, "{changed:#?}");
    driver.apply(&[]);
}
