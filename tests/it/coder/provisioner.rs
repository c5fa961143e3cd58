//! What Coder's provisioner does with a template: the same commands with the same flags and
//! environment. Each build has a directory of its own, in which there is nothing but the template
//! and the state of the build before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use aws_lc_rs::digest;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::graph::Graph;
use crate::support::terraform::{Core, cli_config_with_peers};

/// Where Coder is, for apps and agents. Nobody is there.
pub const ACCESS_URL: &str = "http://coder.invalid:7080";

/// A line that is longer stops Coder reading, and the build hangs.
const LONGEST_LINE: usize = 64 * 1024;

/// What Coder has agents run: it fetches the agent until that succeeds, as its own script does.
const AGENT_SCRIPT: &str = "#!/usr/bin/env sh
set -eu
while ! curl -fsS -m 5 -o /tmp/coder ${ACCESS_URL}bin/coder-linux-amd64; do sleep 30; done
export CODER_AGENT_AUTH=${AUTH_TYPE}
exec /tmp/coder agent
";

/// What a build is to bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Start,
    Stop,
    Destroy,
}

impl Transition {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
        }
    }
}

/// A template as it is pushed to Coder, and the values of its variables.
#[derive(Clone, Debug)]
pub struct Template {
    core: Core,
    main: String,
    variables: BTreeMap<String, String>,
}

impl Template {
    /// One of this repository.
    pub fn named(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/templates");
        let main = fs::read_to_string(directory.join(name).join("main.tf")).expect("the template");
        Self {
            core: Core::Installed,
            main,
            variables: BTreeMap::new(),
        }
    }

    /// The same for a provisioner with this Terraform.
    #[must_use]
    pub fn by(self, core: Core) -> Self {
        Self { core, ..self }
    }

    /// The same with another value of a variable.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// A new version of it.
    #[must_use]
    pub fn edited(mut self, from: &str, to: &str) -> Self {
        assert!(self.main.contains(from), "{from:?} is not in the template");
        self.main = self.main.replace(from, to);
        self
    }

    /// What Coder does when the template is pushed: it plans a start and a stop, with made-up data
    /// and nothing to go by. `environment` is that of the provisioner itself.
    pub fn import(&self, environment: &[(&str, &str)]) -> [Json; 2] {
        [Transition::Start, Transition::Stop].map(|transition| {
            let mut job = Job::new(self, None);
            job.set("CODER_WORKSPACE_TRANSITION", transition.as_str());
            for (name, value) in environment {
                job.set(name, value);
            }
            job.init();
            let planned = job.plan(&self.arguments(transition)).expect("a plan");
            job.graph();
            planned
        })
    }

    fn arguments(&self, transition: Transition) -> Vec<String> {
        let destroy = (transition == Transition::Destroy).then(|| "-destroy".to_owned());
        let variables = self
            .variables
            .iter()
            .flat_map(|(name, value)| ["-var".to_owned(), format!("{name}={value}")]);
        destroy.into_iter().chain(variables).collect()
    }
}

/// A workspace as Coder knows it.
#[derive(Debug)]
pub struct Workspace {
    pub template: Template,
    pub id: String,
    pub name: String,
    pub owner: String,
    pub parameters: BTreeMap<String, String>,
    /// Whether it waits to be claimed.
    pub prebuilt: bool,
    state: Option<Vec<u8>>,
    builds: u32,
}

/// What a build came to.
#[derive(Debug)]
pub struct Build {
    /// The plan, as `terraform show -json` shows it.
    pub plan: Json,
    /// The state thereafter, in the same form.
    pub state: Json,
    /// What was said while planning and applying.
    pub said: String,
    graph: Graph,
}

impl Workspace {
    /// A workspace of `ann`, not built yet.
    pub fn new(template: Template, id: String, name: String) -> Self {
        Self {
            template,
            id,
            name,
            owner: "ann".to_owned(),
            parameters: BTreeMap::new(),
            prebuilt: false,
            state: None,
            builds: 0,
        }
    }

    /// Builds it, which must succeed.
    #[track_caller]
    pub fn build(&mut self, transition: Transition) -> Build {
        self.run(transition, &[])
            .unwrap_or_else(|said| panic!("{transition:?}: {said}"))
    }

    /// Builds it, which must fail, and returns what was said.
    #[track_caller]
    pub fn refuses(&mut self, transition: Transition) -> String {
        match self.run(transition, &[]) {
            Ok(_) => panic!("{transition:?} has succeeded"),
            Err(said) => said,
        }
    }

