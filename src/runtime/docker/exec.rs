//! Programs inside containers.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{ASIDE, Docker, DockerError, Patience};
use crate::{
    backend::{Request, Response, Transport, TransportError, curl},
    convex::AdminKey,
    runtime::{BACKEND_PORT, Role},
};

/// Longest output that is read, in bytes: twice the longest reply of a backend.
/// More of it is an error, and never a part taken for the whole.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// What a program in a container printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Output {
    fn length(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }
}

impl Docker {
    /// Runs a program in a running container and gives it `stdin`. Nothing
    /// secret may be among its arguments, which anybody on the host can list.
    pub(super) async fn exec(
        &self,
        patience: &Patience,
        container: &str,
        command: &[&str],
        stdin: &[u8],
    ) -> Result<Output, DockerError> {
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        self.exec_with(patience, container, options, stdin).await
    }

    /// The same, as another user or with an environment. What is attached is
    /// not for the caller to say.
    pub(super) async fn exec_with(
        &self,
        patience: &Patience,
        container: &str,
        options: CreateExecOptions<&str>,
        stdin: &[u8],
    ) -> Result<Output, DockerError> {
        let program = options.cmd.as_ref().and_then(|it| it.first());
        let doing = format!("run {} in {container}", program.unwrap_or(&"nothing"));
        let options = CreateExecOptions {
            attach_stdin: Some(!stdin.is_empty()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..options
        };
        let exec = self
            .call(
                patience,
                &doing,
                self.client.create_exec(container, options),
            )
            .await?;
        let started = self.client.start_exec(&exec.id, None::<StartExecOptions>);
        let StartExecResults::Attached {
            mut output,
            mut input,
        } = self.call(patience, &doing, started).await?
        else {
            return Ok(Output::default());
        };
        let talk = async {
            // A program that ends before it has read everything breaks the
            // pipe. What it printed says why.
            let write = async {
                if input.write_all(stdin).await.is_ok() {
                    let _ = input.shutdown().await;
                }
            };
            let read = async {
                let mut printed = Output::default();
                while let Some(part) = output.next().await {
                    match part? {
                        LogOutput::StdErr { message } => printed.stderr.extend(&message),
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            printed.stdout.extend(&message);
                        }
                        LogOutput::StdIn { .. } => {}
                    }
                    if printed.length() > MAX_OUTPUT {
                        break;
                    }
                }
                Ok(printed)
            };
            tokio::join!(write, read).1
        };
        let printed = self.call(patience, &doing, talk).await?;
        if printed.length() > MAX_OUTPUT {
            return Err(DockerError::Failed {
                doing,
                reason: format!("it printed more than {MAX_OUTPUT} bytes"),
            });
        }
        Ok(printed)
    }

    /// Runs a program in a running container and writes what it prints into
    /// `target`, of whatever length. Returns how many bytes that were.
    pub(super) async fn exec_into(
        &self,
        patience: &Patience,
        container: &str,
        command: &[&str],
        target: &mut impl std::io::Write,
    ) -> Result<u64, DockerError> {
        let doing = format!("run {} in {container}", command[0]);
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            ..Default::default()
        };
        let exec = self.client.create_exec(container, options);
        let exec = self.call(patience, &doing, exec).await?;
        let started = self.client.start_exec(&exec.id, None::<StartExecOptions>);
        let StartExecResults::Attached { mut output, .. } =
            self.call(patience, &doing, started).await?
        else {
            return Ok(0);
        };
        let copy = async {
            let mut written = 0;
            while let Some(part) = output.next().await {
                let part = part?.into_bytes();
                target.write_all(&part)?;
                written += part.len() as u64;
            }
            Ok(written)
        };
        self.call(patience, &doing, copy).await
    }
}

/// What Docker prints in place of a program that cannot be started. That the
/// container was just ending is told in the same way, and means nothing.
fn failed_to_start(output: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stdout);
    said.contains("OCI runtime exec failed")
        .then(|| said.trim().to_owned())
}

/// What Docker prints in place of a program that is not in the image.
pub(super) fn missing_program(output: &Output) -> Option<String> {
    let reasons = [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "exec format error",
    ];
    failed_to_start(output).filter(|said| reasons.iter().any(|reason| said.contains(reason)))
}

/// Requests by a program inside the backend's container. It works wherever the
/// daemon can be reached, while the container's ports often cannot.
#[derive(Clone, Debug)]
pub struct ExecTransport<D> {
    docker: D,
    container: String,
    port: u16,
    patience: Patience,
}

impl<D: AsRef<Docker>> ExecTransport<D> {
    /// Requests by a program in `container`.
    pub fn new(docker: D, container: String, patience: Patience) -> Self {
        Self {
            docker,
            container,
            port: BACKEND_PORT,
            patience,
        }
    }

    /// A container that Docker starts again and again has ended for a reason,
    /// and one that is stopped was meant to.
    async fn why_it_does_not_run(&self) -> TransportError {
        let docker = self.docker.as_ref();
        match docker.end_of_loop(&self.patience, &self.container).await {
            Ok(ended) => ended.unwrap_or(TransportError::NotRunning),
            Err(error) => of_docker(error, Duration::ZERO),
        }
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
        let config = curl::config(request, key, self.port);
        let output = self
            .docker
            .as_ref()
            .exec(
                &self.patience,
                &self.container,
                &curl::COMMAND,
                config.expose().as_bytes(),
            )
            .await;
        let output = match output {
            Ok(output) => output,
            Err(DockerError::Absent { .. }) => return Err(self.why_it_does_not_run().await),
            Err(error) => return Err(of_docker(error, asked.elapsed())),
        };
        let output = of_program(output)?;
        curl::reply(&output.stdout, &output.stderr)
    }

    fn patience(&self) -> Duration {
        self.patience.left()
    }

    async fn log(&self) -> Option<String> {
        let patience = self.patience.extended(ASIDE);
        let log = self.docker.as_ref().log_tail(&patience, &self.container);
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
        Some(reason) => Err(TransportError::Broken(reason)),
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
    use super::{Output, failed_to_start, missing_program};

    #[test]
    fn a_container_that_was_ending_is_told_from_an_image_without_the_program() {
        let output = |said: &str| Output {
            stdout: said.as_bytes().to_vec(),
            stderr: Vec::new(),
        };
        let missing = output(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown\r\n",
        );
        assert!(missing_program(&missing).is_some());
        let ending = output(
            "OCI runtime exec failed: exec failed: unable to start container process: error executing setns process: exit status 1: unknown\r\n",
        );
        assert!(missing_program(&ending).is_none());
        assert!(failed_to_start(&ending).is_some());
        assert!(failed_to_start(&output("{}\n200")).is_none());
    }
}
