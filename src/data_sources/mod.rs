//! Data sources: what is read and never changed.

mod deployment;
mod project;

pub use self::{deployment::DeploymentDataSource, project::ProjectDataSource};
