//! What is in a database, seen without changing anything.
//!
//! Tables are those of upstream `crates/postgres/src/sql.rs`.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio_postgres::types::{ToSql, Type};

use super::{
    DatabaseError, Limits,
    session::{Answer, PROGRAM, Session},
};
use crate::convex::InstanceName;

/// The tables of a backend, each with columns by which it is known from others of that name.
const TABLES: [(&str, &[&str]); 5] = [
    (
        "documents",
        &["id", "ts", "table_id", "json_value", "deleted", "prev_ts"],
    ),
    ("indexes", &["index_id", "ts", "key_prefix", "key_sha256"]),
    ("leases", &["id", "ts"]),
    ("persistence_globals", &["key", "json_value"]),
    ("read_only", &["id"]),
];

/// What a backend keeps in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Whether a backend has ever written anything there.
    pub has_data: bool,
    /// Where that backend keeps files, for ever, where it could be seen.
    pub storage: Option<Storage>,
    /// When a backend last started on it. It is noted at the start and never taken back, so it says
    /// nothing of whether that backend still runs.
    pub last_start: Option<SystemTime>,
    /// Who else is connected to it at this moment.
    pub clients: Vec<Peer>,
}

/// Where a backend keeps files and modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On its volume.
    Volume,
    /// In buckets.
    S3,
}

/// Somebody else's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address it comes from, where it may be seen.
    pub address: Option<String>,
    /// What the program calls itself. Backends say nothing.
    pub program: Option<String>,
}

/// A backend that seems to run on the database. A second one would take the lease from it: the
/// older one ends at its next write, and with a restart policy the two fight for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// When it started.
    pub since: SystemTime,
    /// Where it is connected from, each address once.
    pub addresses: Vec<String>,
}

impl Contents {
    /// The backend that holds the lease, as far as it can be seen: one has started, and somebody
    /// who does not say his name is connected. It may be the deployment's own, and it may be seen
    /// for up to 90 s after it ended without a goodbye. A backend that has been idle for 90 s is
    /// not connected, and not seen.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let mut nameless = self
            .clients
            .iter()
            .filter(|it| it.program.is_none())
            .peekable();
        nameless.peek()?;
        let addresses: BTreeSet<String> = nameless.filter_map(|it| it.address.clone()).collect();
        Some(Holder {
            since: self.last_start?,
            addresses: addresses.into_iter().collect(),
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.addresses.is_empty() {
            f.write_str("a backend that started earlier")
        } else {
            write!(f, "a backend at {}", self.addresses.join(", "))
        }
    }
}

/// Refuses a server that takes no changes, as the backend does (`target_session_attrs`).
pub(super) async fn check_writable(
    session: Session,
    limits: &Limits,
) -> Result<Session, DatabaseError> {
    let sql = "SELECT pg_catalog.current_setting('transaction_read_only') = 'on'";
    let rows = session
        .ask(limits, "say whether it takes changes", sql, &[])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(session);
    };
    if !row.get(0)? {
        return Ok(session);
    }
    let error = DatabaseError::ReadOnly {
        server: session.server().clone(),
        database: session.database().to_owned(),
    };
    session.end().await;
    Err(error)
}

/// How many connections this user can have to this database at most.
pub(super) async fn connections(
    session: &Session,
    limits: &Limits,
) -> Result<Option<u32>, DatabaseError> {
    // The seats that are kept for administrators count only where the user is one. The second
    // kind of them came with version 16.
    let sql = "
        SELECT least(
            current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
                current_setting('superuser_reserved_connections')::int
                + coalesce(current_setting('reserved_connections', true)::int, 0) END,
            CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,
            CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit END)
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
        WHERE r.rolname = current_user AND d.datname = current_database()";
    let rows = session
        .ask(limits, "say how many connections it allows", sql, &[])
        .await?;
    let number = rows.first().map(|row| row.get::<Option<i32>>(0));
    Ok(number
        .transpose()?
        .flatten()
        .and_then(|number| u32::try_from(number).ok()))
}

