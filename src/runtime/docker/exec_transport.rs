//! Requests to a backend by a program in its container.

use std::{sync::Arc, time::Duration};

use bollard::exec::CreateExecOptions;
use tokio::{sync::OnceCell, time::Instant};

use super::{
    ASIDE, Docker, DockerError, Patience, observe,
    output::{Output, failed_to_start, missing_program},
};
use crate::{
    backend::{Request, Response, Transport, TransportError, curl},
    convex::AdminKey,
    plugin::redact::Foreign,
    runtime::{BACKEND_PORT, Names, Own, Role},
};

/// Requests by a program inside the backend's container. It works wherever the
/// daemon can be reached, while the container's ports often cannot.
#[derive(Clone, Debug)]
pub struct ExecTransport<D> {
    docker: D,
    names: Names,
    /// The container, once it was looked for.
    backend: Arc<OnceCell<Own>>,
    port: u16,
    patience: Patience,
}

impl<D: AsRef<Docker>> ExecTransport<D> {
    /// Requests by a program in the backend of a deployment.
    pub fn new(docker: D, names: Names, patience: Patience) -> Self {
        Self {
            docker,
            names,
            backend: Arc::default(),
            port: BACKEND_PORT,
            patience,
        }
    }

    /// The same, where the container was looked for already.
    #[must_use]
    pub fn in_container(mut self, backend: Option<Own>) -> Self {
        self.backend = Arc::new(OnceCell::new_with(backend));
        self
    }

    async fn backend(&self) -> Result<&Own, TransportError> {
        let look = || {
            let docker = self.docker.as_ref();
            docker.own_backend(&self.patience, &self.names)
        };
        let asked = Instant::now();
        let found = self.backend.get_or_try_init(look).await;
        found.map_err(|error| match error {
            error if error.is_of_state() => TransportError::NotRunning,
            error => of_docker(error, asked.elapsed()),
        })
    }

    /// A container that Docker starts again and again has ended for a reason,
    /// and one that is stopped was meant to.
    async fn why_it_does_not_run(&self, backend: &Own) -> TransportError {
        let docker = self.docker.as_ref();
        let ended = match docker.inspect(&self.patience, backend.id()).await {
            Ok(Some(found)) => {
                docker
                    .end_of_loop(&self.patience, &observe::read(found))
                    .await
            }
            Ok(None) => None,
            Err(error) => return of_docker(error, Duration::ZERO),
        };
        ended.unwrap_or(TransportError::NotRunning)
    }

    /// The same way to another port of the container.
    #[must_use]
    pub fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

impl<D: AsRef<Docker> + Send + Sync> Transport for ExecTransport<D> {
    async fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<Response, TransportError> {
        let asked = Instant::now();
        let backend = self.backend().await?;
        let config = curl::config(request, key, self.port);
        let options = CreateExecOptions {
            cmd: Some(curl::COMMAND.to_vec()),
            ..Default::default()
        };
        let output = self
            .docker
            .as_ref()
            .exec_unless(
                &self.patience,
                backend.id(),
                options,
                config.expose().as_bytes(),
                |output| curl::succeeded(&output.stdout, &output.stderr),
            )
            .await;
        let output = match output {
            Ok(output) => output,
            Err(error) if error.is_of_state() => {
                return Err(self.why_it_does_not_run(backend).await);
            }
            Err(error) => return Err(of_docker(error, asked.elapsed())),
        };
        let output = of_program(output)?;
        curl::reply(output.code, &output.stdout, &output.stderr)
    }

    fn patience(&self) -> Duration {
        self.patience.left()
    }

    async fn log(&self) -> Option<String> {
        let patience = self.patience.extended(ASIDE);
        let backend = self.backend.get()?;
        let log = self.docker.as_ref().log_tail(&patience, backend.id());
        Some(log.await)
    }
}

/// The output of a program, if it was started.
pub(super) fn of_program(output: Output) -> Result<Output, TransportError> {
    if let Some(reason) = missing_program(&output) {
        let role = Role::Backend;
        return Err(TransportError::Failed(
            DockerError::NoProgram { role, reason }.to_string(),
        ));
    }
    match failed_to_start(&output) {
        Some(reason) => Err(TransportError::Broken(Foreign::from(reason).to_string())),
        None => Ok(output),
    }
}

pub(super) fn of_docker(error: DockerError, waited: Duration) -> TransportError {
    match error {
        DockerError::TimedOut { .. } => TransportError::TimedOut {
            seconds: waited.as_secs(),
        },
        DockerError::Cancelled { .. } => TransportError::Interrupted,
        lost @ (DockerError::Unreachable { .. }
        | DockerError::NoPermission { .. }
        | DockerError::Lost { .. }) => TransportError::Carrier(lost.to_string()),
        other => TransportError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, of_program};

    #[test]
    fn what_a_backend_answers_is_never_taken_for_a_refusal_of_the_runtime() {
        let output = |said: &str| Output {
            stdout: said.as_bytes().to_vec(),
            ..Output::default()
        };
        // A variable of the deployment may have such a value.
        let listed = "[{\"value\":\"OCI runtime exec failed: : exec: \\\"x\\\"\"}]\n200";
        let good = Output {
            code: Some(0),
            ..output("OCI runtime exec failed")
        };
        for answer in [output(listed), good] {
            assert!(of_program(answer).is_ok());
        }
    }
}
