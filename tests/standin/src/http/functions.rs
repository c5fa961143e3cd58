//! Function calls over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::functions::{self, Caller, Format, Kind};

/// A call. Its body has a path of its own unless the address has it.
#[derive(Deserialize)]
pub struct Call {
    #[serde(default)]
    path: String,
    /// An object, or a list that holds one.
    args: Value,
    format: Option<String>,
}

/// A call in an address, where arguments are a text.
#[derive(Deserialize)]
pub struct CallByAddress {
    path: String,
    args: String,
    format: Option<String>,
}

/// Runs a query.
pub async fn query(
    State(deployment): State<Arc<Deployment>>,
    caller: Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    run(&deployment, &caller, Kind::Query, call).await
}

/// Runs a query whose path and arguments are in the address.
pub async fn query_by_address(
    State(deployment): State<Arc<Deployment>>,
    caller: Caller,
    call: Result<Query<CallByAddress>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(call) =
        call.map_err(|error| ApiError::bad_request("BadQueryArgs", error.body_text()))?;
    let args = serde_json::from_str(&call.args)
        .map_err(|error| ApiError::bad_request("BadQueryArgs", error.to_string()))?;
    let CallByAddress { path, format, .. } = call;
    let call = Call { path, args, format };
    run(&deployment, &caller, Kind::Query, call).await
}

/// Runs a mutation.
pub async fn mutation(
    State(deployment): State<Arc<Deployment>>,
    caller: Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    run(&deployment, &caller, Kind::Mutation, call).await
}

/// Runs an action.
pub async fn action(
    State(deployment): State<Arc<Deployment>>,
    caller: Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    run(&deployment, &caller, Kind::Action, call).await
}

/// Runs any function.
pub async fn any(
    State(deployment): State<Arc<Deployment>>,
    caller: Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    run(&deployment, &caller, Kind::Any, call).await
}

/// Runs any function, whose path is in the address with a slash for the colon.
pub async fn by_address(
    State(deployment): State<Arc<Deployment>>,
    Path(address): Path<String>,
    caller: Caller,
    body::Json(call): body::Json<Call>,
) -> Result<Json<Value>, ApiError> {
    let Some((module, function)) = address.rsplit_once('/') else {
        return Err(ApiError::bad_request(
            "MissingIdentifier",
            "The address names no function, as /api/run/messages/list does.",
        ));
    };
    let path = format!("{module}:{function}");
    run(&deployment, &caller, Kind::Any, Call { path, ..call }).await
}

/// A function that fails is an answer with status 200 as well.
async fn run(
    deployment: &Deployment,
    caller: &Caller,
    kind: Kind,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let format = match call.format.as_deref() {
        None | Some("json" | "convex_clean_json") => Format::Plain,
        Some("convex_encoded_json" | "convex_json") => Format::Encoded,
        Some(other) => {
            let text = format!("format param must be one of [`json`]. Got {other}");
            return Err(ApiError::bad_request("BadFormat", text));
        }
    };
    let list = call.args.as_array().and_then(|list| list.first());
    let call = functions::Call {
        kind,
        path: &call.path,
        arguments: list.unwrap_or(&call.args),
        format,
    };
    Ok(Json(
        match functions::run(deployment, caller, call).await? {
            Ok(value) => json!({ "status": "success", "value": value }),
            Err(failure) => {
                let mut answer = failure.told("errorMessage");
                answer["status"] = "error".into();
                answer
            }
        },
    ))
}
