//! A template of somebody's own, with the module as its README says.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{life::works, person, running::Server, workspace::Workspace};
use crate::{
    coder::other_images,
    module::readme::blocks,
    support::{apps, docker::images},
};

/// What a template has without the module, and the variables that the README's blocks name.
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
  arch = data.coder_provisioner.me.arch
  os   = "linux"
}

resource "docker_container" "workspace" {
  count      = data.coder_workspace.me.start_count
  image      = var.workspace_image
  name       = "coder-${data.coder_workspace.me.id}-workspace"
  entrypoint = ["sh", "-c", coder_agent.main.init_script]
  env        = ["CODER_AGENT_TOKEN=${coder_agent.main.token}"]

  labels {
    label = "coder.workspace_id"
    value = data.coder_workspace.me.id
  }
}
"#;

#[test]
fn a_template_with_the_module_has_convex_on_coder() {
    let terraform = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/modules/convex");
    let readme = fs::read_to_string(terraform.join("README.md")).expect("a README");
    let usage = &blocks(&readme)[0];
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
    apps::write(template.path(), "main.tf", &(TEMPLATE.to_owned() + &module));
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
