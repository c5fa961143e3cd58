//! The database server of a deployment, looked at before anything is started on it.
//!
//! A backend that cannot use its database ends at its start, with a line in its log. Here the same
//! is found out beforehand, and each cause is an error of its own: who is not known, what does not
//! listen, which certificate does not hold, who may not log in or create, and what is in the way.
//! [`Server::look`] changes nothing; [`Server::prepare`] creates the database if it is missing and
//! may be created. How a server is reached is a [`Dial`]'s business: [`Tcp`] from here, or any
//! other stream of bytes.
//!
//! ```no_run
//! use std::time::Duration;
//! use terraform_provider_convex::convex::{Database, InstanceName};
//! use terraform_provider_convex::database::{DatabaseError, Limits, Server, Tcp};
//! use tokio_util::sync::CancellationToken;
//!
//! async fn before_a_start(
//!     database: &Database,
//!     instance: &InstanceName,
//! ) -> Result<(), DatabaseError> {
//!     let limits = Limits::new(Duration::from_secs(60), CancellationToken::new())
//!         .waiting_for_server(Duration::from_secs(15));
//!     if let Some(server) = Server::new(database, Tcp)? {
//!         let found = server.prepare(instance, &limits).await?;
//!         if let Some(holder) = found.contents.and_then(|contents| contents.holder()) {
//!             // Not an error here: it may be the deployment's own backend.
//!             let _ = format!("{holder} is using the database");
//!         }
//!     }
//!     Ok(())
//! }
//! ```

mod classify;
mod contents;
mod dial;
mod error;
mod greeting;
mod limits;
mod remedy;
mod server;
mod session;
mod tls;
mod version;

pub use self::{
    contents::{Contents, Holder, Peer, Storage},
    dial::{Dial, Tcp, of_connecting},
    error::{DatabaseError, Part},
    limits::Limits,
    server::{Found, Presence, Server},
    session::Session,
    version::Version,
};
