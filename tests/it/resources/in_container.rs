//! What attributes put into the containers, and what of it Terraform keeps.

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker, images},
    terraform::{Core, Project},
};

const SECRET: &str = "hunter22-of-the-key";
const TOKEN: &str = "hunter22-of-the-session";

/// The settings that differ in the steps of the test.
struct Given {
    running: bool,
    prefills: bool,
    sends_checksums: bool,
    trigger: u8,
    address: &'static str,
}

impl Given {
    fn blocks(&self, name: &Name) -> String {
        let buckets = ["exports", "files", "modules", "search", "snapshot_imports"];
        let buckets = buckets
            .map(|it| format!("{it}_bucket = \"bucket\"\n"))
            .concat();
        let attributes = format!(
            r#"
            running          = {}
            rotate_trigger   = "{}"
            secrets_in_state = false
            dashboard        = {{ image = {:?}, prefill_admin_key = {} }}
            network          = {{ extra_hosts = {{ "host.docker.internal" = "host-gateway", "db.example" = "{}" }} }}
            storage = {{ s3 = {{
              {buckets}
              region               = "auto"
              endpoint             = "http://minio.example:9000/storage/v1/s3"
              disable_sse          = true
              disable_checksums    = {}
              access_key_id        = "id"
              secret_access_key_wo = "{SECRET}"
              session_token_wo     = "{TOKEN}"
            }} }}
            "#,
            self.running,
            self.trigger,
            images().dashboard,
            self.prefills,
            self.address,
            !self.sends_checksums
        );
        deployment(name, &attributes)
    }
}

/// A variable of a container.
fn variable(name: &Name, role: &str, variable: &str) -> Option<String> {
    let list = "{{range .Config.Env}}{{println .}}{{end}}";
    let env = docker(&["inspect", "-f", list, &name.container(role)]);
    let prefix = format!("{variable}=");
    env.lines()
        .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

fn key(name: &Name) -> Option<String> {
    variable(name, "dashboard", "NEXT_PUBLIC_ADMIN_KEY")
}

fn id(name: &Name, role: &str) -> String {
    docker(&["inspect", "-f", "{{.Id}}", &name.container(role)])
}

#[test]
fn a_dashboard_has_the_key_and_a_backend_its_hosts_and_store() {
    let name = Name::new();
    let mut given = Given {
        running: true,
        prefills: true,
        sends_checksums: false,
        trigger: 1,
        address: "10.0.0.5",
    };
    let project = Project::new(Core::Installed, &config(&given.blocks(&name)));
    let apply = |given: &Given| {
        configure(&project, &given.blocks(&name));
        project.plan().ok();
        let said = project.apply().ok();
        project.assert_no_changes();
        let (state, text) = (project.read("terraform.tfstate"), said.text());
        let key = given.running.then(|| key(&name)).flatten();
        for secret in [SECRET, TOKEN].into_iter().chain(key.as_deref()) {
            assert!(!state.contains(secret) && !text.contains(secret));
        }
        said
    };
    apply(&given).says(&["The dashboard's page contains the admin key"]);
    let first = key(&name).expect("a key");
    let hosts = docker(&["exec", &name.container("backend"), "cat", "/etc/hosts"]);
    for host in ["host.docker.internal", "10.0.0.5\tdb.example"] {
        assert!(hosts.contains(host), "{hosts}");
    }
    for (name_of, value) in [
        ("S3_ENDPOINT_URL", "http://minio.example:9000/storage/v1/s3"),
        ("AWS_S3_DISABLE_SSE", "true"),
        ("AWS_S3_DISABLE_CHECKSUMS", "true"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    ] {
        let there = variable(&name, "backend", name_of);
        assert_eq!(there.as_deref(), Some(value), "{name_of}");
    }

    // Stopped and started, it has the same key; only the volume knows the secret.
    given.running = false;
    apply(&given);
    given.running = true;
    apply(&given);
    assert_eq!(key(&name).as_deref(), Some(first.as_str()));

    // Other hosts concern the backend alone.
    let dashboard = id(&name, "dashboard");
    given.address = "10.0.0.6";
    apply(&given).says(&["because of its extra hosts"]);
    assert_eq!(id(&name, "dashboard"), dashboard);

    given.trigger = 2;
    apply(&given).says(&["Its dashboard is recreated with the new key"]);
    let second = key(&name).expect("a key");
    assert_ne!(second, first);

    // What is not wanted any more is gone.
    given.prefills = false;
    given.sends_checksums = true;
    apply(&given).says(&[
        "the backend because of its environment (AWS_S3_DISABLE_CHECKSUMS)",
        "the dashboard because of its environment (NEXT_PUBLIC_ADMIN_KEY)",
    ]);
    assert_eq!(key(&name), None);
    assert_eq!(variable(&name, "backend", "AWS_S3_DISABLE_CHECKSUMS"), None);
    project.destroy().ok();
}
