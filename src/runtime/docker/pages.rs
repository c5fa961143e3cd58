//! Pages as the backend sees them: asked by a program inside its container.

use tokio::time::Instant;

use super::{
    Docker, Patience,
    exec_transport::{of_docker, of_program},
};
use crate::backend::{
    TransportError, curl,
    page::{self, Ask, Page, Pages},
};

/// The inside of a container.
#[derive(Clone, Debug)]
pub struct FromInside<D> {
    docker: D,
    container: String,
    patience: Patience,
}

impl<D: AsRef<Docker>> FromInside<D> {
    /// The inside of `container`.
    pub fn new(docker: D, container: String, patience: Patience) -> Self {
        Self {
            docker,
            container,
            patience,
        }
    }
}

impl<D: AsRef<Docker> + Send + Sync> Pages for FromInside<D> {
    async fn ask(&self, ask: Ask<'_>) -> Result<Page, TransportError> {
        let asked = Instant::now();
        let config = page::config(ask);
        let output = self
            .docker
            .as_ref()
            .exec(
                &self.patience,
                &self.container,
                &curl::COMMAND,
                config.expose().as_bytes(),
            )
            .await
            .map_err(|error| match error {
                error if error.is_of_state() => TransportError::NotRunning,
                error => of_docker(error, asked.elapsed()),
            })?;
        let output = of_program(output)?;
        page::page(output.code, &output.stdout, &output.stderr)
    }
}
