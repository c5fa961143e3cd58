//! `convex_deployment`: a backend and a dashboard on Docker.

mod find;
mod lifecycle;
pub(crate) mod model;
mod plan;
mod read;
mod record;
mod secrets;
pub(crate) mod settings;
mod work;

pub use self::find::{Found, find, find_instance, locate, look, no_such};
use self::model::Model;
pub use self::model::{default_backend_image, default_dashboard_image};
use crate::{
    plugin::{Cx, Diagnostic, Diagnostics, Plan, Resource, schema::Schema},
    session::Session,
};

/// The resource.
#[derive(Debug)]
pub struct DeploymentResource;

impl Resource<Session> for DeploymentResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    async fn plan(&self, cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(cx, plan);
    }

    async fn create(&self, cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        lifecycle::create(cx, planned).await
    }

    async fn read(&self, cx: &mut Cx<Session>, prior: Model) -> Result<Option<Model>, Diagnostics> {
        if !cx.session.knows_docker() {
            cx.warn(Diagnostic::warning(
                "Deployment not looked at",
                format!(
                    "The provider's docker.host is not known yet, so deployment {:?} is taken to be as it was left.",
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
        read::import(cx, id).await
    }
}
