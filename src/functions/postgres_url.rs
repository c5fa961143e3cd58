//! `postgres_url`: what people paste, as Convex wants it.

use crate::{
    convex::{PostgresUrl, Secret},
    plugin::{Function, FunctionError, Parameter, Signature, value::Type},
};

/// The function.
#[derive(Debug)]
pub struct PostgresUrlFunction;

impl Function for PostgresUrlFunction {
    type Arguments = (Secret,);
    type Output = Secret;

    fn signature(&self) -> Signature {
        Signature::new(
            "PostgreSQL URL as Convex wants it",
            "Takes a PostgreSQL URL as other programs want it and removes the database name, which the backend refuses because it appends its own. User, password, host and port stay, and the parameters that the backend takes; the others are left out, such as `pgbouncer`. Terraform marks the result sensitive where the argument is.",
            Type::String,
        )
        .parameter(Parameter::new(
            "url",
            Type::String,
            "A URL such as `postgres://user:password@host:5432/database?sslmode=require`.",
        ))
    }

    fn call(&self, (url,): (Secret,)) -> Result<Secret, FunctionError> {
        PostgresUrl::parse(url.expose())
            .map(|url| url.cluster_url())
            .map_err(|error| FunctionError::argument(0, error.to_string()))
    }
}
