//! The scripts of the image, with a backend that only says what it was started with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{crate_folder, must, run};

/// A copy of `/convex`.
struct Image {
    folder: TempDir,
}

/// What a start came to.
struct Started {
    /// What the script printed before the backend took its place.
    said: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<String>,
}

impl Image {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(crate_folder().join("rootfs/convex")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let backend = folder.path().join("convex-local-backend");
        let script = "#!/bin/sh\necho ARGUMENTS\nprintf '%s\\n' \"$@\"\necho ENVIRONMENT\nenv\n";
        fs::write(&backend, script).unwrap();
        fs::set_permissions(&backend, fs::Permissions::from_mode(0o744)).unwrap();
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn script(&self, name: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new("bash");
        command
            .arg(name)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("DATA_DIR", self.data())
            .envs(environment.iter().copied());
        command
    }

    fn start(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Started {
        let output = must(self.script("./run_backend.sh", environment).args(arguments));
        let (said, rest) = output.split_once("ARGUMENTS\n").unwrap();
        let (arguments, environment) = rest.split_once("ENVIRONMENT\n").unwrap();
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Started {
            said: lines(said),
            arguments: lines(arguments),
            environment: lines(environment),
        }
    }

    fn credential(&self, name: &str) -> String {
        fs::read_to_string(self.data().join("credentials").join(name)).unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.data().join(name).to_str().unwrap().to_owned()
    }
}

impl Started {
    fn has(&self, flag: &str) -> bool {
        self.arguments.iter().any(|argument| argument == flag)
    }

    /// The argument behind a flag.
    fn value(&self, flag: &str) -> Option<&str> {
        let index = self
            .arguments
            .iter()
            .position(|argument| argument == flag)?;
        self.arguments.get(index + 1).map(String::as_str)
    }

    /// The kind of the database and its address.
    fn database(&self) -> (Option<&str>, &str) {
        (self.value("--db"), self.arguments.last().unwrap())
    }
}

#[test]
fn a_bare_start_makes_up_what_it_needs_and_remembers_it() {
    let image = Image::new();
    let first = image.start(&[], &[]);
    let secret = first.value("--instance-secret").unwrap();
    assert_eq!(secret.len(), 64);
    assert!(
        secret
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    assert_eq!(image.credential("instance_secret"), format!("{secret}\n"));
    assert_eq!(image.credential("instance_name"), "convex-self-hosted\n");
    let expected = [
        "--instance-name",
        "convex-self-hosted",
        "--instance-secret",
        secret,
        "--port",
        "3210",
        "--site-proxy-port",
        "3211",
        "--convex-origin",
        "",
        "--convex-site",
        "",
        "--beacon-tag",
        "self-hosted-docker",
        "--local-storage",
        &image.path("storage"),
        &image.path("db.sqlite3"),
    ];
    assert_eq!(first.arguments, expected);
    assert!(first.said.is_empty());
    for folder in ["tmp", "storage"] {
        assert!(image.data().join(folder).is_dir());
    }
    assert!(
        first
            .environment
            .contains(&format!("TMPDIR={}", image.path("tmp")))
    );
    assert_eq!(image.start(&[], &[]).arguments, expected);
}

#[test]
fn the_environment_replaces_what_the_volume_remembers() {
    let image = Image::new();
    image.start(&[("INSTANCE_NAME", "app"), ("INSTANCE_SECRET", "one")], &[]);
    let second = image.start(&[("INSTANCE_SECRET", "two")], &[]);
    assert_eq!(
        (
            second.value("--instance-name"),
            second.value("--instance-secret")
        ),
        (Some("app"), Some("two"))
    );
    assert_eq!(
        (
            image.credential("instance_name"),
            image.credential("instance_secret")
        ),
        ("app\n".into(), "two\n".into())
    );
}

#[test]
fn any_word_turns_a_switch_on_and_an_empty_one_does_not() {
    let image = Image::new();
    let switches = [
        ("DISABLE_BEACON", "--disable-beacon"),
        ("REDACT_LOGS_TO_CLIENT", "--redact-logs-to-client"),
        ("DO_NOT_REQUIRE_SSL", "--do-not-require-ssl"),
    ];
    for (name, flag) in switches {
        assert!(image.start(&[(name, "true")], &[]).has(flag));
        assert!(
            image.start(&[(name, "false")], &[]).has(flag),
            "{name}=false"
        );
        let empty = image.start(&[(name, "")], &[]);
        assert!(!empty.has(flag));
        // The backend itself sees the empty one, and ends because of it if it is the beacon's.
        assert!(empty.environment.contains(&format!("{name}=")));
    }
}

#[test]
fn of_several_databases_the_first_in_order_is_taken() {
    let image = Image::new();
    let all = [
        ("POSTGRES_URL", "postgres://p"),
        ("MYSQL_URL", "mysql://m"),
        ("DATABASE_URL", "postgres://d"),
        ("SQLITE_DB", "/s"),
    ];
    assert_eq!(
        image.start(&all, &[]).database(),
        (Some("postgres-v5"), "postgres://p")
    );
    assert_eq!(
        image.start(&all[1..], &[]).database(),
        (Some("mysql-v5"), "mysql://m")
    );
    let deprecated = image.start(&all[2..], &[]);
    assert_eq!(deprecated.database(), (Some("postgres-v5"), "postgres://d"));
    assert!(deprecated.said[0].contains("DATABASE_URL is deprecated"));
    assert_eq!(image.start(&all[3..], &[]).database(), (None, "/s"));
}

#[test]
fn s3_needs_all_of_its_settings() {
    let image = Image::new();
    let all = [
        ("AWS_REGION", "eu"),
        ("S3_STORAGE_EXPORTS_BUCKET", "a"),
        ("S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET", "b"),
        ("S3_STORAGE_MODULES_BUCKET", "c"),
        ("S3_STORAGE_FILES_BUCKET", "d"),
        ("S3_STORAGE_SEARCH_BUCKET", "e"),
    ];
    let s3 = image.start(&all, &[]);
    assert!(s3.has("--s3-storage") && !s3.has("--local-storage"));
    assert!(s3.said.is_empty());
    let some = image.start(&all[..5], &[]);
    assert!(some.has("--local-storage") && !some.has("--s3-storage"));
    assert!(
        some.said[0].ends_with("missing: S3_STORAGE_SEARCH_BUCKET"),
        "{:?}",
        some.said
    );
}

#[test]
fn arguments_of_the_container_come_first_and_stay_whole() {
    let image = Image::new();
    let environment = [
        ("CONVEX_CLOUD_ORIGIN", "http://127.0.0.1:3210"),
        ("CONVEX_SITE_ORIGIN", "http://a b"),
    ];
    let started = image.start(&environment, &["--local-log-sink", "/tmp/a file"]);
    assert_eq!(
        started.arguments[..3],
        ["--local-log-sink", "/tmp/a file", "--instance-name"]
    );
    assert_eq!(
        started.value("--convex-origin"),
        Some("http://127.0.0.1:3210")
    );
    assert_eq!(started.value("--convex-site"), Some("http://a b"));
}

#[test]
fn the_admin_key_is_that_of_the_volumes_credentials() {
    let image = Image::new();
    fs::copy(
        env!("CARGO_BIN_EXE_convex-local-backend"),
        image.folder.path().join("convex-local-backend"),
    )
    .unwrap();
    let secret = "ff".repeat(32);
    // An empty DISABLE_BEACON would end the backend, but not this.
    let environment = [
        ("INSTANCE_NAME", "app"),
        ("INSTANCE_SECRET", secret.as_str()),
        ("DISABLE_BEACON", ""),
    ];
    let output = run(&mut image.script("./generate_admin_key.sh", &environment));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Admin key:\n");
    let key = String::from_utf8(output.stdout).unwrap();
    let opened =
        convex_standin::admin_key::AdminKey::open(key.trim_end(), "app", &secret.parse().unwrap());
    assert!(!opened.unwrap().read_only);
    // And without the environment, from the volume alone.
    assert!(must(&mut image.script("./generate_admin_key.sh", &[])).starts_with("app|01"));
}
