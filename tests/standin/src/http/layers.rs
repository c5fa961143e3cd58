//! What happens to every request.

use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::connection::Connection;
use crate::error::ApiError;

/// Refuses a `Convex-Client` header that does not look like `name-version`.
pub async fn client_version(request: Request, next: Next) -> Response {
    let client = request
        .headers()
        .get("convex-client")
        .and_then(|client| client.to_str().ok());
    match client {
        Some(client) if !client.contains('-') => ApiError::bad_request(
            "InvalidClientVersion",
            format!("The header Convex-Client has the form name-version, but is '{client}'."),
        )
        .into_response(),
        _ => next.run(request).await,
    }
}

/// Answers 408 where handling takes too long.
pub async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let handled = tokio::time::timeout(limit, next.run(request)).await;
    handled.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

/// One line in the log for each request. The query is left out, since it may hold an admin key.
pub async fn log(
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let (method, path, version) = (
        request.method().clone(),
        request.uri().path().to_owned(),
        request.version(),
    );
    let response = next.run(request).await;
    tracing::info!(
        "{} \"{method} {path} {version:?}\" {} {:.3}ms",
        connection.peer,
        response.status().as_u16(),
        start.elapsed().as_secs_f64() * 1000.0
    );
    response
}
