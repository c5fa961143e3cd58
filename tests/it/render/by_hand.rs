//! A deployment set up by hand, with the scripts that are rendered, in the recipe's order.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use terraform_provider_convex::{
    convex::{AuthKeys, Origins},
    project::{bring, target::LocalDirectory},
    render::{
        dotenv,
        env_deployment::user_variables,
        files::{Body, Policy},
        project::{Images, Project},
    },
};

use super::project::project;
use crate::support::{
    apps,
    compose::{compose, docker_config},
    docker::{Name, docker, images, port},
};

/// An app whose deployment runs on ports of its own, and leaves nothing behind.
struct App {
    directory: TempDir,
    ports: [u16; 3],
    name: String,
}

impl App {
    async fn lay_out(change: impl FnOnce(&mut Project)) -> Self {
        let name = Name::new().as_str().to_owned();
        let app = Self {
            directory: TempDir::new().unwrap(),
            ports: [port(), port(), port()],
            name: name.clone(),
        };
        let mut project = project();
        project.name = name;
        project.reach.public = Origins::default();
        project.images = Images {
            backend: images().backend.clone(),
            dashboard: images().dashboard.clone(),
        };
        project.auth_keys = None;
        // As the recipe begins: the scripts write the env files.
        project
            .policies
            .insert(".env.convex.local".parse().unwrap(), Policy::Skip);
        change(&mut project);
        bring(
            &LocalDirectory::new(app.path()),
            &project.files(),
            &BTreeMap::new(),
        )
        .await
        .unwrap();
        app
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        self.command(script, environment).output().unwrap()
    }

    fn command(&self, script: &str, environment: &[(&str, &str)]) -> Command {
        let [api, site, dashboard] = self.ports.map(|port| port.to_string());
        let mut command = Command::new(self.path().join(script));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("DOCKER_CONFIG", docker_config())
            .env("CONVEX_API_PORT", api)
            .env("CONVEX_SITE_PORT", site)
            .env("CONVEX_DASHBOARD_PORT", dashboard)
            .env("CONVEX_WAIT_SECONDS", "60")
            .envs(environment.iter().copied());
        command
    }

