//! What can go wrong with a request.

/// The request or its reply did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// There is no backend, or it is stopped.
    #[error("the backend is not running")]
    NotRunning,
    /// Nothing answers at the address. The request was not handled.
    #[error("nothing answers: {0}")]
    Unreachable(String),
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

impl TransportError {
    /// Whether the same request may well succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
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
    /// The backend understood and refused.
    #[error("the backend refused: {message} ({code})")]
    Refused {
        /// The backend's name for the problem, for example `EnvVarLimitMet`.
        code: String,
        /// Its own words.
        message: String,
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
