//! The workspace's container, as its agent and the person in it see it.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value as Json;

use super::provisioner::Build;
use crate::support::docker::docker;

/// The longest argument that Linux passes on. An agent hands a script to its
/// shell as one.
const LONGEST_ARGUMENT: usize = 128 * 1024;

/// A user secret of the owner, which Coder puts into the environment of the agent.
pub const USER_SECRET: (&str, &str) = ("STRIPE_KEY", "sk-hunter2-stripe");

/// The container that a build has started.
pub struct Inside<'a> {
    build: &'a Build,
    container: String,
}

impl<'a> Inside<'a> {
    pub fn of(build: &'a Build) -> Self {
        let container = build.resource("docker_container.workspace[0]");
        Self {
            build,
            container: text(&container["id"]),
        }
    }

    /// Its ID.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// What a shell in there says.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        docker(&["exec", &self.container, "sh", "-c", script])
    }

    /// Asks the health checks of all apps that have one, as the agent does, to
    /// which all answers below 500 are healthy, and returns the slugs.
    #[track_caller]
    pub fn healthy_apps(&self) -> Vec<String> {
        let apps = self.build.resources("coder_app").into_iter();
        let mut slugs: Vec<String> = apps
            .filter_map(|app| Some((text(&app["slug"]), app["healthcheck"][0]["url"].as_str()?)))
            .map(|(slug, url)| {
                let ask = format!("curl -sS -m 10 -o /dev/null -w '%{{http_code}}' {url}");
                let answer: u16 = self.sh(&ask).parse().expect("a status");
                assert!((200..500).contains(&answer), "{slug}: {answer}");
                slug
            })
            .collect();
        slugs.sort();
        slugs
    }

    /// What the agent puts into the environment of all that it starts.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.build.resources("coder_env").into_iter();
        variables
            .map(|it| (text(&it["name"]), text(&it["value"])))
            .collect()
    }

    /// Runs the scripts of the start, as the agent does, all of which must
    /// succeed.
    #[track_caller]
    pub fn run_scripts(&self) {
        for script in self.build.resources("coder_script") {
            let name = text(&script["display_name"]);
            if let Err(errors) = self.run_script(&name, &[USER_SECRET]) {
                panic!("{name}: {errors}");
            }
        }
    }

    /// Runs one of them with variables that the agent has beside those of the
    /// template. What it says on standard error is the error.
    #[track_caller]
    pub fn run_script(&self, name: &str, more: &[(&str, &str)]) -> Result<(), String> {
        let scripts = self.build.resources("coder_script");
        let mut named = scripts.iter().filter(|it| it["display_name"] == name);
        let script = named.next().unwrap_or_else(|| panic!("no script {name}"));
        assert_eq!(script["run_on_start"], true);
        let script = text(&script["script"]);
        assert!(script.len() < LONGEST_ARGUMENT, "{name}: {}", script.len());
        let shebang = script.lines().next().and_then(|it| it.strip_prefix("#!"));
        let shell = shebang.expect("a script says what runs it");
        let mut command = Command::new("docker");
        command.arg("exec");
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        for (name, value) in self.environment().into_iter().chain(more) {
            command.arg("-e").arg(format!("{name}={value}"));
        }
        let output = command
            .arg(&self.container)
            .args(shell.split_whitespace())
            .args(["-c", &script])
            .output()
            .expect("docker");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// A text.
#[track_caller]
pub fn text(value: &Json) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}
