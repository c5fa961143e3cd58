//! Documents and files of a snapshot, by the backend's own import.
//!
//! An import is in the tables at once or not at all. Its ID is noted in the
//! volume before it is performed, so that whoever comes after an interruption
//! knows whether it was, and none is ever performed twice.

use std::{io::Read, path::Path as FilePath, time::Duration};

use tokio::task::spawn_blocking;

use super::{IMPORTED, IMPORTING, REFUSED, is_volume};
use crate::{
    backend::{
        BackendError,
        api::{self, Import},
    },
    convex::{AdminKey, Secret},
    local_file,
    plugin::{
        Diagnostic,
        redact::{self, Foreign},
    },
    resources::{backend_error, deployment::work::Work},
    runtime::{
        Own,
        docker::{Credentials, DockerError},
    },
};

/// Pause between two questions whether an import goes on.
const PAUSE: Duration = Duration::from_millis(500);

/// A snapshot that is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub place: Place,
    /// The ID of an import that was begun before.
    pub begun: Option<String>,
}

/// Where a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of this machine.
    Here(String),
    /// A file on a volume of the Docker host.
    On { volume: String, path: String },
}

impl Snapshot {
    pub fn new(place: &str, begun: Option<&str>) -> Self {
        Self {
            place: Place::parse(place),
            begun: begun.map(str::to_owned),
        }
    }
}

impl Place {
    /// A name of a volume is followed by a colon and a path from the root on.
    fn parse(text: &str) -> Self {
        match text.split_once(":/") {
            Some((volume, path)) if is_volume(volume) => Self::On {
                volume: volume.to_owned(),
                path: format!("/{path}"),
            },
            _ => Self::Here(text.to_owned()),
        }
    }
}

impl Work {
    /// Refuses a snapshot that cannot be restored, before anything is made.
    pub async fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        if !self.settings.running {
            return Err(refusal(
                "A snapshot is imported by the backend, and this deployment is not running. Make it with running = true, and with network.container, if given, that of a container; it can be stopped afterwards",
            ));
        }
        if snapshot.begun.is_some() {
            return Ok(());
        }
        match &snapshot.place {
            Place::Here(file) => {
                let file = file.clone();
                let checked = spawn_blocking(move || check_file(FilePath::new(&file)));
                checked
                    .await
                    .unwrap_or_else(|_| Err(refusal("The file could not be looked at")))
            }
            Place::On { volume, .. } => {
                let found = self.docker.volume(&self.patience, volume).await;
                if found.map_err(|error| self.failed(error))?.is_none() {
                    return Err(refusal(&format!(
                        "The Docker host has no volume {volume:?}. `docker volume ls` lists those it has"
                    )));
                }
                Ok(())
            }
        }
    }

    /// Puts a snapshot into the deployment's volume, which then says that it is
    /// to be imported. Does nothing where an import has begun.
    pub async fn bring_snapshot(&self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        if snapshot.begun.is_some() {
            return Ok(());
        }
        tracing::info!(object = self.object, "bringing the snapshot");
        let bring = async {
            let desired = self.settings.desired();
            let names = self.settings.names();
            let image = &self.settings.backend_image;
            self.docker.create_volume(&self.patience, &desired).await?;
            let probe = self
                .docker
                .make_probe(&self.patience, &names, image)
                .await?;
            let mark = Credentials {
                restore: Some(IMPORTING.to_owned()),
                ..Credentials::default()
            };
            let outcome = async {
                self.docker
                    .store_credentials(&self.patience, &probe, &mark)
                    .await?;
                match &snapshot.place {
                    Place::Here(file) => {
                        let file = FilePath::new(file);
                        self.docker
                            .bring_snapshot(&self.patience, &probe, file)
                            .await
                    }
                    Place::On { .. } => Ok(()),
                }
            }
            .await;
            self.docker.remove(&self.patience, &probe).await?;
            outcome?;
            if let Place::On { volume, path } = &snapshot.place {
                self.docker
                    .bring_snapshot_of(&self.patience, &names, image, (volume, path))
                    .await?;
            }
            Ok(())
        };
        bring.await.map_err(|error| match error {
            DockerError::Failed { doing, reason } => refusal(&format!(
                "The snapshot could not be brought into the volume ({doing}: {})",
                Foreign::from(reason)
            )),
            other => self.failed(other),
        })
    }

    /// Has the backend import the snapshot, or finish an import that was begun.
    pub async fn import_snapshot(
        &self,
        snapshot: &Snapshot,
        key: AdminKey,
    ) -> Result<(), Diagnostic> {
        let names = self.settings.names();
        let backend = self.docker.own_backend(&self.patience, &names).await;
        let import = Importing {
            work: self,
            backend: backend.map_err(|error| self.failed(error))?,
            key,
        };
        let id = match &snapshot.begun {
            Some(begun) => begun.clone(),
            None => import.begin().await?,
        };
        import.perform(&id).await
    }
}

/// An import under way.
struct Importing<'a> {
    work: &'a Work,
    backend: Own,
    key: AdminKey,
}

