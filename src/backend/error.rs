//! What can go wrong with a request.

use crate::plugin::redact::Foreign;

/// The request or its reply did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// There is no backend, or it is stopped.
    #[error("the backend is not running")]
    NotRunning,
    /// Nothing answers at the address. The request was not handled.
    #[error("nothing answers: {0}")]
    Unreachable(String),
    /// The backend runs and does not listen yet, for longer than anybody waits.
    #[error("the backend has not listened within {seconds} s")]
    Silent {
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// Docker starts the backend again and again.
    #[error("the backend keeps restarting: it last ended with code {code}")]
    Ended {
        /// Its last exit code.
        code: i64,
        /// Whether it used more memory than it may.
        out_of_memory: bool,
        /// How often Docker has started it again.
        restarts: u64,
        /// The end of its log.
        log: String,
    },
    /// The connection ended before the reply did. Whether the request was
    /// handled is unknown.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No reply in time. Whether the request was handled is unknown.
    #[error("no reply within {seconds} s")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// Whoever asked does not want to wait any longer. Whether the request was
    /// handled is unknown.
    #[error("interrupted")]
    Interrupted,
    /// The certificate is not trusted, or there is no TLS where it is expected.
    #[error("no trusted connection: {0}")]
    Tls(String),
    /// The reply is longer than any sane one.
    #[error("the reply is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// What carries requests to the backend is itself not there, such as the
    /// daemon that runs it. Whether the request was handled is unknown.
    #[error("{0}")]
    Carrier(String),
    /// The way to the backend itself failed.
    #[error("{0}")]
    Failed(String),
}

/// A request that did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It did not arrive, or its reply did not.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The admin key is for another instance, or for this one under another
    /// secret.
    #[error("the backend does not accept the admin key")]
    KeyRefused,
    /// The admin key may read only.
    #[error("the admin key does not allow this operation")]
    NotAllowed,
    /// Others changed variables at the same time, again and again.
    #[error("others keep changing the variables at the same time")]
    Contended,
    /// The backend has more to do than it can, and did not handle the request.
    #[error("the backend is overloaded: {message} ({code})")]
    Busy {
        /// The backend's name for the problem, for example `ExpiredInQueue`.
        code: String,
        /// Its own words.
        message: Foreign,
    },
    /// The backend failed. Whether it made a change is unknown.
    #[error("the backend failed: {message} ({code})")]
    Failed {
        /// The backend's name for the problem, for example `InternalServerError`.
        code: String,
        /// Its own words.
        message: Foreign,
    },
    /// There is no space left for the backend's data. Whether it made a change
    /// is unknown.
    #[error("there is no space left for the backend's data")]
    DiskFull,
    /// A query ended with an error.
    #[error("a query failed: {message}")]
    Query {
        /// The backend's own words.
        message: Foreign,
    },
    /// The backend understood and refused.
    #[error("the backend refused: {message} ({code})")]
    Refused {
        /// The backend's name for the problem, for example `EnvVarLimitMet`.
        code: String,
        /// Its own words.
        message: Foreign,
    },
    /// Another server, such as a login page in front of the backend, answers.
    #[error("the address answers with a redirect (status {status}), not as a Convex backend")]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The backend lacks this endpoint, or the address is no backend's.
    #[error("the address has no such endpoint")]
    NotFound,
    /// An answer that no known backend gives.
    #[error("the backend gave an answer that makes no sense here (status {status})")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
}

impl BackendError {
    /// Whether the same call may well succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Contended | Self::Busy { .. } | Self::Transport(TransportError::Broken(_)) => {
                true
            }
            // A query of the system may take a second, and no longer on a
            // machine that is too busy.
            Self::Query { message } => message.as_str().contains("timed out"),
            _ => false,
        }
    }

    /// Whether a full disk can be the cause. The backend itself only says so in
    /// its log.
    #[must_use]
    pub fn may_be_full_disk(&self) -> bool {
        matches!(
            self,
            Self::Contended
                | Self::Failed { .. }
                | Self::Transport(TransportError::Broken(_) | TransportError::Unreachable(_))
        )
    }

    /// Whether the backend is stopped, ends whenever it is started, or does not
    /// come so far as to listen.
    #[must_use]
    pub fn is_down(&self) -> bool {
        use TransportError::{Ended, NotRunning, Silent};
        matches!(
            self,
            Self::Transport(NotRunning | Ended { .. } | Silent { .. })
        )
    }
}
