//! Operations under way.

use std::{any::Any, future::Future};

use tokio_util::task::TaskTracker;

use super::Outcome;
use crate::plugin::{diagnostic::Diagnostic, redact::Foreign};

/// The operations under way. They run apart from the calls that started them:
/// a panic ends one alone, and one whose caller is gone is not dropped in the
/// middle but told to stop.
#[derive(Clone)]
pub(crate) struct Tasks {
    pub(crate) tracker: TaskTracker,
}

impl Tasks {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Outcome<T>> + Send + 'static,
    ) -> Outcome<T> {
        match self.tracker.spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(crash(error).into()),
        }
    }
}

fn crash(error: tokio::task::JoinError) -> Diagnostic {
    let said = error
        .try_into_panic()
        .map_or_else(|error| error.to_string(), |payload| panic_text(&*payload));
    Diagnostic::error(
        "The provider crashed",
        format!(
            "An operation panicked: {}. What it had made before is kept in the state, and the next apply goes on from there. Please report this to the provider's developers.",
            Foreign::from(said)
        ),
    )
}

pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
