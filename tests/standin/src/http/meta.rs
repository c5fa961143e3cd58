//! What a backend says of itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::caller::Caller;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::{Identity, Operation, READ_ONLY_OPERATIONS};

/// What an admin key may do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    success: bool,
    /// Empty means all.
    allowed_ops: &'static [&'static str],
    is_read_only: bool,
}

/// A sentence that says it runs.
pub async fn root() -> &'static str {
    "This Convex deployment is running. See https://docs.convex.dev/."
}

/// The instance's name, unquoted.
pub async fn instance_name(State(deployment): State<Arc<Deployment>>) -> String {
    deployment.settings.authority.instance_name.clone()
}

/// The version, `unknown` in stock images.
pub async fn version(State(deployment): State<Arc<Deployment>>) -> String {
    deployment.settings.version.clone()
}

/// The body back.
pub async fn echo(body: Body) -> Body {
    body
}

/// Whether a key is an administrator's, and what it may do. A system key is not one (observed).
pub async fn check_admin_key(Caller(caller): Caller) -> Result<Json<Permissions>, ApiError> {
    let Identity::Admin { read_only } = caller else {
        return Err(ApiError::bad_deploy_key());
    };
    let allowed_ops: &[_] = if read_only {
        &READ_ONLY_OPERATIONS
    } else {
        &[]
    };
    Ok(Json(Permissions {
        success: true,
        allowed_ops,
        is_read_only: read_only,
    }))
}

/// What kind of deployment this is.
pub async fn deployment_info(Caller(caller): Caller) -> Result<Json<Value>, ApiError> {
    caller.require(Operation::View)?;
    Ok(Json(json!({ "kind": "selfHosted" })))
}

/// The routes of the versioned API that are here, as an `OpenAPI` document. It is text and needs no key (observed).
pub async fn openapi() -> String {
    let of = |method: &str, summary: &str| json!({ method: { "summary": summary, "responses": { "200": { "description": "OK" } } } });
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Convex Deployment API", "version": "1.0.0" },
        "paths": {
            "/list_environment_variables": of("get", "List environment variables"),
            "/update_environment_variables": of("post", "Update environment variables"),
            "/get_canonical_urls": of("get", "Get canonical URLs"),
            "/update_canonical_url": of("post", "Update canonical URL"),
            "/deployment_info": of("get", "Get deployment info"),
        },
    });
    format!("{document:#}")
}
