//! The domain, held to reference data and to the programs that read what it makes.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod admin_key;
mod auth_keys;
pub mod better_auth;
mod postgres_url;
mod tested;
