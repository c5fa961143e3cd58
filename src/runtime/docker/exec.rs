//! Programs inside containers.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Docker, DockerError, Patience, output::Output};

/// Longest output that is read, in bytes: twice the longest reply of a backend.
/// More of it is an error, and never a part taken for the whole.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// Pause between two questions whether a program that has closed its output has ended.
const ENDING: Duration = Duration::from_millis(10);

impl Docker {
    /// Runs a program in a running container to its end and gives it `stdin`. Nothing
    /// secret may be among its arguments, which anybody on the host can list.
    /// Whether it succeeded is for the caller to judge.
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
        self.exec_unless(patience, container, options, stdin, |_| false)
            .await
    }

    /// The same. The daemon is not asked for the exit code where what was
    /// printed tells that it is 0.
    pub(super) async fn exec_unless(
        &self,
        patience: &Patience,
        container: &str,
        options: CreateExecOptions<&str>,
        stdin: &[u8],
        succeeded: impl Fn(&Output) -> bool,
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
            return Err(not_attached(doing));
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
        let mut printed = self.call(patience, &doing, talk).await?;
        if printed.length() > MAX_OUTPUT {
            return Err(DockerError::Failed {
                doing,
                reason: format!("it printed more than {MAX_OUTPUT} bytes"),
            });
        }
        printed.code = if succeeded(&printed) {
            Some(0)
        } else {
            self.exit_code(patience, &exec.id, &doing).await?
        };
        Ok(printed)
    }

    /// How a program ended that has closed its output.
    async fn exit_code(
        &self,
        patience: &Patience,
        exec: &str,
        doing: &str,
    ) -> Result<Option<i64>, DockerError> {
        loop {
            let request = self.client.inspect_exec(exec);
            let exec = self.call(patience, doing, request).await?;
            // Its output ends a little before the daemon knows that it has ended.
            if !exec.running.unwrap_or_default() {
                return Ok(exec.exit_code);
            }
            self.within(patience, doing, tokio::time::sleep(ENDING))
                .await?;
        }
    }

    /// Runs a program in a running container and writes what it prints into
    /// `target`. More than `limit` bytes are an error. Returns how many bytes
    /// that were.
    pub(super) async fn exec_into(
        &self,
        patience: &Patience,
        container: &str,
        command: &[&str],
        (target, limit): (&mut (impl AsyncWrite + Unpin), u64),
    ) -> Result<u64, DockerError> {
        let doing = format!("run {} in {container}", command[0]);
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.client.create_exec(container, options);
        let exec = self.call(patience, &doing, exec).await?;
        // Each piece has a head, and may be short.
        let with_heads = limit.saturating_mul(2).saturating_add(MAX_OUTPUT as u64);
        self.engine.expect_output(&exec.id, with_heads);
        let started = self.client.start_exec(&exec.id, None::<StartExecOptions>);
        let StartExecResults::Attached { mut output, .. } =
            self.call(patience, &doing, started).await?
        else {
            return Err(not_attached(doing));
        };
        let copy = async {
            let (mut written, mut printed) = (0, Output::default());
            while let Some(part) = output.next().await {
                match part? {
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        written += message.len() as u64;
                        if written > limit {
                            break;
                        }
                        target.write_all(&message).await?;
                    }
                    LogOutput::StdErr { message } if printed.length() < MAX_OUTPUT => {
                        printed.stderr.extend(&message);
                    }
                    LogOutput::StdErr { .. } | LogOutput::StdIn { .. } => {}
                }
            }
            target.flush().await?;
            Ok((written, printed))
        };
        let (written, mut printed) = self.call(patience, &doing, copy).await?;
        if written > limit {
            let reason = format!("it printed more than {limit} bytes");
            return Err(DockerError::Failed { doing, reason });
        }
        printed.code = self.exit_code(patience, &exec.id, &doing).await?;
        printed.of_success(&doing)?;
        Ok(written)
    }
}

