//! Files and variables for the people and tools of a project, rendered from the domain.
//!
//! Pure, as the domain is: what is rendered here is written by others.

pub mod backend_entrypoint;
pub mod dotenv;
pub mod env_deployment;
pub mod env_local;
pub mod files;
pub mod gitignore;
pub mod package_json;
pub mod project;
