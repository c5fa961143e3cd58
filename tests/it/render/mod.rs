//! What is rendered, read back by the programs it is rendered for.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod by_hand;
mod dotenv;
mod project;
pub mod scaffold;
