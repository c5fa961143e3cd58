//! Snapshot exports over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use axum::response::IntoResponse;
use serde::Deserialize;

use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::export;
use crate::identity::Operation;

/// What to export.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    #[serde(default)]
    include_storage: bool,
}

/// Begins an export and answers with an empty body.
pub async fn request(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Query(wish): Query<Wish>,
) -> Result<StatusCode, ApiError> {
    caller.require(Operation::CreateBackups)?;
    export::request(&deployment, wish.include_storage).await?;
    Ok(StatusCode::OK)
}

/// The file of a finished export, by its ID or start time. It has no content type (observed).
pub async fn file(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    caller.require(Operation::View)?;
    let (zip, start) = export::file(&deployment, &name)?;
    let instance = &deployment.settings.authority.instance_name;
    let disposition = format!("attachment; filename=snapshot_{instance}_{start}.zip");
    let headers = [
        (CONTENT_DISPOSITION, disposition),
        (CACHE_CONTROL, "private, max-age=2592000".into()),
    ];
    Ok((headers, Body::from(zip)))
}
