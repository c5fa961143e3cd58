//! A new deployment that begins with the data of another one.

use serde::{Deserialize, Serialize};

use super::{bonds::Bonds, model::Model, work::Work};
use crate::{
    convex::{database::DatabaseKind, process_env::StorageKind},
    plugin::{
        Cx, Diagnostic,
        schema::{Attr, Fields, Group, Optional, object, string},
    },
    runtime::docker::{Credentials, DockerError},
    session::Session,
};

/// Where a new deployment has its first data from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreModel {
    pub volume: Option<String>,
}

impl RestoreModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Group> {
        object(
            Fields::new().with(
                "volume",
                string("Volume of another deployment on the same Docker host, such as `other-data`. It must not be in use, and its documents must be in SQLite. Copied are documents, files, functions, crons and the variables of functions; the name of the instance, its secret and so all keys are this deployment's own.")
                    .required()
                    .check(|value, path, found| {
                        let bad = value.as_str().is_some_and(|text| {
                            let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                            !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(fits)
                        });
                        if bad {
                            found.push(Diagnostic::error(
                                "Invalid value for restore_from.volume",
                                "It is no name of a volume. Write one such as \"other-data\".",
                            ).at(path.clone()));
                        }
                    }),
            ),
            "What a deployment begins with, when it is made and its volume has no data yet. Ignored ever after: a change of it changes nothing. A copy that broke off is begun anew by the next apply, and never taken for a whole one.",
        )
        .optional()
    }
}

/// How far a copy into a volume has come.
enum Mark {
    /// There was none.
    None,
    /// It has not come to its end.
    Begun,
    /// It has.
    Done,
}

fn mark(stored: &Credentials) -> Mark {
    match stored.restore.as_deref() {
        None => Mark::None,
        Some(text) if text.starts_with("done ") => Mark::Done,
        Some(_) => Mark::Begun,
    }
}

/// Whether a deployment that is made is to be given data first. Refuses one
/// whose volume has but a part of a copy, where that is not to be finished.
pub fn is_due(
    cx: &mut Cx<Session>,
    work: &Work,
    planned: &Model,
    adopted: bool,
    stored: &Credentials,
) -> Result<bool, Diagnostic> {
    let volume = work.settings.names().volume();
    let asked = planned.restore_from.is_some();
    match mark(stored) {
        Mark::Begun if !asked => Err(Diagnostic::error(
            "The data is half a copy",
            format!(
                "A restore into the volume {volume} was interrupted, so what is in it is not whole. Give restore_from again to begin it anew, or remove the volume with `docker volume rm {volume}` to begin without data."
            ),
        )
        .at("restore_from")),
        Mark::Begun => Ok(true),
        Mark::None | Mark::Done if adopted => {
            if asked {
                cx.warn(
                    Diagnostic::warning(
                        "Nothing was restored",
                        format!(
                            "The volume {volume} has data already, which the deployment goes on with. restore_from is for a volume without data."
                        ),
                    )
                    .at("restore_from"),
                );
            }
            Ok(false)
        }
        Mark::None | Mark::Done => Ok(asked),
    }
}

impl Work {
    /// Refuses what cannot be copied from.
    pub async fn check_source(&self, source: &str) -> Result<(), Diagnostic> {
        let own = self.settings.names().volume();
        let bonds = Bonds::of(&self.settings);
        let fits = bonds.database == Some(DatabaseKind::Sqlite)
            && bonds.storage == Some(StorageKind::Local);
        if !fits {
            return Err(refusal(
                "A volume is copied for a deployment on SQLite and its volume alone. For another database or storage, bring the data over with `npx convex export` and `npx convex import`",
            ));
        }
        if source == own {
            return Err(refusal(
                "It is the deployment's own volume. Name another one, or leave restore_from out",
            ));
        }
        let found = self.docker.volume(&self.patience, source).await;
        if found.map_err(|error| self.failed(error))?.is_none() {
            return Err(refusal(&format!(
                "The Docker host has no volume {source:?}. `docker volume ls` lists those it has"
            )));
        }
        self.check_unused(source).await
    }

    async fn check_unused(&self, source: &str) -> Result<(), Diagnostic> {
        let user = self.docker.user_of_volume(&self.patience, source).await;
        match user.map_err(|error| self.failed(error))? {
            None => Ok(()),
            Some(user) => Err(refusal(&format!(
                "The volume {source} is in use by container {user}, and a copy of what is being written is worth nothing. Stop that deployment first (running = false)"
            ))),
        }
    }

    /// Copies the data of another volume into the deployment's own.
    pub async fn restore(&self, source: &str) -> Result<(), Diagnostic> {
        tracing::info!(object = self.object, source, "copying data");
        let names = self.settings.names();
        let image = &self.settings.backend_image;
        let desired = self.settings.desired();
        let made = self.docker.create_volume(&self.patience, &desired).await;
        made.map_err(|error| self.failed(error))?;
        let copied = self
            .docker
            .copy_volume(&self.patience, &names, image, source)
            .await;
        copied.map_err(|error| match error {
            DockerError::Failed { reason, .. } => refusal(&format!(
                "The volume {source} could not be copied ({reason})"
            )),
            other => self.failed(other),
        })?;
        // Somebody may have started it meanwhile.
        self.check_unused(source).await
    }
}

fn refusal(problem: &str) -> Diagnostic {
    Diagnostic::error(
        "The data cannot be restored",
        format!("{problem}. No backend was started."),
    )
    .at("restore_from.volume")
}
