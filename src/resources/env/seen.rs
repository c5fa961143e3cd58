//! What was last seen of a backend, kept beside the state.
//!
//! Terraform plans twice, before and during apply, and both plans must be the
//! same. The second is made by another process, which never hears of a
//! deployment that stays as it is. So what the first plan is made from is kept
//! where both find it.

use super::backend::Backend;
use crate::{
    plugin::{Known, Private},
    session::Deployment,
};

const RUNNING: &str = "running";
const SITE_ORIGIN: &str = "site_origin";

/// Keeps what was seen.
pub fn note(private: &mut Private, backend: &Backend) {
    let (running, site_origin) = match backend {
        Backend::Running { site_origin, .. } => (true, site_origin),
        Backend::Stopped { site_origin } => (false, site_origin),
        Backend::Gone => return,
    };
    private.set(RUNNING, &running);
    if let Some(origin) = site_origin {
        private.set(SITE_ORIGIN, origin);
    }
}

/// What a plan goes by.
#[derive(Debug)]
pub struct Seen {
    /// Whether the backend will run.
    pub running: Known<bool>,
    /// Where its HTTP actions will answer; `None` when nobody here knows.
    pub site_origin: Option<Known<String>>,
    /// Whether the backend is made anew, and has none of the variables.
    pub made_anew: bool,
}

impl Seen {
    /// From what this run plans for the deployment, else from what it has seen
    /// of it, else from what was seen last.
    pub fn of(deployment: Option<&Deployment>, private: &Private) -> Self {
        if let Some(planned) = deployment.and_then(|it| it.planned.as_ref()) {
            return Self {
                running: planned.running,
                site_origin: Some(match &planned.origins {
                    Known::Known(origins) => Known::Known(origins.site.to_string()),
                    Known::Unknown => Known::Unknown,
                }),
                made_anew: planned.creates,
            };
        }
        if let Some(live) = deployment.and_then(|it| it.live.as_ref()) {
            return Self {
                running: Known::Known(live.running),
                site_origin: Some(Known::Known(live.origins.site.to_string())),
                made_anew: false,
            };
        }
        Self {
            running: private.get(RUNNING).map_or(Known::Unknown, Known::Known),
            site_origin: private.get(SITE_ORIGIN).map(Known::Known),
            made_anew: false,
        }
    }
}
