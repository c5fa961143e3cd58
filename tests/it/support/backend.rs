//! Backends as a test sees them: asked and changed without the provider.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{
    docker::{Name, docker, images},
    standin,
};

/// Where a backend listens in its container.
const API: &str = "http://127.0.0.1:3210";

/// A backend in a container, and its admin key.
pub struct Backend {
    container: String,
    key: String,
    /// Its address on the host, where the test has started it itself.
    url: Option<String>,
    /// How many requests of its log have been looked at.
    seen: Cell<usize>,
}

impl Backend {
    /// A new one that no provider knows of, removed at the end.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these variables in the environment of its process.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let container = format!("u{}-{count}-backend", std::process::id());
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| format!("--env={name}={value}"))
            .collect();
        let environment: Vec<_> = environment.iter().map(String::as_str).collect();
        let arguments = [
            "run",
            "--detach",
            "--name",
            &container,
            "--env=INSTANCE_NAME=elsewhere",
            "--env=CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210",
            "--env=CONVEX_SITE_ORIGIN=http://127.0.0.1:3211",
            "--publish=127.0.0.1::3210",
        ];
        docker(&[&arguments[..], &environment, &[&images().backend]].concat());
        let mut backend = Self {
            container,
            key: String::new(),
            url: None,
            seen: Cell::new(0),
        };
        let published = docker(&["port", &backend.container, "3210/tcp"]);
        backend.url = Some(format!("http://{published}"));
        backend.wait();
        backend.key = docker(&["exec", &backend.container, "./generate_admin_key.sh"]);
        backend
    }

    /// That of a deployment which the provider has made, with the key its
    /// resource tells.
    pub fn of(name: &Name, deployment: &Json) -> Self {
        Self {
            container: name.container("backend"),
            key: text(&deployment["admin_key"]),
            url: None,
            seen: Cell::new(0),
        }
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let url = format!("{API}/version");
        let ask = || {
            let arguments = ["exec", &self.container, "curl", "-sf", &url];
            Command::new("docker").args(arguments).output()
        };
        while !ask().is_ok_and(|output| output.status.success()) {
            assert!(Instant::now() < deadline, "{} starts", self.container);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its container.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Its address on the host.
    pub fn url(&self) -> &str {
        self.url.as_deref().expect("a backend the test has started")
    }

    /// Its admin key.
    pub fn key(&self) -> &str {
        &self.key
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> String {
        self.try_to_ask(method, path, body)
            .unwrap_or_else(|said| panic!("{method} {path}: {said}"))
    }

    fn try_to_ask(&self, method: &str, path: &str, body: Option<&Json>) -> Result<String, String> {
        let header = format!("Authorization: Convex {}", self.key);
        let url = format!("{API}{path}");
        let mut command = Command::new("docker");
        command
            .args(["exec", "-i", &self.container])
            .args([
                "curl",
                "-sS",
                "--fail-with-body",
                "-X",
                method,
                "-H",
                &header,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if body.is_some() {
            command.args(["--json", "@-"]);
        }
        let mut child = command.arg(&url).spawn().expect("docker");
        let mut stdin = child.stdin.take().expect("piped");
        if let Some(body) = body {
            let _ = stdin.write_all(body.to_string().as_bytes());
        }
        drop(stdin);
        let output = child.wait_with_output().expect("docker");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        if output.status.success() {
            return Ok(said);
        }
        Err(said + &String::from_utf8_lossy(&output.stderr))
    }

    /// All its variables.
    #[track_caller]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let newest = "/api/v1/list_environment_variables";
        if let Ok(reply) = self.try_to_ask("GET", newest, None) {
            let list = &parse(&reply)["environmentVariables"];
            let list = list.as_object().expect("an object").iter();
            return list.map(|(name, it)| (name.clone(), text(it))).collect();
        }
        // Older ones know this way.
        let question = json!({
            "path": "_system/cli/queryEnvironmentVariables", "args": {}, "format": "json",
        });
        let reply = parse(&self.ask("POST", "/api/query", Some(&question)));
        let list = reply["value"].as_array().expect("a list").iter();
        list.map(|it| (text(&it["name"]), text(&it["value"])))
            .collect()
    }

    /// One variable.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables().remove(name)
    }

    /// Sets variables as somebody else would, or removes them where there is no
    /// value.
    #[track_caller]
    pub fn set(&self, changes: &[(&str, Option<&str>)]) {
        let changes: Vec<_> = changes
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let body = json!({ "changes": changes });
        self.ask("POST", "/api/update_environment_variables", Some(&body));
    }

    /// The rows of a table, by an export.
    #[track_caller]
    pub fn rows(&self, table: &str) -> String {
        let path = "/api/export/request/zip?includeStorage=true";
        self.ask("POST", path, Some(&json!({})));
        let question = json!({
            "path": "_system/cli/exports:getLatest", "args": {}, "format": "json",
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        let id = loop {
            let latest = parse(&self.ask("POST", "/api/query", Some(&question)))["value"].take();
            if latest["state"] == "completed" {
                break text(&latest["_id"]);
            }
            assert!(
                Instant::now() < deadline,
                "the export is finished: {latest}"
            );
            std::thread::sleep(Duration::from_millis(50));
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        let header = format!("Authorization: Convex {}", self.key);
        let url = format!("{API}/api/export/zip/{id}");
        let downloaded = Command::new("docker")
            .args(["exec", &self.container, "curl", "-sSf", "-H", &header, &url])
            .stdout(file.reopen().expect("the file"))
            .status();
        assert!(
            downloaded.expect("docker").success(),
            "the export is downloaded"
        );
        super::snapshot::rows(file.path(), table)
    }

    /// Asks the stand-in to fail; see its README.
    #[track_caller]
    pub fn fail(&self, faults: &Json) {
        standin::assert_named();
        self.ask("POST", "/standin/faults", Some(faults));
    }

    /// Ends all failures.
    #[track_caller]
    pub fn heal(&self) {
        self.ask("DELETE", "/standin/faults", None);
    }

    /// What was asked of it since this was last called, apart from whether it is there, which
    /// Docker's health check asks, too.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        // A request has its line in the log when it is answered. So those before are there when
        // this one is.
        let mark = "GET /version?mark";
        let marks = |log: &[String]| log.iter().filter(|request| *request == mark).count();
        let before = marks(&self.logged());
        self.ask("GET", "/version?mark", None);
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut log = self.logged();
        while marks(&log) == before {
            assert!(Instant::now() < deadline, "{mark} is not in the log");
            std::thread::sleep(Duration::from_millis(20));
            log = self.logged();
        }
        let end = log.len();
        // The container may be another one since, whose log has begun anew.
        let seen = self.seen.replace(end);
        let new = log.split_off(if seen <= end { seen } else { 0 });
        new.iter()
            .filter_map(|request| request.split('?').next())
            .filter(|request| !request.ends_with(" /version"))
            .map(str::to_owned)
            .collect()
    }

    /// All requests in the log of its container.
    fn logged(&self) -> Vec<String> {
        let output = Command::new("docker")
            .args(["logs", &self.container])
            .output()
            .expect("Docker");
        let log = [output.stdout, output.stderr].concat();
        let log = String::from_utf8_lossy(&log);
        let requests = log.lines().filter_map(|line| {
            let (before, _) = line.split_once(" HTTP/1.1\"")?;
            let (_, request) = before.rsplit_once('"')?;
            Some(request.to_owned())
        });
        requests.collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.url.is_some() {
            let arguments = ["rm", "-f", "-v", &self.container];
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}

fn text(json: &Json) -> String {
    json.as_str().expect("text").to_owned()
}

#[track_caller]
fn parse(json: &str) -> Json {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}
