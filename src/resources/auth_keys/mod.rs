//! `convex_auth_keys`: the key pair for sign-in tokens, with a life of its own.

mod import;
mod lifecycle;
mod model;
mod plan;

pub(crate) use self::lifecycle::generate;
use self::model::Model;
use crate::{
    plugin::{Config, Cx, Diagnostics, Plan, Resource, schema::Schema},
    resources::imported,
    session::Session,
};

/// The resource. It is nowhere but in the state.
#[derive(Debug)]
pub struct AuthKeysResource;

impl Resource<Session> for AuthKeysResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        plan::check(config)
    }

    async fn plan(&self, _cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        plan::finish(plan);
    }

    async fn create(&self, _cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        lifecycle::complete(planned).await
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
        let model = lifecycle::complete(planned).await?;
        imported::settle(&mut cx.private);
        Ok(model)
    }

    /// The pair goes with the state. What was set from it stays where it is.
    async fn delete(&self, _cx: &mut Cx<Session>, _prior: Model) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
        import::import(cx, id).await
    }
}
