//! The deployment: what it holds, and how changes become part of it.
//!
//! All data is in memory as well, so that reads answer while the database is out of reach (observed). An update looks
//! at the data, works on its own copy and is committed only if nobody else committed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex, Notify, watch};

use crate::blobs::Blobs;
use crate::data::Data;
use crate::error::{self, ApiError};
use crate::export::Exports;
use crate::id;
use crate::identity::Authority;
use crate::import::Imports;
use crate::push::{Provider, Pushed};
use crate::runner::{self, Program, Runner};
use crate::store::{Store, StoreError};
use crate::time::creation_time;
use crate::tokens::Documents;
use crate::variable::{self, Change, Limits, Variable, Variables};

/// Time between an update's look at the data and its commit. Long enough that of two updates sent in parallel about
/// one conflicts, and of ten eight or nine (observed), short enough to be no burden.
const COMMIT_DELAY: Duration = Duration::from_millis(10);
/// How often a timestamp is written without being asked for.
const BUMP_PERIOD: Duration = Duration::from_secs(5);
/// How long a deployment goes on that cannot write any more, once somebody has tried.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// Which of the two public URLs a canonical URL replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// The API and the WebSocket, `CONVEX_CLOUD_URL`.
    ConvexCloud,
    /// HTTP actions, `CONVEX_SITE_URL`.
    ConvexSite,
}

/// The URLs that were set to replace those of the start.
pub type CanonicalUrls = BTreeMap<Destination, String>;

/// Where files go: fixed by the first start of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// A directory on the volume.
    Local,
    /// Buckets of an S3 service.
    S3,
}

/// What a start says about the deployment; not kept in the database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who checks keys.
    pub authority: Authority,
    /// URL of the API, as clients reach it.
    pub cloud_origin: String,
    /// URL of HTTP actions, as clients reach it.
    pub site_origin: String,
    /// How much it holds.
    pub limits: Limits,
    /// The text of `/version`.
    pub version: String,
}

/// A running deployment, shared by all requests.
pub struct Deployment {
    /// What the start said.
    pub settings: Settings,
    /// Its directory of files.
    pub blobs: Blobs,
    pub(crate) issuers: Documents,
    pub(crate) exports: Table<Exports>,
    pub(crate) imports: Table<Imports>,
    pub(crate) documents: Table<Data>,
    variables: Table<Variables>,
    canonical_urls: Table<CanonicalUrls>,
    pushed: Table<Pushed>,
    started: std::sync::Mutex<BTreeMap<String, (u64, Pushed)>>,
    runner: Runner,
    committer: Mutex<Committer>,
    committed: watch::Sender<()>,
    fatal: Notify,
    mourned: Notify,
}

/// Whoever writes.
struct Committer {
    store: Box<dyn Store>,
    state: CommitterState,
}

/// Whether it can. A write that fails leaves it in doubt what the disk has, and it never writes again (observed).
#[derive(Clone, Copy, PartialEq, Eq)]
enum CommitterState {
    /// It can.
    Alive,
    /// It failed at a timestamp, which nobody has noticed yet.
    Dead,
    /// It failed at what somebody asked for, or somebody has asked since. The process ends.
    Mourned,
}

