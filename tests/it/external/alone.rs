//! Each operation where there is nothing: no libc, no network, no file, and nobody is root.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value as Json, json};
use terraform_provider_convex::render::dotenv;

use super::{Answer, PROJECT, ask, cases};
use crate::{
    release,
    support::terraform::{Core, Project},
};

/// The release in a container of its own.
pub struct Alone(release::Image);

impl Alone {
    pub fn new() -> Self {
        Self(release::Image::new("external"))
    }

    /// Asks as `data "external"` does: the program with its arguments, the query on standard
    /// input, and somewhere as its directory.
    pub fn ask(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = Command::new("docker");
        command
            .args(["run", "--rm", "--interactive", "--network=none"])
            .args(["--user=1000:1000", "--read-only", "--cap-drop=ALL"])
            .args([
                "--workdir=/tmp",
                self.0.name(),
                "/terraform-provider-convex",
            ])
            .arg("external")
            .args(arguments)
            .env_remove("DOCKER_HOST");
        ask(&mut command, input)
    }
}

#[test]
fn every_operation_says_what_the_functions_say() {
    let (cases, pem) = cases();
    let expressions: String = cases
        .iter()
        .map(|case| format!("    {},\n", case.expression))
        .collect();
    let project = Project::new(
        Core::Installed,
        "terraform {\n  required_providers {\n    convex = { source = \"coder-convex/convex\" }\n  }\n}\n",
    );
    project.write("key.pem", &pem);
    project.write(
        "x.tf",
        &format!("{PROJECT}output \"x\" {{\n  value = [\n{expressions}  ]\n}}\n"),
    );
    project.apply().ok();
    let expected = project.output("x");
    let alone = Alone::new();
    for (number, case) in cases.iter().enumerate() {
        let query = case.query.to_string();
        let answer = alone.ask(&[case.operation], query.as_bytes());
        let result = answer.result();
        let mut seen = json!(result);
        if case.operation == "env_files" {
            // The files themselves are for people, what they say is for programs.
            let variables: BTreeMap<_, _> = result
                .iter()
                .map(|(name, file)| (name, dotenv::decode(file).expect("an env file")))
                .collect();
            seen = json!(variables);
        }
        assert_eq!(seen, expected[number], "{}", case.operation);
        // Every time the same, also where the query names the operation.
        let mut named: Json = case.query.clone();
        named["operation"] = json!(case.operation);
        let again = alone.ask(&[], named.to_string().as_bytes());
        assert_eq!(again.stdout, answer.stdout);
    }
}

#[test]
fn what_is_wrong_is_one_message_and_no_result() {
    let alone = Alone::new();
    let secret = "hunter2hunter2";
    let query = json!({ "instance_name": "app", "instance_secret": secret }).to_string();
    let answer = alone.ask(&["admin_key"], query.as_bytes());
    let said = answer.refusal();
    assert!(said.starts_with("admin_key: instance_secret: "), "{said}");
    assert!(
        said.contains("openssl rand -hex 32") && !said.contains(secret),
        "{said}"
    );
    // Standard input that is closed at once, as of a program started without a query.
    let said = alone.ask(&["origins"], b"");
    assert!(said.refusal().contains("Nothing came on standard input"));
}
