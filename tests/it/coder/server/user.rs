//! People who are logged in to a server of Coder.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{
    readme,
    running::{PASSWORD, Server, program},
};
use crate::support::tools;

/// The cookie of a person who is logged in, at the access URL's host.
pub const COOKIE: &str = "coder_session_token";

/// A person, with the command line and the browser's cookie.
#[derive(Clone)]
pub struct User {
    pub server: Arc<Server>,
    pub name: String,
    /// The value of [`COOKIE`].
    pub token: String,
}

/// What an address answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Where it was redirected to.
    pub location: String,
    pub body: String,
}

impl User {
    pub fn log_in(server: &Arc<Server>, name: &str) -> Self {
        let mut user = Self {
            server: Arc::clone(server),
            name: name.to_owned(),
            token: String::new(),
        };
        let account = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
        let session = user.ask("POST", "users/login", Some(&account));
        let token = session["session_token"].as_str().expect("a token");
        token.clone_into(&mut user.token);
        user
    }

    /// A new one without special rights, made by an administrator.
    pub fn create(&self, name: &str) -> Self {
        self.coder(&[
            "users",
            "create",
            &format!("--username={name}"),
            &format!("--email={name}@example.com"),
            &format!("--password={PASSWORD}"),
        ]);
        Self::log_in(&self.server, name)
    }

    /// Runs Coder's command line, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn coder(&self, arguments: &[&str]) -> String {
        tools::printed(self.cli().args(arguments))
    }

    /// Coder's command line, as this person.
    fn cli(&self) -> Command {
        let mut command = self.server.cli();
        self.log_in_command(&mut command);
        command
    }

    fn log_in_command(&self, command: &mut Command) {
        command
            .env("CODER_URL", self.server.url())
            .env("CODER_SESSION_TOKEN", &self.token);
    }

    /// Pushes a template as its README says, with values of further variables, and returns what
    /// was said while it was imported.
    #[track_caller]
    pub fn push(&self, template: &str, directory: &Path, variables: &[(&str, &str)]) -> Vec<Json> {
        let mut line = readme::push(directory, template);
        for (name, value) in variables {
            line += &format!(" --variable '{name}={value}'");
        }
        let mut command = Command::new("sh");
        let programs = program();
        let programs = programs.parent().expect("a directory").display();
        let path = std::env::var("PATH").expect("a PATH");
        self.log_in_command(&mut command);
        command
            .args(["-ec", &line])
            .current_dir(directory)
            .env("PATH", format!("{programs}:{path}"))
            .stdin(Stdio::null());
        tools::run(&mut command);
        let pushed = self.get(&format!("organizations/default/templates/{template}"));
        let version = pushed["active_version_id"].as_str().expect("a version");
        list(self.get(&format!("templateversions/{version}/logs")))
    }

    /// Asks Coder's API.
    #[track_caller]
    pub fn get(&self, path: &str) -> Json {
        self.ask("GET", path, None)
    }

    /// Asks Coder's API for a change.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> Json {
        let url = format!("{}/api/v2/{path}", self.server.url());
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--fail-with-body",
            "-m",
            "60",
            "-X",
            method,
            "-d",
            "@-",
            &url,
        ])
        .args(["-H", "Content-Type: application/json"])
        .args(["-H", &format!("Coder-Session-Token: {}", self.token)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
        let mut child = curl.spawn().expect("curl");
        let mut stdin = child.stdin.take().expect("piped");
        if let Some(body) = body {
            let _ = stdin.write_all(body.to_string().as_bytes());
        }
        drop(stdin);
        let output = child.wait_with_output().expect("curl");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method} {path}: {errors}{said}");
        serde_json::from_str(&said).unwrap_or(Json::Null)
    }

    /// Opens a page as this person's browser does, which logs in to the hosts of apps on the way.
    #[track_caller]
    pub fn open(&self, url: &str) -> Answer {
        let jar = TempDir::with_prefix("cookies-").expect("a directory");
        let jar = jar.path().join("cookies").display().to_string();
        let host = self.server.url();
        let host = host.trim_start_matches("http://").split(':').next();
        let cookie = format!(
            "{}\tFALSE\t/\tFALSE\t0\t{COOKIE}\t{}\n",
            host.expect("a host"),
            self.token
        );
        std::fs::write(&jar, cookie).expect("a cookie");
        visit(&self.server, url, &["-L", "-b", &jar, "-c", &jar])
    }
}

/// Opens a page as somebody does who is not logged in. Redirects are not followed.
#[track_caller]
pub fn open_as_stranger(server: &Server, url: &str) -> Answer {
    visit(server, url, &[])
}

#[track_caller]
fn visit(server: &Server, url: &str, more: &[&str]) -> Answer {
    let format = "\n%{http_code} %{redirect_url}";
    let to = format!("::{}", server.loopback());
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "60", "-w", format, "--connect-to", &to])
        .args(more)
        .arg(url);
    let said = tools::printed(&mut curl);
    let (body, last) = said.rsplit_once('\n').unwrap_or(("", &said));
    let (status, location) = last.split_once(' ').unwrap_or((last, ""));
    Answer {
        status: status.parse().expect("a status"),
        location: location.to_owned(),
        body: body.to_owned(),
    }
}

/// The entries of a list.
pub fn list(json: Json) -> Vec<Json> {
    match json {
        Json::Array(entries) => entries,
        // Coder's empty list.
        Json::Null => Vec::new(),
        other => panic!("{other} is no list"),
    }
}
