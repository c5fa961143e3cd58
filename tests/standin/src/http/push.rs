//! Pushing functions, as `npx convex deploy` does: hashes of what is there, then start, wait and finish.
//!
//! Observed on the wire of the command line 1.48.0, and held to what its parsers accept.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::body;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Operation;
use crate::push::{Pushed, Schema, Sent, Unchanged};

/// The largest push, packed and unpacked.
pub const BODY_LIMIT: usize = 200 << 20;

/// The part of a push's answer that says which push it was.
const PACKAGE: &str = "standinPush";

/// A body whose one interesting part is the key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithKey {
    admin_key: String,
}

/// The body of `start_push` and `evaluate_push`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    admin_key: String,
    functions: String,
    app_definition: App,
    component_definitions: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    dependencies: Vec<Value>,
    changed_modules: Vec<Sent>,
    unchanged_module_hashes: Vec<Unchanged>,
    schema: Option<Schema>,
    udf_server_version: String,
}

/// The body of `finish_push`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finish {
    admin_key: String,
    start_push: Value,
    #[serde(default)]
    dry_run: bool,
}

fn allow(deployment: &Deployment, key: &str, operation: Operation) -> Result<(), ApiError> {
    deployment
        .settings
        .authority
        .by_key(key)?
        .require(operation)
}

/// A body that may be packed.
fn unpack<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, ApiError> {
    let bad =
        |error: &dyn std::fmt::Display| ApiError::bad_request("BadJsonBody", error.to_string());
    let packed = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "br");
    if !packed {
        return serde_json::from_slice(bytes).map_err(|error| bad(&error));
    }
    let mut plain = Vec::new();
    brotli_decompressor::Decompressor::new(bytes.as_ref(), 4096)
        .take(BODY_LIMIT as u64)
        .read_to_end(&mut plain)
        .map_err(|error| bad(&error))?;
    serde_json::from_slice(&plain).map_err(|error| bad(&error))
}

/// The hashes of the modules that are there.
pub async fn config_hashes(
    State(deployment): State<Arc<Deployment>>,
    body::Json(WithKey { admin_key }): body::Json<WithKey>,
) -> Result<Json<Value>, ApiError> {
    allow(&deployment, &admin_key, Operation::View)?;
    let pushed = deployment.pushed();
    let hashes = pushed.modules.iter().map(|(path, module)| {
        json!({ "path": path, "hash": module.sha256, "environment": module.environment })
    });
    Ok(Json(json!({
        "config": { "functions": pushed.functions },
        "moduleHashes": hashes.collect::<Value>(),
        "nodeDependencies": [],
        "udfServerVersion": pushed.version,
    })))
}

fn planned(deployment: &Deployment, start: Start) -> Result<Pushed, ApiError> {
    allow(deployment, &start.admin_key, Operation::Deploy)?;
    if !start.component_definitions.is_empty() || !start.app_definition.dependencies.is_empty() {
        return Err(ApiError::bad_request(
            "StandInHasNoComponents",
            "The stand-in for tests runs the functions of an app, and has no components.",
        ));
    }
    let pushed = deployment.pushed().after(
        start.functions,
        start.app_definition.udf_server_version,
        start.app_definition.changed_modules,
        start.app_definition.unchanged_module_hashes,
    )?;
    Ok(Pushed {
        schema: start.app_definition.schema,
        ..pushed
    })
}

fn schema_change() -> Value {
    json!({
        "allocatedComponentIds": {},
        "schemaIds": {},
        "indexDiffs": { "": { "added_indexes": [], "removed_indexes": [] } },
    })
}

/// What a push would change of the indexes: nothing that the stand-in knows of.
pub async fn evaluate(
    State(deployment): State<Arc<Deployment>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    planned(&deployment, unpack(&headers, &bytes)?)?;
    Ok(Json(json!({ "schemaChange": schema_change() })))
}

/// Takes the modules, and answers with what the end of the push needs.
pub async fn start(
    State(deployment): State<Arc<Deployment>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let pushed = planned(&deployment, unpack(&headers, &bytes)?)?;
    let version = pushed.version.clone();
    let providers = deployment.providers_of(&pushed)?;
    let variables = deployment.plain_variables();
    let id = deployment.begin_push(pushed);
    Ok(Json(json!({
        "environmentVariables": variables,
        "externalDepsId": null,
        "componentDefinitionPackages": { "": { PACKAGE: id } },
        "appAuth": providers,
        "analysis": { "": {
            "definition": {
                "path": "",
                "definitionType": { "type": "app" },
                "childComponents": [],
                "httpMounts": {},
                "exports": { "type": "branch", "branch": [] },
            },
            "schema": null,
            // Nothing is analyzed.
            "functions": {},
            "udfConfig": {
                "serverVersion": version,
                "importPhaseRngSeed": null,
                "importPhaseUnixTimestamp": null,
            },
        } },
        "app": {
            "definitionPath": "",
            "componentPath": "",
            "args": {},
            "childComponents": {},
            "httpRoutes": { "httpModuleRoutes": null, "mounts": [] },
            "exports": {},
        },
        "schemaChange": schema_change(),
    })))
}

/// There is no data, so it fits every schema.
pub async fn wait_for_schema(
    State(deployment): State<Arc<Deployment>>,
    body::Json(WithKey { admin_key }): body::Json<WithKey>,
) -> Result<Json<Value>, ApiError> {
    allow(&deployment, &admin_key, Operation::Deploy)?;
    Ok(Json(json!({ "type": "complete" })))
}

/// Puts the modules of a started push in place, unless variables have changed since.
pub async fn finish(
    State(deployment): State<Arc<Deployment>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let finish: Finish = unpack(&headers, &bytes)?;
    allow(&deployment, &finish.admin_key, Operation::Deploy)?;
    let id = finish.start_push["componentDefinitionPackages"][""][PACKAGE].as_str();
    let seen: Option<BTreeMap<String, String>> =
        serde_json::from_value(finish.start_push["environmentVariables"].clone()).ok();
    if seen.is_none_or(|seen| seen != deployment.plain_variables()) {
        return Err(ApiError::bad_request(
            "RaceDetected",
            "Environment variables have changed during push",
        ));
    }
    let before = deployment.pushed();
    let after = deployment
        .end_push(id.unwrap_or_default(), finish.dry_run)
        .await?;
    let kind = if before.modules.is_empty() {
        "create"
    } else {
        "modify"
    };
    Ok(Json(json!({
        "authDiff": { "added": [], "removed": [] },
        "definitionDiffs": {},
        "componentDiffs": { "": {
            "diffType": { "type": kind },
            "moduleDiff": { "added": before.lacks(&after), "removed": after.lacks(&before) },
            "udfConfigDiff": null,
            "cronDiff": { "added": [], "updated": [], "deleted": [] },
            "indexDiff": { "added_indexes": [], "removed_indexes": [] },
            "schemaDiff": null,
        } },
    })))
}

/// Takes notice of how long a push took.
pub async fn report(
    State(deployment): State<Arc<Deployment>>,
    body::Json(WithKey { admin_key }): body::Json<WithKey>,
) -> Result<Json<Value>, ApiError> {
    allow(&deployment, &admin_key, Operation::Deploy)?;
    Ok(Json(Value::Null))
}
