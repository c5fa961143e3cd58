//! A snapshot of the data before it meets another backend.

use std::{
    ffi::OsStr,
    io,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use super::{
    bonds::Bonds,
    history::{self, Release, Unreadable},
    model::Model,
    record::Record,
    secrets::Secrets,
    settings::tag,
    work::Work,
};
use crate::{
    backend::{BackendError, api},
    convex::{Access, AdminKey, InstanceName},
    local_file::{Directory, Unfinished},
    plugin::{Cx, Diagnostic},
    resources::{backend_error, issue_key},
    runtime::{Desired, Observed, ObservedContainer, Own, docker::Credentials},
    session::Session,
};

/// Where snapshots are on the volume.
const DIRECTORY: &str = "/convex/data/snapshots";

/// Pause between two questions whether an export is finished.
const PAUSE: Duration = Duration::from_millis(500);

/// A snapshot that is to be exported.
pub struct Export {
    key: AdminKey,
    /// The image of the backend that exports it.
    image: String,
    target: Target,
}

/// Where a snapshot goes.
enum Target {
    /// It stays on the volume.
    Volume,
    /// To a file in this directory of this machine, which is begun already.
    Here(PathBuf, Unfinished),
}

impl Work {
    /// Does what is to be done, after a snapshot where one is wanted: by the
    /// backend that runs, once everything is there that replaces it. For data
    /// that is stopped its last backend is started once more to export it.
    /// Should this process die in between, that backend is found running, and
    /// the next run takes the snapshot from it.
    pub async fn carry_out_after_snapshot(
        &mut self,
        cx: &mut Cx<Session>,
        planned: &mut Model,
        desired: Desired,
        secrets: &Secrets,
        mut observed: Observed,
    ) -> Result<(), Diagnostic> {
        let upgrade = planned.upgrade.as_ref();
        let wanted = upgrade.filter(|it| it.snapshot == Some(true) && desired.running);
        if let Some(upgrade) = wanted {
            let path = upgrade.path.as_deref();
            match observed.backend.as_ref().filter(|it| it.is_running()) {
                Some(backend)
                    if backend.image != desired.backend.image
                        && planned.last_snapshot.is_none() =>
                {
                    self.due = Some(Export {
                        target: self.target(path)?,
                        key: self.key_of(backend).await?,
                        image: backend.image.clone(),
                    });
                }
                None if observed.volume.is_some() => {
                    let stored = self.stored_credentials(&observed).await?;
                    let past = self.past_releases(cx, planned, &stored)?;
                    if let Some(last) =
                        history::last(past).filter(|it| it.image != desired.backend.image)
                    {
                        // It would start on other data, or on none.
                        let broken = Record::bonds(&stored).broken_by(&Bonds::of(&self.settings));
                        if !broken.is_empty() {
                            return Err(self.no_snapshot("the same apply leaves the data behind, so the backend that ran last cannot be started on it. Change the image first, and what the data is bound to in a later apply"));
                        }
                        let target = self.target(path)?;
                        self.fetch_images(&desired).await?;
                        self.wake_for_snapshot(
                            cx,
                            (&last.image, target),
                            &desired,
                            secrets,
                            observed,
                        )
                        .await?;
                        observed = self.observe(&[]).await?;
                    }
                }
                _ => {}
            }
        }
        let outcome = self.carry_out(cx, desired, secrets, observed).await;
        if let Some(place) = self.exported.take() {
            planned.last_snapshot = Some(place);
        }
        outcome
    }

    /// The releases that have run on the data. A list that cannot be read is an empty one only if
    /// data may be lost; then a new list replaces it.
    fn past_releases(
        &mut self,
        cx: &mut Cx<Session>,
        planned: &Model,
        stored: &Credentials,
    ) -> Result<Vec<Release>, Diagnostic> {
        let reason = match history::read(stored) {
            Ok(releases) => return Ok(releases),
            Err(reason) => reason,
        };
        let allowed = planned.allow_data_loss == Some(true);
        let found = history::unreadable(&planned.name, &reason, allowed);
        if !allowed {
            return Err(found);
        }
        if self.unreadable_history == Unreadable::Kept {
            self.unreadable_history = Unreadable::Replaced;
            cx.warn(found);
        }
        cx.warn(
            Diagnostic::warning(
                "No snapshot before the backend starts",
                format!(
                    "upgrade.snapshot is true, but nothing tells which image ran last on the data of {}, because the list of past releases cannot be read. allow_data_loss is true, so the backend starts without a snapshot.",
                    self.object
                ),
            )
            .at("upgrade.snapshot"),
        );
        Ok(Vec::new())
    }

    /// Fetches what the containers are made from that replace the woken one.
    async fn fetch_images(&self, desired: &Desired) -> Result<(), Diagnostic> {
        let programs = [Some(&desired.backend), desired.dashboard.as_ref()];
        for program in programs.into_iter().flatten() {
            let fetched = self.docker.fetch_image(&self.patience, &program.image);
            fetched.await.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    async fn wake_for_snapshot(
        &mut self,
        cx: &mut Cx<Session>,
        (image, target): (&str, Target),
        desired: &Desired,
        secrets: &Secrets,
        observed: Observed,
    ) -> Result<(), Diagnostic> {
        tracing::info!(
            object = self.object,
            image,
            "starting the backend that ran last, for a snapshot"
        );
        let image_to_be = std::mem::replace(&mut self.settings.backend_image, image.to_owned());
        let woken = Desired {
            backend: self.settings.desired().backend,
            dashboard: None,
            ..desired.clone()
        };
        let outcome = self.carry_out(cx, woken, secrets, observed).await;
        self.settings.backend_image = image_to_be;
        outcome.map_err(|problem| {
            self.no_snapshot(&format!(
                "the backend that ran last, {image}, does not start for it ({}: {})",
                problem.summary(),
                problem.detail()
            ))
        })?;
        let secret = self.secret_in_use().await?;
        let key = self.settings.admin_key(&secret)?;
        let image = image.to_owned();
        let export = Export { key, image, target };
        self.exported = Some(self.take_snapshot(export).await?);
        Ok(())
    }

    /// The key of a backend that runs, under the name that it has.
    async fn key_of(&self, backend: &ObservedContainer) -> Result<AdminKey, Diagnostic> {
        let secret = self.secret_in_use().await?;
        let name = backend.env.get("INSTANCE_NAME");
        let name = name.and_then(|name| InstanceName::parse(name).ok());
        let name = name.as_ref().unwrap_or(&self.settings.instance_name);
        issue_key(name, &secret, Access::Full)
    }

    /// Where a snapshot goes: into `directory` of this machine, else it stays on
    /// the volume. Refuses, before anything is exported, a directory that cannot
    /// be written to.
    fn target(&self, directory: Option<&str>) -> Result<Target, Diagnostic> {
        let Some(directory) = directory else {
            return Ok(Target::Volume);
        };
        Directory::open(FilePath::new(directory))
            .and_then(|it| {
                it.ok_or(io::ErrorKind::NotFound)?
                    .begin(OsStr::new("snapshot"))
            })
            .map(|file| Target::Here(directory.into(), file))
            .map_err(|error| self.not_written(FilePath::new(directory), &error))
    }

    /// Exports a snapshot from the backend that runs, and returns where it is.
    pub(super) async fn take_snapshot(&self, export: Export) -> Result<String, Diagnostic> {
        tracing::info!(object = self.object, "exporting a snapshot");
        let Export { key, image, target } = export;
        let id = self.export(key.clone()).await?;
        let name = format!(
            "{}-{}-{}.zip",
            self.settings.name,
            short(tag(&image).unwrap_or("image")),
            stamp(OffsetDateTime::now_utc())
        );
        let names = self.settings.names();
        let backend = self.docker.own_backend(&self.patience, &names).await;
        let backend = backend.map_err(|error| self.failed(error))?;
        let file = format!("{DIRECTORY}/{name}");
        let downloaded = self
            .docker
            .download_snapshot(&self.patience, &backend, &key, &id, &file)
            .await;
        downloaded.map_err(|error| self.no_snapshot(&error.to_string()))?;
        match target {
            Target::Volume => Ok(format!("{}:{file}", self.settings.names().volume())),
            Target::Here(directory, begun) => {
                let place = directory.join(&name);
                self.bring(&backend, &file, begun, &place).await?;
                Ok(place.display().to_string())
            }
        }
    }

    /// Has an export made, and returns its ID once it is finished.
    async fn export(&self, key: AdminKey) -> Result<String, Diagnostic> {
        let client = self.client(key);
        let failed = |error: &BackendError| match error {
            BackendError::NotFound => self.no_snapshot("the backend is too old to export one"),
            error => backend_error(&self.object, "export a snapshot", error),
        };
        let mut earlier = None;
        let mut requested = false;
        loop {
            let latest = client.call(&api::latest_export()).await;
            let latest = latest.map_err(|error| failed(&error))?;
            let is_busy = latest.as_ref().is_some_and(|it| !it.has_ended());
            if !requested && !is_busy {
                earlier = latest.map(|it| it.id);
                match client.call(&api::request_export()).await {
                    Ok(()) => requested = true,
                    // Somebody else was quicker. Theirs comes first.
                    Err(BackendError::Refused { code, .. }) if code == "ExportInProgress" => {}
                    Err(error) => return Err(failed(&error)),
                }
            } else if let Some(export) =
                latest.filter(|it| requested && Some(&it.id) != earlier.as_ref())
            {
                match export.state.as_str() {
                    "completed" => return Ok(export.id),
                    "requested" | "in_progress" => {}
                    state => {
                        return Err(self.no_snapshot(&format!(
                            "the backend says that its export is {state:?}"
                        )));
                    }
                }
            }
            if self.patience.left() < PAUSE * 2 {
                return Err(
                    self.no_snapshot("the export was not finished in time: raise timeouts.update")
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Brings a file from the volume to this machine, and removes it there.
    async fn bring(
        &self,
        backend: &Own,
        file: &str,
        begun: Unfinished,
        place: &FilePath,
    ) -> Result<(), Diagnostic> {
        let copied = self
            .docker
            .copy_out(&self.patience, backend, file, begun.file())
            .await;
        copied.map_err(|error| self.not_written(place, &error))?;
        let name = place.file_name().unwrap_or_default().to_owned();
        let written = spawn_blocking(move || begun.finish(&name));
        let written = written.await.unwrap_or_else(|error| Err(error.into()));
        written.map_err(|error: io::Error| self.not_written(place, &error))?;
        let removed = self
            .docker
            .remove_all(&self.patience, backend.id(), &[file.to_owned()], &[])
            .await;
        removed.map_err(|error| self.failed(error))
    }

    fn not_written(&self, place: &FilePath, error: &dyn std::fmt::Display) -> Diagnostic {
        let place = place.display();
        self.no_snapshot(&format!("it cannot be written to {place}: {error}"))
            .at("upgrade.path")
    }

    fn no_snapshot(&self, reason: &str) -> Diagnostic {
        Diagnostic::error(
            "No snapshot, so no upgrade",
            format!(
                "The image of {} was not changed, because a snapshot of its data is to come first, and there is none: {reason}. Remove the cause and apply again, or set upgrade.snapshot to false.",
                self.object
            ),
        )
        .at("upgrade.snapshot")
    }
}

/// A time as part of a file's name.
fn stamp(now: OffsetDateTime) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

/// A tag as people write it, short, and fit for a file's name.
fn short(tag: &str) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    tag.chars().filter(|c| fit(*c)).take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::{short, stamp};

    #[test]
    fn names_of_snapshots_order_as_time_does() {
        let at = |seconds| stamp(time::OffsetDateTime::from_unix_timestamp(seconds).unwrap());
        assert_eq!(at(1_782_468_030), "20260626T100030Z");
        assert!(at(1_782_468_030) < at(1_782_468_031));
        assert_eq!(short("903b8b96c4bceb34c62e"), "903b8b96c4bc");
        assert_eq!(short("../x"), "..x");
    }
}
