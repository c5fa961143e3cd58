//! Twenty deployments in one configuration.
//!
//! Each is in the network of a container of its own, as in twenty workspaces:
//! Docker's default addresses do not suffice for twenty networks beside those
//! of other tests.

use std::time::Instant;

use serde_json::Value as Json;

use super::super::{config, configure};
use crate::support::{
    docker::{Bridge, Name, Proxy, docker, images},
    processes::Peak,
    terraform::{Core, Project},
};

const COUNT: usize = 20;

/// Containers that stand for workspaces, all in one network.
struct Workspaces {
    names: Vec<Name>,
    bridge: Bridge,
}

impl Workspaces {
    fn start() -> Self {
        let names: Vec<_> = (0..COUNT).map(|_| Name::new()).collect();
        let bridge = Bridge::beside(&names[0]);
        let workspaces = Self { names, bridge };
        for name in &workspaces.names {
            docker(&[
                "run",
                "-d",
                "--network",
                workspaces.bridge.as_str(),
                "--name",
                &name.container("workspace"),
                "--entrypoint",
                "sleep",
                &images().backend,
                "1200",
            ]);
        }
        workspaces
    }

    fn blocks(&self, running: bool) -> String {
        let list: Vec<_> = self.names.iter().map(Name::as_str).collect();
        let images = images();
        format!(
            r#"
            locals {{ names = toset({list:?}) }}
            resource "convex_deployment" "app" {{
              for_each  = local.names
              name      = each.key
              running   = {running}
              backend   = {{ image = {:?} }}
              dashboard = {{ image = {:?} }}
              network   = {{ container = "${{each.key}}-workspace" }}
              volume    = {{ on_destroy = "delete" }}
            }}
            resource "convex_env" "app" {{
              for_each   = local.names
              deployment = convex_deployment.app[each.key].id
              variables  = {{ WHO = each.key }}
            }}
            output "keys" {{
              value     = {{ for name, it in convex_deployment.app : name => it.admin_key }}
              sensitive = true
            }}"#,
            images.backend, images.dashboard
        )
    }
}

impl Drop for Workspaces {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = std::process::Command::new("docker")
                .args(["rm", "-f", &name.container("workspace")])
                .output();
        }
    }
}

fn run(project: &Project, command: &str) {
    let arguments = [
        command,
        "-no-color",
        "-input=false",
        "-auto-approve",
        "-parallelism=10",
    ];
    project.run(&arguments).ok();
}

#[test]
fn twenty_deployments_in_one_configuration_come_and_go_cleanly() {
    let workspaces = Workspaces::start();
    let proxy = Proxy::start();
    let mut project = Project::new(Core::Installed, &config(&workspaces.blocks(true)));
    let mark = format!("MARK_{}", workspaces.names[0].as_str());
    project.set_env(&mark, "1");
    project.set_env("DOCKER_HOST", &proxy.host());
    let peak = Peak::watch(&mark);
    let began = Instant::now();
    let calls = |proxy: &Proxy| proxy.take().len() / COUNT;

    run(&project, "apply");
    let create = calls(&proxy);
    project.assert_no_changes();
    let plan = calls(&proxy);
    let keys = project.output("keys");
    let distinct: std::collections::BTreeSet<_> = keys
        .as_object()
        .expect("keys")
        .values()
        .map(Json::to_string)
        .collect();
    assert_eq!(distinct.len(), COUNT);
    for name in &workspaces.names {
        assert_eq!(name.objects().len(), 3, "{:?}", name.objects());
    }

    proxy.take();
    configure(&project, &workspaces.blocks(false));
    run(&project, "apply");
    let stop = calls(&proxy);
    project.assert_no_changes();
    for name in &workspaces.names {
        assert_eq!(name.objects(), [format!("volume {}", name.volume())]);
    }

    proxy.take();
    configure(&project, &workspaces.blocks(true));
    run(&project, "apply");
    let start = calls(&proxy);
    project.assert_no_changes();
    assert_eq!(project.output("keys"), keys);

    proxy.take();
    run(&project, "destroy");
    let destroy = calls(&proxy);
    for name in &workspaces.names {
        assert_eq!(name.objects(), Vec::<String>::new());
    }
    let megabytes = peak.megabytes();
    println!(
        "measured: {COUNT} deployments with parallelism 10 in {} s: at most {megabytes} MiB of memory in a provider process; calls of Docker for each deployment: create {create}, plan {plan}, stop {stop}, start {start}, destroy {destroy}",
        began.elapsed().as_secs()
    );
}
