//! What the tests share: programs, Terraform in several versions, Docker, and
//! ways to watch the provider at work.
//!
//! A program that a test needs and that is not there fails the test, loudly.
//! Nothing here skips.

pub mod apps;
pub mod backend;
pub mod binaries;
pub mod browser;
pub mod certificates;
pub mod compose;
pub mod daemon;
pub mod docker;
pub mod driver;
pub mod gate;
pub mod golden;
pub mod http;
pub mod node;
pub mod own_host;
pub mod plugin;
pub mod podman;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the tests of the stand-in, which use other parts of it"
)]
#[path = "../../standin/tests/support/postgres.rs"]
pub mod postgres;
pub mod processes;
pub mod proxy;
pub mod registry;
pub mod snapshot;
pub mod sshd;
pub mod standin;
pub mod terraform;
pub mod tools;

pub(crate) use terraform::{on_each_core, on_every_core};
