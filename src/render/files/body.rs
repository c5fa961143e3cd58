//! What is in a file.

use std::collections::BTreeMap;

use crate::{
    convex::Secret,
    render::{
        dotenv::{EncodeError, Entry},
        env_deployment, gitignore,
        package_json::Additions,
    },
};

/// Who may do what with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everybody may read it, as the file system has it.
    Plain,
    /// It can be run.
    Program,
    /// Its owner alone may read it.
    Private,
}

impl Mode {
    /// The bits of a new file.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Program => 0o755,
            Self::Private => 0o600,
        }
    }

    /// The bits of a file that exists with other ones: as few are changed as must be.
    pub(super) fn adjust(self, bits: u32) -> u32 {
        match self {
            Self::Plain => bits,
            // Whoever may read it may run it.
            Self::Program => bits | ((bits & 0o444) >> 2),
            Self::Private => bits & !0o077,
        }
    }
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// This text.
    Text(String),
    /// This text, which nobody is to see.
    Secret(Secret),
    /// Variables, below comment lines.
    Variables {
        /// The first lines of a new file.
        head: &'static str,
        /// The variables.
        entries: Vec<Entry>,
    },
    /// Variables of a deployment; see [`env_deployment`].
    DeploymentVariables {
        /// What is generated.
        entries: Vec<Entry>,
        /// What a new file has below that.
        own: BTreeMap<String, Secret>,
    },
    /// Lines of a `.gitignore`.
    Ignored(&'static [&'static str]),
    /// Parts of a `package.json`.
    Package {
        /// The name of a new one.
        name: String,
        /// The parts.
        additions: Additions,
    },
}

impl Body {
    /// The content of a file that did not exist.
    pub fn fresh(&self) -> Result<Secret, EncodeError> {
        match self {
            Self::Text(text) => Ok(Secret::from(text.as_str())),
            Self::Secret(text) => Ok(text.clone()),
            Self::Variables { head, entries } => {
                let mut text = String::from(*head);
                for entry in entries {
                    text.push('\n');
                    text.push_str(&entry.lines()?);
                }
                Ok(Secret::from(text))
            }
            Self::DeploymentVariables { entries, own } => env_deployment::render(entries, own),
            Self::Ignored(lines) => {
                let text = gitignore::merge(b"", lines).unwrap_or_default();
                Ok(Secret::from(String::from_utf8_lossy(&text).into_owned()))
            }
            Self::Package { name, additions } => Ok(Secret::from(additions.render(name))),
        }
    }

    /// Whether a file can have other things beside these.
    #[must_use]
    pub fn can_be_merged(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Secret(_))
    }

    /// Whether nobody is to see it.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(
            self,
            Self::Secret(_) | Self::Variables { .. } | Self::DeploymentVariables { .. }
        )
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Variables { entries, .. } | Self::DeploymentVariables { entries, .. } => entries,
            _ => &[],
        }
    }
}
