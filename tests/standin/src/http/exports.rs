//! Snapshot exports over HTTP.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::caller::Caller;
use crate::deployment::{Deployment, random_id};
use crate::error::ApiError;
use crate::identity::Operation;
use crate::snapshot;

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
    caller.require(Operation::WriteVariables)?;
    let begun = deployment
        .exports
        .request(random_id(), wish.include_storage);
    begun.map(|()| StatusCode::OK).map_err(|_| {
        ApiError::bad_request(
            "ExportInProgress",
            "There is already an export requested or in progress.",
        )
    })
}

/// The file of a finished export, by its id or start time.
pub async fn file(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    caller.require(Operation::View)?;
    if !deployment.exports.has(&name) {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "ExportNotFound",
            "There is no such export, or it is not finished.",
        ));
    }
    let zip = snapshot::pack(&deployment.documents()).map_err(|error| {
        tracing::error!("no snapshot: {error}");
        ApiError::internal()
    })?;
    Ok(([(CONTENT_TYPE, "application/zip")], zip))
}