impl Importing<'_> {
    /// Uploads the snapshot. Nothing of it is in the tables before it is
    /// performed.
    async fn begin(&self) -> Result<String, Diagnostic> {
        let client = self.work.client(self.key.clone());
        let token = client.call(&api::start_upload()).await;
        let token = token.map_err(|error| self.failed(&error))?;
        redact::remember(token.expose());
        let parts = self.upload(&token).await?;
        let id = client.call(&api::finish_upload(&token, &parts)).await;
        let id = id.map_err(|error| self.failed(&error))?;
        self.note(&format!("{IMPORTING} {id}"), false).await?;
        Ok(id)
    }

    async fn upload(&self, token: &Secret) -> Result<Vec<Secret>, Diagnostic> {
        let (docker, patience) = (&self.work.docker, &self.work.patience);
        let parts = docker.parts(patience, &self.backend).await;
        let parts = parts.map_err(|error| self.work.failed(error))?;
        let (units, count) = parts.ok_or_else(|| {
            refusal("The snapshot is no longer in the volume. Apply again, which brings it anew")
        })?;
        let mut tokens = Vec::new();
        for index in 0..count {
            tracing::info!(
                object = self.work.object,
                "sending part {} of {count} of the snapshot",
                index + 1
            );
            let sent = docker
                .send_part(patience, &self.backend, &self.key, token, (index, units))
                .await;
            let reply = sent.map_err(|error| self.work.failed(error))?;
            tokens.push(api::read_part(&reply).map_err(|error| self.failed(&error))?);
        }
        Ok(tokens)
    }

    /// Performs an import and waits for its end.
    async fn perform(&self, id: &str) -> Result<(), Diagnostic> {
        let client = self.work.client(self.key.clone());
        let mut told = None;
        loop {
            let state = client.call(&api::import(id)).await;
            match state.map_err(|error| self.failed(&error))? {
                Some(Import::Completed) => break,
                Some(Import::WaitingForConfirmation) => {
                    let performed = client.call(&api::perform_import(id)).await;
                    performed.map_err(|error| self.failed(&error))?;
                }
                Some(Import::Uploaded) => {}
                Some(Import::InProgress { progress_message }) => {
                    if progress_message != told {
                        let progress = progress_message.as_ref().map(ToString::to_string);
                        tracing::info!(object = self.work.object, progress, "importing");
                        told = progress_message;
                    }
                }
                Some(Import::Failed { error_message }) => {
                    self.note(REFUSED, true).await?;
                    return Err(self.refused(&error_message.to_string()));
                }
                None => {
                    self.note(REFUSED, true).await?;
                    return Err(self.refused("the backend does not know the import any more"));
                }
            }
            if self.work.patience.left() < PAUSE * 2 {
                let progress = told.unwrap_or_else(|| "it has not begun".into());
                return Err(Diagnostic::error(
                    "The import was not finished in time",
                    format!(
                        "The backend of {} is still importing the snapshot ({progress}), and goes on with it. Apply again to wait for its end, and raise timeouts.create.",
                        self.work.object
                    ),
                )
                .at("restore_from.snapshot"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.note(IMPORTED, true).await
    }

    async fn note(&self, mark: &str, end: bool) -> Result<(), Diagnostic> {
        let noted = self
            .work
            .docker
            .note_restore(&self.work.patience, &self.backend, mark, end)
            .await;
        noted.map_err(|error| self.work.failed(error))
    }

    fn failed(&self, error: &BackendError) -> Diagnostic {
        match error {
            BackendError::NotFound => {
                refusal("The backend is too old to import one. Use a newer image")
            }
            error => backend_error(&self.work.object, "import the snapshot", error),
        }
        .at("restore_from.snapshot")
    }

    fn refused(&self, reason: &str) -> Diagnostic {
        Diagnostic::error(
            "The snapshot cannot be imported",
            format!(
                "The backend of {} refuses it, and nothing of it is in the data: {}. Apply again with another file, or without restore_from to go on without it.",
                self.work.object,
                reason.trim_end_matches('.')
            ),
        )
        .at("restore_from.snapshot")
    }
}

/// Demands a ZIP file that can be read.
fn check_file(file: &FilePath) -> Result<(), Diagnostic> {
    let shown = file.display();
    let cannot = |error: std::io::Error| {
        refusal(&format!(
            "The file {shown} cannot be read on the machine that runs Terraform: {error}"
        ))
    };
    let mut start = Vec::new();
    let opened = local_file::open(file).map_err(cannot)?;
    opened.take(4).read_to_end(&mut start).map_err(cannot)?;
    if start.starts_with(b"PK") {
        return Ok(());
    }
    Err(refusal(&format!(
        "The file {shown} is no ZIP file. A snapshot is what `npx convex export`, the dashboard's backup or upgrade.snapshot make"
    )))
}

fn refusal(problem: &str) -> Diagnostic {
    Diagnostic::error("The data cannot be restored", format!("{problem}."))
        .at("restore_from.snapshot")
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_a_file_here_or_on_a_volume() {
        let on = |volume: &str, path: &str| Place::On {
            volume: volume.to_owned(),
            path: path.to_owned(),
        };
        let places = [
            (
                "app-data:/convex/data/snapshots/a.zip",
                on("app-data", "/convex/data/snapshots/a.zip"),
            ),
            ("/tmp/a.zip", Place::Here("/tmp/a.zip".to_owned())),
            ("a.zip", Place::Here("a.zip".to_owned())),
            ("./a:/b.zip", Place::Here("./a:/b.zip".to_owned())),
        ];
        for (text, place) in places {
            assert_eq!(Place::parse(text), place);
        }
    }
}
