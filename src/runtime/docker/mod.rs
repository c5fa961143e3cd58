//! A deployment on Docker.
//!
//! The one place that speaks Docker's API. Looking never changes anything, and
//! every step can be repeated: after a lost reply or a killed process the next
//! run finds what is there and goes on.

mod archive;
mod clone;
mod config_file;
mod create;
#[cfg(test)]
mod daemon;
mod dial;
mod engine;
mod error;
mod exec;
mod exec_transport;
mod execute;
mod files;
mod host;
mod image;
mod inventory;
mod look;
mod network;
mod observe;
mod output;
mod own;
mod pages;
mod registry;
mod restarts;
mod snapshot;
mod transport;
mod tunnel;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{
    config_file::ConfigFileError,
    create::Lender,
    dial::SshProblem,
    error::DockerError,
    exec_transport::ExecTransport,
    execute::Job,
    files::{ForeignContainer, InContainer, Owner, Put},
    host::{
        Connection, ContextError, Endpoint, EndpointError, HostConfig, HostError, Origin,
        SshAddress, SshConfig, SshConfigError, Surroundings, TlsConfig, TlsConfigError, TlsProblem,
    },
    image::{ImageFacts, same_repository},
    inventory::Found,
    observe::Credentials,
    pages::FromInside,
    registry::{HelperProblem, Registries, RegistryAuth, Source},
    transport::ApiVersion,
    tunnel::TunnelError,
};

/// A Docker daemon. Nothing is dialled before it is needed.
#[derive(Debug)]
pub struct Docker {
    endpoint: Endpoint,
    client: bollard::Docker,
    engine: Arc<engine::Engine>,
    registries: Arc<Registries>,
}

/// How much longer it takes at most to find out why something failed.
const ASIDE: Duration = Duration::from_secs(10);

/// How long an operation goes on, and what can end it before.
#[derive(Clone, Debug)]
pub struct Patience {
    deadline: Instant,
    cancel: CancellationToken,
}

impl Patience {
    /// Until `limit` from now, or until `cancel` fires.
    #[must_use]
    pub fn new(limit: Duration, cancel: CancellationToken) -> Self {
        Self {
            deadline: Instant::now() + limit,
            cancel,
        }
    }

    /// The same, but from now on for at least so long.
    fn extended(&self, least: Duration) -> Self {
        Self {
            deadline: self.deadline.max(Instant::now() + least),
            cancel: self.cancel.clone(),
        }
    }

    /// The same, but for so long at most.
    fn at_most(&self, most: Duration) -> Self {
        Self {
            deadline: self.deadline.min(Instant::now() + most),
            cancel: self.cancel.clone(),
        }
    }

    /// How long is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Docker {
    /// The daemon that is reached in this way, which pulls images with these
    /// credentials.
    pub fn new(connection: Connection, registries: Arc<Registries>) -> Result<Self, DockerError> {
        let endpoint = connection.endpoint().clone();
        let engine = Arc::default();
        let client = transport::client(connection, Arc::clone(&engine))
            .map_err(|error| error::classify(&endpoint, "make a client", error))?;
        Ok(Self {
            endpoint,
            client,
            engine,
            registries,
        })
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Runs one request for as long as patience lasts. It may be dropped in
    /// the middle; what the daemon makes of it is found by the next look.
    async fn call<T>(
        &self,
        patience: &Patience,
        doing: &str,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        let outcome = self.within(patience, doing, request).await?;
        outcome.map_err(|error| error::classify(&self.endpoint, doing, error))
    }

    /// Waits for `work` for as long as patience lasts.
    async fn within<T>(
        &self,
        patience: &Patience,
        doing: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, DockerError> {
        tokio::select! {
            biased;
            () = patience.cancel.cancelled() => Err(DockerError::Cancelled { doing: doing.to_owned() }),
            outcome = work => Ok(outcome),
            () = tokio::time::sleep_until(patience.deadline) => Err(DockerError::TimedOut {
                endpoint: self.endpoint.clone(),
                doing: doing.to_owned(),
            }),
        }
    }
}

/// Turns the absence of an object into `None`.
fn found<T>(outcome: Result<T, DockerError>) -> Result<Option<T>, DockerError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