    /// Gives a prebuilt workspace to somebody: its agent keeps its token.
    #[track_caller]
    pub fn claim(&mut self, owner: &str, name: &str) -> Build {
        assert!(self.prebuilt, "only a prebuilt workspace can be claimed");
        owner.clone_into(&mut self.owner);
        name.clone_into(&mut self.name);
        self.prebuilt = false;
        let token = self.agent_token();
        let claim = [
            (
                "CODER_WORKSPACE_IS_PREBUILD_CLAIM".to_owned(),
                "true".to_owned(),
            ),
            (token_variable(), token),
        ];
        self.run(Transition::Start, &claim)
            .unwrap_or_else(|said| panic!("claim: {said}"))
    }

    fn run(&mut self, transition: Transition, more: &[(String, String)]) -> Result<Build, String> {
        let mut job = self.job(transition, more);
        job.init();
        let plan = job.plan(&self.template.arguments(transition))?;
        job.graph();
        let applied = job.apply();
        // Also of an apply that fails, Coder keeps what has come of it.
        self.state = job.state();
        applied?;
        let state = job.show(&[]);
        let graph = job.graph();
        Ok(Build {
            plan,
            state,
            said: job.said,
            graph,
        })
    }

    /// Starts it, and ends Terraform by `signal` in mid-apply: once a line of what it says makes
    /// `when` true. Returns what was said. After `KILL` the state is that of the build before,
    /// else what Terraform has left behind.
    #[track_caller]
    pub fn start_and_break_off(&mut self, signal: &str, when: impl Fn(&Json) -> bool) -> String {
        let mut job = self.job(Transition::Start, &[]);
        job.init();
        let arguments = self.template.arguments(Transition::Start);
        job.plan(&arguments).expect("a plan");
        let broken_off = job.apply_until(signal, when);
        assert!(broken_off, "the apply ended before: {}", job.said);
        if signal != "KILL" {
            self.state = job.state();
        }
        job.said
    }

    /// Demands that one more build of the same kind would change nothing, but for the agent's new
    /// token, which each build brings.
    #[track_caller]
    pub fn assert_settled(&self, transition: Transition) {
        let mut more = Vec::new();
        if transition == Transition::Start {
            more.push((token_variable(), self.agent_token()));
        }
        let mut job = self.job(transition, &more);
        job.init();
        let plan = job
            .plan(&self.template.arguments(transition))
            .expect("a plan");
        let changes: Vec<_> = changes(&plan)
            .into_iter()
            .filter(|(_, actions)| actions != "no-op")
            .collect();
        assert_eq!(changes, [], "{}", job.said);
    }

    /// Whether Terraform knows of anything.
    pub fn has_resources(&self) -> bool {
        let state: Option<Json> = self
            .state
            .as_deref()
            .map(|state| serde_json::from_slice(state).expect("a state"));
        state.is_some_and(|state| {
            let resources = state["resources"].as_array().expect("resources");
            resources.iter().any(|it| it["mode"] == "managed")
        })
    }

    fn agent_token(&self) -> String {
        let state = self.state.as_deref().expect("a workspace that was built");
        let state: Json = serde_json::from_slice(state).expect("a state");
        let resources = state["resources"].as_array().expect("resources");
        let agent = resources.iter().find(|it| it["type"] == "coder_agent");
        let agent = agent.expect("an agent");
        let token = agent["instances"][0]["attributes"]["token"].as_str();
        token.expect("a token").to_owned()
    }

