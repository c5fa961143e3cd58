//! What happens to every request.

use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, REFERER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::client::Client;
use crate::connection::Connection;
use crate::metrics;

/// Paths that are asked so often that only the level `debug` tells of them (observed).
const FREQUENT: [&str; 3] = ["/", "/instance_name", "/instance_version"];
/// The status of a request that nobody waits for any more.
const CLIENT_GONE: u16 = 499;

/// Refuses a `Convex-Client` header that does not look like `name-version`, or names a version that is too old.
pub async fn client_version(request: Request, next: Next) -> Response {
    let client = request
        .headers()
        .get("convex-client")
        .and_then(|client| client.to_str().ok());
    match client.map(Client::check) {
        Some(Err(error)) => error.into_response(),
        _ => next.run(request).await,
    }
}

/// Answers 408 where handling takes too long.
pub async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let handled = tokio::time::timeout(limit, next.run(request)).await;
    handled.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

/// A request as the log has it. It is logged when this is dropped, whether or not it was answered.
struct Access {
    /// All that is known before the request is handled.
    request: String,
    agent: String,
    answer: String,
    method: String,
    status: u16,
    is_frequent: bool,
    start: Instant,
}

impl Drop for Access {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        metrics::record(&self.method, self.status, elapsed);
        let Self {
            request,
            agent,
            answer,
            status,
            ..
        } = self;
        let ms = elapsed.as_secs_f64() * 1000.0;
        if self.is_frequent {
            tracing::debug!(target: "convex-cloud-http", "[] {request} {status} {agent} {answer} {ms:.3}ms");
        } else {
            tracing::info!(target: "convex-cloud-http", "[] {request} {status} {agent} {answer} {ms:.3}ms");
        }
    }
}

/// One line in the log for each request. A query that holds an admin key is left out.
pub async fn log(
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri();
    let hides = uri.query().is_some_and(|query| query.contains("adminKey="));
    let target = uri.path_and_query().filter(|_| !hides);
    let target = target.map_or(uri.path(), |target| target.as_str());
    let header = |headers: &HeaderMap, name: HeaderName| {
        let value = headers.get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or("-").to_owned()
    };
    let mut access = Access {
        request: format!(
            "{} \"{} {target} {:?}\"",
            connection.peer,
            request.method(),
            request.version()
        ),
        agent: format!(
            "\"{}\" \"{}\"",
            header(request.headers(), REFERER),
            header(request.headers(), USER_AGENT)
        ),
        answer: "- -".into(),
        method: request.method().to_string(),
        status: CLIENT_GONE,
        is_frequent: FREQUENT.contains(&uri.path()),
        start: Instant::now(),
    };
    let response = next.run(request).await;
    access.status = response.status().as_u16();
    access.answer = format!(
        "{} {}",
        header(response.headers(), CONTENT_TYPE),
        header(response.headers(), CONTENT_LENGTH)
    );
    response
}
