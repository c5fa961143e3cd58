//! The store of a backend without an external database: one `SQLite` file on the data volume.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::{Answer, Store, StoreError};
use crate::time::timestamp;

const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS standin_documents (name TEXT PRIMARY KEY, json TEXT NOT NULL)";

/// A `SQLite` file. Every write waits for the disk.
pub struct Sqlite {
    connection: Connection,
    fresh: bool,
}

impl Sqlite {
    /// Opens the file, or makes it. A file that is there counts as a used database whatever it holds, even if the
    /// start that made it failed (observed).
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fresh = !path.exists();
        let connection = Connection::open(path).map_err(|error| failed(&error))?;
        connection
            .execute_batch(TABLES)
            .map_err(|error| failed(&error))?;
        Ok(Self { connection, fresh })
    }

    fn read(&self) -> rusqlite::Result<BTreeMap<String, String>> {
        let mut statement = self
            .connection
            .prepare("SELECT name, json FROM standin_documents")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

impl Store for Sqlite {
    fn is_fresh(&self) -> bool {
        self.fresh
    }

    fn load(&mut self) -> Answer<'_, BTreeMap<String, String>> {
        let documents = self.read().map_err(|error| failed(&error));
        Box::pin(async { documents })
    }

    fn write<'a>(&'a mut self, name: &'a str, json: &'a str) -> Answer<'a, ()> {
        let written = self
            .connection
            .execute(
                "INSERT OR REPLACE INTO standin_documents (name, json) VALUES (?1, ?2)",
                params![name, json],
            )
            .map(drop)
            .map_err(|error| StoreError::Write(error.to_string()));
        Box::pin(async { written })
    }

    fn bump(&mut self) -> Answer<'_, ()> {
        Box::pin(async {
            let timestamp = timestamp().to_string();
            self.write("max_repeatable_ts", &timestamp).await
        })
    }
}

/// What the library says alone: the real backend tells no cause either (observed).
fn failed(error: &rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}
