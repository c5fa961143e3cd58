//! How a deployment is reached: networks, other containers, ports of the host.

use std::net::TcpListener;

use super::{config, configure, deployment, project};
use crate::support::{
    docker::{Bridge, Name, docker, images, port},
    on_each_core,
    terraform::{Core, Project},
};

/// A container that stands for a workspace, and the promise to remove it.
struct Workspace(String, Bridge);

impl Workspace {
    fn start(name: &Name) -> Self {
        let workspace = Self(format!("{}-workspace", name.as_str()), Bridge::beside(name));
        workspace.run();
        workspace
    }

    fn run(&self) -> String {
        let image = &images().backend;
        docker(&[
            "run",
            "-d",
            "--network",
            self.1.as_str(),
            "--name",
            &self.0,
            "--entrypoint",
            "sleep",
            image,
            "600",
        ])
    }

    /// As Coder does at every start: the old one goes, a new one comes.
    fn replace(&self) -> String {
        docker(&["rm", "-f", &self.0]);
        self.run()
    }

    fn sees(&self, port: u16) -> bool {
        let url = format!("http://localhost:{port}/");
        let arguments = [
            "exec",
            &self.0,
            "curl",
            "-sS",
            "-m",
            "5",
            "-o",
            "/dev/null",
            &url,
        ];
        let output = std::process::Command::new("docker")
            .args(arguments)
            .output();
        output.expect("docker runs").status.success()
    }

