//! The provider: its configuration, and everything it offers.

use std::ffi::OsString;

use crate::{
    data_sources::{
        DeploymentDataSource, EnvDataSource, ProjectDataSource, VerificationDataSource,
    },
    ephemeral_resources::AdminKeyEphemeral,
    functions::{
        AdminKeyFunction, CoderAppUrl, CoderOrigins, DotenvDecode, DotenvEncode, JwksFunction,
        PostgresUrlFunction,
    },
    plugin::{
        Config, Diagnostic, Diagnostics, Known, Members, Provider,
        schema::{Fields, Schema, object, string},
    },
    resources::{
        admin_key_file::AdminKeyFileResource, auth_keys::AuthKeysResource,
        credentials::CredentialsResource, deployment::DeploymentResource, env::EnvResource,
        project::ProjectResource,
    },
    runtime::docker::Endpoint,
    session::Session,
};

/// What the process's environment says to the provider.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    docker_host: Option<String>,
}

impl Environment {
    /// Reads the environment through `var`.
    pub fn read(var: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            docker_host: var("DOCKER_HOST")
                .and_then(|host| host.into_string().ok())
                .filter(|host| !host.is_empty()),
        }
    }
}

/// The provider `coder-convex/convex`.
#[derive(Debug)]
pub struct Convex {
    environment: Environment,
}

impl Convex {
    /// Its address in the registry.
    pub const ADDRESS: &str = "registry.terraform.io/coder-convex/convex";

    /// The provider in this environment.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }
}

impl Provider for Convex {
    type Session = Session;

    fn schema(&self) -> Schema {
        let host = string(
            "Where the Docker daemon listens: `unix:///path/to/socket` or `tcp://host:port`. Null or empty means the variable `DOCKER_HOST`, else `unix:///var/run/docker.sock`. Nothing is dialled before a resource needs it.",
        )
        .optional()
        .check(|value, path, found| {
            if let Some(host) = value.as_str().filter(|host| !host.is_empty())
                && let Err(error) = Endpoint::parse(host)
            {
                found.push(
                    Diagnostic::error("Invalid Docker address", error.to_string())
                        .at(path.clone()),
                );
            }
        });
        Schema::new(
            "Runs and configures self-hosted Convex deployments.",
            Fields::new().with(
                "docker",
                object(
                    Fields::new().with("host", host),
                    "The Docker daemon that runs deployments.",
                )
                .optional(),
            ),
        )
    }

    fn configure(&self, config: Config<'_>) -> Result<Session, Diagnostics> {
        let host = match config.get::<Option<String>>("docker.host") {
            // What it depends on may not exist yet. An operation that needs
            // Docker before it is known says so.
            Known::Unknown => return Ok(Session::without_docker()),
            Known::Known(host) => host.filter(|host| !host.is_empty()),
        };
        let endpoint = match (host, &self.environment.docker_host) {
            (Some(host), _) => Endpoint::parse(&host).map_err(|error| {
                Diagnostic::error("Invalid Docker address", error.to_string()).at("docker.host")
            })?,
            (None, Some(host)) => Endpoint::parse(host).map_err(|error| {
                Diagnostic::error(
                    "Invalid Docker address",
                    format!("In the environment variable DOCKER_HOST: {error}"),
                )
            })?,
            (None, None) => Endpoint::local(),
        };
        Ok(Session::with_docker(endpoint))
    }

    fn members(&self) -> Members<Session> {
        Members::new()
            .resource("convex_admin_key_file", AdminKeyFileResource)
            .resource("convex_auth_keys", AuthKeysResource)
            .resource("convex_credentials", CredentialsResource)
            .resource("convex_deployment", DeploymentResource)
            .resource("convex_env", EnvResource)
            .resource("convex_project", ProjectResource)
            .data_source("convex_deployment", DeploymentDataSource)
            .data_source("convex_env", EnvDataSource)
            .data_source("convex_project", ProjectDataSource)
            .data_source("convex_verification", VerificationDataSource)
            .ephemeral("convex_admin_key", AdminKeyEphemeral)
            .function("admin_key", AdminKeyFunction)
            .function("coder_app_url", CoderAppUrl)
            .function("coder_origins", CoderOrigins)
            .function("dotenv_decode", DotenvDecode)
            .function("dotenv_encode", DotenvEncode)
            .function("jwks", JwksFunction)
            .function("postgres_url", PostgresUrlFunction)
    }
}
