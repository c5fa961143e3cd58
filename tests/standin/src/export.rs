//! Snapshot exports: a ZIP file of what the deployment holds, made on request while it serves.
//!
//! Variables, code and keys are no part of a snapshot, as with the real backend. Without functions there are no
//! documents either, so the file is valid and all but empty.

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

    /// The file of the export with this id or start time, once it is there.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        let latest = self.latest();
        let export = latest.as_ref().filter(|it| it.state() == "completed")?;
        let known = export.id == name || export.start_ns.to_string() == name;
        known.then(|| {
            zip(&[
                ("README.md", b"A snapshot of the stand-in.\n"),
                ("_tables/documents.jsonl", b""),
            ])
        })
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

/// A ZIP file with these files in it, not compressed.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut directory = Vec::new();
    let number = |length: usize| u32::try_from(length).expect("a small file");
    for (name, content) in files {
        let offset = number(body.len());
        // Version, flags, method, time and date, checksum, both sizes, length of the name, of what is extra.
        let mut entry = Vec::new();
        for half in [20_u16, 0, 0, 0, 0x21] {
            entry.extend(half.to_le_bytes());
        }
        for word in [
            checksum(content),
            number(content.len()),
            number(content.len()),
        ] {
            entry.extend(word.to_le_bytes());
        }
        entry.extend(
            u16::try_from(name.len())
                .expect("a short name")
                .to_le_bytes(),
        );
        entry.extend([0; 2]);
        body.extend(b"PK\x03\x04");
        body.extend(&entry);
        body.extend(name.as_bytes());
        body.extend(*content);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&entry);
        // Length of a comment, disk and attributes: none.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).expect("few files").to_le_bytes();
    let (size, offset) = (number(directory.len()), number(body.len()));
    body.extend(&directory);
    body.extend(b"PK\x05\x06\x00\x00\x00\x00");
    body.extend(count);
    body.extend(count);
    body.extend(size.to_le_bytes());
    body.extend(offset.to_le_bytes());
    body.extend([0; 2]);
    body
}

/// CRC-32 as ZIP wants it.
fn checksum(content: &[u8]) -> u32 {
    !content.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 * (sum & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Exports, InProgress, checksum};

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn there_is_one_export_at_a_time_and_its_file_comes_last() {
        let exports = Exports::default();
        assert!(exports.document().is_null());
        exports.request("a".into(), true).unwrap();
        assert_eq!(exports.document()["state"], "requested");
        assert_eq!(exports.request("b".into(), true), Err(InProgress));
        assert!(exports.file("a").is_none());
        std::thread::sleep(super::STAGE * 2);
        assert_eq!(exports.document()["state"], "completed");
        assert!(exports.file("a").unwrap().starts_with(b"PK\x03\x04"));
        assert!(exports.file("b").is_none());
        exports.request("b".into(), false).unwrap();
        assert!(exports.file("a").is_none(), "the latest counts");
    }
}
