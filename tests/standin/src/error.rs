//! The error reply of every endpoint: a status, and `{"code", "message"}` as JSON.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal in the words of the API. Whoever meets it answers with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A word in capital camel case that programs look at.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: Cow<'static, str>,
}

impl ApiError {
    /// An error with any status.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    /// Status 400: the request itself is at fault.
    pub fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Status 401: a credential was given and is wrong.
    pub fn unauthenticated(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// Status 404, with a code and a message.
    pub fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// Status 403 for a caller without a key of this deployment (observed code and message).
    #[must_use]
    pub fn bad_deploy_key() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "BadDeployKey",
            "The provided deploy key was invalid for this deployment. Double check that the environment this key was \
             generated for matches the desired deployment.",
        )
    }

    /// Status 503: another update was committed since this one looked at the data. Doing it again may succeed.
    #[must_use]
    pub fn conflict() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "OptimisticConcurrencyControlFailure",
            "What this update had read was changed by another update before it could be committed.",
        )
    }

    /// Status 500, for all that is not the caller's fault. What went wrong is in the log only.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "Your request couldn't be completed. Try again later.",
        )
    }
}

/// Logs what went wrong, in the form of the real backend. The caller is told nothing of it.
#[must_use]
pub fn report(problem: &str) -> ApiError {
    log(problem);
    ApiError::internal()
}

/// The same of an error with all its causes.
pub fn internal(error: &dyn std::error::Error) -> ApiError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    report(&text)
}

/// Logs an error, in one line.
pub fn log(problem: &str) {
    let problem = problem.replace('\n', "\\n");
    tracing::error!(
        target: "common::errors",
        "Caught error error (RUST_BACKTRACE=1 RUST_LOG=info,common::errors=debug for full trace): {problem}"
    );
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (
            self.status,
            Json(json!({ "code": self.code, "message": self.message })),
        )
            .into_response()
    }
}
