//! Real node and real npm packages, so that what is written here meets what will read it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use terraform_provider_convex::render::project::packages;

use super::tools;

/// A directory with the packages installed. Each set of packages has its own, made once and kept.
pub fn npm_install(packages: &[(&str, &str)]) -> PathBuf {
    let wanted: Vec<String> = packages
        .iter()
        .map(|(name, version)| format!("{name}@{version}"))
        .collect();
    let name = format!("npm-{}", wanted.join("+").replace('/', "_"));
    tools::installed(&name, |directory| {
        fs::write(directory.join("package.json"), r#"{"private":true}"#).expect("package.json");
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--save-exact",
        ]);
        tools::run(npm.args(&wanted).current_dir(directory));
    })
}

/// What a new app has in its `package.json`, installed.
pub fn app_packages() -> PathBuf {
    npm_install(&packages())
}

/// What an ES module prints when node runs it in a directory of [`npm_install`].
///
/// Secrets go into `env`, never into `args`.
pub fn run_node(directory: &Path, script: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", script, "--"])
        .args(args)
        .envs(env.iter().copied())
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("node does not start ({error}); install Node.js 20"));
    assert!(
        output.status.success(),
        "node failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("node prints UTF-8")
}
