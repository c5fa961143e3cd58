//! What was last seen of a backend, kept beside the state.
//!
//! Terraform plans twice, before and during apply, and both plans must be the
//! same. The second is made by another process, which never hears of a
//! deployment that stays as it is. So what the first plan is made from is kept
//! where both find it.

use std::collections::BTreeMap;

use super::backend::{Backend, Traits};
use crate::{
    plugin::{Known, Private},
    session::Deployment,
};

const RUNNING: &str = "running";
const TRAITS: &str = "traits";
const SEALS: &str = "seals";
const JWKS: &str = "jwks";
const IDENTITY: &str = "identity";
const LAST_SET: &str = "last_set";

/// Keeps what was seen.
pub fn note(private: &mut Private, backend: &Backend) {
    let running = match backend {
        Backend::Running { .. } => true,
        Backend::Stopped { .. } => false,
        Backend::Gone => return,
    };
    private.set(RUNNING, &running);
    if let Some(traits) = backend.traits() {
        private.set(TRAITS, traits);
    }
}

/// Whether the backend ran when it was last looked at.
pub fn was_running(private: &Private) -> bool {
    private.get(RUNNING).unwrap_or(false)
}

/// Whether it was last looked at and did not run.
pub fn was_stopped(private: &Private) -> bool {
    private.get(RUNNING) == Some(false)
}

/// What was set when the backend was last reached, while a change waits for it:
/// names, with the number they were pinned to. The state then says what is to
/// be set, and not what is.
pub fn last_set(private: &Private) -> Option<BTreeMap<String, Option<i64>>> {
    private.get(LAST_SET)
}

/// Keeps what was set last, or forgets it where nothing waits.
pub fn note_last_set(private: &mut Private, last: Option<&BTreeMap<String, Option<i64>>>) {
    match last {
        Some(last) => private.set(LAST_SET, last),
        None => private.remove(LAST_SET),
    }
}

/// The seals of write-only values, where the backend does not tell variables.
pub fn seals(private: &Private) -> Option<BTreeMap<String, String>> {
    private.get(SEALS)
}

/// Keeps seals, or none where the backend tells variables.
pub fn note_seals(private: &mut Private, seals: Option<&BTreeMap<String, String>>) {
    match seals {
        Some(seals) => private.set(SEALS, seals),
        None => private.remove(SEALS),
    }
}

/// The public key of a pair whose private key is not kept.
pub fn own_jwks(private: &Private) -> Option<String> {
    private.get(JWKS)
}

/// Keeps the public key.
pub fn note_jwks(private: &mut Private, jwks: Option<&str>) {
    match jwks {
        Some(jwks) => private.set(JWKS, &jwks),
        None => private.remove(JWKS),
    }
}

/// What tells the resource from others on the same backend.
pub fn identity(private: &Private) -> Option<String> {
    private.get(IDENTITY)
}

/// Gives the resource an identity, if it has none.
pub fn identify(private: &mut Private) {
    if identity(private).is_none() {
        // Two random numbers of the standard library: nothing depends on
        // nobody guessing them.
        use std::hash::{BuildHasher, Hasher, RandomState};
        let random = || RandomState::new().build_hasher().finish();
        private.set(IDENTITY, &format!("{:016x}{:016x}", random(), random()));
    }
}

/// What a plan goes by.
#[derive(Debug)]
pub struct Seen {
    /// Whether the backend will run.
    pub running: Known<bool>,
    /// What its deployment is like; `None` when nobody here knows.
    pub traits: Option<Known<Traits>>,
    /// Whether the backend may have other data than before, and so none of the variables.
    pub other_data: bool,
}

impl Seen {
    /// That nothing can be said before apply. A new resource on a deployment
    /// that stays as it is has nothing to go by that both plans would find: the
    /// backend may be stopped between them.
    pub fn nothing() -> Self {
        Self {
            running: Known::Unknown,
            traits: Some(Known::Unknown),
            other_data: false,
        }
    }

    /// From what this run plans for the deployment, else from what it has seen
    /// of it, else from what was seen last.
    pub fn of(deployment: Option<&Deployment>, private: &Private) -> Self {
        if let Some(planned) = deployment.and_then(|it| it.planned.as_ref()) {
            let traits = match (&planned.reach, planned.keeps_secrets) {
                (Known::Known(reach), Known::Known(keeps_secrets)) => Known::Known(Traits {
                    keeps_secrets,
                    ..Traits::of_reach(reach)
                }),
                _ => Known::Unknown,
            };
            return Self {
                running: planned.running,
                traits: Some(traits),
                other_data: planned.other_data(),
            };
        }
        if let Some(live) = deployment.and_then(|it| it.live.as_ref()) {
            return Self {
                running: Known::Known(live.running),
                traits: Some(Known::Known(Traits::of(live))),
                other_data: false,
            };
        }
        Self {
            running: private.get(RUNNING).map_or(Known::Unknown, Known::Known),
            traits: private.get(TRAITS).map(Known::Known),
            other_data: false,
        }
    }

    /// Whether it is known that the backend will not run.
    pub fn is_stopped(&self) -> bool {
        self.running == Known::Known(false)
    }
}
