//! Terraform provider for self-hosted Convex deployments.

pub mod convex;
pub mod plugin;
pub mod render;
