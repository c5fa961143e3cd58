//! What the READMEs of the templates tell people to type.

use std::{fs, path::Path};

use super::running::Server;

/// The command by which the template in a directory is pushed, with a name and a wildcard of the
/// server's in place of those the README has for an example.
pub fn push(directory: &Path, name: &str) -> String {
    let readme = fs::read_to_string(directory.join("README.md")).expect("a README");
    let command = commands(&readme)
        .find(|line| line.starts_with("coder templates push "))
        .expect("the README says how the template is pushed");
    let (example, rest) = command["coder templates push ".len()..]
        .split_once(' ')
        .expect("a name and options");
    assert!(!example.starts_with('-'), "{command}: a name comes first");
    let wildcard = "*.apps.example.com";
    assert!(rest.contains(wildcard), "{command}: no wildcard");
    let rest = rest.replace(wildcard, &Server::wildcard());
    format!("coder templates push {name} {rest}")
}

/// The lines of a README's blocks of shell, and its code within sentences.
fn commands(readme: &str) -> impl Iterator<Item = String> {
    let joined = readme.replace("\\\n", " ");
    let mut shell = false;
    let mut found = Vec::new();
    for line in joined.lines().map(str::trim) {
        if let Some(language) = line.strip_prefix("```") {
            shell = ["sh", "shell", "bash"].contains(&language);
        } else if shell {
            found.push(line.to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found.into_iter()
}
