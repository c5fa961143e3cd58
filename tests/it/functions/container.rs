//! Containers made from what `backend_container` and `dashboard_container` say.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::config;
use crate::{
    resources::deployment,
    support::{
        compose::compose,
        docker::{Name, docker, images, port},
        golden, on_each_core,
        terraform::{Core, Project},
    },
};

const ORIGINS: &str =
    r#"{ api = "https://api.example.com", site = "https://api.example.com/http" }"#;

fn text(json: &Json) -> &str {
    json.as_str().expect("text")
}

fn texts(json: &Json) -> BTreeMap<String, String> {
    let map = json.as_object().expect("a map").iter();
    map.map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

/// A container that is run by plain Docker, from such an object alone.
struct ByHand {
    name: String,
    volumes: Vec<String>,
    /// Ports of the host, by the names in the object.
    ports: BTreeMap<String, u16>,
}

impl ByHand {
    fn run(name: &Name, role: &str, object: &Json, secrets: &BTreeMap<String, String>) -> Self {
        let mut it = Self {
            name: name.container(role),
            volumes: Vec::new(),
            ports: BTreeMap::new(),
        };
        let health = &object["health"];
        let command = health["command"].as_array().expect("a list").iter();
        let command = command.map(text).collect::<Vec<_>>().join(" ");
        let seconds = |key: &str| format!("{}s", health[key]);
        let mut flags = vec![
            format!("--name={}", it.name),
            format!("--user={}", object["user"]),
            format!("--stop-signal={}", text(&object["stop_signal"])),
            format!("--stop-timeout={}", object["stop_grace_seconds"]),
            format!("--health-cmd={command}"),
            format!("--health-interval={}", seconds("interval_seconds")),
            format!("--health-timeout={}", seconds("timeout_seconds")),
            format!("--health-retries={}", health["retries"]),
            format!("--health-start-period={}", seconds("start_period_seconds")),
        ];
        for (key, inside) in object["ports"].as_object().expect("a map") {
            let outside = port();
            flags.push(format!("--publish=127.0.0.1:{outside}:{inside}"));
            it.ports.insert(key.clone(), outside);
        }
        for (key, mount) in object["mounts"].as_object().expect("a map") {
            let volume = format!("{}-{key}", it.name);
            flags.push(format!("--volume={volume}:{}", text(&mount["path"])));
            it.volumes.push(volume);
        }
        for (variable, value) in texts(&object["environment"]) {
            flags.push(format!("--env={variable}={value}"));
        }
        // These come from the environment, so that no list of processes has them.
        let secrets: BTreeMap<_, _> = texts(&object["secret_environment"])
            .into_iter()
            .chain(secrets.clone())
            .collect();
        flags.extend(secrets.keys().map(|variable| format!("--env={variable}")));
        let output = Command::new("docker")
            .args(["run", "--detach"])
            .args(&flags)
            .arg(text(&object["image"]))
            .envs(&secrets)
            .env_remove("DOCKER_HOST")
            .output()
            .expect("Docker runs");
        assert!(output.status.success(), "{output:?}");
        it
    }

    fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "-f", format, &self.name])
    }

    fn await_health(&self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let status = self.inspect("{{.State.Health.Status}}");
            match status.as_str() {
                "healthy" => return,
                "starting" if Instant::now() < deadline => {}
                _ => panic!("{} is {status}", self.name),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn end(&self, arguments: &[&str]) {
        docker(arguments);
        docker(&["wait", &self.name]);
        assert_eq!(
            self.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}"),
            "0 false"
        );
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rm", "-f", "-v", &self.name])
            .output();
        for volume in &self.volumes {
            let _ = Command::new("docker")
                .args(["volume", "rm", "-f", volume])
                .output();
        }
    }
}

