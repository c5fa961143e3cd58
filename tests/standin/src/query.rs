//! The system's queries that the command line and the provider call, and the answer to a query.

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::deployment::{Deployment, Destination};
use crate::error::ApiError;
use crate::export;
use crate::id;
use crate::identity::{Identity, Operation};
use crate::import;
use crate::time::Integer;

const SYSTEM: &str = "_system/";
const EXPORTS: &str = "cli/exports";
const IMPORTS: &str = "cli/queryImport";
const VARIABLES: &str = "cli/queryEnvironmentVariables";

/// What a system query says that took longer than it may, which happens on a machine that is too busy (observed).
pub const TIMED_OUT: &str = "Function execution timed out (maximum duration: 1s)";

/// What became of a call.
pub enum Outcome {
    /// The function's value. Integers are their digits, as a text.
    Value(Value),
    /// The function failed, does not exist or is not for this caller: what went wrong.
    Failure(String),
}

/// Runs a query by its path, `module:function`, where the function `default` may be left out.
pub fn run(
    deployment: &Deployment,
    identity: Identity,
    path: &str,
    arguments: &Value,
) -> Result<Outcome, ApiError> {
    let (module, function) = path.rsplit_once(':').unwrap_or((path, "default"));
    if module.is_empty() || function.is_empty() {
        return Err(ApiError::bad_request(
            "BadConvexFunctionIdentifier",
            format!("{path} is not a valid path to a Convex function."),
        ));
    }
    let Some(module) = module.strip_prefix(SYSTEM) else {
        let problem = format!("Could not find public function for '{path}'.");
        return Ok(Outcome::Failure(problem));
    };
    let module = module.strip_suffix(".js").unwrap_or(module);
    Ok(
        match call(deployment, identity, module, function, arguments) {
            Ok(value) => Outcome::Value(with_digits(value)),
            Err(problem) => Outcome::Failure(problem),
        },
    )
}

/// Calls a function of the system, or says what is wrong.
fn call(
    deployment: &Deployment,
    identity: Identity,
    module: &str,
    function: &str,
    arguments: &Value,
) -> Result<Value, String> {
    if identity.require(Operation::View).is_err() {
        return Err("Operation query not permitted".into());
    }
    match (module, function) {
        (VARIABLES, "default") => Ok(list(deployment)),
        (VARIABLES, "get") => match arguments["name"].as_str() {
            Some(name) => Ok(get(deployment, name)),
            None => Err(unfit("name", arguments, "v.string()")),
        },
        (EXPORTS, "getLatest") => Ok(export::latest(deployment)),
        (IMPORTS, "default") => match arguments["importId"].as_str() {
            Some(id) if id::table(id) == Ok(id::IMPORTS) => Ok(import::document(deployment, id)),
            _ => Err(unfit("importId", arguments, "v.id(\"_snapshot_imports\")")),
        },
        (IMPORTS, "list") => Ok(import::documents(deployment)),
        (VARIABLES | EXPORTS | IMPORTS, _) => Err(format!(
            "Couldn't find {function:?} in module \"{SYSTEM}{module}.js\"."
        )),
        _ => Err(format!("Couldn't find system module '\"{module}.js\"'.")),
    }
}

fn unfit(name: &str, arguments: &Value, validator: &str) -> String {
    let value = &arguments[name];
    format!(
        "ArgumentValidationError: Value does not match validator.\nPath: .{name}\nValue: {value}\nValidator: {validator}"
    )
}

/// Writes integers as their digits.
fn with_digits(value: Value) -> Value {
    if let Some(number) = Integer::deserialize(&value).ok().and_then(|it| it.number()) {
        return number.to_string().into();
    }
    match value {
        Value::Array(values) => values.into_iter().map(with_digits).collect(),
        Value::Object(values) => {
            let values = values.into_iter();
            Value::Object(values.map(|(name, it)| (name, with_digits(it))).collect())
        }
        value => value,
    }
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
