//! Data sources: what is read and never changed.

mod deployment;
mod project;
mod verification;

pub use self::{
    deployment::DeploymentDataSource, project::ProjectDataSource,
    verification::VerificationDataSource,
};
