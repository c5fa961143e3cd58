//! The port of HTTP actions: a forwarder to `/http/…` of the API port.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::metrics;

/// How many requests it forwards at a time; further ones wait.
const CONCURRENCY: usize = 4;

struct Forwarder {
    client: Client<HttpConnector, Body>,
    api_port: u16,
    places: Semaphore,
}

/// All routes of the port. `/version` and `/metrics` answer by themselves and hide actions of these names.
pub fn router(api_port: u16) -> Router {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let forwarder = Arc::new(Forwarder {
        client,
        api_port,
        places: Semaphore::new(CONCURRENCY),
    });
    Router::new()
        .route("/version", get(async || "unknown"))
        .route("/metrics", get(metrics::answer))
        .route("/", forwarded())
        .route("/{*rest}", forwarded())
        .with_state(forwarder)
}

fn forwarded() -> MethodRouter<Arc<Forwarder>> {
    get(forward)
        .post(forward)
        .delete(forward)
        .patch(forward)
        .put(forward)
        .options(forward)
}

async fn forward(State(forwarder): State<Arc<Forwarder>>, request: Request) -> Response {
    forwarder.send(request).await.unwrap_or_else(|error| {
        tracing::error!("cannot forward an HTTP action: {error}");
        ApiError::internal().into_response()
    })
}

impl Forwarder {
    async fn send(
        &self,
        mut request: Request,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let _place = self.places.acquire().await?;
        *request.uri_mut() =
            format!("http://127.0.0.1:{}/http{}", self.api_port, request.uri()).parse::<Uri>()?;
        Ok(self.client.request(request).await?.map(Body::new))
    }
}
