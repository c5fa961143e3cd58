//! Snapshot imports: a file that arrives in parts is parsed, waits to be confirmed, and then is in the tables at once
//! or not at all. Imports outlive the process, as the real backend's do.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::blobs::{self, Blobs, Purpose};
use crate::deployment::Deployment;
use crate::error::{self, ApiError};
use crate::id;
use crate::snapshot::{Mode, Problem, Snapshot};
use crate::time::{Integer, creation_time, timestamp};

/// How long a file is parsed, and then how long it is written.
const STAGE: Duration = Duration::from_millis(150);

/// Where an import stands, as it is stored and told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    Uploaded,
    WaitingForConfirmation {
        message_to_confirm: String,
        require_manual_confirmation: bool,
    },
    InProgress {
        progress_message: String,
        checkpoint_messages: Vec<String>,
    },
    Completed {
        timestamp: Integer,
        num_rows_written: Integer,
    },
    Failed {
        error_message: String,
    },
}

/// One import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    mode: Mode,
    state: State,
    created_ms: f64,
    /// The file.
    key: String,
}

/// All imports, by ID.
pub type Imports = BTreeMap<String, Import>;

/// A file on its way in, as its token tells it: a JSON text (observed).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    object_key: String,
    filepath: String,
}

impl Upload {
    /// Reads a token of this directory.
    fn open(blobs: &Blobs, token: &str) -> Result<Self, ApiError> {
        let upload: Self = serde_json::from_str(token).map_err(|error| error::internal(&error))?;
        let path = blobs.path(Purpose::Import, &upload.object_key);
        if upload.filepath != path.to_string_lossy() || !path.exists() {
            return Err(error::report("missing import object"));
        }
        Ok(upload)
    }
}

/// Begins an upload, and returns its token.
pub fn start_upload(blobs: &Blobs) -> Result<String, ApiError> {
    let object_key = blobs::key();
    let path = blobs.path(Purpose::Import, &object_key);
    File::create(&path).map_err(|error| error::internal(&error))?;
    let upload = Upload {
        object_key,
        filepath: path.to_string_lossy().into_owned(),
    };
    serde_json::to_string(&upload).map_err(|error| error::internal(&error))
}

/// Appends a part. The order is that of arrival, and no part has a token of its own (observed).
pub fn upload_part(blobs: &Blobs, token: &str, content: &[u8]) -> Result<(), ApiError> {
    let upload = Upload::open(blobs, token)?;
    let file = OpenOptions::new().append(true).open(upload.filepath);
    file.and_then(|mut file| file.write_all(content))
        .map_err(|error| error::internal(&error))
}

impl Import {
    /// The import as the document it is stored as.
    fn document(&self, id: &str, blobs: &Blobs) -> Value {
        json!({
            "_creationTime": self.created_ms,
            "_id": id,
            "state": self.state,
            "format": { "format": "zip" },
            "mode": self.mode.stored(),
            "component_path": null,
            "fq_object_key": blobs.path(Purpose::Import, &self.key).to_string_lossy(),
            "requestor": { "type": "snapshotImport" },
        })
    }

    fn read(&self, blobs: &Blobs) -> Result<Result<Snapshot, Problem>, ApiError> {
        let zip = fs::read(blobs.path(Purpose::Import, &self.key));
        let zip = zip.map_err(|error| error::internal(&error))?;
        Ok(Snapshot::read(&zip))
    }
}

fn failed(problem: &Problem) -> State {
    State::Failed {
        error_message: problem.to_string(),
    }
}

/// Makes an import of an upload, and has it parsed. Returns its ID.
pub async fn begin(
    deployment: &Arc<Deployment>,
    mode: Mode,
    token: &str,
) -> Result<String, ApiError> {
    let import = Import {
        mode,
        state: State::Uploaded,
        created_ms: creation_time(),
        key: Upload::open(&deployment.blobs, token)?.object_key,
    };
    let id = id::random(id::IMPORTS);
    deployment
        .change(&deployment.imports, |imports: &mut Imports| {
            imports.insert(id.clone(), import.clone());
            Ok(())
        })
        .await?;
    tokio::spawn(go_on(Arc::clone(deployment), id.clone()));
    Ok(id)
}

