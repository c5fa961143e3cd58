//! Snapshot exports: made on request while the deployment serves. They outlive the process, as the real backend's do.
//!
//! Variables, code and keys are no part of a snapshot, as with the real backend.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::blobs::{self, Purpose};
use crate::deployment::Deployment;
use crate::error::{self, ApiError};
use crate::id;
use crate::time::{Integer, creation_time, timestamp};

/// How long an export is requested only, and then how long it is made.
const STAGE: Duration = Duration::from_millis(150);
/// How long an export is kept, in nanoseconds. The stand-in keeps it for ever.
const LIFETIME_NS: u64 = 14 * 24 * 3600 * 1_000_000_000;

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Requested,
    InProgress { start: u64 },
    Completed(Done),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    start: u64,
    complete: u64,
    key: String,
    size: u64,
}

/// One export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Export {
    state: State,
    requested: u64,
    created_ms: f64,
    includes_storage: bool,
}

/// All exports, by ID.
pub type Exports = BTreeMap<String, Export>;

impl Export {
    /// The export as the document it is stored as.
    fn document(&self, id: &str) -> Value {
        let expiration = self.requested + LIFETIME_NS;
        let mut document = json!({
            "_creationTime": self.created_ms,
            "_id": id,
            "component": null,
            "expiration_ts": Integer::new(expiration),
            "format": { "format": "zip", "include_storage": self.includes_storage },
            "requestor": "snapshotExport",
        });
        let more = match &self.state {
            State::Requested => json!({ "state": "requested" }),
            State::InProgress { start } => json!({
                "state": "in_progress",
                "start_ts": Integer::new(*start),
                "progress_message": "Beginning backup",
            }),
            State::Completed(done) => json!({
                "state": "completed",
                "start_ts": Integer::new(done.start),
                "complete_ts": Integer::new(done.complete),
                "size": Integer::new(done.size),
                "zip_object_key": done.key,
            }),
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        document
    }
}

/// Begins an export. There is one at a time.
pub async fn request(deployment: &Arc<Deployment>, includes_storage: bool) -> Result<(), ApiError> {
    let id = id::random(id::EXPORTS);
    deployment
        .change(&deployment.exports, |exports: &mut Exports| {
            let is_done = |export: &Export| matches!(export.state, State::Completed(_));
            if !exports.values().all(is_done) {
                return Err(ApiError::bad_request(
                    "ExportInProgress",
                    "There is already an export requested or in progress.",
                ));
            }
            let export = Export {
                state: State::Requested,
                requested: timestamp(),
                created_ms: creation_time(),
                includes_storage,
            };
            exports.insert(id.clone(), export);
            Ok(())
        })
        .await?;
    tokio::spawn(go_on(Arc::clone(deployment), id.clone()));
    Ok(())
}

/// Goes on with an export that a process before this one has not come to an end with.
pub fn resume(deployment: &Arc<Deployment>) {
    for id in deployment.exports.read().1.keys() {
        tokio::spawn(go_on(Arc::clone(deployment), id.clone()));
    }
}

/// The latest export as a document, or null.
pub fn latest(deployment: &Deployment) -> Value {
    let exports = deployment.exports.read().1;
    let latest = exports.iter().max_by_key(|(_, export)| export.requested);
    latest.map_or(Value::Null, |(id, export)| export.document(id))
}

/// The file of a finished export, by its ID or start time, and the start time.
pub fn file(deployment: &Deployment, name: &str) -> Result<(Vec<u8>, u64), ApiError> {
    let exports = deployment.exports.read().1;
    let export = if id::table(name).is_ok() {
        exports.get(name)
    } else {
        let start: u64 = name.parse().map_err(|_| {
            ApiError::bad_request("BadSnapshotId", "Snapshot Id did not parse to an ID.")
        })?;
        let started = |export: &&Export| matches!(&export.state, State::Completed(done) if done.start == start);
        exports.values().find(started)
    };
    match export.map(|export| &export.state) {
        None => Err(ApiError::not_found(
            "ExportNotFound",
            format!("The requested export {name} was not found"),
        )),
        Some(State::Completed(done)) => {
            let file = fs::read(deployment.blobs.path(Purpose::Export, &done.key));
            let file = file.map_err(|error| error::internal(&error))?;
            Ok((file, done.start))
        }
        Some(_) => Err(ApiError::bad_request(
            "ExportNotComplete",
            format!("The requested export {name} has not completed"),
        )),
    }
}

/// Takes all steps that are left.
async fn go_on(deployment: Arc<Deployment>, id: String) {
    loop {
        let state = deployment
            .exports
            .read()
            .1
            .get(&id)
            .map(|it| it.state.clone());
        if !matches!(state, Some(State::Requested | State::InProgress { .. })) {
            return;
        }
        tokio::time::sleep(STAGE).await;
        if take_step(&deployment, &id).await.is_err() {
            return;
        }
    }
}

async fn take_step(deployment: &Deployment, id: &str) -> Result<(), ApiError> {
    let Some(export) = deployment.exports.read().1.get(id).cloned() else {
        return Ok(());
    };
    let next = match export.state {
        State::Requested => State::InProgress { start: timestamp() },
        State::InProgress { start } => {
            let zip = deployment.documents().export(export.includes_storage);
            let zip = zip.map_err(|error| error::internal(&error))?;
            let key = blobs::key();
            fs::write(deployment.blobs.path(Purpose::Export, &key), &zip)
                .map_err(|error| error::internal(&error))?;
            State::Completed(Done {
                start,
                complete: timestamp(),
                key,
                size: zip.len() as u64,
            })
        }
        State::Completed(_) => return Ok(()),
    };
    deployment
        .change(&deployment.exports, |exports: &mut Exports| {
            if let Some(export) = exports.get_mut(id) {
                export.state = next.clone();
            }
            Ok(())
        })
        .await
}
