//! `convex_credentials`: the secret of an instance and its admin keys, for a
//! backend that something else runs.

mod import;
mod lifecycle;
mod model;
mod plan;

use self::model::Model;
use crate::{
    plugin::{Cx, Diagnostics, Plan, Resource, schema::Schema},
    resources::imported,
    session::Session,
};

/// The resource. It is nowhere but in the state.
#[derive(Debug)]
pub struct CredentialsResource;

impl Resource<Session> for CredentialsResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    async fn plan(&self, _cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(plan);
    }

    async fn create(&self, _cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        lifecycle::complete(planned)
    }

    /// There is nothing to look at.
    async fn read(
        &self,
        _cx: &mut Cx<Session>,
        prior: Model,
    ) -> Result<Option<Model>, Diagnostics> {
        Ok(Some(prior))
    }

    async fn update(
        &self,
        cx: &mut Cx<Session>,
        _prior: Model,
        planned: Model,
    ) -> Result<Model, Diagnostics> {
        let model = lifecycle::complete(planned)?;
        imported::settle(&mut cx.private);
        Ok(model)
    }

    /// The secret goes with the state. A backend that was started with it goes
    /// on.
    async fn delete(&self, _cx: &mut Cx<Session>, _prior: Model) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
        import::import(cx, id).await
    }
}
