//! The functions that a deployment has without pushed code: the system's own queries of environment variables, exports
//! and imports.

use serde_json::{Value, json};

use crate::deployment::{Deployment, Destination};
use crate::error::ApiError;
use crate::identity::{Identity, Operation};
use crate::import;

const EXPORTS: &str = "_system/cli/exports";
const IMPORTS: &str = "_system/cli/queryImport";
const VARIABLES: &str = "_system/cli/queryEnvironmentVariables";

/// What became of a call that was allowed.
pub enum Outcome {
    /// The function's value.
    Value(Value),
    /// The function failed or does not exist: what went wrong.
    Failure(String),
}

/// Runs a query by its path, `module:function`, where the function `default` may be left out.
pub fn run(
    deployment: &Deployment,
    identity: Identity,
    path: &str,
    arguments: &Value,
) -> Result<Outcome, ApiError> {
    let (module, function) = path.split_once(':').unwrap_or((path, "default"));
    if module.starts_with("_system/") {
        identity.require(Operation::View)?;
    }
    Ok(match (module, function) {
        (VARIABLES, "default") => Outcome::Value(list(deployment)),
        (VARIABLES, "get") => match arguments["name"].as_str() {
            Some(name) => Outcome::Value(get(deployment, name)),
            None => Outcome::Failure("The argument `name` is missing or is no string.".into()),
        },
        (EXPORTS, "getLatest") => Outcome::Value(deployment.exports.document()),
        (IMPORTS, "default") => match arguments["importId"].as_str() {
            Some(id) => Outcome::Value(import::document(deployment, id)),
            None => Outcome::Failure("The argument `importId` is missing or is no string.".into()),
        },
        (IMPORTS, "list") => Outcome::Value(import::documents(deployment)),
        _ => Outcome::Failure(format!("No function is called '{module}:{function}'.")),
    })
}

/// Every variable as the document it is stored as, by name.
fn list(deployment: &Deployment) -> Value {
    let variables = deployment.variables();
    let documents = variables.iter().map(|(name, variable)| {
        json!({
            "_creationTime": variable.created_ms,
            "_id": variable.id,
            "name": name,
            "value": variable.value,
        })
    });
    documents.collect()
}

/// One variable as functions see it, which includes the two that are built in; null where there is none.
fn get(deployment: &Deployment, name: &str) -> Value {
    let value = match name {
        "CONVEX_CLOUD_URL" => Some(deployment.url(Destination::ConvexCloud)),
        "CONVEX_SITE_URL" => Some(deployment.url(Destination::ConvexSite)),
        _ => deployment
            .variables()
            .get(name)
            .map(|variable| variable.value.clone()),
    };
    value.map_or(Value::Null, |value| json!({ "name": name, "value": value }))
}
