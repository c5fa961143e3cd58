//! `convex_project`: the files of an app, rendered and not written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    convex::Secret,
    plugin::{
        Cx, DataSource, Diagnostics,
        schema::{Fields, Schema, string},
    },
    resources::{
        deployment::model::OriginsModel,
        project::{
            inputs::{ImagesModel, Inputs, InstallModel, SlugsModel, with_attributes},
            rendered::with_contents,
        },
    },
    session::Session,
};

/// The data source.
#[derive(Debug)]
pub struct ProjectDataSource;

/// The attributes of the data source `convex_project`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    directory: Option<String>,
    name: Option<String>,
    origins: Option<OriginsModel>,
    internal_origins: Option<bool>,
    url: Option<String>,
    admin_key: Option<Secret>,
    database_url: Option<Secret>,
    instance_name: Option<String>,
    images: Option<ImagesModel>,
    slugs: Option<SlugsModel>,
    site_url: Option<String>,
    private_key: Option<Secret>,
    pattern: Option<String>,
    frontend: Option<bool>,
    compose: Option<bool>,
    agents: Option<BTreeSet<String>>,
    package_manager: Option<String>,
    policies: Option<BTreeMap<String, String>>,
    install: Option<InstallModel>,
    files: Option<BTreeMap<String, String>>,
    secret_files: Option<BTreeMap<String, Secret>>,
    agent_env: Option<BTreeMap<String, String>>,
    install_script: Option<String>,
    secret_install_script: Option<Secret>,
}

impl DataSource<Session> for ProjectDataSource {
    type Model = Model;

    fn schema(&self) -> Schema {
        let fields = Fields::new().with(
            "directory",
            string("Directory of the app in the workspace, for the install script: absolute, or `~/…`. Default `~/app`.")
                .optional(),
        );
        Schema::new(
            "The files of an app that uses a deployment, rendered and not written, and a script that writes what is missing of them in a workspace. Looks at nothing, so it can be planned anywhere.",
            with_contents(with_attributes(fields)),
        )
    }

    async fn read(&self, _cx: &mut Cx<Session>, config: Model) -> Result<Model, Diagnostics> {
        let inputs = Inputs {
            directory: config.directory.clone(),
            name: config.name.clone(),
            origins: config.origins.clone(),
            internal_origins: config.internal_origins,
            url: config.url.clone(),
            admin_key: config.admin_key.clone(),
            database_url: config.database_url.clone(),
            instance_name: config.instance_name.clone(),
            images: config.images.clone(),
            slugs: config.slugs.clone(),
            site_url: config.site_url.clone(),
            private_key: config.private_key.clone(),
            pattern: config.pattern.clone(),
            frontend: config.frontend,
            compose: config.compose,
            agents: config.agents.clone(),
            package_manager: config.package_manager.clone(),
            policies: config.policies.clone(),
            install: config.install.clone(),
        };
        let mut problems = Diagnostics::default();
        for problem in inputs.check_policies() {
            problems.push(problem);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let contents = inputs.contents()?;
        Ok(Model {
            files: Some(contents.files),
            secret_files: Some(contents.secret_files),
            agent_env: Some(contents.agent_env),
            install_script: Some(contents.install_script),
            secret_install_script: Some(contents.secret_install_script),
            ..config
        })
    }
}
