//! Provider functions: pure, and usable without any configuration.

mod admin_key;
mod coder;
mod postgres_url;

pub use self::{
    admin_key::AdminKeyFunction,
    coder::{CoderAppUrl, CoderOrigins},
    postgres_url::PostgresUrlFunction,
};
