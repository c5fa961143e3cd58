//! Provider functions: pure, and usable without any configuration.

mod admin_key;
mod coder;
mod dotenv;
mod jwks;
mod postgres_url;

pub use self::{
    admin_key::AdminKeyFunction,
    coder::{CoderAppUrl, CoderOrigins},
    dotenv::{DotenvDecode, DotenvEncode},
    jwks::JwksFunction,
    postgres_url::PostgresUrlFunction,
};
