//! Documents of token issuers, fetched over HTTP and kept for as long as they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// Fetches documents.
pub struct Documents {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    kept: Mutex<HashMap<String, Kept>>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Document {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header of this name.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

struct Kept {
    until: Instant,
    document: Document,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered.
    #[error("Request failed")]
    Request,
    /// The answer is not the one of an issuer.
    #[error("Server returned invalid response: {problem}")]
    Answer {
        /// Its status.
        status: StatusCode,
        /// Its body.
        body: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The document has another form.
    #[error("Failed to parse server response")]
    Parse,
    /// The document has another content.
    #[error("{0}")]
    Other(String),
}

impl Documents {
    /// Trusts the authorities that the system trusts.
    pub fn new() -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            kept: Mutex::default(),
        })
    }

    /// The document at an address. One that may be kept is not asked for again, and stays where it cannot be had again.
    pub async fn get(&self, url: &str) -> Result<Document, FetchError> {
        let kept = self
            .kept()
            .get(url)
            .map(|it| (it.until, it.document.clone()));
        if let Some((until, document)) = &kept
            && Instant::now() < *until
        {
            return Ok(document.clone());
        }
        match (self.fetch(url).await, kept) {
            (Ok((document, _)), Some((_, old))) if document.status.is_server_error() => Ok(old),
            (Ok((document, age)), _) => {
                if let Some(age) = age {
                    let until = Instant::now() + age;
                    let document = document.clone();
                    self.kept().insert(url.to_owned(), Kept { until, document });
                }
                Ok(document)
            }
            (Err(_), Some((_, old))) => Ok(old),
            (Err(error), None) => Err(error),
        }
    }

    async fn fetch(&self, url: &str) -> Result<(Document, Option<Duration>), FetchError> {
        let mut url: Url = url.parse().map_err(|_| FetchError::Request)?;
        for _ in 0..=REDIRECTS {
            let request = Request::get(url.as_str())
                .header(ACCEPT, "application/json")
                .body(Body::empty())
                .map_err(|_| FetchError::Request)?;
            let answer = self.client.request(request).await.map_err(|error| {
                tracing::debug!("{url}: {error}: {:?}", std::error::Error::source(&error));
                FetchError::Request
            })?;
            if answer.status().is_redirection()
                && let Some(to) = header(&answer, LOCATION)
            {
                url = url.join(to).map_err(|_| FetchError::Request)?;
                continue;
            }
            let status = answer.status();
            let content_type = header(&answer, CONTENT_TYPE).unwrap_or_default().to_owned();
            let age = header(&answer, CACHE_CONTROL).and_then(max_age);
            let body = answer.into_body().collect().await;
            let document = Document {
                status,
                content_type,
                body: body.map_err(|_| FetchError::Request)?.to_bytes(),
            };
            return Ok((document, age.filter(|_| status == StatusCode::OK)));
        }
        Err(FetchError::Request)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header<T>(answer: &Response<T>, name: HeaderName) -> Option<&str> {
    answer.headers().get(name)?.to_str().ok()
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let mut parts = cache_control.split(',').map(str::trim);
    let seconds = parts.find_map(|part| part.strip_prefix("max-age="))?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_for_how_long_it_may_be_kept() {
        let auth = "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400";
        assert_eq!(max_age(auth), Some(Duration::from_secs(15)));
        assert_eq!(max_age("no-store"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
