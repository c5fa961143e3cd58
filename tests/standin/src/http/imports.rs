//! Snapshot imports over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Operation;
use crate::import;
use crate::snapshot::Mode;

/// Begins an upload.
pub async fn start_upload(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
) -> Result<axum::Json<Value>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    let token = import::start_upload(&deployment.blobs)?;
    Ok(axum::Json(json!({ "uploadToken": token })))
}

/// Which part it is. It must have a number, which means nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    upload_token: String,
    #[serde(rename = "partNumber")]
    _number: u16,
}

/// Takes a part, and answers with its token, which is empty.
pub async fn upload_part(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Query(part): Query<Part>,
    content: Bytes,
) -> Result<axum::Json<String>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    import::upload_part(&deployment.blobs, &part.upload_token, &content)?;
    Ok(axum::Json(String::new()))
}

/// What has been uploaded, and what is to be made of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    import: Wish,
    #[serde(rename = "uploadToken")]
    token: String,
    /// Not looked into (observed).
    #[serde(rename = "partTokens")]
    _parts: Vec<String>,
}

/// How to import. Other formats than ZIP, and components, are refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    format: Format,
    #[serde(default)]
    mode: Mode,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Format {
    Zip,
}

/// Makes an import of the parts.
pub async fn finish_upload(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Json(upload): Json<Upload>,
) -> Result<axum::Json<Value>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    let Upload {
        import: Wish {
            format: Format::Zip,
            mode,
        },
        token,
        ..
    } = upload;
    let id = import::begin(&deployment, mode, &token).await?;
    Ok(axum::Json(json!({ "importId": id })))
}

/// Which import it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    import_id: String,
}

/// Confirms an import and answers with an empty body.
pub async fn perform(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Json(which): Json<Which>,
) -> Result<StatusCode, ApiError> {
    caller.require(Operation::ImportBackups)?;
    import::confirm(&deployment, &which.import_id).await?;
    Ok(StatusCode::OK)
}