/// Looks at the tables and the rights to them.
pub(super) async fn look(
    session: &Session,
    instance: &InstanceName,
    limits: &Limits,
) -> Result<Contents, DatabaseError> {
    let look = Look {
        session,
        limits,
        server: session.server(),
    };
    let schema = look.schema().await?;
    let tables = look.tables(&schema).await?;
    let mut contents = Contents {
        clients: look.clients().await?,
        ..Contents::default()
    };
    if tables.contains("read_only") && look.any("SELECT 1 FROM read_only LIMIT 1").await? {
        return Err(DatabaseError::Frozen {
            server: look.server.clone(),
            database: session.database().to_owned(),
        });
    }
    if tables.contains("leases") {
        let sql = "SELECT ts FROM leases WHERE id = 1";
        let rows = look.ask(sql).await?;
        let noted = rows.first().map(|row| row.get(0)).transpose()?;
        contents.last_start = noted.and_then(time_of);
    }
    if tables.contains("documents") {
        contents.has_data = look.any("SELECT 1 FROM documents LIMIT 1").await?;
    }
    if ["documents", "persistence_globals"]
        .iter()
        .all(|it| tables.contains(*it))
    {
        contents.storage = look.storage(instance).await?;
    }
    Ok(contents)
}

struct Look<'a> {
    session: &'a Session,
    limits: &'a Limits,
    server: &'a crate::convex::postgres::HostPort,
}

impl Look<'_> {
    async fn ask(&self, sql: &str) -> Result<Vec<Answer>, DatabaseError> {
        self.ask_with(sql, &[]).await
    }

    async fn ask_with(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Answer>, DatabaseError> {
        let doing = "say what is in the database";
        self.session.ask(self.limits, doing, sql, parameters).await
    }

    async fn any(&self, sql: &str) -> Result<bool, DatabaseError> {
        Ok(!self.ask(sql).await?.is_empty())
    }

    /// The schema the backend uses, which is the current one.
    async fn schema(&self) -> Result<Schema, DatabaseError> {
        let sql = "SELECT current_schema()::text, has_schema_privilege(current_schema(), 'CREATE')";
        let rows = self.ask(sql).await?;
        let row = rows.first();
        let (name, may_create): (Option<String>, Option<bool>) = match row {
            Some(row) => (row.get(0)?, row.get(1)?),
            None => (None, None),
        };
        // The backend refuses schemas of the server's own.
        match name.filter(|name| !name.starts_with("pg_")) {
            Some(name) => Ok(Schema {
                name,
                may_create: may_create.unwrap_or(false),
            }),
            None => Err(DatabaseError::NoSchema {
                server: self.server.clone(),
                database: self.session.database().to_owned(),
                user: self.session.user().to_owned(),
            }),
        }
    }

    /// The tables of a backend that are there and can be used. Refuses tables of others, and what
    /// the user may not do.
    async fn tables(&self, schema: &Schema) -> Result<BTreeSet<String>, DatabaseError> {
        let sql = "
            SELECT c.relname::text, c.relkind IN ('r', 'p'), array_agg(a.attname::text),
                has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute a
                ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind NOT IN ('i', 'I')
            GROUP BY c.oid, c.relname, c.relkind ORDER BY c.relname";
        let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&schema.name, Type::TEXT), (&names, Type::TEXT_ARRAY)];
        let rows = self.ask_with(sql, &parameters).await?;
        let (server, database) = (self.server.clone(), self.session.database().to_owned());
        let user = self.session.user().to_owned();
        let mut tables = BTreeSet::new();
        for row in rows {
            let (table, is_table): (String, bool) = (row.get(0)?, row.get(1)?);
            let (columns, usable): (Vec<String>, bool) = (row.get(2)?, row.get(3)?);
            let expected = TABLES.iter().find(|(name, _)| *name == table);
            let has = |column: &&str| columns.iter().any(|it| it == column);
            let is_ours = expected.is_some_and(|(_, expected)| expected.iter().all(has));
            // With that column they are of a kind of backends that share one database.
            if !is_table || !is_ours || has(&"instance_name") {
                return Err(DatabaseError::Occupied {
                    server,
                    database,
                    table,
                });
            }
            if !usable {
                return Err(DatabaseError::MayNotUseTable {
                    server,
                    database,
                    table,
                    user,
                });
            }
            tables.insert(table);
        }
        if tables.len() < TABLES.len() && !schema.may_create {
            return Err(DatabaseError::MayNotCreateTables {
                server,
                database,
                schema: schema.name.clone(),
                user,
            });
        }
        Ok(tables)
    }

    /// Everybody else on the database, but for looks such as this one.
    async fn clients(&self) -> Result<Vec<Peer>, DatabaseError> {
        let sql = "
            SELECT host(client_addr), nullif(application_name, '')
            FROM pg_catalog.pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND coalesce(backend_type, 'client backend') = 'client backend'
            ORDER BY 1, 2 LIMIT 1000";
        let rows = self.ask(sql).await?;
        let mut peers = Vec::new();
        for row in rows {
            let (address, program): (_, Option<String>) = (row.get(0)?, row.get(1)?);
            if program.as_deref() != Some(PROGRAM) {
                peers.push(Peer { address, program });
            }
        }
        Ok(peers)
    }

    /// Where the data says files are kept, in the backend's own document, whose table is found as
    /// the backend finds it. What is in tables of the app is never looked at: its users write it.
    async fn storage(&self, instance: &InstanceName) -> Result<Option<Storage>, DatabaseError> {
        let sql = "
            SELECT json_value FROM persistence_globals
            WHERE key = 'tables_table_id' AND octet_length(json_value) <= 100";
        let Some(row) = self.ask(sql).await?.pop() else {
            return Ok(None);
        };
        let Some(tables) = internal_id(row.get(0)?) else {
            return Ok(None);
        };
        let Some(own) = self.own_table(&tables).await? else {
            return Ok(None);
        };
        let sql = "
            SELECT json_value FROM documents
            WHERE table_id = $1 AND octet_length(json_value) <= 10000 ORDER BY ts DESC LIMIT 1";
        let Some(row) = self.ask_with(sql, &[(&own, Type::BYTEA)]).await?.pop() else {
            return Ok(None);
        };
        let globals = serde_json::from_slice::<Globals>(row.get(0)?).ok();
        match globals.and_then(|it| it.storage_type) {
            None => Ok(None),
            Some(StorageType::Local {}) => Ok(Some(Storage::Volume)),
            Some(StorageType::S3 { s3_prefix }) => {
                // The backend refuses to start under another name (upstream
                // `crates/model/src/database_globals/mod.rs`).
                if s3_prefix.starts_with(&format!("{}-", instance.as_str())) {
                    return Ok(Some(Storage::S3));
                }
                Err(DatabaseError::OtherInstance {
                    server: self.server.clone(),
                    database: self.session.database().to_owned(),
                })
            }
        }
    }
}

