//! How to get from what there is to what there should be.

use std::fmt;

use super::{Body, Desired, FilePath, Policy, Written, digest};
use crate::render::{
    dotenv::{EncodeError, MergeError, Merged, decode, merge},
    env_deployment, gitignore,
    package_json::PackageJsonError,
};

/// What there is at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Absent,
    /// A file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its permission bits.
        bits: u32,
    },
}

impl fmt::Debug for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::File { content, bits } => {
                write!(f, "File of {} bytes, {bits:o}", content.len())
            }
        }
    }
}

/// A change to a directory.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// A file gets this content and these permission bits. What was there before is gone, so it is
    /// ours, or in the content, or was set aside by an edit before.
    Write {
        /// Which file.
        path: FilePath,
        /// Its new content.
        content: Vec<u8>,
        /// Its permission bits.
        bits: u32,
    },
    /// A file gets these permission bits.
    Permit {
        /// Which file.
        path: FilePath,
        /// Its permission bits.
        bits: u32,
    },
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write {
                path,
                content,
                bits,
            } => write!(f, "Write {path}, {} bytes, {bits:o}", content.len()),
            Self::Permit { path, bits } => write!(f, "Permit {path}, {bits:o}"),
        }
    }
}

/// What is done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Keep,
    /// It is made.
    Create,
    /// Something is added or follows.
    Merge,
    /// It was ours and is written anew.
    Repair,
    /// It was changed by a person. It is set aside, and written anew.
    SetAside {
        /// Where the changed file is kept.
        to: FilePath,
    },
    /// Only its permission bits change.
    Permit,
}

/// What is to be done with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// In a word.
    pub action: Action,
    /// In order; none when everything is as it should be.
    pub edits: Vec<Edit>,
    /// What will be ours after that.
    pub written: Written,
    /// Variables with other values than they should have, because a person gave them.
    pub kept: Vec<String>,
}

/// Why a file cannot be brought to what it should be. It is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Refusal {
    /// Which file.
    pub path: FilePath,
    /// Why.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not text.
    #[error("The file is not UTF-8 text, so nothing can be added to it. Save it as UTF-8.")]
    NotText,
    /// It is an env file that cannot be read or written.
    #[error(transparent)]
    Variables(#[from] MergeError),
    /// It is a `package.json` that cannot be added to.
    #[error(transparent)]
    Package(#[from] PackageJsonError),
    /// It is of one piece.
    #[error("The file is of one piece and cannot be merged. Choose managed, create or skip.")]
    OnePiece,
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        Self::Variables(error.into())
    }
}

/// What is to be done so that a file is as it should be, given what was written before.
pub fn plan(
    desired: &Desired,
    existing: &Existing,
    written: &Written,
) -> Result<FilePlan, Refusal> {
    decide(desired, existing, written).map_err(|problem| Refusal {
        path: desired.path.clone(),
        problem,
    })
}

fn decide(desired: &Desired, existing: &Existing, written: &Written) -> Result<FilePlan, Problem> {
    let Desired {
        path,
        policy,
        body,
        mode,
    } = desired;
    if *policy == Policy::Skip {
        return Ok(FilePlan {
            action: Action::Keep,
            edits: Vec::new(),
            written: written.clone(),
            kept: Vec::new(),
        });
    }
    if *policy == Policy::Merge && !body.can_be_merged() {
        return Err(Problem::OnePiece);
    }
    let (content, bits) = match existing {
        Existing::Absent => {
            let content = body.fresh()?.expose().as_bytes().to_vec();
            let written = ours(body, &content, true);
            let edit = Edit::Write {
                path: path.clone(),
                content,
                bits: mode.bits(),
            };
            return Ok(FilePlan {
                action: Action::Create,
                edits: vec![edit],
                written,
                kept: Vec::new(),
            });
        }
        Existing::File { content, bits } => (content, *bits),
    };
    let bits_after = mode.adjust(bits);
    let write = |content: Vec<u8>| Edit::Write {
        path: path.clone(),
        content,
        bits: bits_after,
    };
    let mut plan = FilePlan {
        action: Action::Keep,
        edits: Vec::new(),
        written: written.clone(),
        kept: Vec::new(),
    };
    match policy {
        Policy::Create | Policy::Skip => {}
        Policy::Managed => {
            let fresh = body.fresh()?.expose().as_bytes().to_vec();
            plan.written = ours(body, &fresh, true);
            if *content == fresh {
            } else if written.is_whole(content) {
                plan.action = Action::Repair;
                plan.edits.push(write(fresh));
            } else {
                let to = path.set_aside(&digest(content));
                plan.edits.push(Edit::Write {
                    path: to.clone(),
                    content: content.clone(),
                    bits: bits_after,
                });
                plan.edits.push(write(fresh));
                plan.action = Action::SetAside { to };
            }
        }
        Policy::Merge => {
            let after = merged(body, content, written)?;
            plan.kept = after.kept;
            let after = after.content.as_ref().unwrap_or(content);
            plan.written = ours(body, after, written.is_whole(content));
            if after != content {
                plan.action = Action::Merge;
                plan.edits.push(write(after.clone()));
            }
        }
    }
    if plan.edits.is_empty() && bits_after != bits {
        plan.action = Action::Permit;
        plan.edits.push(Edit::Permit {
            path: path.clone(),
            bits: bits_after,
        });
    }
    Ok(plan)
}

struct AfterMerge {
    /// `None` when nothing changes.
    content: Option<Vec<u8>>,
    kept: Vec<String>,
}

fn merged(body: &Body, content: &[u8], written: &Written) -> Result<AfterMerge, Problem> {
    let text = || std::str::from_utf8(content).map_err(|_| Problem::NotText);
    let is_ours = |name: &str, value: &str| written.is_value(name, value);
    let variables = |merged: Merged| AfterMerge {
        content: Some(merged.text.expose().as_bytes().to_vec()),
        kept: merged.kept,
    };
    let content = match body {
        Body::Variables { entries, .. } => return Ok(variables(merge(text()?, entries, is_ours)?)),
        Body::DeploymentVariables { entries, .. } => {
            return Ok(variables(env_deployment::update(
                text()?,
                entries,
                is_ours,
            )?));
        }
        Body::Ignored(lines) => gitignore::merge(content, lines),
        Body::Package { additions, .. } => additions.merge(text()?)?.map(String::into_bytes),
        Body::Text(_) | Body::Secret(_) => return Err(Problem::OnePiece),
    };
    Ok(AfterMerge {
        content,
        kept: Vec::new(),
    })
}

/// What of a file's content is ours: all of it, and the variables that have the values they
/// should have.
fn ours(body: &Body, content: &[u8], all: bool) -> Written {
    let text = std::str::from_utf8(content).unwrap_or_default();
    let upper = match body {
        Body::DeploymentVariables { .. } => env_deployment::generated(text),
        _ => text,
    };
    let found = match body.entries() {
        [] => None,
        _ => decode(upper).ok(),
    };
    let variables = body
        .entries()
        .iter()
        .filter(|entry| {
            found
                .as_ref()
                .and_then(|it| it.get(&entry.name))
                .map(String::as_str)
                == Some(entry.value.expose())
        })
        .map(|entry| (entry.name.clone(), digest(entry.value.expose().as_bytes())))
        .collect();
    Written {
        whole: all.then(|| digest(content)),
        variables,
    }
}
