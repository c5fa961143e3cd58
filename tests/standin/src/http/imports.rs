//! Snapshot imports over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Operation;
use crate::import::{self, Mode};

/// Begins an upload.
pub async fn start_upload(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
) -> Result<axum::Json<Value>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    Ok(axum::Json(
        json!({ "uploadToken": deployment.uploads.start() }),
    ))
}

/// Which part it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    upload_token: String,
    #[serde(rename = "partNumber")]
    number: u16,
}

/// Takes a part, and answers with its token.
pub async fn upload_part(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Query(part): Query<Part>,
    content: Bytes,
) -> Result<axum::Json<String>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    let uploads = &deployment.uploads;
    let token = uploads.part(&part.upload_token, part.number, content.to_vec())?;
    Ok(axum::Json(token))
}

/// What has been uploaded, and what is to be made of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    import: Wish,
    #[serde(rename = "uploadToken")]
    token: String,
    part_tokens: Vec<String>,
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
        part_tokens,
    } = upload;
    let zip = deployment.uploads.finish(&token, &part_tokens)?;
    let id = import::begin(&deployment, mode, &zip).await?;
    Ok(axum::Json(json!({ "importId": id })))
}

/// Which import it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    import_id: String,
}

/// Confirms an import.
pub async fn perform(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    Json(which): Json<Which>,
) -> Result<axum::Json<Value>, ApiError> {
    caller.require(Operation::ImportBackups)?;
    import::confirm(&deployment, &which.import_id).await?;
    Ok(axum::Json(Value::Null))
}
