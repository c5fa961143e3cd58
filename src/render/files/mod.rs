//! Files of a project as they should be, and how to get there from what there is.
//!
//! Everything here is values. What exists is read, and what is to be written is written, by
//! others. No byte that a person wrote is ever lost: it stays in its file, or the file is set
//! aside under another name before it is replaced.

mod body;
mod path;
mod plan;
mod written;

pub use body::{Body, Mode};
pub use path::{FilePath, FilePathError};
pub use plan::{Action, Edit, Existing, FilePlan, Problem, Refusal, plan};
pub use written::{Written, digest};

/// What becomes of a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is ours: a change is repaired, after the changed file was set aside.
    Managed,
    /// It is the person's from the moment it exists.
    Create,
    /// It is shared: what is missing is added, and nothing else is touched.
    Merge,
    /// It is neither looked at nor written.
    Skip,
}

/// A name that is no [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no policy. Write managed, create, merge or skip.")]
pub struct UnknownPolicy {
    name: String,
}

impl Policy {
    /// All names.
    pub const NAMES: &'static [&'static str] = &["managed", "create", "merge", "skip"];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Create => "create",
            Self::Merge => "merge",
            Self::Skip => "skip",
        }
    }
}

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        match name {
            "managed" => Ok(Self::Managed),
            "create" => Ok(Self::Create),
            "merge" => Ok(Self::Merge),
            "skip" => Ok(Self::Skip),
            _ => Err(UnknownPolicy {
                name: name.to_owned(),
            }),
        }
    }
}

/// A file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Where.
    pub path: FilePath,
    /// What becomes of one that exists.
    pub policy: Policy,
    /// What is in it.
    pub body: Body,
    /// Who may do what with it.
    pub mode: Mode,
}

#[cfg(test)]
mod tests;
