//! A template of somebody's own, with the module as its README says.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{life::works, person, running::Server, workspace::Workspace};
use crate::{
    coder::other_images,
    module::readme::blocks,
    support::{apps, docker::images},
};

/// What a template has beside the blocks of the README.
const TEMPLATE: &str = r#"
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    docker = { source = "kreuzwerker/docker" }
  }
}

variable "workspace_image" {
  type = string
}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

resource "coder_agent" "main" {
  count = data.coder_workspace.me.start_count
  arch  = data.coder_provisioner.me.arch
  os    = "linux"
}
"#;

const LABEL: &str = r#"labels {
    label = "coder.workspace_id"
    value = data.coder_workspace.me.id
  }"#;

#[test]
fn a_template_with_the_module_has_convex_on_coder() {
    let terraform = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/modules/convex");
    let readme = fs::read_to_string(terraform.join("README.md")).expect("a README");
    let blocks = blocks(&readme);
    let usage = &blocks[0];
    let container = blocks
        .iter()
        .find(|it| it.contains("resource \"docker_container\""));
    let container = container
        .expect("the README has the workspace's container")
        .replace("\"codercom/example-node:ubuntu\"", "var.workspace_image")
        // By it this test finds what it has to remove.
        .replacen("labels {", &format!("{LABEL}\n\n  labels {{"), 1);
    assert!(container.contains("var.workspace_image"), "{container}");
    // The registry is not there, and the images are.
    let module = usage
        .lines()
        .filter(|line| !line.trim_start().starts_with("version "))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("registry.coder.com/coder-convex/convex/coder", "./convex")
        .replace("*.apps.example.com", &Server::wildcard())
        .replace(
            "\n}",
            &format!(
                "\n  images = {{ backend = {:?}, dashboard = {:?} }}\n}}",
                images().backend,
                images().dashboard
            ),
        );
    let template = TempDir::with_prefix("template-").expect("a directory");
    apps::write(
        template.path(),
        "main.tf",
        &format!("{TEMPLATE}{container}\n{module}"),
    );
    apps::copy(&terraform, &template.path().join("convex"));

    let server = Server::shared();
    let admin = server.admin();
    let image = format!("workspace_image={}", other_images().workspace);
    let directory = template.path().display().to_string();
    admin.coder(&[
        "templates",
        "push",
        "module",
        "-d",
        &directory,
        "--variable",
        &image,
        "--yes",
    ]);
    let mia = admin.create(&person("mia"));
    let workspace = Workspace::create(&mia, "shop", "module");
    works(&workspace);
    workspace.build("stop");
    let kept = workspace.id.objects();
    assert!(kept.iter().all(|it| it.starts_with("volume ")), "{kept:?}");
    workspace.build("delete");
    assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
}