    fn job(&self, transition: Transition, more: &[(String, String)]) -> Job {
        let mut job = Job::new(&self.template, self.state.as_deref());
        let email = format!("{}@example.com", self.owner);
        let owner_id = format!("00000000-0000-4000-8000-{:0>12}", self.owner.len());
        let build = format!("00000000-0000-4000-9000-{:0>12}", self.builds);
        let session = match transition {
            Transition::Start => "session-token",
            Transition::Stop | Transition::Destroy => "",
        };
        for (name, value) in [
            ("TRANSITION", transition.as_str()),
            ("NAME", &self.name),
            ("ID", &self.id),
            ("OWNER", &self.owner),
            ("OWNER_ID", &owner_id),
            ("OWNER_EMAIL", &email),
            ("OWNER_NAME", &self.owner),
            ("OWNER_OIDC_ACCESS_TOKEN", ""),
            ("OWNER_GROUPS", "[\"Everyone\"]"),
            ("OWNER_SSH_PUBLIC_KEY", ""),
            ("OWNER_SSH_PRIVATE_KEY", ""),
            ("OWNER_LOGIN_TYPE", "password"),
            ("OWNER_RBAC_ROLES", "[]"),
            ("OWNER_SESSION_TOKEN", session),
            ("TEMPLATE_ID", "00000000-0000-4000-a000-000000000000"),
            ("TEMPLATE_NAME", "convex"),
            ("TEMPLATE_VERSION", "test"),
            ("BUILD_ID", &build),
            ("IS_PREBUILD", if self.prebuilt { "true" } else { "" }),
        ] {
            job.set(&format!("CODER_WORKSPACE_{name}"), value);
        }
        for (name, value) in more {
            job.set(name, value);
        }
        for (name, value) in &self.parameters {
            let name = format!("CODER_PARAMETER_{}", sha256(name));
            job.for_plan.push((name, value.clone()));
        }
        job
    }
}

impl Build {
    /// What it did with each resource.
    pub fn changes(&self) -> BTreeMap<String, String> {
        changes(&self.plan)
    }

    /// The addresses of what it did this with.
    pub fn with_action(&self, action: &str) -> Vec<String> {
        let changes = self.changes().into_iter();
        changes
            .filter(|(_, actions)| actions == action)
            .map(|(address, _)| address)
            .collect()
    }

    /// Those of them that are not Coder's own.
    pub fn foreign_with_action(&self, action: &str) -> Vec<String> {
        let mut addresses = self.with_action(action);
        addresses.retain(|address| !address.starts_with("coder_"));
        addresses
    }

    /// The attributes of a resource.
    #[track_caller]
    pub fn resource(&self, address: &str) -> &Json {
        let mut found = managed(&self.state);
        let found = found.find(|it| it["address"] == address);
        let found = found.unwrap_or_else(|| panic!("{address} is not in the state"));
        &found["values"]
    }

    /// The attributes of all resources of a type.
    pub fn resources(&self, kind: &str) -> Vec<&Json> {
        managed(&self.state)
            .filter(|it| it["type"] == kind)
            .map(|it| &it["values"])
            .collect()
    }

    /// The resource beside which Coder shows the agent, if there is an agent at all.
    pub fn resource_of_agent(&self) -> Option<String> {
        let resources = self.without_index();
        let agent = "coder_agent.main";
        let is_there = resources.contains(agent);
        is_there
            .then(|| self.graph.resource_of_agent(agent, &resources))
            .flatten()
    }

    /// The resource beside which Coder shows the metadata.
    pub fn resource_of_metadata(&self, metadata: &str) -> Option<String> {
        self.graph
            .resource_of_metadata(metadata, &self.without_index())
    }

    fn without_index(&self) -> BTreeSet<String> {
        managed(&self.state)
            .filter_map(|it| it["address"].as_str())
            .map(|address| address.split('[').next().unwrap_or_default().to_owned())
            .collect()
    }
}

fn managed(state: &Json) -> impl Iterator<Item = &Json> {
    let resources = state["values"]["root_module"]["resources"].as_array();
    resources
        .into_iter()
        .flatten()
        .filter(|it| it["mode"] == "managed")
}

/// What a plan does with each managed resource: `create`, `delete, create` and so on.
pub fn changes(plan: &Json) -> BTreeMap<String, String> {
    let changes = plan["resource_changes"].as_array().into_iter().flatten();
    changes
        .filter(|change| change["mode"] == "managed")
        .map(|change| {
            let actions = change["change"]["actions"].as_array().expect("actions");
            let actions: Vec<_> = actions.iter().filter_map(Json::as_str).collect();
            let address = change["address"].as_str().expect("an address");
            (address.to_owned(), actions.join(", "))
        })
        .collect()
}

/// One run of the provisioner.
struct Job {
    core: Core,
    directory: TempDir,
    environment: Vec<(String, String)>,
    /// What only planning gets to see.
    for_plan: Vec<(String, String)>,
    said: String,
}