/// Status and body of an answer.
fn ask(port: u16, path: &str, key: &str) -> (String, String) {
    let output = Command::new("curl")
        .args(["-sS", "-w", "\n%{http_code}", "-H"])
        .arg(format!("Authorization: Convex {key}"))
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()
        .expect("curl is installed");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = said.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

#[test]
fn plain_docker_runs_what_the_objects_say_and_the_computed_key_is_accepted() {
    let name = Name::new();
    let images = images();
    let project = Project::new(
        Core::Installed,
        &format!(
            r#"
terraform {{
  required_providers {{
    convex = {{ source = "coder-convex/convex" }}
  }}
}}
resource "convex_credentials" "app" {{
  instance_name = "my-app"
}}
locals {{
  backend = provider::convex::backend_container({{
    image         = {backend:?}
    instance_name = convex_credentials.app.instance_name
    origins       = {ORIGINS}
    env           = {{ RUST_LOG = "debug", APPLICATION_MAX_CONCURRENT_QUERIES = 16, LEFT_OUT = null }}
  }})
}}
output "backend" {{
  value = local.backend
}}
output "dashboard" {{
  value = provider::convex::dashboard_container({{ image = {dashboard:?}, origins = {ORIGINS} }})
}}
output "credentials" {{
  value     = convex_credentials.app
  sensitive = true
}}
"#,
            backend = images.backend,
            dashboard = images.dashboard
        ),
    );
    // Before anything is made, the plan shows all but the secret.
    project.plan().ok().says(&[
        "CONVEX_CLOUD_ORIGIN = \"https://api.example.com\"",
        "stop_signal = \"SIGINT\"",
    ]);
    project.apply().ok();
    project.assert_no_changes();
    let credentials = project.output("credentials");
    let secrets = BTreeMap::from([(
        "INSTANCE_SECRET".to_owned(),
        text(&credentials["instance_secret"]).to_owned(),
    )]);
    let object = project.output("backend");
    let backend = ByHand::run(&name, "by-hand", &object, &secrets);
    let dashboard = project.output("dashboard");
    let dashboard = ByHand::run(&name, "by-hand-dashboard", &dashboard, &BTreeMap::new());
    backend.await_health();
    dashboard.await_health();

    let status = |key: &str, path: &str| ask(backend.ports["api"], path, key).0;
    let check = "/api/check_admin_key";
    assert_eq!(status(text(&credentials["admin_key"]), check), "200");
    assert_eq!(status("my-app|01ab", check), "401");
    let (status, page) = ask(dashboard.ports["dashboard"], "/", "");
    assert_eq!(status, "200");
    assert!(page.contains("https://api.example.com"), "{page}");

    // The same as the provider itself runs, beside the secret, which it keeps
    // in a file.
    let twin = Project::new(
        Core::Installed,
        &crate::resources::config(&deployment(
            &name,
            &format!(
                "instance_name = \"my-app\"\n origins = {ORIGINS}\n backend = {{ image = {:?}, env = {{ RUST_LOG = \"debug\", APPLICATION_MAX_CONCURRENT_QUERIES = 16 }} }}",
                images.backend
            ),
        )),
    );
    twin.apply().ok();
    for (role, by_hand) in [("backend", &backend), ("dashboard", &dashboard)] {
        let container = name.container(role);
        let inspect = |of: &str, format: &str| -> Json {
            serde_json::from_str(&docker(&["inspect", "-f", format, of])).expect("JSON")
        };
        let env = |of: &str| {
            let list = inspect(of, "{{json .Config.Env}}");
            let list = list.as_array().expect("a list").iter();
            let mut list: Vec<_> = list.map(|it| text(it).to_owned()).collect();
            list.retain(|it| !it.starts_with("INSTANCE_SECRET="));
            list.sort();
            list
        };
        let (mut of_hand, mut of_twin) = (env(&by_hand.name), env(&container));
        if role == "backend" {
            assert!(of_hand.contains(&"CONVEX_SITE_ORIGIN=http://127.0.0.1:3211".to_owned()));
            assert!(of_hand.contains(&"CONVEX_CLOUD_ORIGIN=https://api.example.com".to_owned()));
            // The provider publishes the origin after the start instead.
            for env in [&mut of_hand, &mut of_twin] {
                env.retain(|it| !it.starts_with("CONVEX_CLOUD_ORIGIN="));
            }
        }
        assert_eq!(of_hand, of_twin);
        assert!(!env(&by_hand.name).iter().any(|it| it.ends_with("=false")));
        let rest = "[{{json .Config.StopSignal}}, {{json .Config.StopTimeout}}, {{json .Config.Healthcheck.Interval}}, {{json .Config.Healthcheck.Retries}}, {{json .Config.Healthcheck.StartPeriod}}, {{json .Config.Healthcheck.Timeout}}]";
        assert_eq!(inspect(&by_hand.name, rest), inspect(&container, rest));
        let mounts = "{{json (index .Mounts 0).Destination}}";
        if role == "backend" {
            assert_eq!(inspect(&by_hand.name, mounts), inspect(&container, mounts));
        }
    }
    twin.destroy().ok();

    // As the guide's hook for Kubernetes does it, and as Docker does it.
    backend.end(&["exec", &backend.name, "sh", "-c", "kill -INT 1"]);
    docker(&["start", &backend.name]);
    let started = Instant::now();
    while ask(backend.ports["api"], "/version", "").0 != "200" {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "it starts again"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    backend.end(&["stop", &backend.name]);
    dashboard.end(&["stop", &dashboard.name]);
}

/// The example of the guide, by the real `docker compose`.
#[test]
fn compose_runs_the_example() {
    let images = images();
    let example = fs::read_to_string(golden::path(Path::new("examples/compose/main.tf")));
    // Other tests and people have deployments on this machine too.
    let unique = Name::new();
    let example = example
        .expect("the example")
        .replace("\"my-app\"", &format!("{:?}", unique.as_str()));
    let project = Project::new(Core::Installed, &example);
    let ports = json!({ "api": port(), "site": port(), "dashboard": port() });
    let variables = json!({
        "backend_image": images.backend, "dashboard_image": images.dashboard, "ports": ports,
    });
    project.write("terraform.tfvars.json", &variables.to_string());
    project
        .plan()
        .ok()
        .says(&["stop_signal", "INSTANCE_SECRET", "${INSTANCE_SECRET:?}"]);
    project.apply().ok();
    project.assert_no_changes();
    for (output, file) in [("compose", "compose.yaml"), ("env", ".env")] {
        project.write(file, &project.run(&["output", "-raw", output]).ok().stdout);
    }
    let key = project.run(&["output", "-raw", "admin_key"]).ok().stdout;
    let run = |arguments: &[&str]| {
        let output = compose(project.path(), arguments)
            .output()
            .expect("compose runs");
        assert!(output.status.success(), "{output:?}");
    };
    run(&["up", "--detach", "--wait"]);
    let api = u16::try_from(ports["api"].as_u64().expect("a port")).expect("a port");
    let seen = ask(api, "/api/check_admin_key", &key).0;
    run(&["down", "--volumes"]);
    assert_eq!(seen, "200");
}

on_each_core! {
    fn a_database_a_store_and_secrets_become_variables_of_their_kinds(core) {
        let project = Project::new(core, &config(r#"nonsensitive(provider::convex::backend_container({
            instance_name   = "my-app"
            instance_secret = sensitive("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
            database        = { url = "postgres://u:hunter22@db/ignored?sslmode=disable", max_connections = 10, ca_pem = null }
            storage         = { s3 = {
              region = "auto", exports_bucket = "exports", files_bucket = "files", modules_bucket = "modules"
              search_bucket = "search", snapshot_imports_bucket = "imports", path_style = true
              disable_sse = true, disable_checksums = true, endpoint = "https://x.example/storage/v1/s3"
              access_key_id = "id", secret_access_key = "hunter23", session_token = "hunter26"
            } }
            extra_hosts = { "host.docker.internal" = "host-gateway", db = "fd00::5" }
            env        = { REDACT_LOGS_TO_CLIENT = true }
            secret_env = { LICENCE = "hunter24" }
        }))"#));
        project.apply().ok();
        project.assert_no_changes();
        let made = project.output("x");
        assert_eq!(made["secret_environment"], json!({
            "AWS_SECRET_ACCESS_KEY": "hunter23",
            "AWS_SESSION_TOKEN": "hunter26",
            "INSTANCE_SECRET": "0123456789abcdef".repeat(4),
            "LICENCE": "hunter24",
            "POSTGRES_URL": "postgres://u:hunter22@db?sslmode=disable",
        }));
        let plain = texts(&made["environment"]);
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "id"), ("AWS_S3_FORCE_PATH_STYLE", "true"),
            ("AWS_S3_DISABLE_SSE", "true"), ("AWS_S3_DISABLE_CHECKSUMS", "true"),
            ("S3_ENDPOINT_URL", "https://x.example/storage/v1/s3"), ("DO_NOT_REQUIRE_SSL", "true"),
            ("POSTGRES_MAX_CONNECTIONS", "10"), ("REDACT_LOGS_TO_CLIENT", "true"), ("INSTANCE_NAME", "my-app"),
        ] {
            assert_eq!(plain[name], value, "{name}");
        }
        assert!(!made["environment"].to_string().contains("hunter2"));
        assert_eq!(made["hosts"], json!([
            { "host": "db", "ip": "fd00::5" }, { "host": "host.docker.internal", "ip": "host-gateway" },
        ]));
        assert_eq!(made["mounts"]["data"]["path"], "/convex/data");
        assert_eq!(made["ports"], json!({ "api": 3210, "site": 3211 }));

        // The key that a dashboard logs in with by itself is a secret of its own.
        project.write("main.tf", &config(
            "nonsensitive(provider::convex::dashboard_container({ admin_key = \"my-app|01ab\" }))"
        ));
        project.apply().ok();
        let made = project.output("x");
        assert_eq!(made["secret_environment"], json!({ "NEXT_PUBLIC_ADMIN_KEY": "my-app|01ab" }));
        assert_eq!(made["hosts"], json!([]));

        // As secret as what goes in, and unknown for as long.
        project.write("main.tf", &config(
            "provider::convex::backend_container({ instance_name = \"a\", secret_env = { A = sensitive(\"hunter25\") } }).ports"
        ));
        project.plan().fails_with(&["Output refers to sensitive values"]);
        project.write("main.tf", &format!(
            "resource \"terraform_data\" \"late\" {{\n  input = \"late\"\n}}\n{}",
            config("provider::convex::dashboard_container({ env = { LATE = terraform_data.late.output } }).environment")
        ));
        project.run(&["init", "-no-color"]).ok();
        project.plan().ok().says(&["(known after apply)"]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.output("x"), json!({
            "LATE": "late", "NEXT_PUBLIC_DEPLOYMENT_URL": "http://localhost:3210",
        }));
    }
}

