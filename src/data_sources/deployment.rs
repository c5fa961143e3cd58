//! `convex_deployment`: a deployment that something else manages.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{DeploymentName, Secret},
    plugin::{
        Cx, DataSource, Diagnostic, Diagnostics,
        schema::{Fields, OnUpdate, Schema, boolean, object, string},
    },
    resources::{
        deployment::{
            find,
            model::{OriginsModel, PerContainer, UrlsModel},
        },
        docker_host::DockerModel,
    },
    runtime::DeploymentId,
    session::Session,
};

/// The data source.
#[derive(Debug)]
pub struct DeploymentDataSource;

/// The attributes of the data source `convex_deployment`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    id: Option<String>,
    name: String,
    docker: Option<DockerModel>,
    running: Option<bool>,
    origins: Option<OriginsModel>,
    instance_name: Option<String>,
    database_name: Option<String>,
    admin_key: Option<Secret>,
    urls: Option<UrlsModel>,
    container_ids: Option<PerContainer>,
    image_digests: Option<PerContainer>,
    version: Option<String>,
}

impl DataSource<Session> for DeploymentDataSource {
    type Model = Model;

    fn schema(&self) -> Schema {
        let text = |description| string(description).computed(OnUpdate::Keep);
        let per_container = |description| {
            object(
                Fields::new()
                    .with("backend", text("Of the backend."))
                    .with("dashboard", text("Of the dashboard.")),
                description,
            )
            .computed(OnUpdate::Keep)
        };
        Schema::new(
            "A deployment that another configuration manages. Reads Docker at every plan, so it has no place in a Coder template, which is planned without Docker when it is imported.",
            Fields::new()
                .with("id", text("The name, and behind an `@` the Docker host where that is not the provider's own."))
                .with(
                    "name",
                    string("Name of the deployment.")
                        .required()
                        .parsed::<DeploymentName>(),
                )
                .with(
                    "docker",
                    DockerModel::attribute("The Docker host it is on, where that is not the provider's own."),
                )
                .with(
                    "running",
                    boolean("Whether its backend runs.").computed(OnUpdate::Keep),
                )
                .with(
                    "origins",
                    object(
                        Fields::new()
                            .with("api", text("Of the API."))
                            .with("site", text("Of the HTTP actions."))
                            .with("dashboard", text("Of the dashboard.")),
                        "Where browsers reach it.",
                    )
                    .computed(OnUpdate::Keep),
                )
                .with("instance_name", text("Name of its instance."))
                .with("database_name", text("Name of its database on a database server."))
                .with(
                    "admin_key",
                    text("Key with full control over it; null while it is stopped. It is in the state: use the ephemeral resource `convex_admin_key` where that must not be.")
                        .sensitive(),
                )
                .with(
                    "urls",
                    object(
                        Fields::new()
                            .with("api", text("Of the API."))
                            .with("site", text("Of the HTTP actions."))
                            .with("dashboard", text("Of the dashboard.")),
                        "Where it is reached from beside the containers.",
                    )
                    .computed(OnUpdate::Keep),
                )
                .with("container_ids", per_container("IDs of its containers."))
                .with("image_digests", per_container("Digests of its images."))
                .with("version", text("What its backend says of its release.")),
        )
    }

    async fn read(&self, cx: &mut Cx<Session>, config: Model) -> Result<Model, Diagnostics> {
        let name = DeploymentName::parse(&config.name).map_err(|error| {
            Diagnostic::error("Invalid value for name", error.to_string()).at("name")
        })?;
        let host = DockerModel::host(config.docker.as_ref())?;
        let found = find(cx, &DeploymentId { name, host }).await?;
        Ok(Model {
            id: found.id,
            name: config.name,
            docker: config.docker,
            running: found.running,
            origins: found.origins,
            instance_name: found.instance_name,
            database_name: found.database_name,
            admin_key: found.admin_key,
            urls: found.urls,
            container_ids: found.container_ids,
            image_digests: found.image_digests,
            version: found.version,
        })
    }
}
