//! `convex_project`: the files of an app that uses a deployment.

pub(crate) mod inputs;
mod lifecycle;
mod model;
mod plan;
pub(crate) mod rendered;

use self::model::Model;
use crate::{
    plugin::{Cx, Diagnostics, Plan, Resource, schema::Schema},
    session::Session,
};

/// The resource.
#[derive(Debug)]
pub struct ProjectResource;

impl Resource<Session> for ProjectResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    async fn plan(&self, _cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(plan);
    }

    async fn create(&self, cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        let limit = planned.timeouts.clone().unwrap_or_default().create();
        lifecycle::apply(cx, None, planned, limit).await
    }

    async fn read(&self, cx: &mut Cx<Session>, prior: Model) -> Result<Option<Model>, Diagnostics> {
        lifecycle::read(cx, prior).await
    }

    async fn update(
        &self,
        cx: &mut Cx<Session>,
        prior: Model,
        planned: Model,
    ) -> Result<Model, Diagnostics> {
        let limit = planned.timeouts.clone().unwrap_or_default().update();
        lifecycle::apply(cx, Some(&prior), planned, limit).await
    }

    async fn delete(&self, cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
        lifecycle::delete(cx, &prior).await
    }

    async fn import(&self, _cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
        Ok(lifecycle::import(id))
    }
}
