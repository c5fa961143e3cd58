//! Snapshot imports: a file that arrives in parts is parsed, waits to be confirmed, and then is in the tables at once
//! or not at all. Imports outlive the process, as the real backend's do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deployment::{Deployment, random_id};
use crate::error::ApiError;
use crate::snapshot::{self, Files};

/// How long a file is parsed, and then how long it is written.
const STAGE: Duration = Duration::from_millis(150);

/// What becomes of documents that are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// They stay.
    Append,
    /// Tables in the file are replaced.
    Replace,
    /// All tables are replaced.
    ReplaceAll,
    /// There must be none.
    #[default]
    RequireEmpty,
}

impl Mode {
    fn stored(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Replace => "Replace",
            Self::ReplaceAll => "ReplaceAll",
            Self::RequireEmpty => "RequireEmpty",
        }
    }
}

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

/// A 64-bit integer, which has no JSON form of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Integer {
    #[serde(rename = "$integer")]
    bytes: String,
}

impl Integer {
    fn new(number: u64) -> Self {
        Self {
            bytes: STANDARD.encode(number.to_le_bytes()),
        }
    }
}

/// One import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    mode: Mode,
    state: State,
    created_ms: f64,
    /// What the file holds, or what is wrong with it.
    content: Result<Files, String>,
}

/// All imports, by id.
pub type Imports = BTreeMap<String, Import>;

/// Files on their way in; they do not outlive the process.
#[derive(Default)]
pub struct Uploads(Mutex<BTreeMap<String, BTreeMap<u16, Vec<u8>>>>);

impl Uploads {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<u16, Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, and returns its token.
    pub fn start(&self) -> String {
        let token = random_id();
        self.all().insert(token.clone(), BTreeMap::new());
        token
    }

    /// Takes a part, and returns its token.
    pub fn part(&self, token: &str, number: u16, content: Vec<u8>) -> Result<String, ApiError> {
        let mut all = self.all();
        let parts = all.get_mut(token).ok_or_else(unknown)?;
        parts.insert(number, content);
        Ok(format!("{token}:{number}"))
    }

    /// Puts the parts together, in the order that is given.
    pub fn finish(&self, token: &str, parts: &[String]) -> Result<Vec<u8>, ApiError> {
        let mut uploaded = self.all().remove(token).ok_or_else(unknown)?;
        let mut whole = Vec::new();
        for part in parts {
            let number = part.strip_prefix(token).and_then(|it| it.strip_prefix(':'));
            let number = number.and_then(|it| it.parse().ok());
            let content = number.and_then(|number: u16| uploaded.remove(&number));
            whole.extend(content.ok_or_else(unknown)?);
        }
        Ok(whole)
    }
}

fn unknown() -> ApiError {
    ApiError::bad_request(
        "ImportFailed",
        "There is no such upload, or no such part of it.",
    )
}

impl Import {
    /// The import as the document it is stored as.
    fn document(&self, id: &str) -> Value {
        json!({
            "_creationTime": self.created_ms,
            "_id": id,
            "state": self.state,
            "format": { "format": "zip" },
            "mode": self.mode.stored(),
            "requestor": { "type": "snapshotImport" },
        })
    }

    /// What it comes to once it is parsed, beside these documents.
    fn parsed(&self, documents: &Files) -> State {
        let failed = |problem: &str| State::Failed {
            error_message: format!("Hit an error while importing:\n{problem}"),
        };
        let files = match &self.content {
            Ok(files) => files,
            Err(problem) => return failed(problem),
        };
        let there = documents.rows();
        // Of the system's own tables, that of files counts alone.
        let counts = |table: &&str| !table.starts_with('_') || *table == "_storage";
        let mut tables = files.rows().into_keys().filter(counts);
        let twice = tables.find(|it| there.contains_key(it));
        match twice {
            Some(table) if self.mode == Mode::RequireEmpty => failed(&format!(
                "Table {table} already exists. Please choose a new table name or use replace/append modes."
            )),
            _ => State::WaitingForConfirmation {
                message_to_confirm: "Once the import has started, it will run in the background."
                    .into(),
                require_manual_confirmation: self.mode != Mode::RequireEmpty && twice.is_some(),
            },
        }
    }
}

/// Keeps a file as an import, and has it parsed. Returns its id.
pub async fn begin(
    deployment: &Arc<Deployment>,
    mode: Mode,
    zip: &[u8],
) -> Result<String, ApiError> {
    let import = Import {
        mode,
        state: State::Uploaded,
        created_ms: (now().as_secs_f64() * 1000.0).floor(),
        content: snapshot::unpack(zip),
    };
    let id = random_id();
    change(deployment, |imports| {
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
    change(deployment, |imports| {
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

/// The import with this id; null where there is none.
pub fn document(deployment: &Deployment, id: &str) -> Value {
    let imports = deployment.imports.read().1;
    imports.get(id).map_or(Value::Null, |it| it.document(id))
}

/// The latest imports, the last one first.
pub fn documents(deployment: &Deployment) -> Value {
    let imports = deployment.imports.read().1;
    let mut latest: Vec<_> = imports.iter().collect();
    latest.sort_by(|a, b| b.1.created_ms.total_cmp(&a.1.created_ms));
    let latest = latest.into_iter().take(20);
    latest.map(|(id, import)| import.document(id)).collect()
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
    let next = match (&import.state, &import.content) {
        (State::Uploaded, _) => import.parsed(&deployment.documents()),
        (State::InProgress { .. }, Ok(files)) => {
            write(deployment, import.mode, files).await?;
            State::Completed {
                timestamp: Integer::new(u64::try_from(now().as_nanos()).unwrap_or(u64::MAX)),
                num_rows_written: Integer::new(files.rows().values().sum::<usize>() as u64),
            }
        }
        _ => return Ok(()),
    };
    change(deployment, |imports| {
        if let Some(import) = imports.get_mut(id) {
            import.state = next.clone();
        }
        Ok(())
    })
    .await
}

async fn write(deployment: &Deployment, mode: Mode, files: &Files) -> Result<(), ApiError> {
    loop {
        let (version, before) = deployment.documents.read();
        let after = match mode {
            Mode::ReplaceAll => files.clone(),
            Mode::Append => before.with(files, true),
            Mode::Replace | Mode::RequireEmpty => before.with(files, false),
        };
        match deployment
            .commit(&deployment.documents, version, after)
            .await
        {
            Err(error) if error == ApiError::conflict() => {}
            outcome => return outcome,
        }
    }
}

async fn change(
    deployment: &Deployment,
    mut change: impl FnMut(&mut Imports) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    loop {
        let (version, before) = deployment.imports.read();
        let mut after = (*before).clone();
        change(&mut after)?;
        match deployment.commit(&deployment.imports, version, after).await {
            Err(error) if error == ApiError::conflict() => {}
            outcome => return outcome,
        }
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
