//! Snapshot exports: made on request while the deployment serves.
//!
//! Variables, code and keys are no part of a snapshot, as with the real backend.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long an export is requested only, and then how long it is made.
const STAGE: Duration = Duration::from_millis(150);

/// The exports of one process; the latest is the only one that counts.
#[derive(Default)]
pub struct Exports {
    latest: Mutex<Option<Export>>,
}

struct Export {
    id: String,
    requested: Instant,
    start_ns: u64,
    created_ms: f64,
    includes_storage: bool,
}

/// An export is in progress already.
#[derive(Debug, PartialEq, Eq)]
pub struct InProgress;

impl Exports {
    fn latest(&self) -> MutexGuard<'_, Option<Export>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an export. There is one at a time.
    pub fn request(&self, id: String, includes_storage: bool) -> Result<(), InProgress> {
        let mut latest = self.latest();
        if latest.as_ref().is_some_and(|it| it.state() != "completed") {
            return Err(InProgress);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        *latest = Some(Export {
            id,
            requested: Instant::now(),
            start_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            created_ms: (now.as_secs_f64() * 1000.0).floor(),
            includes_storage,
        });
        Ok(())
    }

    /// The latest as the document it is stored as, or null.
    pub fn document(&self) -> Value {
        self.latest().as_ref().map_or(Value::Null, |export| {
            let state = export.state();
            let mut document = json!({
                "_creationTime": export.created_ms,
                "_id": export.id,
                "format": { "format": "zip", "include_storage": export.includes_storage },
                "requestor": "snapshotExport",
                "state": state,
            });
            if state != "requested" {
                // 64-bit integers have no JSON form of their own.
                let bytes = STANDARD.encode(export.start_ns.to_le_bytes());
                document["start_ts"] = json!({ "$integer": bytes });
            }
            document
        })
    }

    /// Whether there is a finished export with this id or start time.
    pub fn has(&self, name: &str) -> bool {
        let latest = self.latest();
        let export = latest.as_ref().filter(|it| it.state() == "completed");
        export.is_some_and(|it| it.id == name || it.start_ns.to_string() == name)
    }
}

impl Export {
    fn state(&self) -> &'static str {
        match self.requested.elapsed() {
            waited if waited < STAGE => "requested",
            waited if waited < STAGE * 2 => "in_progress",
            _ => "completed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exports, InProgress};

    #[test]
    fn there_is_one_export_at_a_time_and_its_file_comes_last() {
        let exports = Exports::default();
        assert!(exports.document().is_null());
        exports.request("a".into(), true).unwrap();
        assert_eq!(exports.document()["state"], "requested");
        assert_eq!(exports.request("b".into(), true), Err(InProgress));
        assert!(!exports.has("a"));
        std::thread::sleep(super::STAGE * 2);
        assert_eq!(exports.document()["state"], "completed");
        assert!(exports.has("a") && !exports.has("b"));
        exports.request("b".into(), false).unwrap();
        assert!(!exports.has("a"), "the latest counts");
    }
}
