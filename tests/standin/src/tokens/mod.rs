//! Users' tokens, accepted and refused as the real backend does it: the issuer is asked for its keys over HTTP, from
//! where the backend runs, whenever a token is presented.

mod documents;
mod jwt;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use serde_json::Value;

use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::push::Provider;
use documents::{Document, FetchError};
use jwt::Token;

pub use documents::Documents;
pub use jwt::User;

impl Deployment {
    /// The user that a token is of.
    pub async fn user(&self, token: &str) -> Result<Arc<User>, ApiError> {
        let token = Token::parse(token)?;
        let issuer = token.issuer()?;
        let providers = self.providers_of(&self.pushed())?;
        let provider = provider(&providers, &token, issuer).ok_or_else(|| {
            ApiError::unauthenticated(
                "NoAuthProvider",
                "No auth provider found matching the given token. Check the issuer and the audience in \
                 convex/auth.config.ts.",
            )
        })?;
        let keys = keys(&self.issuers, issuer).await.map_err(|error| {
            let text = format!("Auth provider discovery of {issuer} failed");
            refused(issuer, text, error)
        })?;
        let user = token.verify(&provider.application_id, &keys, now());
        user.map(Arc::new).map_err(|reason| {
            tracing::debug!("a token of {issuer} is refused: {reason}");
            ApiError::unauthenticated(
                "Unauthenticated",
                "Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't \
                 expired.",
            )
        })
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// The first provider whose tokens have this audience and this issuer, whether or not a slash ends it.
fn provider<'a>(providers: &'a [Provider], token: &Token, issuer: &str) -> Option<&'a Provider> {
    providers.iter().find(|provider| {
        token
            .audiences()
            .contains(&provider.application_id.as_str())
            && provider.domain.trim_end_matches('/') == issuer.trim_end_matches('/')
    })
}

/// The keys of an issuer: those that its discovery document names.
async fn keys(documents: &Documents, issuer: &str) -> Result<Value, FetchError> {
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let discovery = json(&url, &documents.get(&url).await?)?;
    let found = discovery["issuer"].as_str().unwrap_or_default();
    if found != issuer {
        return Err(FetchError::Other(format!(
            "Validation error: unexpected issuer URI `{found}` (expected `{issuer}`)"
        )));
    }
    let url = discovery["jwks_uri"].as_str().ok_or(FetchError::Parse)?;
    json(url, &documents.get(url).await?)
}

fn json(url: &str, document: &Document) -> Result<Value, FetchError> {
    let answer = |problem: String| FetchError::Answer {
        status: document.status,
        body: String::from_utf8_lossy(&document.body).into_owned(),
        problem,
    };
    if document.status != StatusCode::OK {
        return Err(answer(format!(
            "HTTP status code {} at {url}",
            document.status
        )));
    }
    let kind = document.content_type.split(';').next().unwrap_or_default();
    if !["application/json", "application/jwk-set+json"].contains(&kind.trim()) {
        return Err(answer(format!("unexpected content type {kind:?} at {url}")));
    }
    serde_json::from_slice(&document.body).map_err(|_| FetchError::Parse)
}

/// The refusal for an issuer that has no keys. An answer that is none goes into its text; all else goes into the log.
fn refused(issuer: &str, text: String, error: FetchError) -> ApiError {
    let code = "AuthProviderDiscoveryFailed";
    match error {
        FetchError::Answer { status, body, .. } => {
            let own = match status {
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::TOO_MANY_REQUESTS => status,
                status if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            ApiError::new(own, code, format!("{text}: {status} {body}"))
        }
        error => {
            tracing::error!("Error discovering auth provider: {issuer}, {error}");
            ApiError::bad_request(code, text)
        }
    }
}
