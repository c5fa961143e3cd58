//! Snapshot exports over HTTP.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
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
    caller.require(Operation::WriteVariables)?;
    let begun = deployment.exports.request(new_id(), wish.include_storage);
    begun.map(|()| StatusCode::OK).map_err(|_| {
        ApiError::bad_request(
            "ExportInProgress",
            "There is already an export requested or in progress.",
        )
    })
}

fn new_id() -> String {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system has random bytes");
    hex::encode(id)
}

/// The file of a finished export, by its id or start time.
pub async fn file(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    caller.require(Operation::View)?;
    let zip = deployment.exports.file(&name).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "ExportNotFound",
            "There is no such export, or it is not finished.",
        )
    })?;
    Ok(([(CONTENT_TYPE, "application/zip")], zip))
}
