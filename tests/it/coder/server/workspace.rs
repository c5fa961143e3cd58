//! Workspaces, as their owners have them.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{
    log,
    user::{User, list},
};
use crate::coder::{Id, inside::text};

/// How long a build and the start of an agent may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A workspace. Nothing of it stays on the Docker host when the test ends.
pub struct Workspace {
    pub owner: User,
    pub name: String,
    pub id: Id,
}

impl Workspace {
    /// Creates one of a template, with the defaults of its parameters, and waits until it is built.
    #[track_caller]
    pub fn create(owner: &User, name: &str, template: &str) -> Self {
        let workspace = Self::ask(owner, name, template, &[]);
        log::assert_worth_reading(&workspace.build_lines());
        workspace
    }

    /// Begins to create one, and does not wait for it.
    #[track_caller]
    pub fn begun(owner: &User, name: &str, template: &str) -> Self {
        Self::ask(owner, name, template, &["--no-wait"])
    }

    #[track_caller]
    fn ask(owner: &User, name: &str, template: &str, more: &[&str]) -> Self {
        let template = format!("--template={template}");
        let create = [
            "create",
            name,
            &template,
            "--use-parameter-defaults",
            "--yes",
        ];
        owner.coder(&[&create[..], more].concat());
        let found = owner.get(&format!("users/me/workspace/{name}"));
        Self {
            owner: owner.clone(),
            name: name.to_owned(),
            id: Id::given(text(&found["id"])),
        }
    }

    /// Builds it with a command of Coder's: start, stop, update or delete. It must succeed, and its
    /// log must be worth reading.
    #[track_caller]
    pub fn build(&self, command: &str) {
        self.build_with(command, &[]);
    }

    /// The same with a log that may have these warnings.
    #[track_caller]
    pub fn build_with(&self, command: &str, warnings: &[&str]) {
        let mut arguments = vec![command, &self.name];
        // An update asks nothing.
        arguments.extend((command != "update").then_some("--yes"));
        let printed = self.owner.coder(&arguments);
        if command != "delete" {
            assert_eq!(self.ended(), "succeeded", "{printed}");
            log::assert_worth_reading_with(&self.build_lines(), warnings);
        }
    }

    /// Begins a build and does not wait for it.
    #[track_caller]
    pub fn begin(&self, transition: &str) {
        let path = format!("workspaces/{}/builds", self.id.as_str());
        self.owner
            .ask("POST", &path, Some(&json!({ "transition": transition })));
    }

    /// Lets an administrator cancel the build in progress. Owners may not, unless their template
    /// says so.
    #[track_caller]
    pub fn cancel(&self) {
        let build = text(&self.latest_build()["id"]);
        let path = format!("workspacebuilds/{build}/cancel");
        self.owner.server.admin().ask("PATCH", &path, None);
    }

    /// Waits for the end of the latest build, and returns what it came to.
    #[track_caller]
    pub fn ended(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = text(&self.latest_build()["job"]["status"]);
            if !["pending", "running", "canceling"].contains(&status.as_str()) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status}: {}", self.build_log());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Gives it another name.
    #[track_caller]
    pub fn rename(&mut self, name: &str) {
        let path = format!("workspaces/{}", self.id.as_str());
        self.owner
            .ask("PATCH", &path, Some(&json!({ "name": name })));
        name.clone_into(&mut self.name);
    }

    fn latest_build(&self) -> Json {
        let path = format!("workspaces/{}", self.id.as_str());
        self.owner.get(&path)["latest_build"].take()
    }

    fn build_lines(&self) -> Vec<Json> {
        let build = text(&self.latest_build()["id"]);
        list(self.owner.get(&format!("workspacebuilds/{build}/logs")))
    }

    /// The log of the latest build, as its page shows it.
    pub fn build_log(&self) -> String {
        log::shown(&self.build_lines())
    }

    /// Its agents. There is one while it runs.
    pub fn agents(&self) -> Vec<Json> {
        let resources = list(self.latest_build()["resources"].take()).into_iter();
        resources
            .flat_map(|mut resource| list(resource["agents"].take()))
            .collect()
    }

    /// Waits until its agent has run all scripts, each of whose lines must be worth reading, and
    /// all apps with a health check are healthy.
    #[track_caller]
    pub fn ready(&self) -> Running<'_> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let agents = self.agents();
            let [agent] = &agents[..] else {
                panic!("one agent: {agents:?}");
            };
            let state = text(&agent["lifecycle_state"]);
            let apps = list(agent["apps"].clone());
            let healthy = |app: &Json| app["health"] == "healthy" || app["health"] == "disabled";
            if state == "ready" && apps.iter().all(healthy) {
                let path = format!("workspaceagents/{}/logs", text(&agent["id"]));
                log::assert_worth_reading(&list(self.owner.get(&path)));
                let hosts = |app: &Json| (text(&app["slug"]), text(&app["subdomain_name"]));
                return Running {
                    workspace: self,
                    hosts: apps.iter().map(hosts).collect(),
                    apps,
                };
            }
            let done = ["start_error", "start_timeout"].contains(&state.as_str());
            assert!(!done && Instant::now() < deadline, "{state}: {agent:#}");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A workspace whose agent is connected and whose apps are healthy.
pub struct Running<'a> {
    pub workspace: &'a Workspace,
    pub apps: Vec<Json>,
    hosts: BTreeMap<String, String>,
}

impl Running<'_> {
    /// The address of an app, for browsers.
    #[track_caller]
    pub fn url(&self, slug: &str) -> String {
        self.workspace.owner.server.app_url(&self.hosts[slug])
    }

    /// What a person's shell in the workspace says.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.workspace
            .owner
            .coder(&["ssh", &self.workspace.name, script])
    }
}
