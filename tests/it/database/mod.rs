//! Looking at a database server, held to a real one and to programs that are none.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod backend;
mod certificates;
mod contents;
mod create;
mod login;
mod strangers;

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use terraform_provider_convex::{
    convex::{Database, InstanceName, database::DatabaseSettings},
    database::{DatabaseError, Found, Limits, Server, Tcp},
};
use tokio_util::sync::CancellationToken;

use crate::support::postgres;

/// The settings of most tests, with what one changes.
fn database<'a>(url: &'a str, change: impl FnOnce(&mut DatabaseSettings<'a>)) -> Database {
    let mut settings = DatabaseSettings {
        url,
        ..DatabaseSettings::default()
    };
    change(&mut settings);
    Database::parse(&settings).unwrap()
}

fn limits() -> Limits {
    Limits::new(Duration::from_secs(30), CancellationToken::new())
}

fn instance(name: &str) -> InstanceName {
    InstanceName::parse(name).unwrap()
}

async fn look_as(database: &Database, name: &str) -> Result<Found, DatabaseError> {
    let server = Server::new(database, Tcp)?.unwrap();
    server.look(&instance(name), &limits()).await
}

/// Looks for the database of instance `my-app`.
async fn look(url: &str) -> Result<Found, DatabaseError> {
    look_as(&database(url, |_| ()), "my-app").await
}

async fn prepare(database: &Database, name: &str) -> Result<Found, DatabaseError> {
    let server = Server::new(database, Tcp)?.unwrap();
    server.prepare(&instance(name), &limits()).await
}

/// A server without TLS that tests share. It is stopped with the last of them.
fn shared() -> Arc<postgres::Server> {
    static SHARED: Mutex<Weak<postgres::Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let settings = "ssl = off\nlisten_addresses = '127.0.0.1, ::1'";
        let server = Arc::new(postgres::Server::with(settings));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// Makes a role and gives the URL by which it logs in, without TLS.
fn role(server: &postgres::Server, name: &str, rights: &str) -> String {
    let sql = format!("CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret' {rights}");
    server.sql("postgres", &sql);
    format!(
        "postgres://{name}:secret@localhost:{}?sslmode=disable",
        server.port
    )
}
