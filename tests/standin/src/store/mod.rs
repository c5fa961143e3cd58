//! Where a deployment outlives its process: a handful of named JSON documents, in `SQLite` or in Postgres.

pub mod postgres;
pub mod postgres_url;
pub mod sqlite;

use std::collections::BTreeMap;
use std::pin::Pin;

/// The answer of a store, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A database that holds one deployment. All rules are outside; a store only keeps what it is given.
pub trait Store: Send {
    /// Whether this start is the database's first.
    fn is_fresh(&self) -> bool;
    /// All documents, as JSON by name.
    fn load(&mut self) -> Answer<'_, BTreeMap<String, String>>;
    /// Replaces one document. Once this answers, the document is durable.
    fn write<'a>(&'a mut self, name: &'a str, json: &'a str) -> Answer<'a, ()>;
    /// Writes a timestamp, as every start does and a file's owner does every now and then.
    fn bump(&mut self) -> Answer<'_, ()>;
}

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another backend has taken the database since. Whoever hears this must stop.
    #[error("Lease Lost")]
    LeaseLost,
    /// The address of the database is not one that the backend takes. It never repeats the address, which holds a
    /// password.
    #[error("{0}")]
    BadUrl(String),
    /// The database failed, or is out of reach for now.
    #[error("{0}")]
    Failed(String),
    /// A file could not be written, and nobody knows what it has now. Whoever hears this must stop.
    #[error("{0}")]
    Write(String),
}

impl StoreError {
    /// Whether the process has to end.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::LeaseLost | Self::Write(_))
    }

    /// A failure with all of its causes in one line.
    fn failed(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        Self::Failed(text)
    }
}
