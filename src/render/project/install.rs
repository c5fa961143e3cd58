//! The script that makes a workspace's project ready at each start.

use super::{
    ENV_LOCAL, Project,
    node::NODE_IN_JAVASCRIPT,
    scripts::{ADD_MISSING, COMMON},
    template::{fill, shell},
};
use crate::{
    convex::{Secret, env_var::VarName, tested::NODE_IN_WORDS},
    render::{
        env_local,
        files::{Body, Desired, Policy},
        package_json::PackageManager,
    },
};

/// How the script goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// The directory of the project, absolute or below the home directory.
    pub directory: String,
    /// The package manager; found out in the workspace when not given.
    pub manager: Option<PackageManager>,
    /// How long to wait for the backend, in seconds.
    pub wait_s: u32,
    /// How long to wait for the directory to be there before it is made, in seconds.
    pub clone_wait_s: u32,
    /// Whether to deploy the functions.
    pub deploy: bool,
    /// Which files it writes.
    pub writes: Writes,
    /// Variables that the deployment gets from the environment of the script.
    pub from_environment: Vec<VarName>,
}

/// What the script writes of the project's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Nothing: they are there already.
    Nothing,
    /// What is missing, without secrets. It takes the admin key from the environment, where an
    /// agent has it.
    Missing,
    /// The same, with the admin key and the URL of the database.
    MissingWithSecrets,
}

/// Variables that the environment of an agent has; see [`env_local::ProjectEnv::agent_env`].
const FROM_ENVIRONMENT: [&str; 2] = [env_local::SELF_HOSTED_URL, env_local::ADMIN_KEY];

impl Project {
    /// The script. It is a secret only if it may hold some.
    #[must_use]
    pub fn install_script(&self, install: &Install) -> Secret {
        let writes = match install.writes {
            Writes::Nothing => String::new(),
            Writes::Missing => self.write_files(false),
            Writes::MissingWithSecrets => self.write_files(true),
        };
        // A repository may not be there yet, or may have no functions.
        let own = !self.has_functions();
        let manager = install.manager.map_or("", PackageManager::as_str);
        let directory = match install.directory.strip_prefix("~/") {
            Some(below) => format!("\"$HOME\"/{}", shell(below)),
            None => shell(&install.directory),
        };
        let sets = !install.from_environment.is_empty();
        let part = |wanted: bool, text: &'static str| if wanted { text.trim_end() } else { "" };
        let script = fill(
            include_str!("templates/install.sh"),
            &[
                ("COMMON", COMMON.trim_end()),
                ("DIRECTORY", &directory),
                ("MANAGER", &shell(manager)),
                ("SECONDS", &install.wait_s.to_string()),
                ("CLONE_SECONDS", &install.clone_wait_s.to_string()),
                ("OWN", if own { "yes" } else { "" }),
                ("NODE", NODE_IN_WORDS),
                ("IS_SUPPORTED", NODE_IN_JAVASCRIPT),
                ("WRITE", writes.trim_end()),
                (
                    "KEY",
                    part(sets || install.deploy, include_str!("templates/key.sh")),
                ),
                ("VARIABLES", &install.set_variables()),
                (
                    "DEPLOY",
                    part(install.deploy, include_str!("templates/deploy.sh")),
                ),
                ("LACKING", part(sets, include_str!("templates/lacking.sh"))),
                (
                    "NEXT",
                    if self.has_frontend() {
                        r#"say "next: cd $directory && $manager run dev""#
                    } else {
                        ""
                    },
                ),
            ],
        );
        Secret::from(script)
    }

    /// The part that writes what is missing.
    fn write_files(&self, secrets: bool) -> String {
        let files: String = self.files().iter().filter_map(write_missing).collect();
        let package = if self.has_package() {
            fill(
                include_str!("templates/package.sh"),
                &[("MERGE", self.merge_package_json().trim_end())],
            )
        } else {
            String::new()
        };
        fill(
            include_str!("templates/write.sh"),
            &[
                ("ADD_MISSING", ADD_MISSING.trim_end()),
                ("FILES", &files),
                ("VARIABLES", self.add_variables(secrets).trim_end()),
                ("PACKAGE", package.trim_end()),
            ],
        )
    }

    fn add_variables(&self, secrets: bool) -> String {
        let known = env_local::entries(
            &self.reach,
            self.url.as_ref(),
            self.admin_key.as_ref().filter(|_| secrets),
            self.database.as_ref().filter(|_| secrets),
        );
        let mut lines = String::new();
        for entry in &known {
            lines.push_str(&format!("default={}\n", shell(entry.value.expose())));
            let value = if FROM_ENVIRONMENT.contains(&entry.name.as_str()) {
                format!("${{{}:-$default}}", entry.name)
            } else {
                "$default".to_owned()
            };
            lines.push_str(&format!(
                "add_missing {} \"{value}\" {} \"$env_file\"\n",
                entry.name,
                shell(&entry.comment)
            ));
        }
        for name in FROM_ENVIRONMENT {
            if !known.iter().any(|it| it.name == name) {
                lines.push_str(&format!(
                    "add_missing {name} \"${{{name}:-}}\" 'For the convex command line. Keep it secret.' \"$env_file\"\n"
                ));
            }
        }
        lines
    }

    fn merge_package_json(&self) -> String {
        let additions = super::additions::additions(self);
        let sections = serde_json::json!([
            ["scripts", additions.scripts],
            ["dependencies", additions.dependencies],
            ["devDependencies", additions.dev_dependencies],
        ]);
        fill(
            include_str!("templates/merge-package-json.js"),
            &[("ADDITIONS", &sections.to_string())],
        )
    }
}

impl Install {
    /// The part that gives the deployment its variables.
    fn set_variables(&self) -> String {
        if self.from_environment.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = self.from_environment.iter().map(VarName::as_str).collect();
        let program = include_str!("templates/set-variables.js");
        let part = fill(
            include_str!("templates/variables.sh"),
            &[("NAMES", &names.join(" ")), ("SET", program.trim_end())],
        );
        part.trim_end().to_owned()
    }
}

/// The lines that write a file unless it is there; none for what is secret or merged otherwise.
fn write_missing(file: &Desired) -> Option<String> {
    if file.policy == Policy::Skip {
        return None;
    }
    if let Body::Ignored(lines) = &file.body {
        let lines: Vec<String> = lines.iter().map(|line| shell(line)).collect();
        return Some(format!(
            "touch .gitignore\nfor line in {}; do\n    if ! grep -qxF -e \"$line\" -e \"/$line\" -e \"$line/\" -e \"/$line/\" .gitignore; then\n        if [ -n \"$(tail -c 1 .gitignore)\" ]; then printf '\\n' >>.gitignore; fi\n        printf '%s\\n' \"$line\" >>.gitignore\n    fi\ndone\n",
            lines.join(" ")
        ));
    }
    if file.body.is_secret() || file.path.as_str() == ENV_LOCAL {
        return None;
    }
    let text = file.body.fresh().ok()?;
    let text = text.expose();
    let mut end = String::from("CONVEX_END_OF_FILE");
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    Some(format!(
        "write_missing {} {:o} <<'{end}'\n{text}{end}\n",
        shell(file.path.as_str()),
        file.mode.bits()
    ))
}
