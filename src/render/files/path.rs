//! Paths below the directory of a project.

use std::{fmt, str::FromStr};

/// A path below the directory of a project: names with `/` between, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

/// A text that is no [`FilePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path:?} is no path below the project's directory. Write names with `/` between, such as \
     \"convex/schema.ts\", without `..` and without `/` at the beginning."
)]
pub struct FilePathError {
    path: String,
}

impl FilePath {
    /// Takes a path.
    pub fn parse(path: &str) -> Result<Self, FilePathError> {
        let good = path.split('/').all(|name| {
            !name.is_empty()
                && name != "."
                && name != ".."
                && !name.contains(|c: char| c.is_control() || c == '\\')
        });
        if good {
            Ok(Self(path.to_owned()))
        } else {
            Err(FilePathError {
                path: path.to_owned(),
            })
        }
    }

    /// A path that stands in this program.
    pub(crate) fn known(path: &'static str) -> Self {
        debug_assert!(Self::parse(path).is_ok());
        Self(path.to_owned())
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// A path beside this one, for the file as it was, by the digest of its content.
    pub(super) fn set_aside(&self, digest: &str) -> Self {
        Self(format!("{}.set-aside-{}", self.0, &digest[..16]))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FilePath {
    type Err = FilePathError;

    fn from_str(path: &str) -> Result<Self, FilePathError> {
        Self::parse(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        for good in ["a", ".gitignore", "convex/lib/user.ts", "a b", "..a"] {
            assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\nb", "a\0", "a\\b",
        ] {
            assert!(FilePath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
