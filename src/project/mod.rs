//! The directory of a project: what is in it, and how it gets what it should have.

mod bring;
pub mod target;
pub mod verify;

pub use bring::{BringError, FileOutlook, Outlook, bring, look, remove};
