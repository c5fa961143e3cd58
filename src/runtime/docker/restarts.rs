//! Containers that Docker starts again and again.
//!
//! Between two ends such a container runs for a while, so what it is doing at one moment says
//! little. It is looked at until it has served for as long as Docker itself asks of a start.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Docker, DockerError, Patience, observe,
    output::{Output, missing_program},
};
use crate::{
    backend::TransportError,
    runtime::{
        ObservedContainer, Readiness, Role, State,
        contract::{BACKEND_READY, DASHBOARD_READY},
    },
};

/// How long a program has to serve, in hundredths of a second. Docker counts shorter runs as failed
/// starts (moby `restartmanager`).
const STEADY: u32 = 1_000;

/// How long a container is looked at at most.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the daemon may take to notice that a container has ended.
const ENDING: Duration = Duration::from_secs(2);

/// Succeeds once the path answers and the container's first process has run for long enough. Both
/// times are those of the kernel, which no clock changes.
fn script(ready: Readiness) -> String {
    let Readiness { port, path } = ready;
    let tries = LIMIT.as_secs() * 10;
    format!(
        "began() {{ sed 's/.*) //' \"/proc/$1/stat\" | cut -d ' ' -f 20; }}
i=0
until curl -qfsS -m 5 -o /dev/null http://127.0.0.1:{port}{path} && [ $(($(began self) - $(began 1))) -ge {STEADY} ]; do
  i=$((i+1)); [ $i -lt {tries} ] || exit 1; sleep 0.1
done"
    )
}

impl Docker {
    /// What a container that Docker has started again comes to: it serves, or it has ended once
    /// more. One that does neither in time runs.
    pub(super) async fn settled(
        &self,
        patience: &Patience,
        role: Role,
        found: ObservedContainer,
    ) -> Result<ObservedContainer, DockerError> {
        if !found.is_running() || found.restart_count == 0 {
            return Ok(found);
        }
        let ready = match role {
            Role::Backend => BACKEND_READY,
            Role::Dashboard => DASHBOARD_READY,
            Role::Probe => return Ok(found),
        };
        let patience = &patience.at_most(LIMIT.min(patience.left() / 2));
        let script = script(ready);
        loop {
            let command = ["sh", "-c", script.as_str()];
            let output = match self.exec(patience, &found.id, &command, b"").await {
                Ok(output) => output,
                Err(error) if error.is_of_state() => Output::default(),
                Err(DockerError::TimedOut { .. }) => return Ok(found),
                Err(error) => return Err(error),
            };
            if output.code == Some(0) || missing_program(&output).is_some() {
                return Ok(found);
            }
            match self.next_end(patience, &found).await {
                Ok(None) => {}
                Ok(Some(ended)) => return Ok(ended),
                Err(DockerError::TimedOut { .. }) => return Ok(found),
                Err(error) => return Err(error),
            }
        }
    }

    /// The container once it has ended; `None` where it runs on after all.
    async fn next_end(
        &self,
        patience: &Patience,
        found: &ObservedContainer,
    ) -> Result<Option<ObservedContainer>, DockerError> {
        let asked = Instant::now();
        while asked.elapsed() < ENDING {
            let Some(now) = self.inspect(patience, &found.id).await? else {
                let state = State::Dying;
                return Ok(Some(ObservedContainer {
                    state,
                    ..found.clone()
                }));
            };
            let now = observe::read(now);
            if !now.is_running() {
                return Ok(Some(now));
            }
            let pause = tokio::time::sleep(Duration::from_millis(50));
            self.within(patience, "wait for the container to end", pause)
                .await?;
        }
        Ok(None)
    }

    /// How a container ended that Docker starts again and again; `None` for any other.
    pub async fn end_of_loop(
        &self,
        patience: &Patience,
        container: &ObservedContainer,
    ) -> Option<TransportError> {
        let State::Restarting {
            code,
            out_of_memory,
        } = container.state
        else {
            return None;
        };
        Some(TransportError::Ended {
            code,
            out_of_memory,
            restarts: container.restart_count,
            log: self.log_tail(patience, &container.id).await,
        })
    }
}
