//! Environment variables over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body;
use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Operation;
use crate::variable::Change;

/// The body of an update. Its name, and that of its parts, are told in errors (observed).
#[derive(Deserialize)]
pub struct UpdateEnvVarsRequest {
    changes: Vec<UpdateEnvVarRequest>,
}

#[derive(Deserialize)]
struct UpdateEnvVarRequest {
    name: String,
    value: Option<String>,
}

/// The answer to a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    environment_variables: BTreeMap<String, String>,
}

/// Applies one batch of changes and answers with an empty body.
pub async fn update(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
    body::Json(update): body::Json<UpdateEnvVarsRequest>,
) -> Result<StatusCode, ApiError> {
    caller.require(Operation::WriteVariables)?;
    let limits = &deployment.settings.limits;
    let changes: Result<_, _> = update
        .changes
        .into_iter()
        .map(|wish| Change::new(wish.name, wish.value, limits))
        .collect();
    deployment.update_variables(changes?).await?;
    Ok(StatusCode::OK)
}

/// All variables by name, without the two that are built in.
pub async fn list(
    State(deployment): State<Arc<Deployment>>,
    Caller(caller): Caller,
) -> Result<Json<List>, ApiError> {
    caller.require(Operation::View)?;
    let variables = deployment.variables();
    let environment_variables = variables
        .iter()
        .map(|(name, variable)| (name.clone(), variable.value.clone()))
        .collect();
    Ok(Json(List {
        environment_variables,
    }))
}
