//! The data of another volume.

use crate::{
    convex::{database::DatabaseKind, process_env::StorageKind},
    plugin::{Diagnostic, redact::Foreign},
    resources::deployment::{bonds::Bonds, work::Work},
    runtime::docker::DockerError,
};

impl Work {
    /// Refuses what cannot be copied from.
    pub async fn check_volume(&self, source: &str) -> Result<(), Diagnostic> {
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
    pub async fn restore_volume(&self, source: &str) -> Result<(), Diagnostic> {
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
                "The volume {source} could not be copied ({})",
                Foreign::from(reason)
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
