//! Data sources: what is read and never changed.

mod deployment;

pub use self::deployment::DeploymentDataSource;
