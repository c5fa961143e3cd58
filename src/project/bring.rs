//! Bringing a directory to what it should be.

use std::collections::BTreeMap;

use super::target::{MadeDirectory, Target, TargetError};
use crate::render::{
    files::{Action, Desired, Edit, Existing, FilePath, Policy, Refusal, Written, plan},
    package_json::PackageManager,
};

/// What would be done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutlook {
    /// Which file.
    pub path: FilePath,
    /// What.
    pub action: Action,
    /// Variables that stay as a person set them.
    pub kept: Vec<String>,
}

/// What would be done with a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Each file in its order.
    pub files: Vec<FileOutlook>,
    /// The changes.
    pub edits: Vec<Edit>,
    /// What will be ours after them, by path.
    pub written: BTreeMap<String, Written>,
    /// The package manager that the directory speaks of, or those above it.
    pub manager: Option<PackageManager>,
}

/// Why a directory cannot be brought to what it should be. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BringError {
    /// It cannot be looked at or changed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Files that are not what they would have to be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Refusal>),
}

/// Looks what would be done. Changes nothing.
pub async fn look(
    target: &impl Target,
    desired: &[Desired],
    written: &BTreeMap<String, Written>,
) -> Result<Outlook, BringError> {
    // What is skipped is not even looked at.
    let paths: Vec<FilePath> = desired
        .iter()
        .filter(|file| file.policy != Policy::Skip)
        .map(|file| file.path.clone())
        .collect();
    let existing = target.look(&paths).await?;
    let mut outlook = Outlook {
        files: Vec::new(),
        edits: Vec::new(),
        written: BTreeMap::new(),
        manager: None,
    };
    let mut refusals = Vec::new();
    let nothing = Written::default();
    for file in desired {
        let Some(existing) = existing.get(&file.path) else {
            continue;
        };
        let before = written.get(file.path.as_str()).unwrap_or(&nothing);
        match plan(file, existing, before) {
            Ok(planned) => {
                outlook.files.push(FileOutlook {
                    path: file.path.clone(),
                    action: planned.action,
                    kept: planned.kept,
                });
                outlook.edits.extend(planned.edits);
                outlook
                    .written
                    .insert(file.path.to_string(), planned.written);
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    if !refusals.is_empty() {
        return Err(BringError::Refused(refusals));
    }
    outlook.manager = target
        .surroundings()
        .await?
        .iter()
        .find_map(|it| PackageManager::detect(it.package_json.as_deref(), &it.names));
    Ok(outlook)
}

/// Brings a directory to what it should be. Returns what was done, and the directories that were
/// made for it.
pub async fn bring(
    target: &impl Target,
    desired: &[Desired],
    written: &BTreeMap<String, Written>,
) -> Result<(Outlook, Vec<MadeDirectory>), BringError> {
    let outlook = look(target, desired, written).await?;
    let made = target.change(&outlook.edits).await?;
    Ok((outlook, made))
}

/// Removes the files that are still as they were written: those that hold secrets, and those that
/// are not the person's from the moment they exist. Directories that were made for them go, too, if
/// they are empty then.
pub async fn remove(
    target: &impl Target,
    desired: &[Desired],
    written: &BTreeMap<String, Written>,
    made: &[MadeDirectory],
) -> Result<(), TargetError> {
    let paths: Vec<FilePath> = desired
        .iter()
        .filter(|file| file.policy != Policy::Skip)
        .map(|file| file.path.clone())
        .collect();
    if paths.is_empty() {
        return Ok(());
    }
    let existing = target.look(&paths).await?;
    let goes = |file: &&Desired| {
        let Some(Existing::File { content, .. }) = existing.get(&file.path) else {
            return false;
        };
        let ours = written
            .get(file.path.as_str())
            .is_some_and(|it| it.is_whole(content));
        ours && (file.policy != Policy::Create || file.body.is_secret())
    };
    let files: Vec<FilePath> = desired
        .iter()
        .filter(goes)
        .map(|it| it.path.clone())
        .collect();
    if files.is_empty() && made.is_empty() {
        return Ok(());
    }
    target.remove(&files, made).await
}
