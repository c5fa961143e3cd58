//! `convex_deployment`: a backend and a dashboard on Docker.

mod bonds;
mod confinement;
mod database;
mod find;
mod guard;
mod history;
mod images;
mod import;
mod leftovers;
mod lifecycle;
pub(crate) mod model;
mod moves;
mod network;
mod ownership;
mod plan;
mod predecessor;
mod prepare;
mod read;
mod record;
mod release;
mod restore;
mod review;
mod schema;
mod secrets;
pub(crate) mod settings;
mod snapshot;
mod storage;
mod whereabouts;
mod work;

pub use self::find::{Found, find, find_instance, locate, look, no_such};
pub use self::images::{
    BackendImage, DashboardImage, default_backend_image, default_dashboard_image,
};
use self::model::Model;
pub(crate) use self::settings::tag;
use crate::{
    plugin::{Config, Cx, Diagnostic, Diagnostics, Plan, Resource, schema::Schema},
    resources::docker_host::DockerModel,
    session::Session,
};

/// The resource.
#[derive(Debug)]
pub struct DeploymentResource;

impl Resource<Session> for DeploymentResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        let mut found = database::check(config);
        found.extend(network::check(config));
        found.extend(storage::check(config));
        found.extend(restore::check(config));
        found
    }

    async fn plan(&self, cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(cx, plan);
    }

    async fn create(&self, cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        lifecycle::create(cx, planned).await
    }

    async fn read(&self, cx: &mut Cx<Session>, prior: Model) -> Result<Option<Model>, Diagnostics> {
        let host = DockerModel::host(prior.docker.as_ref())?;
        if !cx.session.hosts().knows(&host) {
            cx.warn(Diagnostic::warning(
                "Deployment not looked at",
                format!(
                    "The provider's docker attribute is not known yet, so deployment {:?} is taken to be as it was left.",
                    prior.name
                ),
            ));
            return Ok(Some(prior));
        }
        read::refresh(cx, prior).await
    }

    async fn update(
        &self,
        cx: &mut Cx<Session>,
        prior: Model,
        planned: Model,
    ) -> Result<Model, Diagnostics> {
        lifecycle::update(cx, prior, planned).await
    }

    async fn delete(&self, cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
        lifecycle::delete(cx, prior).await
    }

    async fn import(&self, cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
        import::import(cx, id).await
    }
}