/// Why a database does not become a deployment.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier start made the file and stopped before it had written anything. The real backend cannot use such a
    /// database ever again, and says no more than this (observed).
    #[error("missing _tables.by_id global")]
    NeverInitialized,
    /// Local storage and S3 cannot be exchanged once data exists.
    #[error(
        "the database was initialized with {was:?} storage, but the backend was started with {now:?}"
    )]
    OtherStorage {
        /// The first start's choice.
        was: StorageKind,
        /// This start's choice.
        now: StorageKind,
    },
    /// TLS to the issuers of tokens cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A document has another shape than this program gives it.
    #[error("the document {name} is unreadable: {error}")]
    Unreadable {
        /// Its name in the store.
        name: &'static str,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// One document of the store, with the number of commits since the start as its version.
pub(crate) struct Table<T> {
    name: &'static str,
    content: RwLock<(u64, Arc<T>)>,
}

#[derive(Serialize, Deserialize)]
struct Globals {
    storage: StorageKind,
}

/// The variables that are not set, but there.
const BUILT_IN: [(&str, Destination); 2] = [
    ("CONVEX_CLOUD_URL", Destination::ConvexCloud),
    ("CONVEX_SITE_URL", Destination::ConvexSite),
];

const GLOBALS: &str = "globals";
const VARIABLES: &str = "environment_variables";
const CANONICAL_URLS: &str = "canonical_urls";
const PUSHED: &str = "pushed_functions";
const DOCUMENTS: &str = "documents";
const EXPORTS: &str = "snapshot_exports";
const IMPORTS: &str = "snapshot_imports";

impl Deployment {
    /// Loads what the store holds, or initializes it on the first start.
    pub async fn load(
        mut store: Box<dyn Store>,
        settings: Settings,
        storage: StorageKind,
        blobs: Blobs,
    ) -> Result<Self, LoadError> {
        let documents = store.load().await?;
        match read::<Globals>(&documents, GLOBALS)? {
            Some(globals) if globals.storage == storage => {}
            Some(globals) => {
                return Err(LoadError::OtherStorage {
                    was: globals.storage,
                    now: storage,
                });
            }
            None if store.is_fresh() => {
                let globals = serde_json::to_string(&Globals { storage }).map_err(|error| {
                    LoadError::Unreadable {
                        name: GLOBALS,
                        error,
                    }
                })?;
                store.write(GLOBALS, &globals).await?;
            }
            None => return Err(LoadError::NeverInitialized),
        }
        // Every start writes.
        store.bump().await?;
        let committed = watch::Sender::new(());
        Ok(Self {
            settings,
            blobs,
            issuers: Documents::new()?,
            runner: Runner::new(committed.clone()),
            exports: Table::new(EXPORTS, read(&documents, EXPORTS)?.unwrap_or_default()),
            imports: Table::new(IMPORTS, read(&documents, IMPORTS)?.unwrap_or_default()),
            documents: Table::new(DOCUMENTS, read(&documents, DOCUMENTS)?.unwrap_or_default()),
            variables: Table::new(VARIABLES, read(&documents, VARIABLES)?.unwrap_or_default()),
            canonical_urls: Table::new(
                CANONICAL_URLS,
                read(&documents, CANONICAL_URLS)?.unwrap_or_default(),
            ),
            pushed: Table::new(PUSHED, read(&documents, PUSHED)?.unwrap_or_default()),
            started: std::sync::Mutex::default(),
            committer: Mutex::new(Committer {
                store,
                state: CommitterState::Alive,
            }),
            committed,
            fatal: Notify::new(),
            mourned: Notify::new(),
        })
    }

    /// The variables as of the last commit.
    pub fn variables(&self) -> Arc<Variables> {
        self.variables.read().1
    }

    /// The documents and files as of the last commit.
    pub fn documents(&self) -> Arc<Data> {
        self.documents.read().1
    }

    /// Applies one batch: all of it or nothing.
    pub async fn update_variables(&self, changes: Vec<Change>) -> Result<(), ApiError> {
        let (version, before) = self.variables.read();
        let after = variable::apply(&before, changes, &self.settings.limits, new_variable)?;
        match after {
            Some(after) => {
                // The configuration of sign-in is evaluated anew with every change.
                self.pushed().providers(|name| self.value(&after, name))?;
                self.commit(&self.variables, version, after).await
            }
            // A transaction that writes nothing cannot conflict.
            None => Ok(()),
        }
    }

    /// Runs a function of those that were pushed. `what` says which one, and how.
    pub async fn call(&self, what: Value) -> Result<Result<Value, runner::Failure>, ApiError> {
        let mut environment = self.plain_variables();
        for (name, destination) in BUILT_IN {
            environment.insert(name.to_owned(), self.url(destination));
        }
        let program = Program {
            pushed: self.pushed(),
            environment,
        };
        self.runner.call(program, what).await
    }

    /// Values of all variables.
    pub fn plain_variables(&self) -> BTreeMap<String, String> {
        let variables = self.variables();
        let plain = variables.iter();
        plain
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect()
    }

    /// A variable as functions see it, the built-in ones among them.
    fn value(&self, variables: &Variables, name: &str) -> Option<String> {
        let built_in = BUILT_IN.iter().find(|(it, _)| *it == name);
        match built_in {
            Some((_, destination)) => Some(self.url(*destination)),
            None => variables.get(name).map(|variable| variable.value.clone()),
        }
    }

    /// What was pushed last.
    pub fn pushed(&self) -> Arc<Pushed> {
        self.pushed.read().1
    }

    /// The auth providers that a push would have now.
    pub fn providers_of(&self, pushed: &Pushed) -> Result<Vec<Provider>, ApiError> {
        let variables = self.variables();
        pushed.providers(|name| self.value(&variables, name))
    }

    /// Keeps a push until it is finished, under the name that is returned.
    pub fn begin_push(&self, pushed: Pushed) -> String {
        let id = random_id();
        let version = self.pushed.read().0;
        self.started().insert(id.clone(), (version, pushed));
        id
    }

    /// Puts a push that was begun in place, or only says what it would be.
    pub async fn end_push(&self, id: &str, dry_run: bool) -> Result<Pushed, ApiError> {
        let started = self.started().remove(id);
        let (version, after) = started.ok_or_else(|| {
            ApiError::bad_request("PushNotFound", "No such push was started on this backend.")
        })?;
        if !dry_run {
            self.commit(&self.pushed, version, after.clone()).await?;
        }
        Ok(after)
    }

    fn started(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (u64, Pushed)>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A public URL as functions and clients are told it: the canonical one, else that of the start.
    pub fn url(&self, destination: Destination) -> String {
        self.canonical_urls
            .read()
            .1
            .get(&destination)
            .cloned()
            .unwrap_or_else(|| match destination {
                Destination::ConvexCloud => self.settings.cloud_origin.clone(),
                Destination::ConvexSite => self.settings.site_origin.clone(),
            })
    }

    /// Sets a canonical URL, or with `None` returns to the start's.
    pub async fn update_url(
        &self,
        destination: Destination,
        url: Option<String>,
    ) -> Result<(), ApiError> {
        let (version, before) = self.canonical_urls.read();
        if before.get(&destination) == url.as_ref() {
            return Ok(());
        }
        let mut after = (*before).clone();
        match url {
            Some(url) => after.insert(destination, url),
            None => after.remove(&destination),
        };
        self.commit(&self.canonical_urls, version, after).await
    }

    /// Reports every commit from now on.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.committed.subscribe()
    }

    /// Waits until the deployment cannot go on: another backend owns the database, or a write failed.
    pub async fn fatal(&self) {
        let mourned = async {
            self.mourned.notified().await;
            tokio::time::sleep(LAST_BREATH).await;
        };
        tokio::select! {
            () = self.fatal.notified() => {}
            () = mourned => {}
        }
    }

    /// Writes a timestamp every now and then, until that fails.
    pub async fn bump(&self) {
        loop {
            tokio::time::sleep(BUMP_PERIOD).await;
            let mut committer = self.committer.lock().await;
            if committer.state != CommitterState::Alive {
                return;
            }
            if let Err(error) = committer.store.bump().await {
                log_failed_write(&error);
                committer.state = CommitterState::Dead;
                return;
            }
        }
    }

    /// Changes a table, again and again where somebody else does, too.
    pub(crate) async fn change<T: Serialize + Clone>(
        &self,
        table: &Table<T>,
        mut change: impl FnMut(&mut T) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        loop {
            let (version, before) = table.read();
            let mut after = (*before).clone();
            change(&mut after)?;
            match self.commit(table, version, after).await {
                Err(error) if error == ApiError::conflict() => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) async fn commit<T: Serialize>(
        &self,
        table: &Table<T>,
        version: u64,
        after: T,
    ) -> Result<(), ApiError> {
        tokio::time::sleep(COMMIT_DELAY).await;
        let mut committer = self.committer.lock().await;
        match committer.state {
            CommitterState::Alive => {}
            CommitterState::Dead => {
                committer.state = CommitterState::Mourned;
                self.mourned.notify_one();
                return Err(error::report("committer is gone"));
            }
            // For a while, everybody else is told of a conflict (observed).
            CommitterState::Mourned => return Err(ApiError::conflict()),
        }
        if table.read().0 != version {
            return Err(ApiError::conflict());
        }
        let json = serde_json::to_string(&after).map_err(|error| error::internal(&error))?;
        if let Err(error) = committer.store.write(table.name, &json).await {
            if error.is_fatal() {
                committer.state = CommitterState::Mourned;
                self.fatal.notify_one();
            }
            log_failed_write(&error);
            return Err(ApiError::internal());
        }
        table.replace(version + 1, after);
        self.committed.send_replace(());
        Ok(())
    }
}

impl<T> Table<T> {
    fn new(name: &'static str, content: T) -> Self {
        Self {
            name,
            content: RwLock::new((0, Arc::new(content))),
        }
    }

    pub(crate) fn read(&self) -> (u64, Arc<T>) {
        self.content
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, version: u64, content: T) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) =
            (version, Arc::new(content));
    }
}

fn read<T: DeserializeOwned>(
    documents: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<Option<T>, LoadError> {
    documents
        .get(name)
        .map(|json| {
            serde_json::from_str(json).map_err(|error| LoadError::Unreadable { name, error })
        })
        .transpose()
}

/// Logs why a write failed: in doubt whether it did where that is fatal.
fn log_failed_write(error: &StoreError) {
    match error {
        StoreError::Write(_) => error::log(&format!(
            "Write failed. Unsure if transaction committed to disk.: {error}"
        )),
        _ => error::log(&error.to_string()),
    }
}

fn new_variable(value: String) -> Variable {
    Variable {
        value,
        id: id::random(id::VARIABLES),
        created_ms: creation_time(),
    }
}

/// A name that no other thing has.
pub(crate) fn random_id() -> String {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system has random bytes");
    hex::encode(id)
}
