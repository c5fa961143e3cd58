//! How long work on a database may take.

use std::{future::Future, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DatabaseError;
use crate::convex::postgres::HostPort;

/// Until when work on a database may go on, and what ends it before.
#[derive(Clone, Debug)]
pub struct Limits {
    deadline: Instant,
    patient_until: Instant,
    cancel: CancellationToken,
}

impl Limits {
    /// Until `limit` from now, or until `cancel` fires. A server that is not up yet is an error.
    #[must_use]
    pub fn new(limit: Duration, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        Self {
            deadline: now + limit,
            patient_until: now,
            cancel,
        }
    }

    /// Lets a server that does not listen yet, or says it is starting, have so much time from now.
    /// A server that is made in the same run needs it.
    #[must_use]
    pub fn waiting_for_server(mut self, time: Duration) -> Self {
        self.patient_until = Instant::now() + time;
        self
    }

    /// Whether it is worth trying again.
    pub(super) fn may_wait(&self) -> bool {
        Instant::now() < self.patient_until.min(self.deadline)
    }

    /// Waits a little before the next try.
    pub(super) async fn pause(
        &self,
        server: &HostPort,
        time: Duration,
    ) -> Result<(), DatabaseError> {
        let sleep = async {
            tokio::time::sleep(time).await;
            Ok(())
        };
        self.within(server, "wait for the server", time * 2, sleep)
            .await
    }

    /// Does `work`, which is to take no longer than `longest`.
    pub(super) async fn within<T>(
        &self,
        server: &HostPort,
        doing: &'static str,
        longest: Duration,
        work: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let started = Instant::now();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(DatabaseError::Cancelled {
                server: server.clone(),
                doing,
            }),
            outcome = work => outcome,
            () = tokio::time::sleep_until(self.deadline.min(started + longest)) => {
                Err(DatabaseError::TimedOut {
                    server: server.clone(),
                    doing,
                    seconds: started.elapsed().as_secs().max(1),
                })
            }
        }
    }
}
