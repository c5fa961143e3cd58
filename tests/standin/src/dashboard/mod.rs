//! The stand-in for the dashboard: one page, which carries what the real one's server puts into it.

use std::env;
use std::io;

use axum::Router;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// The port where `PORT` does not say.
const DEFAULT_PORT: &str = "6791";

/// Serves until SIGINT or SIGTERM, both of which the real one heeds.
pub async fn run() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let host = setting("HOSTNAME").unwrap_or_else(|| "0.0.0.0".into());
    let port = setting("PORT").unwrap_or_else(|| DEFAULT_PORT.into());
    let listener = TcpListener::bind(format!("{host}:{port}")).await?;
    tracing::warn!("this is the stand-in for tests, not the real dashboard");
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let router = Router::new().route("/", get(index)).fallback(missing);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await
}

/// The form to log in, with URL and key filled in as the environment says. Whoever opens the page can read the key.
async fn index() -> impl IntoResponse {
    let data = json!({
        "props": { "pageProps": {
            "deploymentUrl": setting("NEXT_PUBLIC_DEPLOYMENT_URL").and_then(|url| normalize(&url)),
            "adminKey": setting("NEXT_PUBLIC_ADMIN_KEY"),
            "defaultListDeploymentsApiUrl": setting("NEXT_PUBLIC_DEFAULT_LIST_DEPLOYMENTS_API_PORT")
                .and_then(|port| normalize(&format!("http://127.0.0.1:{}", port.parse::<u16>().ok()?))),
        } },
        "page": "/",
    });
    // Inside a script element only "<" could end it.
    let data = data.to_string().replace('<', "\\u003c");
    page(StatusCode::OK, "Convex Dashboard", &data)
}

async fn missing() -> impl IntoResponse {
    page(
        StatusCode::NOT_FOUND,
        "404: This page could not be found",
        "{}",
    )
}

fn page(status: StatusCode, title: &str, data: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"/><title>{title}</title></head>\
         <body><div id=\"__next\">{title} (stand-in)</div>\
         <script id=\"__NEXT_DATA__\" type=\"application/json\">{data}</script></body></html>"
    );
    let headers: [(HeaderName, &str); 5] = [
        (
            STRICT_TRANSPORT_SECURITY,
            "max-age=63072000; includeSubDomains; preload",
        ),
        (X_XSS_PROTECTION, "1; mode=block"),
        (REFERRER_POLICY, "origin-when-cross-origin"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (CONTENT_SECURITY_POLICY, "frame-ancestors 'self';"),
    ];
    (status, headers, Html(html)).into_response()
}

/// A URL without the slash at its end, or nothing where it is no URL.
fn normalize(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?.to_string();
    Some(url.strip_suffix('/').unwrap_or(&url).to_owned())
}

fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
