//! Data sources: what is read and never changed.

mod deployment;
mod env;
mod project;
mod verification;

pub use self::{
    deployment::DeploymentDataSource, env::EnvDataSource, project::ProjectDataSource,
    verification::VerificationDataSource,
};
