//! What is rendered of a project, for resource and data source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use crate::{
    convex::Secret,
    plugin::{
        Diagnostic,
        schema::{Element, Fields, OnUpdate, Plain, map_of, map_of_objects, number, string},
    },
    render::{
        files::{Desired, Policy, digest},
        package_json::PackageManager,
        project::{ALLOWED_HOSTS, Writes},
    },
};

/// One file, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileModel {
    pub size: Option<u64>,
    pub sha256: Option<String>,
    pub mode: Option<String>,
}

/// What a resource says of the files that it writes. Their contents would be most of a plan.
#[derive(Debug)]
pub struct Overview {
    pub files: BTreeMap<String, FileModel>,
    pub secret_files: BTreeMap<String, Secret>,
    pub agent_env: BTreeMap<String, String>,
    pub install_script: String,
}

/// What a data source says, which writes nothing.
#[derive(Debug)]
pub struct Contents {
    pub files: BTreeMap<String, String>,
    pub secret_files: BTreeMap<String, Secret>,
    pub agent_env: BTreeMap<String, String>,
    pub install_script: String,
    pub secret_install_script: Secret,
}

impl Inputs {
    /// What a resource says.
    pub fn overview(&self) -> Result<Overview, Diagnostic> {
        let mut files = BTreeMap::new();
        let mut secret_files = BTreeMap::new();
        for (file, content) in self.contents_of_files()? {
            let path = file.path.to_string();
            let secret = file.body.is_secret();
            let text = content.expose();
            // The digest of a secret could be guessed at.
            let model = FileModel {
                size: (!secret).then_some(text.len() as u64),
                sha256: (!secret).then(|| digest(text.as_bytes())),
                mode: Some(format!("{:04o}", file.mode.bits())),
            };
            files.insert(path.clone(), model);
            if secret {
                secret_files.insert(path, content);
            }
        }
        Ok(Overview {
            files,
            secret_files,
            agent_env: self.agent_env()?,
            install_script: self.install_script(Writes::Nothing)?.expose().to_owned(),
        })
    }

    /// What a data source says.
    pub fn contents(&self) -> Result<Contents, Diagnostic> {
        let mut files = BTreeMap::new();
        let mut secret_files = BTreeMap::new();
        for (file, content) in self.contents_of_files()? {
            let path = file.path.to_string();
            if file.body.is_secret() {
                secret_files.insert(path, content);
            } else {
                files.insert(path, content.expose().to_owned());
            }
        }
        Ok(Contents {
            files,
            secret_files,
            agent_env: self.agent_env()?,
            install_script: self.install_script(Writes::Missing)?.expose().to_owned(),
            secret_install_script: self.install_script(Writes::MissingWithSecrets)?,
        })
    }

    /// What a person runs next, with the package manager that is given, else with the one that the
    /// directory speaks of.
    pub fn next_steps(&self, detected: Option<&str>) -> Result<String, Diagnostic> {
        let detected = || detected.and_then(|name| name.parse().ok());
        let manager: Option<PackageManager> = self.package_manager()?.or_else(detected);
        let directory = self.directory.as_deref().unwrap_or_default();
        Ok(self
            .project()?
            .next_steps(directory, manager.unwrap_or_default()))
    }

    fn contents_of_files(&self) -> Result<Vec<(Desired, Secret)>, Diagnostic> {
        let files = self.project()?.files().into_iter();
        files
            .filter(|file| file.policy != Policy::Skip)
            .map(|file| match file.body.fresh() {
                Ok(content) => Ok((file, content)),
                Err(error) => Err(Diagnostic::error(
                    format!("{} cannot be written", file.path),
                    error.to_string(),
                )),
            })
            .collect()
    }

    fn agent_env(&self) -> Result<BTreeMap<String, String>, Diagnostic> {
        let hosts = self.project()?.allowed_hosts();
        let entry = (!hosts.is_empty()).then(|| (ALLOWED_HOSTS.to_owned(), hosts.join(",")));
        Ok(entry.into_iter().collect())
    }
}

/// What both say, put to `fields`.
fn with_rendered(fields: Fields<Plain>, script: &'static str) -> Fields<Plain> {
    fields
        .with(
            "secret_files",
            map_of(Element::String, "Content of each file that holds secrets, by path, as it would be in an empty directory.")
                .computed(OnUpdate::Keep)
                .sensitive(),
        )
        .with(
            "agent_env",
            map_of(Element::String, "Variables for the environment of a workspace's agent (`coder_env`), beside those of `convex_deployment`. Holds `__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS` with the domain that `origins` and `site_url` have in common, so that Vite serves a project whose configuration does not name it. Vite answers other hosts with 403. Empty where all addresses are on localhost or an IP address.")
                .computed(OnUpdate::Keep),
        )
        .with("install_script", string(script).computed(OnUpdate::Keep))
}

/// The attributes of the resource.
pub fn with_overview(fields: Fields<Plain>) -> Fields<Plain> {
    let file = Fields::new()
        .with(
            "size",
            number("Length in bytes; null for a file that holds secrets.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "sha256",
            string("SHA-256 of the content, in hexadecimal digits; null for a file that holds secrets.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "mode",
            string("Permission bits of a new file, in octal digits.").computed(OnUpdate::Keep),
        );
    let fields = fields
        .with(
            "files",
            map_of_objects(file, "Each file by path, as it would be in an empty directory. The data source `convex_project` has the contents, for the same arguments.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "next_steps",
            string("Commands to run next, one a line, each with a comment: they install packages, deploy the functions and serve the page. Made for an output. In a Coder workspace, `install_script` runs the first ones.")
                .computed(OnUpdate::Keep),
        );
    with_rendered(
        fields,
        "A bash script for `coder_script` that makes the project ready at each start: it installs packages, waits for the backend and deploys the functions. The files are written by this resource. It holds no secret.",
    )
}

/// The attributes of the data source.
pub fn with_contents(fields: Fields<Plain>) -> Fields<Plain> {
    let fields = fields
        .with(
            "files",
            map_of(Element::String, "Content of each file that holds no secret, by path, as it would be in an empty directory.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "secret_install_script",
            string("The same script with the admin key and the URL of the database in it, for where the environment does not have them.")
                .computed(OnUpdate::Keep)
                .sensitive(),
        );
    with_rendered(
        fields,
        "A bash script for `coder_script` that makes the project ready at each start: it writes the files that are missing, installs packages, waits for the backend and deploys the functions. It holds no secret; the admin key is expected in the environment.",
    )
}
