//! Provider functions: pure, and usable without any configuration.

mod admin_key;
mod coder;
mod container;
mod dotenv;
mod jwks;
mod postgres_url;

pub use self::{
    admin_key::AdminKeyFunction,
    coder::{CoderAppUrl, CoderOrigins},
    container::{BackendContainer, DashboardContainer},
    dotenv::{DotenvDecode, DotenvEncode},
    jwks::JwksFunction,
    postgres_url::PostgresUrlFunction,
};
