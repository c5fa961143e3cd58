//! HTTP actions: the two documents of a token issuer, where functions that have them were pushed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::deployment::{Deployment, Destination};
use crate::push::{DISCOVERY, KEYS};

/// Answers as `@convex-dev/auth` 0.0.95 does, and for everything else that there is no such route: no other action is
/// run.
pub async fn answer(State(deployment): State<Arc<Deployment>>, request: Request) -> Response {
    let pushed = deployment.pushed();
    if !pushed.has_router() {
        let text = "This Convex deployment does not have HTTP actions enabled.";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let path = request.uri().path();
    let path = path.strip_prefix("/http").unwrap_or(path);
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads || ![DISCOVERY, KEYS].contains(&path) || !pushed.serves_issuer() {
        let text = format!("No HttpAction routed for {path}");
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let document = if path == DISCOVERY {
        let site = deployment.url(Destination::ConvexSite);
        Some(
            json!({
                "issuer": site,
                "jwks_uri": format!("{site}{KEYS}"),
                "authorization_endpoint": format!("{site}/oauth/authorize"),
            })
            .to_string(),
        )
    } else {
        deployment
            .variables()
            .get("JWKS")
            .map(|variable| variable.value.clone())
    };
    let Some(document) = document else {
        let text = "Uncaught Error: Missing environment variable `JWKS`";
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    };
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (
            CACHE_CONTROL,
            "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400",
        ),
    ];
    (headers, document).into_response()
}
