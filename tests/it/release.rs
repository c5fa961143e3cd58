//! The program that is released: one static file.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{docker::docker, plugin::COOKIE, tools};

/// The release, built as it is for users.
pub fn release() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/release");
            let output = Command::new(script).output().expect("the script runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "no release: {errors}");
            String::from_utf8_lossy(&output.stdout).trim().into()
        })
        .clone()
}

/// An image with nothing in it but the release, removed at the end.
pub struct Image(String);

impl Image {
    /// An image for a test of this name.
    pub fn new(test: &str) -> Self {
        Self(image(test))
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

fn image(test: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let stage = tempfile::tempdir().expect("a directory");
    let program = "terraform-provider-convex";
    fs::copy(release(), stage.path().join(program)).expect("the release is there");
    fs::create_dir(stage.path().join("tmp")).expect("a directory");
    let archive = stage.path().join("root.tar");
    tools::run(
        Command::new("tar")
            .args(["--mode=a+rwx", "-cf"])
            .arg(&archive)
            .arg("-C")
            .arg(stage.path())
            .args([program, "tmp"]),
    );
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("convex-{test}-test:{}-{count}", std::process::id());
    docker(&["import", &archive.display().to_string(), &name]);
    name
}

#[test]
fn it_is_one_static_file() {
    let said = Command::new("file")
        .arg("-L")
        .arg(release())
        .output()
        .expect("file is installed: see tests/run");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("static-pie linked") || said.contains("statically linked"),
        "{said}"
    );
}

#[test]
fn it_names_no_place_of_the_machine_that_built_it() {
    let program = fs::read(release()).expect("the release is there");
    let home = std::env::var("HOME").expect("a home");
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    for place in [env!("CARGO_MANIFEST_DIR"), &cargo] {
        assert!(!has(&program, place), "{place} is in it");
    }
    // Source files are named all the same.
    assert!(has(&program, "/cargo/registry/src/"));
}

#[test]
fn it_does_not_count_past_the_end() {
    let program = fs::read(release()).expect("the release is there");
    assert!(has(&program, "attempt to multiply with overflow"));
}

fn has(program: &[u8], text: &str) -> bool {
    let mut starts = program.windows(text.len());
    starts.any(|it| it == text.as_bytes())
}

#[test]
fn it_runs_where_there_is_nothing_else_and_nobody_is_root() {
    let image = Image::new("release");
    let image = image.name();
    let alone = ["run", "--rm", "--user", "1000:1000", "--network", "none"];
    let run = |arguments: &[&str]| docker(&[&alone[..], arguments].concat());
    let program = "/terraform-provider-convex";
    assert_eq!(
        run(&[image, program, "--version"]),
        env!("CARGO_PKG_VERSION")
    );

    let cookie = format!("{}={}", COOKIE.0, COOKIE.1);
    let mut child = Command::new("docker")
        .args(alone)
        .args([
            "-e",
            &cookie,
            "-e",
            "PLUGIN_PROTOCOL_VERSIONS=5,6",
            image,
            program,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("Docker runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a handshake");
    assert!(line.starts_with("1|6|unix|/tmp/"), "{line}");
    let _ = child.kill();
    let _ = child.wait();
    let filter = format!("ancestor={image}");
    for container in docker(&["ps", "-q", "--filter", &filter]).lines() {
        docker(&["rm", "-f", container]);
    }
}

#[test]
fn a_person_gets_help() {
    let run = |arguments: &[&str]| {
        let output = Command::new(release())
            .args(arguments)
            .env_clear()
            .output()
            .expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, stdout, _) = run(&["images"]);
    assert_eq!(code, Some(0));
    let images: Vec<_> = stdout.lines().collect();
    assert_eq!(images.len(), 2, "{stdout}");
    assert!(
        images
            .iter()
            .all(|image| image.starts_with("ghcr.io/get-convex/"))
    );
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("required_providers"));
    let (code, stdout, stderr) = run(&[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains("not meant to be started by hand"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["--nonsense"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("Invalid arguments: --nonsense"), "{stderr}");
    assert!(Path::new(&release()).is_absolute());
}