    #[track_caller]
    fn succeeds(&self, script: &str) -> String {
        let output = self.run(script, &[]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    #[track_caller]
    fn fails(&self, script: &str, environment: &[(&str, &str)]) -> String {
        let output = self.run(script, environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        said
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }

    fn env_local(&self) -> BTreeMap<String, String> {
        dotenv::decode(&self.read(".env.convex.local")).unwrap()
    }

    /// The variables of the deployment.
    fn variables(&self) -> BTreeMap<String, String> {
        let key = &self.env_local()["CONVEX_SELF_HOSTED_ADMIN_KEY"];
        let header = format!("Authorization: Convex {key}");
        let url = format!(
            "http://127.0.0.1:{}/api/list_environment_variables",
            self.ports[0]
        );
        let output = Command::new("curl")
            .args(["-fsS", "-H", &header, &url])
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        serde_json::from_value(json["environmentVariables"].clone()).unwrap()
    }

    /// Sets variables as somebody else does.
    fn set(&self, variables: &[(&str, &str)]) {
        let key = &self.env_local()["CONVEX_SELF_HOSTED_ADMIN_KEY"];
        let changes: Vec<_> = variables
            .iter()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
            .collect();
        super::project::run(
            Command::new("curl")
                .args(["-fsS", "-H", &format!("Authorization: Convex {key}")])
                .args(["-H", "Content-Type: application/json", "--data"])
                .arg(serde_json::json!({ "changes": changes }).to_string())
                .arg(format!(
                    "http://127.0.0.1:{}/api/update_environment_variables",
                    self.ports[0]
                )),
        );
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = compose(
            self.path(),
            &[
                "-p",
                &format!("convex-{}", self.name),
                "down",
                "-v",
                "-t",
                "1",
            ],
        )
        .output();
    }
}

#[tokio::test]
async fn the_scripts_set_up_what_the_provider_would_have_set_up() {
    let app = App::lay_out(|_| {}).await;
    let said = app.succeeds("scripts/setup-convex.sh");
    // Backend, then variables; and it says where everything is.
    let place = |text: &str| {
        said.find(text)
            .unwrap_or_else(|| panic!("no {text:?} in {said}"))
    };
    assert!(place("wait for the backend") < place("set 6 variables"));
    assert!(
        said.contains(&format!("dashboard  http://localhost:{}", app.ports[2])),
        "{said}"
    );
    let env = app.env_local();
    let api = format!("http://localhost:{}", app.ports[0]);
    let site = format!("http://localhost:{}", app.ports[1]);
    let issuer = "http://127.0.0.1:3211";
    for (name, value) in [
        ("CONVEX_CLOUD_ORIGIN", api.as_str()),
        ("CONVEX_DEPLOYMENT_URL", &api),
        ("VITE_CONVEX_URL", &api),
        ("VITE_CONVEX_SITE_URL", &site),
        ("CONVEX_SITE_ORIGIN", issuer),
        ("CONVEX_SITE_URL", issuer),
        ("JWT_ISSUER", issuer),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    assert!(
        !said.contains(&env["CONVEX_SELF_HOSTED_ADMIN_KEY"]),
        "the key is shown"
    );
    // The same variables as convex_env would set for this key.
    let keys = AuthKeys::parse(&app.read("jwt_private_key.pem")).unwrap();
    let expected = || {
        BTreeMap::from([
            (
                "JWT_PRIVATE_KEY".to_owned(),
                keys.private_key_single_line().expose().to_owned(),
            ),
            ("JWKS".to_owned(), keys.jwks()),
            ("JWT_ISSUER".to_owned(), issuer.to_owned()),
            ("CONVEX_SITE_ORIGIN".to_owned(), issuer.to_owned()),
            ("CUSTOM_AUTH_SITE_URL".to_owned(), site.clone()),
            ("SITE_URL".to_owned(), "http://localhost:5173".to_owned()),
        ])
    };
    assert_eq!(app.variables(), expected());
    let files = apps::files(app.path());
    for path in [
        ".env.convex.local",
        ".env.convex.deployment",
        "jwt_private_key.pem",
    ] {
        assert_eq!(files[path].1, 0o600, "{path}");
    }

    // Again, with variables of one's own, as people write them.
    let own = "A=plain # c\nB='it is $HOME `id` \"x\" \\n'\nexport C = \"two\\nlines \\\"q\\\" \\$x\"\nD='a\nb'\nE=\nF=`b'\"c`\nG=a#b\nH= # c\nI=é{\"k\": 1}\r\nJ=x=y\nK=#k\n  L  =  l  \nM=\"\"\nN=a # b # c\n";
    let file = app.path().join(".env.convex.deployment");
    fs::write(&file, app.read(".env.convex.deployment") + own).unwrap();
    let before = apps::files(app.path());
    app.succeeds("scripts/setup-convex.sh");
    assert_eq!(apps::files(app.path()), before);
    let mut all = expected();
    let read = user_variables(&app.read(".env.convex.deployment")).unwrap();
    assert_eq!(read.len(), 11);
    all.extend(
        read.into_iter()
            .map(|(name, value)| (name, value.expose().to_owned())),
    );
    assert_eq!(app.variables(), all);

    // What somebody else has set stays, and is replaced only on request.
    let theirs = [
        ("JWT_PRIVATE_KEY", "their \"JWKS\":"),
        ("JWKS", "{\"keys\":[]}"),
        ("JWT_ISSUER", "https://their.example"),
    ];
    app.set(&theirs);
    let said = app.succeeds("scripts/setup-convex.sh");
    assert!(
        said.contains("left as they are: JWT_PRIVATE_KEY JWKS JWT_ISSUER; to replace"),
        "{said}"
    );
    for (name, value) in theirs {
        assert_eq!(app.variables()[name], value);
    }
    super::project::run(
        app.command("scripts/init-convex-env.sh", &[])
            .arg("--replace"),
    );
    assert_eq!(app.variables(), all);

    // And what the pieces say when something is wrong.
    let lines = app.read(".env.convex.deployment") + "nonsense\n";
    fs::write(&file, lines).unwrap();
    assert!(
        app.fails("scripts/init-convex-env.sh", &[])
            .contains("a line in .env.convex.deployment is no variable")
    );
    fs::write(&file, "# === USER VARIABLES\nCONVEX_SITE_URL=x\n").unwrap();
    let said = app.fails("scripts/init-convex-env.sh", &[]);
    assert!(
        said.contains("refused a variable") && said.contains("CONVEX_SITE_URL"),
        "{said}"
    );
    let said = app.fails(
        "scripts/init-convex-env.sh",
        &[("CONVEX_SELF_HOSTED_ADMIN_KEY", "app|00")],
    );
    assert!(said.contains("does not accept the admin key"), "{said}");
    assert!(!said.contains("app|00"), "{said}");
    let mut arguments = vec![
        "--env-file",
        ".env.convex.local",
        "-f",
        "docker-compose.convex.yml",
    ];
    arguments.extend(["down", "-t", "1"]);
    let down = compose(app.path(), &arguments).output().unwrap();
    assert!(
        down.status.success(),
        "{}",
        String::from_utf8_lossy(&down.stderr)
    );
    let said = app.fails(
        "scripts/init-convex-env.sh",
        &[("CONVEX_WAIT_SECONDS", "1")],
    );
    assert!(
        said.contains("does not answer after 1 s") && said.contains("next:"),
        "{said}"
    );
}

#[tokio::test]
async fn a_port_in_use_and_an_image_that_ends_are_told() {
    let mut app = App::lay_out(|_| {}).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = app.ports[0];
    app.ports[0] = taken.local_addr().unwrap().port();
    let said = app.fails("scripts/setup-convex.sh", &[]);
    assert!(
        said.contains("FAILED at \"start the containers\": a port is in use"),
        "{said}"
    );
    app.ports[0] = free;
    let broken = App::lay_out(|project| {
        project.images.backend = project.images.dashboard.clone();
    })
    .await;
    let said = broken.fails("scripts/setup-convex.sh", &[]);
    assert!(
        said.contains("FAILED at \"start the containers\": the backend does not start"),
        "{said}"
    );
}

#[tokio::test]
async fn in_a_workspace_the_addresses_are_those_of_its_apps() {
    let app = App::lay_out(|_| {}).await;
    let workspace = [
        ("CODER", "true"),
        ("CODER_WORKSPACE_NAME", "Dev"),
        ("CODER_WORKSPACE_OWNER_NAME", "ann"),
        ("CODER_URL", "https://coder.example/"),
        (
            "DATABASE_URL",
            "postgres://u:p%40@db:5432/app/x?sslmode=disable&a=b",
        ),
        // Everything up to the start of containers.
        ("PATH", "/usr/bin:/bin"),
        ("DOCKER_HOST", "unix:///nowhere"),
    ];
    let said = app.fails("scripts/setup-convex.sh", &workspace);
    assert!(
        said.contains("CODER_WILDCARD_ACCESS_URL")
            && said.contains("WILDCARD_FROM_CODER_URL=true scripts/setup-convex.sh"),
        "{said}"
    );
    let mut by_wish = workspace.to_vec();
    by_wish.push(("WILDCARD_FROM_CODER_URL", "true"));
    app.fails("scripts/setup-convex.sh", &by_wish);
    let env = app.env_local();
    assert_eq!(
        env["CONVEX_CLOUD_ORIGIN"],
        "https://convex-api--dev--ann.coder.example"
    );
    assert_eq!(
        env["VITE_CONVEX_SITE_URL"],
        "https://convex-site--dev--ann.coder.example"
    );
    assert_eq!(env["JWT_ISSUER"], "http://127.0.0.1:3211");
    assert_eq!(
        env["POSTGRES_URL"],
        "postgres://u:p%40@db:5432?sslmode=disable&a=b"
    );
    fs::remove_file(app.path().join(".env.convex.local")).unwrap();
    let mut with_wildcard = workspace.to_vec();
    with_wildcard.push((
        "VSCODE_PROXY_URI",
        "https://{{port}}--main--Dev--ann-apps.example.com:8443",
    ));
    app.fails("scripts/setup-convex.sh", &with_wildcard);
    let env = app.env_local();
    assert_eq!(
        env["VITE_CONVEX_URL"],
        "https://convex-api--dev--ann-apps.example.com:8443"
    );
}

/// The entry point, as the container has it.
#[tokio::test]
async fn the_entry_point_hands_on_key_and_switches() {
    let project = project();
    let files = project.files();
    let script = files
        .iter()
        .find(|it| it.path.as_str() == "convex-backend-entrypoint.sh")
        .unwrap();
    let Body::Text(script) = &script.body else {
        panic!("text");
    };
    let directory = TempDir::new().unwrap();
    apps::write(directory.path(), "entrypoint.sh", script);
    apps::write(
        directory.path(),
        "run_backend.sh",
        "#!/bin/sh\nenv\necho \"arguments $*\"\n",
    );
    let path = directory.path().display();
    let printed = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "/bin/sh",
        "-v",
        &format!("{path}/entrypoint.sh:/entrypoint.sh:ro"),
        "-v",
        &format!("{path}/run_backend.sh:/work/run_backend.sh:ro"),
        "-e",
        "JWT_PRIVATE_KEY_BASE64=a2V5",
        "-e",
        "DISABLE_BEACON=",
        "-e",
        "REDACT_LOGS_TO_CLIENT=false",
        "-e",
        "POSTGRES_URL=postgres://u@db?a=b&sslmode=disable",
        &images().backend,
        "-c",
        "cp /work/run_backend.sh /convex/ && chmod +x /convex/run_backend.sh && exec sh /entrypoint.sh --flag",
    ]);
    for line in [
        "JWT_PRIVATE_KEY=key",
        "DO_NOT_REQUIRE_SSL=true",
        "DATA_DIR=/convex/data",
        "arguments --flag",
    ] {
        assert!(
            printed.lines().any(|it| it == line),
            "no {line} in {printed}"
        );
    }
    assert!(
        !printed.contains("DISABLE_BEACON") && !printed.contains("REDACT"),
        "{printed}"
    );
}