impl Look<'_> {
    /// The table with the one document about the deployment as such, by the table of all tables.
    async fn own_table(&self, tables: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        let sql = "
            SELECT id, json_value FROM documents
            WHERE table_id = $1 AND octet_length(json_value) <= 1000
                AND position('\"_db\"'::bytea IN json_value) > 0
            ORDER BY ts LIMIT 100";
        for row in self.ask_with(sql, &[(&tables, Type::BYTEA)]).await? {
            let table = serde_json::from_slice::<Table>(row.get(1)?).ok();
            // Components have tables of their own.
            if table.is_some_and(|it| it.name == OWN_TABLE && it.namespace.is_none()) {
                return row.get(0).map(Some);
            }
        }
        Ok(None)
    }
}

/// The name of that table (upstream `crates/model/src/database_globals/mod.rs`).
const OWN_TABLE: &str = "_db";

/// A document's ID as it is in columns, of how it is written in JSON (upstream
/// `crates/value/src/document_id.rs`).
fn internal_id(json: &[u8]) -> Option<Vec<u8>> {
    let text: String = serde_json::from_slice(json).ok()?;
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .filter(|id| id.len() == 16)
}

/// A document of the table of all tables (upstream `crates/common/src/bootstrap_model/tables.rs`).
#[derive(Deserialize)]
struct Table {
    name: String,
    #[serde(default)]
    namespace: Option<serde::de::IgnoredAny>,
}

struct Schema {
    name: String,
    may_create: bool,
}

/// The one document about the deployment as such.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Globals {
    #[serde(default)]
    storage_type: Option<StorageType>,
}

#[derive(Deserialize)]
#[serde(tag = "tag", rename_all = "camelCase")]
enum StorageType {
    #[serde(rename_all = "camelCase")]
    S3 {
        s3_prefix: String,
    },
    Local {},
}

/// What a number of nanoseconds since 1970 is, as backends note times; 0 is none.
fn time_of(nanoseconds: i64) -> Option<SystemTime> {
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|it| *it > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))
}
