//! Variables of a deployment, checked with the real `convex` command line.

mod counts;
mod forms;
mod imports;
mod ownership;
mod parallel;
mod races;
mod sets;
mod sharing;
mod stopped;
mod url;
mod write_only;

use std::{path::PathBuf, process::Command};

use terraform_provider_convex::convex::tested::CONVEX;

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker, port},
    node, on_each_core,
    terraform::Project,
};

/// The real command line, pointed at a deployment.
struct Cli {
    directory: PathBuf,
    url: String,
    key: String,
}

impl Cli {
    /// With what the project's outputs say.
    fn of(project: &Project) -> Self {
        let output = |name: &str| project.output(name).as_str().expect("text").to_owned();
        Self::at(&output("url"), &output("admin_key"))
    }

    fn at(url: &str, key: &str) -> Self {
        Self {
            directory: node::npm_install(&[("convex", CONVEX)]),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// One of its commands, not started yet.
    fn command(&self, arguments: &[&str]) -> Command {
        // A clean environment: it hides values from what it takes for an agent.
        let mut command = Command::new(self.directory.join("node_modules/.bin/convex"));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a path"))
            .env("HOME", &self.directory)
            .env("CI", "1")
            .env("CONVEX_SELF_HOSTED_URL", &self.url)
            .env("CONVEX_SELF_HOSTED_ADMIN_KEY", &self.key);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self
            .command(arguments)
            .output()
            .expect("the command line starts");
        let text = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        text
    }

    fn get(&self, name: &str) -> String {
        self.run(&["env", "get", name])
    }

    fn list(&self) -> Vec<String> {
        self.run(&["env", "list"])
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

const OUTPUTS: &str = r#"
    output "url" {
      value = convex_deployment.app.urls.api
    }
    output "admin_key" {
      value     = convex_deployment.app.admin_key
      sensitive = true
    }
"#;

/// A deployment that is published, and its variables.
fn blocks(name: &Name, port: u16, deployment_attributes: &str, env: &str) -> String {
    let attributes =
        format!("network = {{ publish = {{ api = {port} }} }}\n{deployment_attributes}");
    format!(
        "{}{OUTPUTS}\nresource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n{env}\n}}",
        deployment(name, &attributes)
    )
}

/// A deployment without a dashboard, which plays no part here.
fn lean(name: &Name, attributes: &str) -> String {
    deployment(
        name,
        &format!("dashboard = {{ enabled = false }}\n{attributes}"),
    )
}

/// The variables of that deployment.
fn env_of(attributes: &str) -> String {
    format!(
        "resource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n{attributes}\n}}\n"
    )
}

on_each_core! {
    fn the_command_line_reads_exactly_what_was_set(core) {
        let (name, port) = (Name::new(), port());
        let env = |more: &str| blocks(&name, port, "", &format!(r#"
            variables = {{
              ENABLE_RAG = "true"
              HOSTILE    = "-x \"quoted\" 'single' $HOME `id` # \\ é = \n second line"
              {more}
            }}
            secrets = {{ OPENAI_API_KEY = {{ value = "sk-1" }} }}
            auth    = {{ site_url = "http://localhost:5173" }}
        "#));
        let project = Project::new(core, &config(&env("")));
        project.apply().ok();
        project.assert_no_changes();
        let cli = Cli::of(&project);
        assert_eq!(cli.get("ENABLE_RAG"), "true");
        assert_eq!(cli.get("OPENAI_API_KEY"), "sk-1");
        assert_eq!(
            cli.get("HOSTILE"),
            "-x \"quoted\" 'single' $HOME `id` # \\ é = \n second line"
        );
        assert_eq!(cli.get("SITE_URL"), "http://localhost:5173");
        assert_eq!(cli.get("JWT_ISSUER"), "http://127.0.0.1:3211");
        assert_eq!(cli.get("CONVEX_SITE_ORIGIN"), "http://127.0.0.1:3211");
        assert_eq!(cli.get("CUSTOM_AUTH_SITE_URL"), "http://localhost:3211");
        let state = project.state("convex_env.app");
        let pem = state["auth"]["private_key"].as_str().expect("a key").trim_end();
        assert_eq!(cli.get("JWT_PRIVATE_KEY"), pem.replace('\n', " "));
        assert_eq!(cli.get("JWKS"), state["auth"]["jwks"].as_str().expect("text"));
        let names = ["ENABLE_RAG", "HOSTILE", "OPENAI_API_KEY", "SITE_URL", "JWT_ISSUER", "CONVEX_SITE_ORIGIN", "CUSTOM_AUTH_SITE_URL", "JWT_PRIVATE_KEY", "JWKS"];
        let list = cli.list();
        for name in names {
            assert!(list.iter().any(|line| line.starts_with(&format!("{name}="))), "{name} in {list:?}");
        }

        // Changed outside: the next plan shows that one key.
        cli.run(&["env", "set", "ENABLE_RAG", "false"]);
        cli.run(&["env", "set", "UNMANAGED", "mine"]);
        let plan = project.plan().ok().says(&[
            r#"~ "ENABLE_RAG" = "false" -> "true""#,
            "0 to add, 1 to change, 0 to destroy",
        ]);
        assert!(!plan.text().contains(r#""HOSTILE""#));
        assert!(!plan.text().contains("UNMANAGED"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(cli.get("ENABLE_RAG"), "true");

        // Removed outside, secret ones and those of auth too.
        cli.run(&["env", "remove", "HOSTILE"]);
        cli.run(&["env", "remove", "OPENAI_API_KEY"]);
        cli.run(&["env", "set", "JWT_PRIVATE_KEY", "stolen"]);
        cli.run(&["env", "set", "JWT_ISSUER", "http://evil.example"]);
        project.plan().ok().says(&[
            r#"+ "HOSTILE""#,
            r#"+ "OPENAI_API_KEY""#,
            r#"- "JWT_PRIVATE_KEY""#,
            r#"~ issuer = "http://evil.example" -> "http://127.0.0.1:3211""#,
        ]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(cli.get("JWT_PRIVATE_KEY"), pem.replace('\n', " "));

        // Declared no more: unset. Never declared: left alone.
        configure(&project, &env("ADDED = \"1\"").replace("ENABLE_RAG = \"true\"", ""));
        project.apply().ok();
        project.assert_no_changes();
        let list = cli.list();
        assert!(!list.iter().any(|line| line.starts_with("ENABLE_RAG=")));
        assert!(list.contains(&"ADDED=1".to_owned()));
        assert!(list.contains(&"UNMANAGED=mine".to_owned()));

        // Destroyed: only what was not ours is left.
        configure(&project, &format!(
            "{}{OUTPUTS}",
            deployment(&name, &format!("network = {{ publish = {{ api = {port} }} }}"))
        ));
        project.apply().ok();
        assert_eq!(cli.list(), ["UNMANAGED=mine"]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_stopped_backend_is_no_error_anywhere(core) {
        let (name, port) = (Name::new(), port());
        let env = |running: bool, variables: &str| blocks(
            &name, port, &format!("running = {running}"), &format!("variables = {variables}\n auth = {{}}"),
        );
        let project = Project::new(core, &config(&env(true, r#"{ A = "1", B = "1" }"#)));
        project.apply().ok();
        let key = project.state("convex_env.app")["auth"]["private_key"].clone();

        configure(&project, &env(false, r#"{ A = "1", B = "1" }"#));
        project.apply().ok();
        project.assert_no_changes();

        // A change waits, says so, and is made at the next start.
        configure(&project, &env(false, r#"{ A = "2" }"#));
        project.plan().ok().says(&["~ pending = false -> true"]);
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &env(true, r#"{ A = "2" }"#));
        project.plan().ok().says(&["~ pending = true -> false"]);
        project.apply().ok();
        project.assert_no_changes();
        let cli = Cli::of(&project);
        assert_eq!(cli.get("A"), "2");
        assert_eq!(project.state("convex_env.app")["auth"]["private_key"], key);

        // What was there before is still there after an ordinary stop.
        configure(&project, &env(false, r#"{ A = "2" }"#));
        project.apply().ok();
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn variables_can_be_declared_before_the_first_start(core) {
        let (name, port) = (Name::new(), port());
        let env = |running: bool| blocks(
            &name, port, &format!("running = {running}"), "variables = { A = \"1\" }\n auth = {}",
        );
        let project = Project::new(core, &config(&env(false)));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &env(true));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(Cli::of(&project).get("A"), "1");
        project.destroy().ok();
    }
}

on_each_core! {
    fn variables_follow_the_origins_of_the_deployment(core) {
        let (name, port) = (Name::new(), port());
        let env = |site: &str| blocks(
            &name, port, &format!("origins = {{ site = {site:?} }}\ninternal_origins = false"), "auth = {}",
        );
        let project = Project::new(core, &config(&env("https://one.example")));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &env("https://two.example"));
        project.plan().ok().says(&[
            r#"~ issuer = "https://one.example" -> "https://two.example""#,
            "0 to add, 2 to change, 0 to destroy",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(Cli::of(&project).get("JWT_ISSUER"), "https://two.example");
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_deployment_made_anew_gets_its_variables_again(core) {
        let (name, port) = (Name::new(), port());
        let project = Project::new(core, &config(&blocks(
            &name, port, "", "variables = { A = \"1\" }\n auth = {}",
        )));
        project.apply().ok();
        docker(&["rm", "-f", &name.container("backend"), &name.container("dashboard")]);
        docker(&["volume", "rm", &name.volume()]);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(Cli::of(&project).get("A"), "1");
        project.destroy().ok();
    }
}

on_each_core! {
    fn any_deployment_is_reached_by_its_url(core) {
        let (name, port) = (Name::new(), port());
        let by_url = r#"
            resource "convex_env" "app" {
              url       = convex_deployment.app.urls.api
              admin_key = convex_deployment.app.admin_key
              variables = { A = "1" }
              auth      = {}
            }
        "#;
        let attributes = format!("network = {{ publish = {{ api = {port} }} }}\n origins = {{ site = \"https://s.example\" }}");
        let blocks = format!("{}{OUTPUTS}{by_url}", deployment(&name, &attributes));
        let project = Project::new(core, &config(&blocks));
        project.apply().ok();
        project.assert_no_changes();
        let cli = Cli::of(&project);
        assert_eq!(cli.get("A"), "1");
        // Found out from the backend itself.
        assert_eq!(cli.get("JWT_ISSUER"), "http://127.0.0.1:3211");
        cli.run(&["env", "set", "A", "2"]);
        project.plan().ok().says(&[r#"~ "A" = "2" -> "1""#]);
        configure(&project, &blocks.replace("convex_deployment.app.admin_key\n              variables", "\"wrong|00\"\n              variables"));
        project.apply().fails_with(&["The backend does not accept the admin key"]);
        configure(&project, &blocks);
        project.destroy().ok();
    }
}
