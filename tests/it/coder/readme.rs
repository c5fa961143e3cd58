//! What the registry of Coder asks of a template's README.

use std::{fs, path::Path};

/// The keys that front matter may have.
const KEYS: [&str; 6] = [
    "display_name",
    "description",
    "icon",
    "verified",
    "tags",
    "supported_os",
];

fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/templates");
    let readme = fs::read_to_string(directory.join(name).join("README.md")).expect("a README");
    let rest = readme.strip_prefix("---\n").expect("front matter");
    let (front, body) = rest.split_once("\n---\n").expect("its end");
    let pairs: Vec<_> = front
        .lines()
        .map(|line| line.split_once(": ").expect("a key and a value"))
        .collect();
    for (key, _) in &pairs {
        assert!(KEYS.contains(key), "{name}: {key}");
    }
    for needed in &KEYS[..5] {
        let value = pairs.iter().find(|(key, _)| key == needed);
        let (_, value) = value.unwrap_or_else(|| panic!("{name}: {needed} is missing"));
        let holds = match *needed {
            "icon" => value.starts_with("../../../../.icons/"),
            "verified" => *value == "false",
            "tags" => value.starts_with('[') && value.ends_with(']'),
            _ => !value.is_empty(),
        };
        assert!(holds, "{name}: {needed}: {value}");
    }
    let titles = body.lines().filter(|line| line.starts_with("# "));
    assert_eq!(titles.count(), 1, "{name}: one title");
    for section in ["## Prerequisites", "## Architecture"] {
        assert!(
            body.lines().any(|line| line == section),
            "{name}: {section}"
        );
    }
    assert!(!body.contains("```hcl"), "{name}: the registry writes tf");
    // What the text names is there.
    let main = fs::read_to_string(directory.join(name).join("main.tf")).expect("a template");
    pushes(name, body, &main);
    for variable in [
        "wildcard",
        "workspace_image",
        "convex_backend_image",
        "prebuilds",
    ] {
        assert!(
            body.contains(&format!("`{variable}`")),
            "{name}: {variable}"
        );
        assert!(
            main.contains(&format!("variable \"{variable}\"")),
            "{name}: {variable}"
        );
    }
}

/// The commands that push a template are complete.
fn pushes(name: &str, body: &str, main: &str) {
    let mut commands = body
        .lines()
        .filter(|it| it.starts_with("coder templates push "));
    let command = commands.next().expect("a command");
    assert!(
        command.contains(" --directory . --yes "),
        "{name}: {command}"
    );
    let enter = format!("cd terraform-provider-convex/terraform/templates/{name}");
    assert!(body.lines().any(|it| it == enter), "{name}: {enter}");
    let given: Vec<_> = command
        .split("--variable '")
        .skip(1)
        .filter_map(|it| it.split('=').next())
        .collect();
    let variables = variables(main);
    for variable in &given {
        let is_there = variables.iter().any(|(name, _)| name == variable);
        assert!(is_there, "{name}: {variable}");
    }
    // Coder demands a value for a variable without a default, and takes null for none.
    for (variable, default) in &variables {
        let has_one = default.is_some_and(|it| it != "null");
        assert!(
            has_one || given.contains(variable),
            "{name}: {variable} must be given"
        );
    }
}

/// The variables of a template, and their defaults.
fn variables(main: &str) -> Vec<(&str, Option<&str>)> {
    let blocks = main.split("\nvariable \"").skip(1);
    blocks
        .filter_map(|block| {
            let (name, rest) = block.split_once('"')?;
            let body = rest.split("\n}").next()?;
            let mut lines = body
                .lines()
                .filter_map(|line| line.trim().split_once(" = "));
            let default = lines.find(|(key, _)| key.trim() == "default");
            Some((name, default.map(|(_, value)| value)))
        })
        .collect()
}

#[test]
fn each_template_is_described_as_the_registry_of_coder_asks() {
    check("docker");
    check("docker-postgres");
}
