//! The state of a project, and the schema beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    inputs::{ImagesModel, Inputs, InstallModel, SlugsModel, with_attributes},
    rendered::{FileModel, Overview, with_overview},
};
use crate::{
    convex::Secret,
    plugin::{
        Timeouts,
        schema::{Element, Fields, OnUpdate, Schema, boolean, list_of, string},
    },
    resources::{deployment::model::OriginsModel, place::ContainerModel},
};

/// The attributes of `convex_project`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub directory: String,
    pub name: Option<String>,
    pub origins: Option<OriginsModel>,
    pub internal_origins: Option<bool>,
    pub url: Option<String>,
    pub admin_key: Option<Secret>,
    pub database_url: Option<Secret>,
    pub instance_name: Option<String>,
    pub images: Option<ImagesModel>,
    pub slugs: Option<SlugsModel>,
    pub site_url: Option<String>,
    pub private_key: Option<Secret>,
    pub pattern: Option<String>,
    pub frontend: Option<bool>,
    pub compose: Option<bool>,
    pub agents: Option<BTreeSet<String>>,
    pub package_manager: Option<String>,
    pub policies: Option<BTreeMap<String, String>>,
    pub install: Option<InstallModel>,
    pub container: Option<ContainerModel>,
    pub on_destroy: Option<String>,
    pub timeouts: Option<Timeouts>,
    pub files: Option<BTreeMap<String, FileModel>>,
    pub secret_files: Option<BTreeMap<String, Secret>>,
    pub agent_env: Option<BTreeMap<String, String>>,
    pub install_script: Option<String>,
    pub next_steps: Option<String>,
    pub detected_package_manager: Option<String>,
    pub pending: Option<bool>,
    pub drifted: Option<Vec<String>>,
}

/// Removes what is still as it was written when the resource is destroyed.
pub const REMOVE: &str = "remove";

/// Leaves everything when the resource is destroyed.
pub const KEEP: &str = "keep";

impl Model {
    /// What is rendered from.
    pub fn inputs(&self) -> Inputs {
        let it = self.clone();
        Inputs {
            directory: Some(it.directory),
            name: it.name,
            origins: it.origins,
            internal_origins: it.internal_origins,
            url: it.url,
            admin_key: it.admin_key,
            database_url: it.database_url,
            instance_name: it.instance_name,
            images: it.images,
            slugs: it.slugs,
            site_url: it.site_url,
            private_key: it.private_key,
            pattern: it.pattern,
            frontend: it.frontend,
            compose: it.compose,
            agents: it.agents,
            package_manager: it.package_manager,
            policies: it.policies,
            install: it.install,
        }
    }

    /// Takes what was rendered.
    pub fn take(&mut self, overview: Overview) {
        self.files = Some(overview.files);
        self.secret_files = Some(overview.secret_files);
        self.agent_env = Some(overview.agent_env);
        self.install_script = Some(overview.install_script);
    }
}

/// The schema.
pub fn schema() -> Schema {
    let fields = Fields::new()
        .with("id", string("The directory.").computed(OnUpdate::Keep))
        .with(
            "directory",
            string("Directory of the app: on the machine that runs Terraform or, with `container`, the absolute path in there. It is made if there is none. Without `container`, what is changed in it must belong to the owner of the directory, to root or to the user that runs Terraform, and new files get that owner.")
                .required()
                .replaces(),
        );
    let fields = with_overview(with_attributes(fields))
        .with(
            "container",
            ContainerModel::attribute("The container that the directory is in. It is written to through Docker. Where a script of the workspace clones the repository, use the data source with `coder_script` instead, which runs after it."),
        )
        .with(
            "on_destroy",
            string("What happens to the files when the resource is destroyed: `remove` (default) removes those that are still as they were written, apart from source, and directories that were made for them and are empty; `keep` leaves all.")
                .optional()
                .one_of(&[REMOVE, KEEP])
                .default(REMOVE),
        )
        .with(
            "detected_package_manager",
            string("What the directory says of its package manager; null when it says nothing.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "pending",
            boolean("Whether the files wait for the container to be there.")
                .computed(OnUpdate::Keep),
        )
        .with(
            "drifted",
            list_of(Element::String, "Paths of files that are missing or differ from what they should be, and that the next apply will bring in order.")
                .computed(OnUpdate::Keep),
        )
        .with("timeouts", Timeouts::attribute());
    Schema::new(
        "The files of an app that uses a deployment: env files, scripts, and the source of a new app. What a person wrote is never lost: see `policies`.",
        fields,
    )
}
