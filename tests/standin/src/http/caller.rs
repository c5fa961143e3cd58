//! The caller of a request as an argument of its handler.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Identity;

/// Whoever sent the request. A wrong key is refused before the body is looked at (observed); no key is not.
pub struct Caller(pub Identity);

impl FromRequestParts<Arc<Deployment>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        deployment: &Arc<Deployment>,
    ) -> Result<Self, Self::Rejection> {
        deployment.settings.authority.identify(parts).map(Self)
    }
}
