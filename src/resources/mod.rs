//! Managed resources: where the domain's words and Terraform's meet.

pub mod admin_key_file;
pub mod auth_keys;
pub mod credentials;
pub mod deployment;
mod diagnose;
pub mod docker_host;
pub mod env;
mod imported;
mod issue;
mod place;
pub mod project;

pub use self::deployment::find_instance;
pub(crate) use self::{
    diagnose::{backend_error, docker_error, warn_down, warn_of_loop},
    issue::issue_key,
};
