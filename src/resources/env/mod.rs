//! `convex_env`: the variables of a deployment.

mod auth;
pub(crate) mod backend;
mod batch;
mod compare;
mod declared;
mod forms;
mod keys;
mod lifecycle;
mod limits;
mod model;
mod plan;
mod read;
mod seen;
mod validate;

use self::model::Model;
use crate::{
    plugin::{Config, Cx, Diagnostics, Plan, Resource, schema::Schema},
    session::Session,
};

/// The resource.
#[derive(Debug)]
pub struct EnvResource;

impl Resource<Session> for EnvResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        validate::check(config)
    }

    async fn plan(&self, cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(cx, plan).await;
    }

    async fn create(&self, cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        lifecycle::create(cx, planned).await
    }

    async fn read(&self, cx: &mut Cx<Session>, prior: Model) -> Result<Option<Model>, Diagnostics> {
        read::read(cx, prior).await
    }

    async fn update(
        &self,
        cx: &mut Cx<Session>,
        prior: Model,
        planned: Model,
    ) -> Result<Model, Diagnostics> {
        lifecycle::update(cx, &prior, planned).await
    }

    async fn delete(&self, cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
        lifecycle::delete(cx, &prior).await
    }

    async fn import(&self, cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
        read::import(cx, id).await
    }
}
