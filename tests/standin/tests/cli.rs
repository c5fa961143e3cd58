//! The real command line tool, `convex` from npm, against the stand-in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::{cache_folder, must, run, wait_for};

/// The version that is held to. Its protocol is the one that was recorded.
const VERSION: &str = "1.48.0";

/// The tool itself, installed once per target folder.
fn tool() -> &'static PathBuf {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| {
        let folder = cache_folder().join(format!("convex-{VERSION}"));
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let tool = folder.join("node_modules/convex/bin/main.js");
        if !tool.exists() {
            fs::write(folder.join("package.json"), "{}").unwrap();
            let package = format!("convex@{VERSION}");
            must(
                Command::new("npm")
                    .args(["install", "--no-audit", "--no-fund", &package])
                    .current_dir(&folder),
            );
        }
        tool
    })
}

/// Runs `convex …` in a folder of its own and without the rest of the environment, which may make it hide values.
fn convex(start: &Start, backend: &Backend, arguments: &[&str]) -> Output {
    let folder = start.folder.path().join("project");
    fs::create_dir_all(&folder).unwrap();
    let package = json!({ "dependencies": { "convex": VERSION } });
    fs::write(folder.join("package.json"), package.to_string()).unwrap();
    // The tool tries again for ever where it is not answered as it expects.
    let mut command = Command::new("timeout");
    command.args(["60", "node"]);
    command
        .arg(tool())
        .args(arguments)
        .current_dir(&folder)
        .env_clear();
    command
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", start.folder.path());
    command.env("CONVEX_SELF_HOSTED_URL", format!("http://{}", backend.api));
    command.env(
        "CONVEX_SELF_HOSTED_ADMIN_KEY",
        backend.key.strip_prefix("Convex ").unwrap(),
    );
    run(&mut command)
}

fn env(start: &Start, backend: &Backend, arguments: &[&str]) -> Output {
    convex(start, backend, &[&["env"], arguments].concat())
}

fn succeed(start: &Start, backend: &Backend, arguments: &[&str]) -> String {
    let output = env(start, backend, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "convex env {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn variables_are_set_read_and_removed() {
    let start = Start::new();
    let backend = start.sqlite();
    succeed(&start, &backend, &["set", "GREETING", "hello world"]);
    succeed(&start, &backend, &["set", "OTHER", "2"]);
    assert_eq!(
        backend.variables(),
        json!({ "GREETING": "hello world", "OTHER": "2" })
    );

    assert_eq!(
        succeed(&start, &backend, &["get", "GREETING"]),
        "hello world\n"
    );
    let list = succeed(&start, &backend, &["list"]);
    assert!(
        list.contains("GREETING=") && list.contains("hello world") && list.contains("OTHER=2"),
        "{list}"
    );

    succeed(&start, &backend, &["remove", "OTHER"]);
    assert_eq!(backend.variables(), json!({ "GREETING": "hello world" }));
    // The tool says so on standard error only, and calls it a success.
    assert_eq!(succeed(&start, &backend, &["get", "OTHER"]), "");
}

#[test]
fn a_file_of_variables_is_one_batch() {
    let start = Start::new();
    let backend = start.sqlite();
    backend.set("A", "1");
    let file = start.folder.path().join("variables");
    fs::write(&file, "A=1\nB=\"two words\"\nC=3\n").unwrap();
    backend.get("/standin/requests");
    succeed(
        &start,
        &backend,
        &["set", "--from-file", file.to_str().unwrap()],
    );
    assert_eq!(
        backend.variables(),
        json!({ "A": "1", "B": "two words", "C": "3" })
    );
    let requests = backend.get("/standin/requests").json();
    let posts = requests
        .as_array()
        .unwrap()
        .iter()
        .filter(|request| request["method"] == "POST")
        .count();
    assert_eq!(posts, 2, "one of this test and one of the tool: {requests}");

    // What differs is refused as a whole, unless it is forced.
    fs::write(&file, "A=other\nD=4\n").unwrap();
    assert!(
        !env(
            &start,
            &backend,
            &["set", "--from-file", file.to_str().unwrap()]
        )
        .status
        .success()
    );
    assert_eq!(backend.variables()["D"], json!(null));
    succeed(
        &start,
        &backend,
        &["set", "--force", "--from-file", file.to_str().unwrap()],
    );
    assert_eq!(
        backend.variables(),
        json!({ "A": "other", "B": "two words", "C": "3", "D": "4" })
    );
}

#[test]
fn a_wrong_key_is_refused() {
    let start = Start::new();
    let mut backend = start.sqlite();
    backend.key = backend.key.replace("carnitas|", "other|");
    let output = env(&start, &backend, &["set", "A", "1"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("BadAdminKey"), "{said}");
}

/// Writes a ZIP file as people do, packed, with one file in it.
fn write_zip(path: &Path, name: &str, content: &str) {
    let program = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z: z.writestr(sys.argv[2], sys.argv[3])";
    must(
        Command::new("python3")
            .args(["-c", program])
            .arg(path)
            .args([name, content]),
    );
}

#[test]
fn a_snapshot_is_imported_once_and_exported_again() {
    let start = Start::new();
    let mut backend = start.sqlite();
    let file = start.folder.path().join("snapshot.zip");
    let path = file.to_str().unwrap();
    write_zip(&file, "tasks/documents.jsonl", "{\"title\":\"write\"}\n");
    let output = convex(&start, &backend, &["import", "--yes", path]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("Added 1 documents"),
        "{said}"
    );
    let again = convex(&start, &backend, &["import", "--yes", path]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && said.contains("Table tasks already exists"),
        "{said}"
    );

    backend.stop();
    let backend = start.sqlite();
    backend.post("/api/export/request/zip?includeStorage=true", &json!({}));
    let query = json!({ "path": "_system/cli/exports:getLatest", "args": {}, "format": "json" });
    let id = wait_for("the export", || {
        let latest = backend.post("/api/query", &query).json();
        (latest["value"]["state"] == "completed").then(|| latest["value"]["_id"].clone())
    });
    let copy = start.folder.path().join("copy.zip");
    let url = format!(
        "http://{}/api/export/zip/{}",
        backend.api,
        id.as_str().unwrap()
    );
    let header = format!("Authorization: {}", backend.key);
    must(
        Command::new("curl")
            .args(["-sSf", "-H", &header, &url, "-o"])
            .arg(&copy),
    );
    let program = "import sys, zipfile\nprint(zipfile.ZipFile(sys.argv[1]).read('tasks/documents.jsonl').decode(), end='')";
    let rows = must(Command::new("python3").args(["-c", program]).arg(&copy));
    let row: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(row["title"], "write");
    assert_eq!(row["_id"].as_str().unwrap().len(), 32);
    assert!(row["_creationTime"].as_f64().unwrap() > 1.7e12);

    // What is no snapshot changes nothing.
    fs::write(&file, "PK but no more").unwrap();
    let bad = convex(
        &start,
        &backend,
        &["import", "--yes", "--replace-all", path],
    );
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(
        !bad.status.success() && said.contains("invalid zip file"),
        "{said}"
    );
}
