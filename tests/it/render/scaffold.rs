//! The scaffold, in the hands of the tools of an app: type checker, bundler, browser.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use terraform_provider_convex::{
    convex::{ApiOrigin, DashboardOrigin, Origins, Reach, SiteOrigin, tested::NODE},
    project::{bring, target::LocalDirectory},
    render::{
        files::Policy,
        project::{ALLOWED_HOSTS, Pattern, Project, packages},
    },
};

use super::project::{project, run};
use crate::support::{apps, browser, node, tools};

/// Runs a program of the installed packages.
#[track_caller]
fn tool(app: &Path, name: &str, arguments: &[&str]) -> String {
    run(Command::new(app.join("node_modules/.bin").join(name))
        .args(arguments)
        .current_dir(app)
        .env("CI", "1"))
}

/// Brings an app in order, as its code generation and its packages do too.
async fn lay_out(app: &Path, pattern: Pattern, replaced: &[&str]) {
    let mut project = behind_coder();
    project.pattern = pattern;
    for path in replaced {
        project
            .policies
            .insert(path.parse().unwrap(), Policy::Managed);
    }
    bring(
        &LocalDirectory::new(app),
        &project.files(),
        &BTreeMap::new(),
    )
    .await
    .unwrap();
    symlink(
        node::app_packages().join("node_modules"),
        app.join("node_modules"),
    )
    .unwrap();
    // The one way to generate code that asks no deployment.
    tool(
        app,
        "convex",
        &["codegen", "--system-udfs", "--typecheck", "disable"],
    );
}

/// A project that is reached by the domain of a Coder server, as few are that end in localhost.
fn behind_coder() -> Project {
    let origin = |slug| format!("https://{slug}--dev--ann.{DOMAIN}");
    Project {
        reach: Reach::public(Origins {
            api: ApiOrigin::parse(&origin("convex-api")).unwrap(),
            site: SiteOrigin::parse(&origin("convex-site")).unwrap(),
            dashboard: DashboardOrigin::parse(&origin("convex")).unwrap(),
        }),
        site_url: Some(origin("frontend")),
        compose: false,
        ..project()
    }
}

const DOMAIN: &str = "apps.coder.example";

/// All scripts of a built page.
fn built(app: &Path) -> String {
    apps::files(&app.join("dist"))
        .into_iter()
        .filter(|(path, _)| Path::new(path).extension().is_some_and(|it| it == "js"))
        .map(|(_, (content, _))| String::from_utf8(content).unwrap())
        .collect()
}

#[tokio::test]
async fn both_patterns_are_type_checked_and_bundled() {
    for pattern in [Pattern::MinimalAuth, Pattern::AiRag] {
        let app = TempDir::new().unwrap();
        lay_out(app.path(), pattern, &[]).await;
        tool(app.path(), "tsc", &["--noEmit", "-p", "convex"]);
        tool(app.path(), "tsc", &["--noEmit", "-p", "."]);
        run(Command::new("npm")
            .args(["run", "build"])
            .current_dir(app.path()));
        // The address of the API came out of .env.convex.local.
        assert!(
            built(app.path()).contains("https://convex-api--dev--ann.apps.coder.example"),
            "{pattern:?}"
        );
        // It is checked at all.
        apps::write(
            app.path(),
            "convex/wrong.ts",
            "export const x: number = \"no\";\n",
        );
        let output = Command::new(app.path().join("node_modules/.bin/tsc"))
            .args(["--noEmit", "-p", "convex"])
            .current_dir(app.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
    }
}

#[tokio::test]
async fn a_fresh_vite_app_becomes_one_and_is_type_checked_and_bundled_as_before() {
    let app = TempDir::new().unwrap();
    apps::vite_react(app.path());
    lay_out(app.path(), Pattern::AiRag, &["src/main.tsx", "src/App.tsx"]).await;
    tool(app.path(), "tsc", &["-b"]);
    tool(app.path(), "tsc", &["--noEmit", "-p", "convex"]);
    tool(app.path(), "vite", &["build", "--mode", "convex"]);
    assert!(built(app.path()).contains("https://convex-api--dev--ann.apps.coder.example"));
}

/// Vite, for as long as this is there.
struct Vite {
    process: Child,
    port: String,
}

impl Vite {
    fn start(app: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(app.join("node_modules/.bin/vite"))
            .args(arguments)
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--clearScreen",
                "false",
            ])
            .current_dir(app)
            .env("NO_COLOR", "1")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let port = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("http://127.0.0.1:")?;
                Some(port.trim().trim_end_matches('/').to_owned())
            })
            .expect("Vite says where it serves");
        Self { process, port }
    }

    /// The status with which it answers one who came by this host.
    fn status(&self, host: &str) -> String {
        run(Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["-H", &format!("Host: {host}")])
            .arg(format!("http://127.0.0.1:{}/", self.port)))
    }

    /// What a browser shows that comes by this host.
    fn shown(&self, host: &str) -> String {
        let profile = TempDir::new().unwrap();
        run(Command::new(browser::chromium())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=8000",
            ])
            .arg(format!("--host-resolver-rules=MAP {host} 127.0.0.1"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--dump-dom")
            .arg(format!("http://{host}:{}/", self.port)))
    }
}

