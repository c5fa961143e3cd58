//! The checklist: whether a project and its deployment are as they should be.
//!
//! What is known goes in as [`Facts`], what is said of it comes out as [`Check`]s, without I/O.
//! [`snapshot`] and [`probe`] find the facts out.

mod cloud;
mod containers;
mod directory;
mod env;
mod facts;
mod files;
mod keeper;
mod live;
mod probe;
mod report;
mod sign_in;
mod snapshot;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::plugin::redact;

pub use directory::{ask_from_here, browser_addresses, verify_directory};
pub use facts::{
    Answer, Discovery, Facts, Fault, Instances, Issuer, Keeper, Leads, Place, Probes, SeenFile,
    Service, Snapshot, Source, Token,
};
pub use probe::{
    Addresses, Given, Loopback, Nowhere, Views, Way, Why, ask, probe, site_beside, unasked,
};
pub use report::{Report, Style};
pub use snapshot::snapshot;

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

/// The name of each check and how it is made, in the order in which their remedies help.
const CHECKS: [(&str, Make); 28] = [
    ("env_file", env::env_file),
    ("env_urls", env::env_urls),
    ("env_issuer", env::env_issuer),
    ("env_site", env::env_site),
    ("other_deployment", cloud::other_deployment),
    ("secrets_private", files::secrets_private),
    ("secrets_ignored", files::secrets_ignored),
    ("node", files::node),
    ("packages", files::packages),
    ("generated_code", files::generated_code),
    ("schema_auth_tables", files::schema_auth_tables),
    ("auth_providers", files::auth_providers),
    ("auth_config", files::auth_config),
    ("http_routes", files::http_routes),
    ("frontend_imports", files::frontend_imports),
    ("containers", live::containers),
    ("api_answers", live::api_answers),
    ("api_instance", live::api_instance),
    ("site_answers", live::site_answers),
    ("admin_key", live::admin_key),
    ("variables", live::variables),
    ("issuer", sign_in::issuer),
    ("functions_deployed", sign_in::functions_deployed),
    ("issuer_reachable", sign_in::issuer_reachable),
    ("sign_in", sign_in::sign_in),
    ("browser_api", sign_in::browser_api),
    ("browser_site", sign_in::browser_site),
    ("site_url", sign_in::site_url),
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
                detail: printable(&detail),
                remedy: printable(&remedy),
            }
        })
        .collect();
    Report { checks }
}

/// Most characters of a text that are shown. Coder cuts the lines of a log at 1,024.
const MAX_TEXT: usize = 900;

/// A text with words of others in it, without what drives a terminal, in one line that can be read.
fn printable(text: &str) -> String {
    let text = redact::strike_unmistakable(text).replace(['\n', '\t'], " ");
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
