//! The domain: what a self-hosted Convex deployment is made of, as values that cannot be wrong.
//!
//! Everything here is pure. Nothing reads a file, a clock, an environment variable or a network,
//! nothing knows who runs the backend or who asks for it, and nothing else of this crate is
//! imported. Text from outside becomes a value through a `parse` function, whose error says in one
//! or two sentences what is wrong with the text and what to write instead. No error and no `Debug`
//! output contains a secret.

pub mod admin_key;
pub mod auth_keys;
pub mod coder;
pub mod crypto;
pub mod database;
pub mod env_var;
pub mod instance;
pub mod mysql;
pub mod origins;
pub mod page_url;
pub mod pem;
pub mod postgres;
pub mod process_env;
pub mod reach;
pub mod secret;
pub mod tested;

pub use admin_key::{Access, AdminKey};
pub use auth_keys::AuthKeys;
pub use database::Database;
pub use instance::{DeploymentName, InstanceName, InstanceSecret, NameError};
pub use origins::{
    ApiOrigin, DashboardOrigin, OriginConflict, OriginError, OriginWarning, Origins, SiteOrigin,
};
pub use page_url::PageUrl;
pub use postgres::PostgresUrl;
pub use reach::Reach;
pub use secret::Secret;
