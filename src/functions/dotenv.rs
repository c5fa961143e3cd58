//! `dotenv_encode` and `dotenv_decode`: env files as maps.

use std::collections::BTreeMap;

use crate::{
    convex::Secret,
    plugin::{Function, FunctionError, Parameter, Signature, value::Type},
    render::dotenv,
};

/// The function that writes.
#[derive(Debug)]
pub struct DotenvEncode;

impl Function for DotenvEncode {
    type Arguments = (BTreeMap<String, Secret>,);
    type Output = Secret;

    fn signature(&self) -> Signature {
        Signature::new(
            "Env file of a map",
            "Writes variables as an env file, a line for each, in the order of their names. It is read alike by a shell, npm's `dotenv`, `docker compose`, Vite and the command line of Convex: a value is written plain, in single quotes or in double quotes, whichever they all take literally. A value that has no such spelling is an error that says why. `docker run --env-file` takes quotation marks as part of a value, so give it plain words only. Terraform treats the result as sensitive where a value is.",
            Type::String,
        )
        .parameter(Parameter::new(
            "variables",
            Type::map(Type::String),
            "The variables by name.",
        ))
    }

    fn call(&self, (variables,): (BTreeMap<String, Secret>,)) -> Result<Secret, FunctionError> {
        let pairs = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()));
        dotenv::encode(pairs)
            .map(Secret::from)
            .map_err(|error| FunctionError::argument(0, error.to_string()))
    }
}

/// The function that reads.
#[derive(Debug)]
pub struct DotenvDecode;

impl Function for DotenvDecode {
    type Arguments = (Secret,);
    type Output = BTreeMap<String, Secret>;

    fn signature(&self) -> Signature {
        Signature::new(
            "Map of an env file",
            "Reads an env file as a map of its variables. Understood are comments, `export`, values without quotes, in single quotes or backticks (literal, over several lines), and in double quotes (with the escapes `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\$` and a backtick after a backslash). Nothing is expanded: a dollar sign is a dollar sign. Of a name that comes twice the last value counts. Errors name the line and show nothing of it. Terraform treats the result as sensitive where the argument is.",
            Type::map(Type::String),
        )
        .parameter(Parameter::new(
            "text",
            Type::String,
            "What is in the file, such as `file(\".env\")`.",
        ))
    }

    fn call(&self, (text,): (Secret,)) -> Result<BTreeMap<String, Secret>, FunctionError> {
        dotenv::decode(text.expose())
            .map(|variables| {
                variables
                    .into_iter()
                    .map(|(name, value)| (name, Secret::from(value)))
                    .collect()
            })
            .map_err(|error| FunctionError::argument(0, error.to_string()))
    }
}
