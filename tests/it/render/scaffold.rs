//! The scaffold, in the hands of the tools of an app: type checker, bundler, browser.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;
use terraform_provider_convex::{
    project::{bring, target::LocalDirectory},
    render::{files::Policy, project::Pattern},
};

use super::project::{project, run};
use crate::support::{apps, node, tools};

/// What a new app has in its `package.json`, installed.
fn packages() -> PathBuf {
    node::npm_install(&[
        ("convex", "1.48.0"),
        ("@convex-dev/auth", "0.0.95"),
        ("@auth/core", "^0.41.1"),
        ("react", "^19.2.0"),
        ("react-dom", "^19.2.0"),
        ("@types/node", "^24.0.0"),
        ("@types/react", "^19.2.0"),
        ("@types/react-dom", "^19.2.0"),
        ("@vitejs/plugin-react", "^6.0.0"),
        ("typescript", "^7.0.2"),
        ("vite", "^8.0.0"),
    ])
}

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
    let mut project = project();
    project.pattern = pattern;
    for path in replaced {
        project
            .policies
            .insert(path.parse().unwrap(), Policy::Managed);
    }
    bring(
        &LocalDirectory::new(app),
        &project.files(),
        &std::collections::BTreeMap::new(),
    )
    .await
    .unwrap();
    symlink(packages().join("node_modules"), app.join("node_modules")).unwrap();
    // The one way to generate code that asks no deployment.
    tool(
        app,
        "convex",
        &["codegen", "--system-udfs", "--typecheck", "disable"],
    );
}

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
        tool(app.path(), "vite", &["build", "--mode", "convex"]);
        // The address of the API came out of .env.convex.local.
        assert!(
            built(app.path()).contains("https://api.example"),
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
    assert!(built(app.path()).contains("https://api.example"));
}

/// The program of Debian's package, else of another one.
fn chromium() -> &'static str {
    static FOUND: OnceLock<&str> = OnceLock::new();
    FOUND.get_or_init(|| {
        ["chromium-headless-shell", "chromium"]
            .into_iter()
            .find(|name| Command::new(name).arg("--version").output().is_ok())
            .expect("Chromium is installed: see tests/run")
    })
}

/// What a browser shows of an app that Vite serves.
fn shown(app: &Path, arguments: &[&str]) -> String {
    let mut vite = Command::new(app.join("node_modules/.bin/vite"))
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
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let url = BufReader::new(vite.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line[line.find("http://127.0.0.1:")?..].trim().to_owned()))
        .expect("Vite says where it serves");
    let profile = TempDir::new().unwrap();
    let dom = run(Command::new(chromium())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=8000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", &url]));
    let _ = vite.kill();
    let _ = vite.wait();
    dom
}

#[tokio::test]
async fn a_browser_shows_the_page() {
    let app = TempDir::new().unwrap();
    lay_out(app.path(), Pattern::MinimalAuth, &[]).await;
    tool(app.path(), "vite", &["build", "--mode", "convex"]);
    let page = shown(app.path(), &["preview"]);
    assert!(page.contains("<h1>Tasks</h1>"), "{page}");
    assert!(page.contains("Go on without an account"), "{page}");
    // Without the address the page says so, instead of staying white.
    fs::remove_file(app.path().join(".env.convex.local")).unwrap();
    tool(app.path(), "vite", &["build"]);
    let page = shown(app.path(), &["preview"]);
    assert!(page.contains("VITE_CONVEX_URL is not set"), "{page}");
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