impl Job {
    fn new(template: &Template, state: Option<&[u8]>) -> Self {
        let directory = TempDir::with_prefix("coder-").expect("a directory");
        fs::write(directory.path().join("main.tf"), &template.main).expect("the template");
        if let Some(state) = state {
            fs::write(directory.path().join("terraform.tfstate"), state).expect("the state");
        }
        let mut job = Self {
            core: template.core,
            directory,
            environment: Vec::new(),
            for_plan: Vec::new(),
            said: String::new(),
        };
        job.set("CODER_AGENT_URL", ACCESS_URL);
        job.set("CODER_AGENT_SCRIPT_linux_amd64", AGENT_SCRIPT);
        job
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.core.command();
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CODER_") || name.starts_with("TF_") || name == "DOCKER_HOST" {
                command.env_remove(&*name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("TF_CLI_CONFIG_FILE", cli_config_with_peers())
            .env("TF_PLUGIN_CACHE_DIR", CACHE.with(|it| it.path().to_owned()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("Terraform");
        let errors = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{arguments:?}: {printed}{errors}");
        printed
    }

    fn init(&mut self) {
        self.must(&["init", "-no-color", "-input=false"]);
    }

    fn plan(&mut self, more: &[String]) -> Result<Json, String> {
        let fixed = "plan -no-color -input=false -json -refresh=true -out=terraform.tfplan";
        let arguments = fixed.split(' ').chain(more.iter().map(String::as_str));
        let mut command = self.command(&arguments.collect::<Vec<_>>());
        command.envs(self.for_plan.iter().map(|(name, value)| (name, value)));
        self.listen(command.spawn().expect("Terraform"), |_, _| ())?;
        Ok(self.show(&["terraform.tfplan"]))
    }

    fn apply_command(&self) -> Command {
        let arguments =
            "apply -no-color -auto-approve -input=false -json terraform.tfplan".split(' ');
        self.command(&arguments.collect::<Vec<_>>())
    }

    fn apply(&mut self) -> Result<(), String> {
        let child = self.apply_command().spawn().expect("Terraform");
        self.listen(child, |_, _| ())
    }

    /// Whether the signal was sent before the end.
    fn apply_until(&mut self, signal: &str, when: impl Fn(&Json) -> bool) -> bool {
        let child = self.apply_command().spawn().expect("Terraform");
        let mut sent = false;
        let _ = self.listen(child, |child, line| {
            if !sent && when(line) {
                sent = true;
                let orphans = if signal == "KILL" {
                    children(child)
                } else {
                    Vec::new()
                };
                send(signal, child);
                // Programs of providers do not notice.
                for orphan in orphans {
                    send(signal, orphan);
                }
            }
        });
        sent
    }

    /// Reads what a command says as Coder does, line by line, each of which is short JSON.
    fn listen(&mut self, mut child: Child, mut each: impl FnMut(u32, &Json)) -> Result<(), String> {
        let stdout = child.stdout.take().expect("piped");
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("UTF-8");
            assert!(line.len() < LONGEST_LINE, "{} bytes: {line}", line.len());
            let line: Json = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{error} in what Coder reads: {line}"));
            self.said += line["@message"].as_str().unwrap_or_default();
            self.said += "\n";
            if let Some(detail) = line["diagnostic"]["detail"].as_str() {
                self.said += &format!("{detail}\n");
            }
            each(child.id(), &line);
        }
        let mut errors = String::new();
        let mut stderr = child.stderr.take().expect("piped");
        stderr.read_to_string(&mut errors).expect("UTF-8");
        self.said += &errors;
        let status = child.wait().expect("an end");
        if status.success() {
            Ok(())
        } else {
            Err(format!("{status}: {}", self.said))
        }
    }

    fn show(&self, more: &[&str]) -> Json {
        let printed = self.must(&[&["show", "-json", "-no-color"], more].concat());
        serde_json::from_str(&printed).expect("JSON")
    }

    fn graph(&self) -> Graph {
        Graph::parse(&self.must(&["graph", "-type=plan"]))
    }

    fn state(&self) -> Option<Vec<u8>> {
        fs::read(self.directory.path().join("terraform.tfstate")).ok()
    }
}

thread_local! {
    /// The provisioner's cache of providers. Each provisioner has one, and builds one workspace at
    /// a time; so does each test.
    static CACHE: TempDir = TempDir::with_prefix("coder-cache-").expect("a directory");
}

pub fn send(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .output();
}

/// The processes that a process has started.
pub fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter();
    tasks
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The variable in which Coder hands an agent the token that it has already.
fn token_variable() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("CODER_RUNNING_WORKSPACE_AGENT_TOKEN_{}", sha256("")))
        .clone()
}

fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
