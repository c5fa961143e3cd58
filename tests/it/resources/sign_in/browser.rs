//! A browser in front of the scaffold, on each way in which a deployment is published: it signs up, reloads, signs out and
//! in. The checklist is green exactly where that works.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::super::{config, configure, deployment};
use crate::support::{
    binaries,
    browser::{self, Login, PATIENCE, browse},
    docker::{Bridge, Name, docker, images, port},
    node,
    own_host::on_a_host_of_its_own,
    terraform::{Core, Project},
};

/// An app beside a deployment.
struct App {
    terraform: Project,
    directory: TempDir,
    name: Name,
    page: u16,
}

/// How the page is served.
#[derive(Clone, Copy)]
enum Page {
    Dev,
    Built,
}

/// A program that serves, with all that it has started.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let signal = |arguments: &[&str]| {
            let kill = Command::new("kill").args(arguments).arg(&group).output();
            kill.is_ok_and(|it| it.status.success())
        };
        signal(&["--"]);
        let _ = self.0.wait();
        // Vite outlives npm for a moment, and serves a project once at a time.
        let begin = Instant::now();
        while signal(&["-0", "--"]) && begin.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(50));
        }
    }
}

impl App {
    /// Applied with these attributes of the deployment, with its functions deployed by the scaffold's own script.
    fn start(attributes: &str) -> Self {
        let it = Self::new();
        configure(&it.terraform, &it.blocks(attributes));
        it.terraform.apply().ok();
        done(&mut it.command("npm", &["run", "deploy:functions"]));
        it
    }

    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        // A copy: Vite keeps things in it that are of one app.
        let packages = node::app_packages().join("node_modules");
        done(
            Command::new("cp")
                .arg("-al")
                .arg(packages)
                .arg(directory.path()),
        );
        Self {
            terraform: Project::new(Core::Installed, &config("")),
            directory,
            name: Name::new(),
            page: port(),
        }
    }

    fn blocks(&self, attributes: &str) -> String {
        format!(
            r#"
            {deployment}
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              auth       = {{ site_url = "http://127.0.0.1:{page}" }}
            }}
            resource "convex_project" "app" {{
              directory        = "{directory}"
              origins          = convex_deployment.app.origins
              internal_origins = convex_deployment.app.internal_origins
              url              = convex_deployment.app.urls.api
              admin_key        = convex_deployment.app.admin_key
              private_key      = convex_env.app.auth.private_key
            }}
            "#,
            deployment = deployment(&self.name, attributes),
            page = self.page,
            directory = self.directory.path().display(),
        )
    }

    fn change(&self, attributes: &str) {
        configure(&self.terraform, &self.blocks(attributes));
        self.terraform.apply().ok();
        self.terraform.assert_no_changes();
    }

    /// A command in the directory of the app, with nothing else in its environment.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).expect("it is set")));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(kept);
        command
    }

    /// Serves the page by the scaffold's own scripts.
    fn serve(&self, page: Page) -> Served {
        let script = match page {
            Page::Dev => "dev",
            Page::Built => {
                done(&mut self.command("npm", &["run", "build"]));
                "preview"
            }
        };
        let port = self.page.to_string();
        let arguments = [
            "run",
            script,
            "--",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--strictPort",
        ];
        let mut npm = self.command("npm", &arguments);
        let served = Served(
            npm.stdout(Stdio::null())
                .process_group(0)
                .spawn()
                .expect("npm starts"),
        );
        let address = ("127.0.0.1", self.page);
        until("the page is served", || {
            std::net::TcpStream::connect(address).ok()
        });
        served
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.page)
    }

    /// Signing in works from beginning to end, and the checklist says so.
    #[track_caller]
    fn works(&self, page: Page) {
        let served = self.serve(page);
        let report = browse(&self.address(), &Login::None);
        drop(served);
        assert_signed_in(&report, &self.name);
        assert_eq!(verify(self.directory.path()), Vec::<String>::new());
    }
}

/// The whole way, without one lost connection.
#[track_caller]
fn assert_signed_in(report: &Json, name: &Name) {
    browser::assert_signed_in(report, || log(name));
}

