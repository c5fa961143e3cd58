//! Canonical URLs over HTTP: what replaces the URLs of the start until further notice.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body;
use super::caller::Caller;
use crate::deployment::{Deployment, Destination};
use crate::error::ApiError;
use crate::identity::Operation;

/// The body of an update. Its name is told in errors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCanonicalUrlRequest {
    request_destination: Destination,
    /// Left out to return to the URL of the start. Not looked into.
    url: Option<String>,
}

/// Both URLs as they are in force.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    convex_cloud_url: String,
    convex_site_url: String,
}

/// Sets or resets one of the two URLs and answers with an empty body.
pub async fn update(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    body::Json(update): body::Json<UpdateCanonicalUrlRequest>,
) -> Result<StatusCode, ApiError> {
    caller.require(Operation::WriteVariables)?;
    deployment
        .update_url(update.request_destination, update.url)
        .await?;
    Ok(StatusCode::OK)
}

/// Both URLs, for any key.
pub async fn get(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
) -> Result<Json<Urls>, ApiError> {
    caller.require(Operation::View)?;
    Ok(Json(Urls {
        convex_cloud_url: deployment.url(Destination::ConvexCloud),
        convex_site_url: deployment.url(Destination::ConvexSite),
    }))
}
