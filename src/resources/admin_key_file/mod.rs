//! `convex_admin_key_file`: a key that never enters the state, in a file.

mod lifecycle;
mod model;

use self::model::Model;
use crate::{
    plugin::{Cx, Diagnostic, Diagnostics, Known, Plan, Resource, schema::Schema},
    session::Session,
};

/// The resource.
#[derive(Debug)]
pub struct AdminKeyFileResource;

impl Resource<Session> for AdminKeyFileResource {
    type Model = Model;

    fn schema(&self) -> Schema {
        model::schema()
    }

    async fn plan(&self, cx: &mut Cx<Session>, plan: &mut Plan<'_>) {
        if plan.deletes() {
            return;
        }
        if plan.creates() {
            match plan.planned::<String>("path") {
                Known::Known(path) => plan.set("id", &path),
                Known::Unknown => plan.set_unknown("id"),
            }
        }
        let container = plan.planned::<Option<String>>("container.id");
        let waits_for_container = match container {
            _ if !plan.config().has("container") => Known::Known(false),
            Known::Known(id) => Known::Known(id.is_none()),
            Known::Unknown => Known::Unknown,
        };
        let name = plan.planned::<String>("deployment").known();
        let deployment = name.map(|name| cx.session.deployment(&name));
        let deployment = deployment.unwrap_or_default();
        let new_key = deployment.gets_keys();
        // One whose secret is in its volume alone, and that does not run.
        let silent = deployment.planned.is_none()
            && deployment
                .live
                .is_some_and(|live| live.secret.is_none() && !live.running);
        // The plan during apply knows nothing of a deployment that stays as it
        // is. So what depends on that counts only where there is no such plan:
        // where nothing else changes.
        let stale = plan.prior::<bool>("fresh") == Some(false) && !silent;
        let changes = plan.changes_anything() || new_key || stale;
        match waits_for_container {
            Known::Known(true) => {
                plan.set("pending", &true);
                plan.set("fresh", &false);
            }
            // Whether the deployment lets go of its secret, the apply will see.
            _ if changes => {
                plan.set_unknown("pending");
                plan.set_unknown("fresh");
            }
            _ => {}
        }
    }

    async fn create(&self, cx: &mut Cx<Session>, planned: Model) -> Result<Model, Diagnostics> {
        let limit = planned.timeouts.clone().unwrap_or_default().create();
        lifecycle::write(cx, planned, limit).await
    }

    async fn read(&self, cx: &mut Cx<Session>, prior: Model) -> Result<Option<Model>, Diagnostics> {
        Ok(Some(lifecycle::read(cx, prior).await))
    }

    async fn update(
        &self,
        cx: &mut Cx<Session>,
        _prior: Model,
        planned: Model,
    ) -> Result<Model, Diagnostics> {
        let limit = planned.timeouts.clone().unwrap_or_default().update();
        lifecycle::write(cx, planned, limit).await
    }

    async fn delete(&self, cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
        lifecycle::delete(cx, &prior).await
    }

    async fn import(&self, _: &mut Cx<Session>, _: &str) -> Result<Model, Diagnostics> {
        Err(Diagnostic::error(
            "Nothing to import",
            "A file with a key is written anew by the next apply, whatever is there. Add the resource to the configuration and apply.",
        )
        .into())
    }
}