    fn sees_all(&self) {
        for port in [3210, 3211, 6791] {
            assert!(self.sees(port), "nothing at {port}");
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

/// A program that listens in the network of a workspace, and the promise to
/// remove it.
struct Listener(String);

impl Listener {
    fn beside(workspace: &Workspace, port: u16) -> Self {
        let listener = Self(format!("{}-beside", workspace.0));
        let network = format!("container:{}", workspace.0);
        let start = ["run", "-d", "--network", &network, "--name", &listener.0];
        let port = port.to_string();
        let image = &images().backend;
        let listen = ["--entrypoint", "httpd", image, "-f", "-p", &port];
        docker(&[&start[..], &listen].concat());
        listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

fn joined(name: &Name, container: &str) -> String {
    deployment(name, &format!("network = {{ container = {container} }}"))
}

on_each_core! {
    fn a_joined_deployment_follows_the_workspace_that_is_replaced_at_each_start(core) {
        let name = Name::new();
        let workspace = Workspace::start(&name);
        let id = docker(&["inspect", "-f", "{{.Id}}", &workspace.0]);
        let project = Project::new(core, &config(&joined(&name, &format!("{id:?}"))));
        project.apply().ok();
        project.assert_no_changes();
        workspace.sees_all();
        let made = project.state("convex_deployment.app");
        assert_eq!(made["urls"]["api"], "http://localhost:3210");
        assert!(!name.objects().iter().any(|it| it.starts_with("network")));

        for _ in 0..2 {
            // Stopped: Coder's count is zero, so the expression is null.
            docker(&["rm", "-f", &workspace.0]);
            configure(&project, &joined(&name, "null"));
            project.apply().ok().says(&["0 to destroy"]);
            project.assert_no_changes();
            assert_eq!(name.objects(), [format!("volume {}", name.volume())]);

            let id = workspace.run();
            configure(&project, &joined(&name, &format!("{id:?}")));
            project.apply().ok().says(&["0 to destroy"]);
            project.assert_no_changes();
            workspace.sees_all();
        }

        // Replaced without a stop between, as an update of the template does.
        let id = workspace.replace();
        configure(&project, &joined(&name, &format!("{id:?}")));
        project.apply().ok().says(&["1 to change, 0 to destroy"]);
        project.assert_no_changes();
        workspace.sees_all();
        let after = project.state("convex_deployment.app");
        assert_eq!(after["admin_key"], made["admin_key"]);

        // Started again by itself: it has a new network, in which nobody else is.
        docker(&["restart", "-t", "0", &workspace.0]);
        assert!(!workspace.sees(3210));
        project.apply().ok().says(&["1 to change, 0 to destroy"]);
        project.assert_no_changes();
        workspace.sees_all();
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn a_workspace_that_is_made_in_the_same_run_is_joined_then(core) {
        let name = Name::new();
        let workspace = Workspace::start(&name);
        let blocks = format!(
            "resource \"terraform_data\" \"workspace\" {{\n  input = {:?}\n}}\n{}",
            workspace.0,
            joined(&name, "terraform_data.workspace.output")
        );
        let project = Project::new(core, &config(&blocks));
        let plan = project.plan().ok();
        plan.says(&[r#"api       = "http://localhost:3210""#]);
        project.apply().ok();
        project.assert_no_changes();
        workspace.sees_all();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_workspace_that_is_not_there_is_named(core) {
        let name = Name::new();
        let project = Project::new(core, &config(&joined(&name, "\"no-such-workspace\"")));
        project.apply().fails_with(&["No network to share", "no-such-workspace", "does not exist"]);
        let workspace = Workspace::start(&name);
        docker(&["stop", "-t", "0", &workspace.0]);
        configure(&project, &joined(&name, &format!("{:?}", workspace.0)));
        project.apply().fails_with(&["No network to share", "does not run"]);
        docker(&["start", &workspace.0]);
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &deployment(&name, "network = {\n container = \"a\"\n publish = { api = 3210 }\n}"));
        project.plan().fails_with(&["One way to be reached"]);
        // And to a network of its own.
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

#[test]
fn a_port_that_is_taken_in_a_shared_network_is_named() {
    let name = Name::new();
    let workspace = Workspace::start(&name);
    let blocks = joined(&name, &format!("{:?}", workspace.0));
    for (port, role) in [(3211, "backend"), (6791, "dashboard")] {
        let listener = Listener::beside(&workspace, port);
        let project = Project::new(Core::Installed, &config(&blocks));
        project.apply().fails_with(&[
            &format!("Port {port} is taken in the shared network"),
            &format!("The {role} of"),
            &workspace.0,
            &listener.0,
        ]);
        drop(listener);
        project.apply().ok();
        project.destroy().ok();
    }
    assert_eq!(name.objects(), Vec::<String>::new());
}

on_each_core! {
    fn what_an_interrupted_start_left_is_stopped(core) {
        let name = Name::new();
        let workspace = Workspace::start(&name);
        let there = joined(&name, &format!("{:?}", workspace.0));
        let away = joined(&name, "null");
        let project = Project::new(core, &config(&away));
        project.apply().ok();
        let stopped = project.read("terraform.tfstate");
        // The containers run, and nobody has written the state.
        let start = || {
            configure(&project, &there);
            project.apply().ok();
            project.write("terraform.tfstate", &stopped);
        };
        let volume = [format!("volume {}", name.volume())];

        start();
        configure(&project, &away);
        project.plan().ok().says(&[
            "Containers exist that should not",
            "has a backend and a dashboard that its state knows nothing of",
            "- backend ",
            "- dashboard ",
            "0 to add, 1 to change, 0 to destroy",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), volume);

        // One of the two, which does not run any more.
        start();
        docker(&["rm", "-f", &name.container("backend")]);
        docker(&["stop", "-t", "1", &name.container("dashboard")]);
        configure(&project, &away);
        project.plan().ok().says(&["has a dashboard that its state", "- dashboard "]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), volume);

        // A start takes over what there is.
        start();
        let id = || docker(&["inspect", "-f", "{{.Id}}", &name.container("backend")]);
        let before = id();
        configure(&project, &there);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(id(), before);

        // So is a dashboard that is not wanted at all, and what is imported.
        let without = "dashboard = { enabled = false }";
        let alone = |more: &str| deployment(&name, &format!("{without}\n{more}"));
        configure(&project, &alone(""));
        project.apply().ok();
        let lacks_dashboard = project.read("terraform.tfstate");
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.write("terraform.tfstate", &lacks_dashboard);
        configure(&project, &alone(""));
        project.plan().ok().says(&["has a dashboard that its state", "- dashboard "]);
        project.apply().ok();
        project.assert_no_changes();
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        configure(&project, &alone("running = false"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), volume);

        // Started behind a state that says it is stopped.
        let stopped = project.read("terraform.tfstate");
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.write("terraform.tfstate", &stopped);
        configure(&project, &alone("running = false"));
        project.plan().ok().says(&["~ running = true -> false"]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(name.objects(), volume);
        project.destroy().ok();
    }
}

on_each_core! {
    fn origins_follow_the_published_ports(core) {
        let name = Name::new();
        let (api, site, other) = (port(), port(), port());
        let with = |network: &str, more: &str| {
            deployment(&name, &format!("network = {{ {network} }}\n{more}"))
                + "resource \"convex_env\" \"app\" {\n deployment = convex_deployment.app.id\n auth = {}\n}\n"
        };
        let both = format!("publish = {{ api = {api}, site = {site} }}");
        let project = Project::new(core, &config(&with(&both, "")));
        project.plan().ok().says(&[
            &format!("+ api = \"http://localhost:{api}\""),
            "+ dashboard = \"http://localhost:6791\"",
            &format!("+ site = \"http://localhost:{site}\""),
            &format!("+ custom_site_url = \"http://localhost:{site}\""),
            "+ issuer = \"http://127.0.0.1:3211\"",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        let shown = docker(&["inspect", "-f", "{{.Config.Env}}", &name.container("dashboard")]);
        assert!(shown.contains(&format!("NEXT_PUBLIC_DEPLOYMENT_URL=http://localhost:{api}")), "{shown}");

        // A port that changes, one that may be any, and an origin that is given.
        let any = format!("publish = {{ api = {other}, site = 0 }}");
        let given = "origins = { dashboard = \"https://dash.example\" }";
        configure(&project, &with(&any, given));
        let plan = project.plan().ok().says(&[
            &format!("~ api = \"http://localhost:{api}\" -> \"http://localhost:{other}\""),
            "~ dashboard = \"http://localhost:6791\" -> \"https://dash.example\"",
        ]);
        assert!(!plan.text().contains("~ custom_site_url"), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();

        // Found again, and not published any more.
        project.run(&["state", "rm", "convex_deployment.app"]).ok();
        project.run(&["import", "-no-color", "convex_deployment.app", name.as_str()]).ok();
        project.apply().ok();
        project.assert_no_changes();
        let found = project.state("convex_deployment.app")["origins"].clone();
        assert_eq!(found["api"], format!("http://localhost:{other}"));
        assert_eq!(found["site"], format!("http://localhost:{site}"));
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.assert_no_changes();
        let found = project.state("convex_deployment.app")["origins"].clone();
        assert_eq!(found["api"], "http://localhost:3210");
        project.destroy().ok();
    }
}

on_each_core! {
    fn automatic_ports_are_free_and_stay(core) {
        let (name, other) = (Name::new(), Name::new());
        let automatic = "network = { publish = { api = 0, site = 0, dashboard = 0 } }";
        let project = project(core, &name, automatic);
        project.plan().ok().says(&["+ api = (known after apply)", r#"+ id = ""#]);
        project.apply().ok();
        project.assert_no_changes();
        let made = project.state("convex_deployment.app");
        let ports = made["ports"].clone();
        let api = ports["api"].as_u64().expect("a port");
        assert_eq!(made["origins"]["api"], format!("http://localhost:{api}").as_str());
        assert_eq!(made["urls"]["api"], format!("http://127.0.0.1:{api}").as_str());
        let env_local = made["env_local"].as_str().expect("text");
        assert!(env_local.contains(&format!("http://127.0.0.1:{api}")), "{env_local}");
        assert!(std::net::TcpStream::connect(format!("127.0.0.1:{api}")).is_ok());

        configure(&project, &deployment(&name, &format!("{automatic}\nrunning = false")));
        project.apply().ok();
        project.assert_no_changes();

        // Meanwhile another has it.
        let holder = format!("network = {{ publish = {{ api = {api} }} }}");
        let second = super::project(core, &other, &holder);
        second.apply().ok();
        configure(&project, &deployment(&name, automatic));
        let holder = format!("container {}", other.container("backend"));
        project.apply().fails_with(&[&api.to_string(), &holder]);
        second.destroy().ok();
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_deployment.app")["ports"], ports);

        // One that is made when something that Docker does not know of has the port.
        project.destroy().ok();
        let outside = TcpListener::bind(format!("127.0.0.1:{api}")).expect("the port");
        project.apply().ok();
        project.assert_no_changes();
        let again = project.state("convex_deployment.app")["ports"].clone();
        assert_ne!(again["api"], ports["api"]);
        let origins = project.state("convex_deployment.app")["origins"].clone();
        assert_eq!(origins["api"], format!("http://localhost:{}", again["api"]));
        drop(outside);
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn further_networks_are_joined_and_left(core) {
        let name = Name::new();
        let bridge = Bridge::beside(&name);
        let network = bridge.as_str();
        let project = project(core, &name, &format!("network = {{ networks = [{network:?}] }}"));
        project.apply().ok();
        project.assert_no_changes();
        let url = format!("http://{}:3210/version", name.container("backend"));
        let arguments = ["run", "--rm", "--network", network, "--entrypoint", "curl", &images().backend, "-sSf", &url];
        docker(&arguments);
        docker(&["network", "disconnect", network, &name.container("backend")]);
        project.apply().ok();
        project.assert_no_changes();
        docker(&arguments);
        configure(&project, &deployment(&name, ""));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &deployment(&name, "network = { networks = [\"no-such-network\"] }"));
        project.apply().fails_with(&["no-such-network"]);
        configure(&project, &deployment(&name, ""));
        project.destroy().ok();
    }
}