impl Drop for Vite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_browser_shows_the_page() {
    let app = TempDir::new().unwrap();
    lay_out(app.path(), Pattern::MinimalAuth, &[]).await;
    let host = format!("frontend--dev--ann.{DOMAIN}");
    tool(app.path(), "vite", &["build", "--mode", "convex"]);
    let page = Vite::start(app.path(), &["preview"], &[]).shown(&host);
    assert!(page.contains("<h1>Tasks</h1>"), "{page}");
    assert!(page.contains("Go on without an account"), "{page}");
    // Without the address the page says so, instead of staying white.
    fs::remove_file(app.path().join(".env.convex.local")).unwrap();
    tool(app.path(), "vite", &["build"]);
    let page = Vite::start(app.path(), &["preview"], &[]).shown(&host);
    assert!(page.contains("VITE_CONVEX_URL is not set"), "{page}");
}

#[tokio::test]
async fn vite_answers_those_who_come_by_the_domain_of_the_deployment() {
    let app = TempDir::new().unwrap();
    lay_out(app.path(), Pattern::MinimalAuth, &[]).await;
    tool(app.path(), "vite", &["build", "--mode", "convex"]);
    // Also by the port, as Coder forwards it, and after a rename.
    let hosts = ["frontend--dev--ann", "5173--main--renamed--ann"];
    let theirs = hosts.map(|host| format!("{host}.{DOMAIN}"));
    let both: [&[&str]; 2] = [&["--mode", "convex"], &["preview"]];
    for arguments in both {
        let vite = Vite::start(app.path(), arguments, &[]);
        for host in &theirs {
            assert_eq!(vite.status(host), "200", "{arguments:?} {host}");
        }
        assert_eq!(vite.status("coder.example"), "403", "{arguments:?}");
    }
    // A project with a configuration of its own hears of it from the agent's environment.
    let config = "export default { server: { allowedHosts: [\"mine.example\"] } };\n";
    apps::write(app.path(), "vite.config.ts", config);
    let allowed = behind_coder().allowed_hosts().join(",");
    for arguments in both {
        let vite = Vite::start(app.path(), arguments, &[]);
        assert_eq!(vite.status(&theirs[0]), "403", "{arguments:?}");
        // It serves a project once at a time.
        drop(vite);
        let vite = Vite::start(app.path(), arguments, &[(ALLOWED_HOSTS, &allowed)]);
        for host in [&theirs[0], "mine.example"] {
            assert_eq!(vite.status(host), "200", "{arguments:?} {host}");
        }
    }
}

#[tokio::test]
async fn by_hand_dev_runs_page_and_deployment_side_by_side() {
    let app = TempDir::new().unwrap();
    let project = Project {
        compose: true,
        ..behind_coder()
    };
    let target = LocalDirectory::new(app.path());
    bring(&target, &project.files(), &BTreeMap::new())
        .await
        .unwrap();
    symlink(
        node::app_packages().join("node_modules"),
        app.path().join("node_modules"),
    )
    .unwrap();
    apps::write(
        app.path(),
        "scripts/setup-convex.sh",
        "#!/bin/sh\necho set up\n",
    );
    apps::write(
        app.path(),
        "vite.config.ts",
        "console.log('served'); process.exit(0);\n",
    );
    let said = run(Command::new("npm")
        .args(["run", "dev"])
        .current_dir(app.path()));
    assert!(said.contains("set up") && said.contains("served"), "{said}");
}

/// What is asked of a workspace's Node.js is all that its packages ask.
#[test]
fn each_package_runs_on_each_node_that_is_asked_for() {
    let script = r#"
        import { createRequire } from "node:module";
        import { readFileSync } from "node:fs";
        const semver = createRequire(process.cwd() + "/")("semver");
        const [range, modules, ...names] = process.argv.slice(1).filter((it) => it !== "--");
        for (const name of names) {
            const engines = JSON.parse(readFileSync(`${modules}/${name}/package.json`)).engines ?? {};
            if (!semver.subset(range, engines.node ?? "*")) console.log(name, engines.node);
        }
    "#;
    let modules = node::app_packages().join("node_modules");
    let modules = modules.display().to_string();
    let mut arguments = vec![NODE, &modules];
    arguments.extend(packages().into_iter().map(|(name, _)| name));
    let semver = node::npm_install(&[("semver", "7.8.6")]);
    assert_eq!(node::run_node(&semver, script, &arguments, &[]), "");
}

#[test]
fn the_embeddings_script_is_a_script() {
    let mut project = project();
    project.pattern = Pattern::AiRag;
    let files = project.files();
    let script = files
        .iter()
        .find(|it| it.path.as_str() == "scripts/generate-embeddings.mjs")
        .unwrap();
    let directory = TempDir::new().unwrap();
    apps::write(
        directory.path(),
        "x.mjs",
        script.body.fresh().unwrap().expose(),
    );
    tools::run(
        Command::new("node")
            .args(["--check", "x.mjs"])
            .current_dir(directory.path()),
    );
}
