//! The provider: its configuration, and everything it offers.

mod docker;

use std::ffi::{OsStr, OsString};

use crate::{
    convex::coder::Transition,
    data_sources::{
        DeploymentDataSource, EnvDataSource, ProjectDataSource, VerificationDataSource,
    },
    ephemeral_resources::AdminKeyEphemeral,
    functions::{
        AdminKeyFunction, BackendContainer, CoderAppUrl, CoderOrigins, DashboardContainer,
        DotenvDecode, DotenvEncode, JwksFunction, PostgresUrlFunction,
    },
    plugin::{
        Config, Diagnostics, Members, Provider,
        schema::{Fields, Schema},
    },
    resources::{
        admin_key_file::AdminKeyFileResource, auth_keys::AuthKeysResource,
        credentials::CredentialsResource, deployment::DeploymentResource, env::EnvResource,
        project::ProjectResource,
    },
    runtime::docker::{Registries, Surroundings},
    session::{Hosts, Session, place},
};

/// What the process's environment says to the provider.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    docker: Surroundings,
    transition: Transition,
    place: String,
}

impl Environment {
    /// Reads the environment through `var`.
    pub fn read(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let transition = var(Transition::VARIABLE);
        Self {
            transition: Transition::read(transition.as_deref().and_then(OsStr::to_str)),
            place: place(&var),
            docker: Surroundings::read(var),
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
        Schema::new(
            "Runs and configures self-hosted Convex deployments.",
            Fields::new().with("docker", docker::attribute()),
        )
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        docker::check(config, &self.environment.docker)
    }

    fn configure(&self, config: Config<'_>) -> Result<Session, Diagnostics> {
        // What it depends on may not exist yet. An operation that needs a host
        // before it is known says so.
        let around = self.environment.docker.clone();
        let registries = Registries::new(
            docker::read_registries(config),
            around.config_directory.clone(),
        );
        let hosts = Hosts::new(docker::read(config), around, registries);
        Ok(Session::new(hosts, self.environment.place.clone()))
    }

    fn only_destroys(&self) -> bool {
        self.environment.transition == Transition::Delete
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
            .function("backend_container", BackendContainer)
            .function("coder_app_url", CoderAppUrl(self.environment.transition))
            .function("coder_origins", CoderOrigins(self.environment.transition))
            .function("dashboard_container", DashboardContainer)
            .function("dotenv_decode", DotenvDecode)
            .function("dotenv_encode", DotenvEncode)
            .function("jwks", JwksFunction)
            .function("postgres_url", PostgresUrlFunction)
    }
}

#[cfg(test)]
mod tests;
