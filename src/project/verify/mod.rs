//! The checklist: whether a project and its deployment are as they should be.
//!
//! What is known goes in as [`Facts`], what is said of it comes out as [`Check`]s, without I/O.
//! [`snapshot`] and [`probe`] find the facts out.

mod containers;
mod directory;
mod files;
mod live;
mod probe;
mod report;
mod snapshot;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use directory::{addresses, verify_directory};
pub use probe::{Addresses, ask, probe, site_beside, unasked};
pub use report::{Report, Style};
pub use snapshot::snapshot;

use crate::{backend::api::CanonicalUrls, convex::Secret};

/// A file, as far as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Its text.
    pub text: Secret,
    /// Its permission bits.
    pub bits: u32,
}

/// What there is in the directory of a project: files by path, those with the source of the
/// frontend among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The files.
    pub files: BTreeMap<String, SeenFile>,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// This.
    Known(T),
    /// It went wrong, in these words.
    Failed(String),
    /// It could not be asked, for this reason.
    NotAsked(String),
}

impl<T> Answer<T> {
    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// What was found out about a deployment.
#[derive(Clone)]
pub struct Probes {
    /// Whether its containers run; `false` when one is stopped.
    pub containers: Answer<bool>,
    /// The address of its API that was asked, and what it said of its release.
    pub api: Answer<String>,
    /// Whether something answers where its HTTP actions should.
    pub site: Answer<()>,
    /// Whether the admin key is accepted.
    pub key: Answer<()>,
    /// The variables of the deployment.
    pub variables: Answer<BTreeMap<String, Secret>>,
    /// What the deployment tells of its own addresses.
    pub urls: Answer<CanonicalUrls>,
    /// The issuer that the deployed functions name.
    pub issuer: Answer<String>,
}

/// Everything that is known.
#[derive(Clone)]
pub struct Facts {
    /// The directory; `None` when only the deployment is looked at.
    pub snapshot: Option<Snapshot>,
    /// The deployment.
    pub probes: Probes,
}

/// One entry of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether all is well; nothing when it could not be told.
    pub passed: Option<bool>,
    /// What was seen. No secret.
    pub detail: String,
    /// What to do; empty when all is well.
    pub remedy: String,
}

/// What one check comes to.
enum Verdict {
    Passed(String),
    Failed { detail: String, remedy: String },
    Open(String),
}

impl Verdict {
    fn passed(detail: impl Into<String>) -> Self {
        Self::Passed(detail.into())
    }

    fn failed(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed {
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }

    fn open(why: impl Into<String>) -> Self {
        Self::Open(why.into())
    }
}

/// How a check is made.
type Make = fn(&Facts) -> Verdict;

/// The name of each check and how it is made, in the recipe's order.
const CHECKS: [(&str, Make); 19] = [
    ("env_file", files::env_file),
    ("env_urls", files::env_urls),
    ("env_issuer", files::env_issuer),
    ("secrets_private", files::secrets_private),
    ("secrets_ignored", files::secrets_ignored),
    ("packages", files::packages),
    ("generated_code", files::generated_code),
    ("schema_auth_tables", files::schema_auth_tables),
    ("auth_providers", files::auth_providers),
    ("auth_config", files::auth_config),
    ("http_routes", files::http_routes),
    ("frontend_imports", files::frontend_imports),
    ("containers", live::containers),
    ("api_answers", live::api_answers),
    ("site_answers", live::site_answers),
    ("admin_key", live::admin_key),
    ("variables", live::variables),
    ("issuer", live::issuer),
    ("functions_deployed", live::functions_deployed),
];

/// The whole checklist.
#[must_use]
pub fn verify(facts: &Facts) -> Report {
    let checks = CHECKS
        .iter()
        .map(|(name, check)| {
            let (passed, detail, remedy) = match check(facts) {
                Verdict::Passed(detail) => (Some(true), detail, String::new()),
                Verdict::Failed { detail, remedy } => (Some(false), detail, remedy),
                Verdict::Open(why) => (None, why, String::new()),
            };
            Check {
                name,
                passed,
                detail,
                remedy,
            }
        })
        .collect();
    Report { checks }
}