/// Has an import that waits for it written. One that is past that stays as it is.
pub async fn confirm(deployment: &Arc<Deployment>, id: &str) -> Result<(), ApiError> {
    let mut begins = false;
    deployment
        .change(&deployment.imports, |imports: &mut Imports| {
            let import = imports.get_mut(id).ok_or_else(|| {
                ApiError::bad_request("InvalidImport", format!("invalid import id {id}"))
            })?;
            begins = matches!(import.state, State::WaitingForConfirmation { .. });
            if begins {
                import.state = State::InProgress {
                    progress_message: "Importing".into(),
                    checkpoint_messages: Vec::new(),
                };
            }
            Ok(())
        })
        .await?;
    if begins {
        tokio::spawn(go_on(Arc::clone(deployment), id.to_owned()));
    }
    Ok(())
}

/// Goes on with imports that a process before this one has not come to an end with.
pub fn resume(deployment: &Arc<Deployment>) {
    for id in deployment.imports.read().1.keys() {
        tokio::spawn(go_on(Arc::clone(deployment), id.clone()));
    }
}

/// The import with this ID; null where there is none.
pub fn document(deployment: &Deployment, id: &str) -> Value {
    let imports = deployment.imports.read().1;
    let import = imports.get(id);
    import.map_or(Value::Null, |it| it.document(id, &deployment.blobs))
}

/// The latest imports, the last one first.
pub fn documents(deployment: &Deployment) -> Value {
    let imports = deployment.imports.read().1;
    let mut latest: Vec<_> = imports.iter().collect();
    latest.sort_by(|a, b| b.1.created_ms.total_cmp(&a.1.created_ms));
    let latest = latest.into_iter().take(20);
    latest
        .map(|(id, import)| import.document(id, &deployment.blobs))
        .collect()
}

/// Takes the next step of an import that does not wait for anybody.
async fn go_on(deployment: Arc<Deployment>, id: String) {
    tokio::time::sleep(STAGE).await;
    if let Err(error) = take_step(&deployment, &id).await {
        tracing::error!("import {id} does not go on: {}", error.message);
    }
}

async fn take_step(deployment: &Deployment, id: &str) -> Result<(), ApiError> {
    let Some(import) = deployment.imports.read().1.get(id).cloned() else {
        return Ok(());
    };
    let next = match import.state {
        State::Uploaded => {
            let summary = import
                .read(&deployment.blobs)?
                .and_then(|snapshot| snapshot.summary(import.mode, &deployment.documents()));
            match summary {
                Ok(summary) => State::WaitingForConfirmation {
                    message_to_confirm: summary.message,
                    require_manual_confirmation: summary.deletes,
                },
                Err(problem) => failed(&problem),
            }
        }
        State::InProgress { .. } => match import.read(&deployment.blobs)? {
            Ok(snapshot) => write(deployment, import.mode, &snapshot).await?,
            Err(problem) => failed(&problem),
        },
        _ => return Ok(()),
    };
    deployment
        .change(&deployment.imports, |imports: &mut Imports| {
            if let Some(import) = imports.get_mut(id) {
                import.state = next.clone();
            }
            Ok(())
        })
        .await
}

/// Writes a snapshot, all of it or nothing.
async fn write(
    deployment: &Deployment,
    mode: Mode,
    snapshot: &Snapshot,
) -> Result<State, ApiError> {
    loop {
        let (version, before) = deployment.documents.read();
        let (after, rows) = match snapshot.import(mode, &before) {
            Ok(imported) => imported,
            Err(problem) => return Ok(failed(&problem)),
        };
        let documents = &deployment.documents;
        match deployment.commit(documents, version, after).await {
            Err(error) if error == ApiError::conflict() => {}
            Err(error) => return Err(error),
            Ok(()) => {
                return Ok(State::Completed {
                    timestamp: Integer::new(timestamp()),
                    num_rows_written: Integer::new(rows as u64),
                });
            }
        }
    }
}
