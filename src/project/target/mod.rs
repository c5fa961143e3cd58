//! Where a project is.

mod container;
mod local;

use std::{collections::BTreeMap, future::Future};

pub use container::{ContainerDirectory, ContainerError};
pub use local::LocalDirectory;

use serde::{Deserialize, Serialize};

use crate::render::files::{Edit, Existing, FilePath};

/// A directory that can be looked at and changed.
pub trait Target: Send + Sync {
    /// What there is at each of these paths.
    fn look(
        &self,
        paths: &[FilePath],
    ) -> impl Future<Output = Result<BTreeMap<FilePath, Existing>, TargetError>> + Send;

    /// Makes these changes in their order. Each file is changed as a whole or not at all, so an
    /// interrupted run leaves nothing half written. Directories that are missing are made, and
    /// returned.
    fn change(
        &self,
        edits: &[Edit],
    ) -> impl Future<Output = Result<Vec<MadeDirectory>, TargetError>> + Send;

    /// Removes files, and then those of the directories that are empty. What has gone already is
    /// success.
    fn remove(
        &self,
        files: &[FilePath],
        directories: &[MadeDirectory],
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// The directory and those above it in the repository, the nearest first.
    fn surroundings(&self) -> impl Future<Output = Result<Vec<Surrounding>, TargetError>> + Send;
}

/// A directory that was made for a project's files: its path below the project's own directory,
/// which has an empty one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MadeDirectory(String);

/// What a directory has that says which package manager is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrounding {
    /// The text of its `package.json`.
    pub package_json: Option<String>,
    /// The names of what is in it.
    pub names: Vec<String>,
}

/// Why a directory cannot be looked at or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A link leads somewhere else.
    #[error(
        "{path} is, or is below, a link that leads out of the project's directory. Nothing was written through it. Replace the link by a file, or skip this one."
    )]
    LeadsOut {
        /// Which file.
        path: String,
    },
    /// There is something that is no file.
    #[error("{path} is {what} and no file. Move it away, or choose another path.")]
    NotFile {
        /// Where.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// The project's directory is no directory.
    #[error("{path} is no directory. Name another one.")]
    NotDirectory {
        /// Where.
        path: String,
    },
    /// A file is larger than files of a project are.
    #[error("{path} has more than {} MiB. Move it away, or skip this file.", MAX_FILE >> 20)]
    TooLarge {
        /// Where.
        path: String,
    },
    /// The system refused.
    #[error("{path}: {reason}. {remedy}.")]
    Failed {
        /// Where.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// The largest file that is read, in bytes. What is written here is far smaller.
pub(crate) const MAX_FILE: u64 = 4 << 20;
