//! Which data a plan leaves where it is. A backend never moves data: where it is told to look
//! elsewhere, it finds other data or none.

use serde::de::IgnoredAny;

use super::{
    database::DatabaseModel,
    guard::planned_bonds,
    model::Model,
    storage::{S3Model, StorageModel},
    whereabouts::is_another,
};
use crate::{
    convex::{Database, database::DatabaseKind, process_env::S3Storage},
    plugin::{Known, Plan, value::Path},
};

/// Variables of the process that choose a database without a check.
const CHOOSING: [&str; 4] = ["DATABASE_URL", "MYSQL_URL", "POSTGRES_URL", "SQLITE_DB"];

/// What a plan of a deployment that exists leaves behind.
#[derive(Debug, Default)]
pub struct Moves {
    /// The database server before and the new one, where it is another.
    pub server: Option<(String, String)>,
    /// Buckets that are others: of what, the one before and the new one.
    pub buckets: Vec<(&'static str, String, String)>,
    /// Whether the backend may find other documents than before.
    pub documents: bool,
    /// Whether it may find other files than before.
    pub files: bool,
    /// Whether the data is bound to something else.
    pub breaks: bool,
}

impl Moves {
    /// Of a plan.
    pub fn of(plan: &Plan<'_>) -> Self {
        let prior = plan.prior::<Model>(Path::root());
        let Some(prior) = prior.filter(|_| !is_another(plan)) else {
            return Self::default();
        };
        let (was, now) = (prior.bonds(), planned_bonds(plan));
        let allowed = !matches!(
            plan.planned::<Option<bool>>("allow_data_loss"),
            Known::Known(None | Some(false))
        );
        // Where nothing may be lost, what is only known during apply is refused then.
        let may_break = now.is_open() && allowed;
        let server = other_server(plan, &prior);
        let buckets = other_buckets(plan, &prior);
        Self {
            documents: was.leaves_documents(&now)
                || may_break
                || server.is_some()
                || hides_server(plan, &prior)
                || chooses_otherwise(plan, &prior),
            files: !buckets.is_empty() || plan.planned::<IgnoredAny>("storage").is_unknown(),
            breaks: !was.broken_by(&now).is_empty(),
            server,
            buckets,
        }
    }

    /// Whether any data may stay behind.
    pub fn any(&self) -> bool {
        self.documents || self.files || self.breaks
    }
}

/// The address of the database server that is asked for, also where it is not kept.
fn given_server(plan: &Plan<'_>) -> Option<String> {
    let given = plan.config().get::<Option<DatabaseModel>>("database");
    let server = given.known().flatten()?.server().ok()?;
    server.known().map(Database::address)
}

fn other_server(plan: &Plan<'_>, prior: &Model) -> Option<(String, String)> {
    let (was, now) = (prior.database_server.clone()?, given_server(plan)?);
    (was != now).then_some((was, now))
}

/// Whether one of the two servers is not told, and may be another.
fn hides_server(plan: &Plan<'_>, prior: &Model) -> bool {
    let on_server = prior
        .bonds()
        .database
        .is_some_and(|it| it != DatabaseKind::Sqlite);
    let is_told = prior.database_server.is_some() && given_server(plan).is_some();
    on_server && !is_told && plan.changes("database")
}

/// Whether a variable of the process leads to another database.
fn chooses_otherwise(plan: &Plan<'_>, prior: &Model) -> bool {
    let env = |model: Option<&Model>| {
        let backend = model.and_then(|it| it.backend.as_ref());
        backend.and_then(|it| it.env.clone()).unwrap_or_default()
    };
    let (was, now) = (env(Some(prior)), env(plan.outline(Path::root()).as_ref()));
    CHOOSING.iter().any(|name| was.get(*name) != now.get(*name))
}

fn other_buckets(plan: &Plan<'_>, prior: &Model) -> Vec<(&'static str, String, String)> {
    let now = plan.outline::<Model>(Path::root());
    let (Some(was), Some(now)) = (store(prior), now.as_ref().and_then(store)) else {
        return Vec::new();
    };
    was.places()
        .into_iter()
        .zip(now.places())
        .filter(|((_, was), (_, now))| was != now)
        .map(|((what, was), (_, now))| (what, was, now))
        .collect()
}

/// The store, which attributes or variables of the process give.
fn store(model: &Model) -> Option<S3Storage> {
    let given = model.storage.clone().filter(|it| it.s3.is_some());
    let among = || {
        let env = model.backend.as_ref()?.env.as_ref()?;
        let s3 = Some(S3Model::among(env)?);
        Some(StorageModel { s3 })
    };
    let store = given.or_else(among)?.store().ok().flatten();
    store.map(|store| store.s3)
}
