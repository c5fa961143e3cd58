//! Function calls over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::query::{self, Outcome};

/// The body of a call. A `format` may come with it; the queries there are answer alike in all formats.
#[derive(Deserialize)]
pub struct Call {
    path: String,
    /// An object, or a list that holds one.
    args: Value,
}

/// Runs a query. A function that fails is an answer with status 200 as well.
pub async fn query(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    let arguments = call
        .args
        .as_array()
        .and_then(|list| list.first())
        .unwrap_or(&call.args);
    Ok(Json(
        match query::run(&deployment, caller, &call.path, arguments)? {
            Outcome::Value(value) => json!({ "status": "success", "value": value }),
            Outcome::Failure(message) => json!({ "status": "error", "errorMessage": message }),
        },
    ))
}
