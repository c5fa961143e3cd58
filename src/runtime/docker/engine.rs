//! What a daemon says of itself, in the head of each reply.
//!
//! Podman speaks Docker's API too, with gaps.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use hyper::HeaderMap;

use super::transport::{ApiVersion, TooOld};

/// What is known of a daemon once it has answered.
#[derive(Debug, Default)]
pub(super) struct Engine {
    known: AtomicBool,
    /// It is a Podman before release 5.1, which cannot change a container that
    /// is there (containers/podman, pull request 22322).
    is_rigid: AtomicBool,
    /// How many bytes programs may print that print more than others, by the ID of their exec.
    outputs: Mutex<BTreeMap<String, u64>>,
}

impl Engine {
    /// Takes note of a reply. Refuses a daemon that is too old.
    pub(super) fn note(&self, headers: &HeaderMap) -> Result<(), TooOld> {
        if self.known.load(Ordering::Relaxed) {
            return Ok(());
        }
        let version = |name: &str| ApiVersion::parse(headers.get(name)?.to_str().ok()?);
        if let Some(found) = version("api-version")
            && found < ApiVersion::OLDEST
        {
            return Err(TooOld {
                found,
                oldest: ApiVersion::OLDEST,
            });
        }
        let is_rigid = version("libpod-api-version").is_some_and(|it| it < ApiVersion::FLEXIBLE);
        self.is_rigid.store(is_rigid, Ordering::Relaxed);
        self.known.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Expects a program to print up to so many bytes.
    pub(super) fn expect_output(&self, exec: &str, bytes: u64) {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.insert(exec.to_owned(), bytes);
    }

    /// How many bytes a program may print that is started now, if it was said.
    pub(super) fn output_of(&self, exec: &str) -> Option<u64> {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.remove(exec)
    }

    /// Whether it can change a container that is there. Known once it has
    /// answered anything.
    pub(super) fn changes_containers(&self) -> bool {
        !self.is_rigid.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, header::HeaderName};

    use super::Engine;

    fn noted(headers: &[(&'static str, &str)]) -> Option<bool> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let engine = Engine::default();
        engine.note(&headers).ok()?;
        Some(engine.changes_containers())
    }

    #[test]
    fn docker_and_podman_are_told_apart() {
        let api = ("api-version", "1.41");
        assert_eq!(noted(&[api]), Some(true));
        assert_eq!(noted(&[]), Some(true), "what says nothing is let pass");
        assert_eq!(noted(&[api, ("libpod-api-version", "4.3.1")]), Some(false));
        assert_eq!(noted(&[api, ("libpod-api-version", "5.1.0")]), Some(true));
        assert_eq!(noted(&[("api-version", "1.40")]), None);
    }
}
