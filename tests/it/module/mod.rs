//! The module for Coder's registry: its own tests, and the registry's rules.

pub mod readme;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::{
    docker::{Name, docker, images},
    golden,
    terraform::cli_config_with_peers,
};

/// Where it is.
fn module() -> PathBuf {
    golden::path(Path::new("terraform/modules/convex"))
}

fn read(name: &str) -> String {
    fs::read_to_string(module().join(name)).expect("the module is whole")
}

/// A copy without what Terraform has left beside the original.
fn copy() -> TempDir {
    let copy = TempDir::with_prefix("module-").expect("a directory");
    for name in ["main.tf", "convex.tftest.hcl", "README.md"] {
        fs::write(copy.path().join(name), read(name)).expect("a file");
    }
    copy
}

/// Terraform with the real schema of `coder/coder`.
fn terraform(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("terraform");
    command
        .args(arguments)
        .current_dir(directory)
        .env("TF_CLI_CONFIG_FILE", cli_config_with_peers())
        .env("CHECKPOINT_DISABLE", "1");
    command
}

/// The same with no Docker in reach.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = terraform(directory, arguments);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command
        .output()
        .expect("Terraform is installed: see tests/run")
}

#[track_caller]
fn must(directory: &Path, arguments: &[&str]) -> String {
    succeeded(&run(directory, arguments))
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn its_own_tests_pass_with_both_providers_mocked() {
    let copy = copy();
    must(copy.path(), &["init", "-no-color", "-input=false"]);
    let said = must(copy.path(), &["test", "-no-color"]);
    let runs = read("convex.tftest.hcl").matches("\nrun \"").count();
    assert!(
        runs > 5 && said.contains(&format!("{runs} passed, 0 failed")),
        "{said}"
    );

    // They would notice.
    let broken = read("main.tf")
        .replace("each.key != \"dashboard\"", "false")
        .replace("running = local.starts", "running = true")
        .replace("slug         = var.slugs[each.key]", "slug = each.key");
    fs::write(copy.path().join("main.tf"), broken).expect("a file");
    let output = run(copy.path(), &["test", "-no-color"]);
    let said = String::from_utf8_lossy(&output.stdout);
    for run in [
        "the_apps_are_ports_of_the_workspace",
        "slugs_are_named_once",
        "a_stopped_workspace_keeps_the_deployment",
    ] {
        assert!(said.contains(&format!("run \"{run}\"... fail")), "{said}");
    }
}

/// A container that stands for a workspace, and what the module makes for it.
struct Workspace {
    id: String,
    container: String,
}

impl Workspace {
    fn start(name: &Name) -> Self {
        let image = &images().backend;
        let container = name.container("workspace");
        docker(&[
            "run",
            "-d",
            "--name",
            &container,
            "--entrypoint",
            "sleep",
            image,
            "600",
        ]);
        Self {
            id: name.as_str().to_owned(),
            container,
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let deployment = format!("coder-{}", self.id);
        let (backend, dashboard) = (
            format!("{deployment}-backend"),
            format!("{deployment}-dashboard"),
        );
        let volume = format!("{deployment}-data");
        for arguments in [
            &["rm", "-f", "-v", &backend, &dashboard, &self.container][..],
            &["volume", "rm", "-f", &volume],
        ] {
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}

/// With Coder mocked and everything else real.
const ON_DOCKER: &str = r#"
mock_provider "coder" {
  mock_data "coder_workspace" {
    defaults = { id = "ID", name = "dev", access_url = "https://coder.example.com", start_count = 1 }
  }
  mock_data "coder_workspace_owner" {
    defaults = { name = "ann" }
  }
}
variables {
  agent_id          = "agent"
  network_container = "CONTAINER"
  wildcard          = "*.apps.example.com"
  images            = { backend = "BACKEND", dashboard = "DASHBOARD" }
  variables         = { ENABLE_RAG = "true" }
  secrets           = { OPENAI_API_KEY = "hunter2-hunter2" }
}
run "a_workspace_starts" {
  assert {
    condition     = convex_env.this.pending == false && convex_deployment.this.container_ids.backend != null
    error_message = "It must run, with its variables."
  }
  assert {
    condition     = toset(keys(nonsensitive(convex_deployment.this.agent_env))) == local.agent_env
    error_message = "The agent must get all variables there are."
  }
  assert {
    condition     = convex_deployment.this.urls.api == "http://localhost:3210"
    error_message = "It must be on the workspace's own localhost."
  }
}
run "it_stops" {
  variables {
    network_container = null
  }
  assert {
    condition     = convex_deployment.this.container_ids.backend == null && nonsensitive(convex_deployment.this.admin_key) == nonsensitive(run.a_workspace_starts.admin_key)
    error_message = "Its containers must go, and its key stay."
  }
}
"#;

#[test]
fn on_docker_it_gives_a_workspace_what_it_promises() {
    let name = Name::new();
    let images = images();
    let workspace = Workspace::start(&name);
    let copy = copy();
    let test = ON_DOCKER
        .replace("ID", &workspace.id)
        .replace("CONTAINER", &workspace.container)
        .replace("\"BACKEND\"", &format!("{:?}", images.backend))
        .replace("\"DASHBOARD\"", &format!("{:?}", images.dashboard));
    fs::write(copy.path().join("convex.tftest.hcl"), test).expect("a file");
    must(copy.path(), &["init", "-no-color", "-input=false"]);
    let output = terraform(copy.path(), &["test", "-no-color"])
        .env_remove("DOCKER_HOST")
        .output();
    let said = succeeded(&output.expect("Terraform is installed: see tests/run"));
    assert!(said.contains("2 passed, 0 failed"), "{said}");
}

/// What the blocks of the README refer to.
const AROUND: &str = r#"
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    convex = { source = "coder-convex/convex" }
    docker = { source = "kreuzwerker/docker" }
  }
}
variable "docker_socket" {
  default = ""
}
variable "wildcard" {
  default = ""
}
variable "openai_key" {
  sensitive = true
}
variable "database_url" {
  sensitive = true
}
resource "coder_agent" "main" {
  count = data.coder_workspace.me.start_count
  arch  = "amd64"
  os    = "linux"
}
resource "coder_app" "frontend" {
  agent_id = one(coder_agent.main[*].id)
  slug     = "frontend"
}
data "coder_workspace" "me" {}
"#;

#[test]
fn every_block_of_its_readme_is_valid() {
    let copy = copy();
    let root = TempDir::with_prefix("module-user-").expect("a directory");
    let mut all = AROUND.to_owned();
    let blocks = readme::blocks(&read("README.md"));
    assert!(blocks.len() > 3, "{blocks:?}");
    for (number, block) in blocks.iter().enumerate() {
        let local = block
            .replace("module \"convex\"", &format!("module \"convex_{number}\""))
            .replace(
                "registry.coder.com/coder-convex/convex/coder",
                &copy.path().display().to_string(),
            );
        let kept = local
            .lines()
            .filter(|line| !line.trim_start().starts_with("version "));
        all += &(kept.collect::<Vec<_>>().join("\n") + "\n");
    }
    fs::write(root.path().join("main.tf"), &all).expect("a file");
    must(root.path(), &["init", "-no-color", "-input=false"]);
    must(root.path(), &["validate", "-no-color"]);
}

/// The names of the blocks of this kind.
fn names(kind: &str) -> Vec<String> {
    let main = read("main.tf");
    let lines = main.lines();
    let names = lines.filter_map(|line| {
        line.strip_prefix(kind)?
            .trim()
            .strip_prefix('"')?
            .split('"')
            .next()
    });
    names.map(str::to_owned).collect()
}

#[test]
fn its_inputs_and_outputs_are_described_and_named_as_the_registry_wants() {
    let main = read("main.tf");
    let (variables, outputs) = (names("variable"), names("output"));
    assert!(
        variables.len() > 10 && outputs.len() > 2,
        "{variables:?} {outputs:?}"
    );
    for name in variables.iter().chain(&outputs) {
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        let start = [format!("variable \"{name}\""), format!("output \"{name}\"")];
        for block in start.iter().filter_map(|start| main.split(start).nth(1)) {
            let block = block.split("\n}\n").next().expect("a block");
            assert!(
                block.contains("description = \""),
                "{name} is not described"
            );
        }
    }
    for name in ["secrets", "database_url"] {
        let block = main
            .split(&format!("variable \"{name}\""))
            .nth(1)
            .expect("a variable");
        let block = block.split("\n}\n").next().expect("a block");
        assert!(
            block.contains("sensitive   = true"),
            "{name} is not sensitive"
        );
    }
}