fn not_attached(doing: String) -> DockerError {
    DockerError::Failed {
        doing,
        reason: "the daemon did not attach to it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::{
        Kind, Own,
        docker::{
            DockerError,
            daemon::{Daemon, json, printed, refusal},
        },
    };

    #[tokio::test]
    async fn only_an_exit_code_of_zero_is_success() {
        let said = || printed(&[(1, "out"), (2, "rm: Permission denied\n")]);
        let files = ["/f".to_owned()];
        let own = Own::check(Kind::Container, "a", "a".to_owned(), Some("a"), "a").unwrap();
        let cases = [
            (Some(0), None),
            (Some(1), Some("it ended with code 1: rm: Permission denied")),
            (Some(137), Some("it ended with code 137")),
            (None, Some("it was not run to its end")),
        ];
        for (code, expected) in cases {
            let Daemon {
                docker, patience, ..
            } = &Daemon::ending(code, said());
            let mut target = Vec::new();
            let outcomes = [
                docker.remove_all(patience, "a", &files, &[]).await,
                docker.note_restore(patience, &own, "m", true).await,
                docker
                    .exec_into(patience, "a", &["cat", "/f"], (&mut target, 3))
                    .await
                    .map(drop),
            ];
            for outcome in outcomes {
                let refused = outcome.err().map(|it| it.to_string());
                assert_eq!(refused.is_some(), expected.is_some(), "{code:?}");
                let refused = refused.unwrap_or_default();
                assert!(refused.contains(expected.unwrap_or_default()), "{refused}");
            }
            assert_eq!(target, b"out");
        }
    }

    #[tokio::test]
    async fn no_more_is_written_than_was_expected() {
        let Daemon {
            docker, patience, ..
        } = &Daemon::ending(Some(0), printed(&[(1, "out"), (1, "put")]));
        let mut target = Vec::new();
        let command = ["cat", "/f"];
        let more = docker.exec_into(patience, "a", &command, (&mut target, 5));
        let error = more.await.unwrap_err().to_string();
        assert!(error.ends_with("it printed more than 5 bytes"), "{error}");
        assert_eq!(target, b"out");
    }

    #[tokio::test]
    async fn a_piece_without_end_is_not_kept() {
        let mut endless = printed(&[(1, "out")]);
        endless.extend([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        endless.extend(vec![b'x'; 40 << 20]);
        let Daemon {
            docker, patience, ..
        } = &Daemon::ending(Some(0), endless);
        let too_long = |error: DockerError| {
            let error = error.to_string();
            assert!(
                error.contains("the daemon's reply has more than "),
                "{error}"
            );
        };
        too_long(docker.exec(patience, "a", &["a"], b"").await.unwrap_err());
        let target = (&mut Vec::new(), 3);
        let into = docker.exec_into(patience, "a", &["a"], target);
        too_long(into.await.unwrap_err());
    }

    #[tokio::test]
    async fn json_without_end_is_not_kept() {
        for status in [200, 500] {
            let endless = Daemon::new(move |_| {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json");
                let begin = format!("{head}\r\nConnection: close\r\n\r\n[\"");
                [begin.into_bytes(), vec![b'x'; 34 << 20]].concat()
            });
            let error = endless.docker.port_holders(&endless.patience).await;
            let error = error.unwrap_err().to_string();
            assert_eq!(
                error,
                "cannot list containers: the daemon's reply has more than 33554432 bytes"
            );
        }
    }

    #[tokio::test]
    async fn a_program_is_waited_for_until_it_has_ended() {
        let asked = std::sync::atomic::AtomicU8::new(0);
        let daemon = Daemon::new(move |request| {
            if request.starts_with("POST /containers/a/exec") {
                return json(201, r#"{"Id":"e"}"#);
            }
            if request.starts_with("POST /exec/e/start") {
                return printed(&[]);
            }
            match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 | 1 => json(200, r#"{"Running":true,"ExitCode":null}"#),
                _ => json(200, r#"{"Running":false,"ExitCode":7}"#),
            }
        });
        let output = daemon
            .docker
            .exec(&daemon.patience, "a", &["true"], b"")
            .await
            .unwrap();
        assert_eq!(output.code, Some(7));
        // A container that ended meanwhile has taken the program along.
        let gone = Daemon::new(|request| match request.split(' ').nth(1) {
            Some("/containers/a/exec") => json(201, r#"{"Id":"e"}"#),
            Some("/exec/e/start") => printed(&[(1, "ok")]),
            _ => refusal(404, "No such exec instance: e"),
        });
        let outcome = gone.docker.exec(&gone.patience, "a", &["true"], b"").await;
        assert!(outcome.unwrap_err().is_of_state());
    }
}
