//! Terraform provider for self-hosted Convex deployments.

pub mod backend;
pub mod convex;
pub mod data_sources;
pub mod database;
pub mod ephemeral_resources;
pub mod external;
pub mod functions;
pub mod local_file;
pub mod plugin;
pub mod project;
pub mod provider;
pub mod render;
pub mod resources;
pub mod runtime;
pub mod session;