on_each_core! {
    fn what_cannot_be_a_container_is_refused_at_the_attribute(core) {
        let project = Project::new(core, "");
        let backend = |more: &str| format!("provider::convex::backend_container({{ instance_name = \"a\", {more} }})");
        let dashboard = |more: &str| format!("provider::convex::dashboard_container({{ {more} }})");
        let s3 = |files: &str| backend(&format!(
            "storage = {{ s3 = {{ region = \"auto\", exports_bucket = \"exports\", {files}, modules_bucket = \"modules\", search_bucket = \"search\", snapshot_imports_bucket = \"imports\" }} }}"
        ));
        let cases: [(String, &[&str]); 25] = [
            ("provider::convex::backend_container({})".to_owned(), &["missing field `instance_name`"]),
            (backend("instance_secrets = \"x\""), &["unknown field `instance_secrets`", "instance_secret"]),
            (backend("instance_secret = \"hunter2-hunter2\""), &["instance_secret: The instance secret has 15 characters"]),
            ("provider::convex::backend_container({ instance_name = \"My_App\" })".to_owned(), &["instance_name: ", "my-app"]),
            (backend("image = \"https://ghcr.io/a\""), &["image: ", "it has a scheme"]),
            (backend("image = 5"), &["image: The value is a number. Give a string"]),
            (backend("origins = { api = \"https://a.example/\" }"), &["origins.api: The origin ends with a slash"]),
            (backend("origins = { site = \"a.example\" }"), &["origins.site: The origin has no scheme"]),
            (backend("origins = { api = \"https://a.example\", site = \"https://a.example\" }"), &["origins.site: The site origin is the API origin"]),
            (backend("origins = { apis = \"x\" }"), &["origins.apis: unknown field `apis`"]),
            (backend("database = { url = \"redis://u:hunter22@h\" }"), &["database.url: ", "postgresql://"]),
            (backend("database = { url = \"postgres://u:hunter22@h\", ssl_mode = \"maybe\" }"), &["database.ssl_mode: There is no such mode"]),
            (backend("database = { url = \"postgres://u:hunter22@h\", max_connections = 1 }"), &["database.max_connections: ", "1 connections"]),
            (backend("database = { url = \"postgres://u:hunter22@h\", create = true }"), &["database.create: unknown field `create`"]),
            (backend("database = { url = \"postgres://u:hunter22@h\" }, env = { POSTGRES_URL = \"x\" }"), &["env[\"POSTGRES_URL\"]: POSTGRES_URL follows from `url`"]),
            (s3("files_bucket = \"No\""), &["storage.s3.files_bucket: ", "cannot be the name of a bucket"]),
            (s3("files_bucket = \"files\", secret_access_key = \"hunter22\""), &["storage.s3.secret_access_key: ", "one of them is missing"]),
            (backend("env = { DO_NOT_REQUIRE_SSL = false, DISABLE_BEACON = \"\" }"), &["env[\"DO_NOT_REQUIRE_SSL\"]: Any text, also \"false\"", "env[\"DISABLE_BEACON\"]: "]),
            (backend("env = { A = [\"x\"] }"), &["env[\"A\"]: The value is a list. Give text, a number or a bool"]),
            (backend("env = { A = 1 }, secret_env = { A = 2 }"), &["secret_env[\"A\"]: It is in env too"]),
            (backend("secret_env = { INSTANCE_SECRET = \"hunter22\" }"), &["secret_env[\"INSTANCE_SECRET\"]: INSTANCE_SECRET follows from the instance secret"]),
            (dashboard("env = { NEXT_PUBLIC_ADMIN_KEY = \"hunter22\" }"), &["env[\"NEXT_PUBLIC_ADMIN_KEY\"]: The dashboard shows", "prefill_admin_key"]),
            (dashboard("admin_key = \"hunter22 x\""), &["admin_key: "]),
            (backend("extra_hosts = { db = \"db.example\" }"), &["extra_hosts[\"db\"]: \"db.example\" is not an IP address", "host-gateway"]),
            (s3("files_bucket = \"files\", session_token = \"hunter22\""), &["storage.s3.session_token: ", "temporary key"]),
        ];
        for (expression, texts) in cases {
            project.write("main.tf", &config(&expression));
            project.run(&["init", "-no-color"]).ok();
            let outcome = project.plan().fails_with(texts);
            // Terraform itself shows the line of the configuration.
            let ours: String = outcome.text().lines().filter(|line| !line.contains("_container(")).collect();
            assert!(!ours.contains("hunter2"), "{ours}");
        }
    }
}
