//! A backend as a process on free ports.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{self, Reply};
use super::{NAME, SECRET, crate_folder, must, wait_for};

/// The binary under test.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convex-local-backend"));
    for name in [
        "DISABLE_BEACON",
        "STANDIN_FAULTS",
        "RUST_LOG",
        "ENV_VAR_LIMIT",
        "PG_CA_FILE",
    ] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}

/// A process of the binary. It is killed when the test ends.
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// A backend that listens, or has listened.
pub struct Backend {
    process: Process,
    pub api: SocketAddr,
    pub site: SocketAddr,
    /// The header that holds an admin key.
    pub key: String,
}

/// How to start one.
pub struct Start {
    pub folder: TempDir,
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Start {
    /// A start in a folder of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            name: NAME.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The same with the program that runs functions.
    pub fn with_functions() -> Self {
        static PROGRAM: OnceLock<String> = OnceLock::new();
        let program =
            PROGRAM.get_or_init(|| must(&mut Command::new(crate_folder().join("functions/build"))));
        Self::new().env("STANDIN_FUNCTIONS", program.trim_end())
    }

    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it with a secret of its own choice, or with none.
    pub fn secret(self, secret: Option<&str>) -> Self {
        let name = self.name.clone();
        match secret {
            Some(secret) => self.args(&["--instance-name", &name, "--instance-secret", secret]),
            None => Self {
                name: String::new(),
                ..self
            },
        }
    }

    /// The path of the `SQLite` file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("db.sqlite3")
    }

    /// The directory of its files.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    /// Starts it on its `SQLite` file and waits until it listens.
    pub fn sqlite(&self) -> Backend {
        let database = self.database();
        self.on(database.to_str().unwrap())
    }

    /// Starts it on a database and waits until it listens. Can be called again once that one has ended.
    pub fn on(&self, database: &str) -> Backend {
        let mut process = self.begin(database);
        let mut listening = |line: &str| -> SocketAddr {
            wait_for("the backend listens", || {
                let text = process.log();
                if let Some(status) = process.ended() {
                    panic!("the backend ended with {status}:\n{text}");
                }
                let rest = text.split_once(line)?.1;
                rest.split_once('\n')?.0.parse().ok()
            })
        };
        let api = listening("backend listening on ");
        let site = listening("backend_http_proxy listening on ");
        Backend {
            process,
            api,
            site,
            key: format!("Convex {}", admin_key(&self.name, SECRET)),
        }
    }

    /// Starts it on a database where it must end by itself; returns its code and all that it said.
    pub fn ends_on(&self, database: &str) -> (Option<i32>, String) {
        let mut process = self.begin(database);
        let status = wait_for("the backend ends", || process.ended());
        (status.code(), process.log())
    }

    /// Starts it on a database and leaves it to itself.
    pub fn begin(&self, database: &str) -> Process {
        let log = self.folder.path().join("log");
        let file = File::create(&log).unwrap();
        let mut command = binary();
        command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .stdin(Stdio::null());
        // Tests of the start ask for another time.
        command
            .env("STANDIN_FAULTS", "start_delay_ms=0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(&self.arguments);
        command.args([
            "--interface",
            "127.0.0.1",
            "--port",
            "0",
            "--site-proxy-port",
            "0",
        ]);
        let has = |flag: &str| self.arguments.iter().any(|argument| argument == flag);
        if !has("--s3-storage") && !has("--local-storage") {
            command.arg("--local-storage").arg(self.storage());
        }
        if !has("--instance-secret") && !self.name.is_empty() {
            command.args(["--instance-name", &self.name, "--instance-secret", SECRET]);
        }
        Process {
            child: command.arg(database).spawn().unwrap(),
            log,
        }
    }
}

impl Process {
    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        must(Command::new("kill").args(["-s", name, &self.child.id().to_string()]));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Backend {
    /// A request without a key.
    pub fn get(&self, path: &str) -> Reply {
        http::send(self.api, "GET", path, &[], None).unwrap()
    }

    /// A request with the key.
    pub fn get_with_key(&self, path: &str) -> Reply {
        http::send(self.api, "GET", path, &[("authorization", &self.key)], None).unwrap()
    }

    /// A request with the key and a JSON body.
    pub fn try_post(&self, path: &str, body: &Value) -> io::Result<Reply> {
        let headers = [
            ("authorization", self.key.as_str()),
            ("content-type", "application/json"),
        ];
        http::send(self.api, "POST", path, &headers, Some(&body.to_string()))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).unwrap()
    }

    /// Sets one variable.
    pub fn set(&self, name: &str, value: &str) -> Reply {
        self.post(
            "/api/update_environment_variables",
            &json!({ "changes": [{ "name": name, "value": value }] }),
        )
    }

    /// All variables.
    pub fn variables(&self) -> Value {
        self.get_with_key("/api/list_environment_variables").json()["environmentVariables"].clone()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> ExitStatus {
        wait_for("the backend ends", || self.process.ended())
    }

    /// Stops it as Docker would be told to.
    pub fn stop(&mut self) {
        self.signal("INT");
        assert_eq!(self.end().code(), Some(0));
    }
}

/// A key made by the binary itself.
pub fn admin_key(name: &str, secret: &str) -> String {
    let mut command = binary();
    command.args([
        "keygen",
        "admin-key",
        "--instance-name",
        name,
        "--instance-secret",
        secret,
    ]);
    must(&mut command).trim_end().to_owned()
}
