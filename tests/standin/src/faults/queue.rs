//! Faults that strike single requests.

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::error::ApiError;

/// A fault in the queue: which requests it strikes, how, and how often.
#[derive(Debug, Clone, Deserialize)]
pub struct OneShot {
    /// The exact path, without the query.
    path: String,
    /// The method; any where it is left out.
    method: Option<String>,
    /// How many requests are struck, 1 where it is left out.
    #[serde(default = "once")]
    times: u32,
    /// What happens to them.
    #[serde(flatten)]
    kind: Kind,
}

/// What happens to a request that is struck.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// It is not handled, but answered with this status.
    Status {
        /// The HTTP status.
        status: u16,
        /// Makes the answer an error of the API with this code; the answer is empty where it is left out.
        code: Option<String>,
        /// The error's message.
        #[serde(default)]
        message: String,
    },
    /// It is handled after a while.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// It is not handled, and the connection is reset.
    Reset,
    /// It is handled, and the connection is closed without an answer.
    LoseReply,
    /// It is neither handled nor answered, and the connection stays open.
    Hang,
    /// It is a query, and is answered as one that took too long.
    TimeOut,
    /// It is handled, and from then on the disk of the database is full, until all faults are forgotten.
    DiskFull,
}

/// Faults that wait for their request, the oldest first.
#[derive(Default)]
pub struct Queue(Vec<OneShot>);

impl Queue {
    /// Adds a fault behind the others.
    pub fn push(&mut self, fault: OneShot) {
        self.0.push(fault);
    }

    /// Forgets all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to this request, if anything; that fault is used up by one.
    pub fn take(&mut self, method: &Method, path: &str) -> Option<Kind> {
        let index = self.0.iter().position(|fault| {
            fault.path == path
                && fault
                    .method
                    .as_deref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()))
        })?;
        let fault = &mut self.0[index];
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            Some(self.0.remove(index).kind)
        } else {
            Some(fault.kind.clone())
        }
    }
}

/// The answer of [`Kind::Status`].
#[must_use]
pub fn reply(status: u16, code: Option<String>, message: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match code {
        Some(code) => ApiError::new(status, code, message).into_response(),
        None => status.into_response(),
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_path_as_often_as_asked() {
        let mut queue = Queue::default();
        queue.push(
            serde_json::from_str(
                r#"{"path": "/a", "method": "post", "kind": "reset", "times": 2}"#,
            )
            .unwrap(),
        );
        queue.push(serde_json::from_str(r#"{"path": "/a", "kind": "delay", "ms": 5}"#).unwrap());
        assert_eq!(queue.take(&Method::POST, "/b"), None);
        assert_eq!(queue.take(&Method::POST, "/a"), Some(Kind::Reset));
        assert_eq!(queue.take(&Method::GET, "/a"), Some(Kind::Delay { ms: 5 }));
        assert_eq!(queue.take(&Method::POST, "/a"), Some(Kind::Reset));
        assert_eq!(queue.take(&Method::POST, "/a"), None);
    }
}
