//! A new deployment that begins with data that is there.

mod snapshot;
mod volume;

use serde::{Deserialize, Serialize};

pub use self::snapshot::Snapshot;
use super::{model::Model, work::Work};
use crate::{
    plugin::{
        Config, Cx, Diagnostic, Diagnostics, Known,
        schema::{Attr, Fields, Group, Optional, object, string},
    },
    runtime::docker::Credentials,
    session::Session,
};

/// Where a new deployment has its first data from: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreModel {
    pub snapshot: Option<String>,
    pub volume: Option<String>,
}

/// What is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// All data of another volume.
    Volume(String),
    /// Documents and files of a snapshot.
    Snapshot(Snapshot),
}

impl RestoreModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Group> {
        object(
            Fields::new()
                .with(
                    "snapshot",
                    string("Snapshot: a ZIP file on the machine that runs Terraform, or `VOLUME:/PATH` for one on a volume of the same Docker host, as `last_snapshot` has it. Restored are documents and files, into whatever database and storage the deployment has; functions, crons and variables are not in a snapshot. The deployment must be running.")
                        .optional(),
                )
                .with(
                "volume",
                string("Volume of another deployment on the same Docker host, such as `other-data`. It must not be in use, and its documents must be in SQLite. Copied are documents, files, functions, crons and the variables of functions; the name of the instance, its secret and so all admin keys are this deployment's own. The key for sign-in tokens is a variable, so the clone shares it with its source until `auth.rotate_trigger` of `convex_env` changes. Set `on_conflict = \"overwrite\"` there, since the copied variables exist already.")
                    .optional()
                    .check(|value, path, found| {
                        let bad = value.as_str().is_some_and(|text| !is_volume(text));
                        if bad {
                            found.push(Diagnostic::error(
                                "Invalid value for restore_from.volume",
                                "It is no name of a volume. Write one such as \"other-data\".",
                            ).at(path.clone()));
                        }
                    }),
            ),
            "What a deployment begins with, when it is made and its volume has no data yet: `snapshot` or `volume`. Ignored ever after: a change of it changes nothing. What broke off is finished or begun anew by the next apply, and never taken for the whole.",
        )
        .optional()
    }
}

/// Whether Docker takes this for the name of a volume.
fn is_volume(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Checks what a configuration says of a restore.
pub fn check(config: Config<'_>) -> Diagnostics {
    let mut found = Diagnostics::default();
    if config.given("restore_from") != Known::YES {
        return found;
    }
    match (
        config.given("restore_from.snapshot"),
        config.given("restore_from.volume"),
    ) {
        (Known::YES, Known::YES) => found.push(which(BOTH)),
        (Known::NO, Known::NO) => found.push(which(NEITHER)),
        _ => {}
    }
    found
}

const BOTH: &str = "Both snapshot and volume are given.";
const NEITHER: &str = "Neither snapshot nor volume is given.";

fn which(problem: &str) -> Diagnostic {
    Diagnostic::error(
        "Which data?",
        format!("{problem} Give snapshot, which is a ZIP file, or volume, which is that of a deployment on the same Docker host."),
    )
    .at("restore_from")
}

/// How far a restore into a volume has come.
#[derive(Debug, PartialEq, Eq)]
enum Mark<'a> {
    /// There was none.
    None,
    /// A copy of a volume has not come to its end.
    Copying,
    /// A snapshot is on its way in, as the import with this ID once it has one.
    Importing(Option<&'a str>),
    /// A snapshot was refused as a whole.
    Refused,
    /// It is whole.
    Done,
}

const IMPORTING: &str = "importing";
const IMPORTED: &str = "imported";
const REFUSED: &str = "refused";

impl<'a> Mark<'a> {
    fn read(stored: &'a Credentials) -> Self {
        let Some(text) = stored.restore.as_deref() else {
            return Self::None;
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            ("done" | IMPORTED, _) => Self::Done,
            (REFUSED, _) => Self::Refused,
            (IMPORTING, id) => Self::Importing(Some(id).filter(|id| !id.is_empty())),
            _ => Self::Copying,
        }
    }
}

/// What a deployment that is made is to be given first. Refuses one whose
/// volume has but a part of its data, where that is not to be finished.
pub fn due(
    cx: &mut Cx<Session>,
    work: &Work,
    planned: &Model,
    has_data: bool,
    stored: &Credentials,
) -> Result<Option<Source>, Diagnostic> {
    let asked = planned.restore_from.as_ref();
    let volume = asked.and_then(|it| it.volume.as_deref());
    let snapshot = asked.and_then(|it| it.snapshot.as_deref());
    // What was not known before may be both or neither after all.
    let source = |begun: Option<&str>| match (volume, snapshot) {
        (Some(_), Some(_)) => Err(which(BOTH)),
        (Some(volume), None) => Ok(Some(Source::Volume(volume.to_owned()))),
        (None, Some(snapshot)) => Ok(Some(Source::Snapshot(Snapshot::new(snapshot, begun)))),
        (None, None) if asked.is_some() => Err(which(NEITHER)),
        (None, None) => Ok(None),
    };
    match Mark::read(stored) {
        Mark::Copying if volume.is_some() => source(None),
        Mark::Importing(begun) if snapshot.is_some() => source(begun),
        Mark::Copying => Err(half(work, "volume")),
        Mark::Importing(_) => Err(half(work, "snapshot")),
        Mark::None | Mark::Done if has_data => {
            if asked.is_some() {
                cx.warn(
                    Diagnostic::warning(
                        "Nothing was restored",
                        format!(
                            "The volume {} has data already, which the deployment goes on with. restore_from is for a volume without data.",
                            work.settings.names().volume()
                        ),
                    )
                    .at("restore_from"),
                );
            }
            Ok(None)
        }
        Mark::None | Mark::Done | Mark::Refused => source(None),
    }
}

fn half(work: &Work, way: &str) -> Diagnostic {
    let volume = work.settings.names().volume();
    Diagnostic::error(
        "The data is half a copy",
        format!(
            "A restore into the volume {volume} was interrupted, so what is in it is not whole. Give restore_from.{way} again to finish it, or remove the volume with `docker volume rm {volume}` to begin without data."
        ),
    )
    .at("restore_from")
}

#[cfg(test)]
mod tests {
    use super::Mark;
    use crate::runtime::docker::Credentials;

    #[test]
    fn a_mark_says_how_far_a_restore_has_come() {
        let marks = [
            ("begun other-data", Mark::Copying),
            ("done other-data", Mark::Done),
            ("importing", Mark::Importing(None)),
            ("importing j57abc", Mark::Importing(Some("j57abc"))),
            ("imported", Mark::Done),
            ("refused", Mark::Refused),
        ];
        for (text, mark) in marks {
            let stored = Credentials {
                restore: Some(text.to_owned()),
                ..Credentials::default()
            };
            assert_eq!(Mark::read(&stored), mark, "{text}");
        }
        assert_eq!(Mark::read(&Credentials::default()), Mark::None);
    }
}
