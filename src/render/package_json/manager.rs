//! Package managers, and how a project says which one it uses.

use std::{fmt, str::FromStr};

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PackageManager {
    /// Comes with Node.
    #[default]
    Npm,
    /// pnpm.
    Pnpm,
    /// yarn, of any age.
    Yarn,
    /// bun.
    Bun,
}

/// A name that is no [`PackageManager`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no package manager known here. Write npm, pnpm, yarn or bun.")]
pub struct UnknownManager {
    name: String,
}

/// Lock files, with the manager that writes each. The first that is found decides, which is why
/// npm's comes last: tools leave one behind in projects of other managers.
pub const LOCK_FILES: [(&str, PackageManager); 7] = [
    ("pnpm-lock.yaml", PackageManager::Pnpm),
    ("pnpm-workspace.yaml", PackageManager::Pnpm),
    ("yarn.lock", PackageManager::Yarn),
    ("bun.lock", PackageManager::Bun),
    ("bun.lockb", PackageManager::Bun),
    ("package-lock.json", PackageManager::Npm),
    ("npm-shrinkwrap.json", PackageManager::Npm),
];

impl PackageManager {
    /// All names.
    pub const NAMES: &'static [&'static str] = &["npm", "pnpm", "yarn", "bun"];

    /// Its program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }

    /// The manager that a directory's `package.json` names in `packageManager`, else the one whose
    /// lock file is among `files`, the names of what is beside it.
    #[must_use]
    pub fn detect(package_json: Option<&str>, files: &[String]) -> Option<Self> {
        let named = package_json
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|json| {
                let field = json["packageManager"].as_str()?;
                field.split('@').next()?.parse().ok()
            });
        named.or_else(|| {
            LOCK_FILES
                .into_iter()
                .find(|(name, _)| files.iter().any(|file| file == name))
                .map(|(_, manager)| manager)
        })
    }
}

impl fmt::Display for PackageManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PackageManager {
    type Err = UnknownManager;

    fn from_str(name: &str) -> Result<Self, UnknownManager> {
        match name {
            "npm" => Ok(Self::Npm),
            "pnpm" => Ok(Self::Pnpm),
            "yarn" => Ok(Self::Yarn),
            "bun" => Ok(Self::Bun),
            _ => Err(UnknownManager {
                name: name.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_says_which_one_it_uses() {
        let files = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let detect = |json, names| PackageManager::detect(json, &files(names));
        assert_eq!(detect(None, &["src"]), None);
        assert_eq!(detect(None, &["bun.lock"]), Some(PackageManager::Bun));
        let both = &["package-lock.json", "pnpm-lock.yaml"];
        assert_eq!(detect(Some("{}"), both), Some(PackageManager::Pnpm));
        let named = Some(r#"{"packageManager":"yarn@4.1.0+sha224.00"}"#);
        assert_eq!(detect(named, both), Some(PackageManager::Yarn));
        assert_eq!(
            detect(Some("nonsense"), &["yarn.lock"]),
            Some(PackageManager::Yarn)
        );
        for name in PackageManager::NAMES {
            assert_eq!(name.parse::<PackageManager>().unwrap().as_str(), *name);
        }
    }
}
