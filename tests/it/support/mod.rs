//! What the tests share: programs, Terraform in several versions, Docker, and
//! ways to watch the provider at work.
//!
//! A program that a test needs and that is not there fails the test, loudly.
//! Nothing here skips.

pub mod apps;
pub mod backend;
pub mod binaries;
pub mod compose;
pub mod docker;
pub mod golden;
pub mod http;
pub mod node;
pub mod plugin;
pub mod terraform;
pub mod tools;

pub(crate) use terraform::on_each_core;