/// The names of the checks that fail.
fn verify(app: &Path) -> Vec<String> {
    let output = Command::new(binaries::provider())
        .args(["verify", "--json"])
        .arg(app)
        .env_clear()
        .output()
        .expect("the program starts");
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks").iter();
    let failed = checks.filter(|check| check["passed"] == false);
    failed
        .map(|check| check["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[track_caller]
fn done(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
    output
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(50));
    }
}

fn log(name: &Name) -> String {
    let output = done(Command::new("docker").args(["logs", &name.container("backend")]));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn somebody_signs_in_wherever_the_ports_are_published() {
    let [api, site, dashboard] = [port(), port(), port()];
    let publish = format!(
        "network = {{ publish = {{ api = {api}, site = {site}, dashboard = {dashboard} }} }}"
    );
    let issuer = format!("http://localhost:{site}");
    let origins = format!("origins = {{ api = \"http://localhost:{api}\", site = {issuer:?} }}");
    let app = App::start(&format!("{publish}\n{origins}\ninternal_origins = false"));

    // The container itself cannot ask the issuer at the port of the host.
    let served = app.serve(Page::Dev);
    let report = browse(&app.address(), &Login::None);
    drop(served);
    assert_eq!(report["signed"], json!([]), "{report:#}");
    assert!(
        report["page"]
            .as_str()
            .is_some_and(|page| page.contains("Sign up")),
        "{report:#}"
    );
    assert_ne!(report["closed"], 0, "{report:#}");
    let said = format!("Error discovering auth provider: {issuer}, Request failed");
    assert!(log(&app.name).contains(&said), "{}", log(&app.name));
    assert_eq!(verify(app.directory.path()), ["issuer_reachable"]);

    app.change(&publish);
    app.works(Page::Dev);
    app.change("network = { publish = { api = 0, site = 0, dashboard = 0 } }");
    app.works(Page::Built);
    app.terraform.destroy().ok();
}

#[test]
fn somebody_signs_in_on_the_default_ports() {
    // There is no way from there to a package registry.
    node::app_packages();
    browser::packages();
    // On this machine another deployment may have these ports.
    on_a_host_of_its_own(|| {
        let app =
            App::start("network = { publish = { api = 3210, site = 3211, dashboard = 6791 } }");
        app.works(Page::Dev);
        app.terraform.destroy().ok();
    });
}

#[test]
fn somebody_signs_in_through_a_proxy_that_asks_for_a_login() {
    let [api, site, dashboard, proxy] = [port(), port(), port(), port()];
    let origin = |app: &str| format!("http://{app}.apps.test:{proxy}");
    let app = App::start(&format!(
        r#"
        network = {{ publish = {{ api = {api}, site = {site}, dashboard = {dashboard} }} }}
        origins = {{ api = "{}", site = "{}", dashboard = "{}" }}
        "#,
        origin("api"),
        origin("site"),
        origin("dashboard"),
    ));
    app.terraform.assert_no_changes();
    let served = app.serve(Page::Dev);
    let behind = |port: u16| format!("http://127.0.0.1:{port}");
    let hosts = json!({
        "page.apps.test": app.address(), "api.apps.test": behind(api), "site.apps.test": behind(site),
    });
    let report = browse(&origin("page"), &Login::Asked(hosts));
    drop(served);
    assert_signed_in(&report, &app.name);
    // The names are known to the browser alone, and it gets where it wants to.
    assert_eq!(verify(app.directory.path()), Vec::<String>::new());
    app.terraform.destroy().ok();
}

#[test]
fn somebody_signs_in_where_the_deployment_is_in_a_workspace() {
    let app = App::new();
    let workspace = app.name.container("workspace");
    let bridge = Bridge::beside(&app.name);
    let network = ["--network", bridge.as_str(), "--name", &workspace];
    let program = ["--entrypoint", "sleep", &images().backend, "900"];
    docker(&[&["run", "-d"], &network[..], &program].concat());
    let _workspace = Removed(workspace.clone());
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "-f", address, &workspace]);
    let [api, site] = [3210, 3211].map(|port| format!("http://{address}:{port}"));
    let attributes = format!(
        "network = {{ container = {workspace:?} }}\norigins = {{ api = {api:?}, site = {site:?} }}"
    );
    app.change(&attributes);
    // As in the workspace, but from beside it.
    let state = app.terraform.state("convex_deployment.app");
    let key = state["admin_key"].as_str().expect("a key");
    let mut deploy = app.command("node_modules/.bin/convex", &["deploy", "--yes"]);
    done(deploy.envs([
        ("CONVEX_SELF_HOSTED_URL", api.as_str()),
        ("CONVEX_SELF_HOSTED_ADMIN_KEY", key),
    ]));
    let served = app.serve(Page::Dev);
    let report = browse(&app.address(), &Login::None);
    drop(served);
    assert_signed_in(&report, &app.name);

    let blocks = app.blocks(&attributes);
    configure(
        &app.terraform,
        &format!(
            "{blocks}\ndata \"convex_verification\" \"app\" {{\n  directory = convex_project.app.directory\n  deployment = convex_deployment.app.id\n}}"
        ),
    );
    app.terraform.apply().ok();
    let seen = app.terraform.state("data.convex_verification.app");
    assert_eq!(seen["passed"], true, "{seen:#}");
    app.terraform.destroy().ok();
}

/// A container, and the promise to remove it.
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}
