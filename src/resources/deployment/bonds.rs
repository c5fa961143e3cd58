//! What the data of a deployment is bound to, for ever: a backend neither
//! renames its instance nor moves its data.
//!
//! Source: upstream `crates/model/src/database_globals/mod.rs` and
//! `self-hosted/advanced/postgres_or_mysql.md`.

use super::settings::Settings;
use crate::{
    convex::{
        database::DatabaseKind,
        process_env::{ExtraEnv, StorageKind},
    },
    plugin::Diagnostic,
};

/// What data is bound to. `None` is what is not known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bonds {
    /// The name of the instance, and so that of its database.
    pub instance: Option<String>,
    /// Where the documents are.
    pub database: Option<DatabaseKind>,
    /// Where files, modules and search indexes are.
    pub storage: Option<StorageKind>,
}

/// A bond that a change would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The name of the instance.
    Instance {
        /// That of the data.
        was: String,
        /// That asked for.
        now: String,
    },
    /// The kind of database.
    Database {
        /// That of the data.
        was: DatabaseKind,
        /// That asked for.
        now: DatabaseKind,
    },
    /// The kind of storage.
    Storage {
        /// That of the data.
        was: StorageKind,
        /// That asked for.
        now: StorageKind,
    },
}

impl Bonds {
    /// Those of a deployment as it is to be.
    pub fn of(settings: &Settings) -> Self {
        Self {
            instance: Some(settings.instance_name.to_string()),
            database: match &settings.database {
                // The state does not show a URL that is hidden from it.
                Some(server) => server.known().map(crate::convex::Database::kind),
                None => Some(database_among(&settings.backend_env)),
            },
            storage: Some(if settings.storage.is_some() {
                StorageKind::S3
            } else {
                StorageKind::among(settings.backend_env.as_map())
            }),
        }
    }

    /// Takes over from `other` what is not known here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            instance: self.instance.or(other.instance),
            database: self.database.or(other.database),
            storage: self.storage.or(other.storage),
        }
    }

    /// What would be broken by going on as `now`. What is not known of either
    /// is not compared.
    pub fn broken_by(&self, now: &Self) -> Vec<Broken> {
        let instance = changed(self.instance.as_ref(), now.instance.as_ref());
        let database = changed(self.database.as_ref(), now.database.as_ref());
        let storage = changed(self.storage.as_ref(), now.storage.as_ref());
        let instance = instance.map(|(was, now)| Broken::Instance { was, now });
        let database = database.map(|(was, now)| Broken::Database { was, now });
        let storage = storage.map(|(was, now)| Broken::Storage { was, now });
        instance
            .into_iter()
            .chain(database)
            .chain(storage)
            .collect()
    }

    /// Whether a database file on the volume must be put aside before a backend
    /// can go on as `now`: one that has it would neither start empty nor accept
    /// another kind of storage.
    pub fn puts_file_aside(&self, now: &Self) -> bool {
        let moves = |it: &Broken| !matches!(it, Broken::Instance { .. });
        now.database == Some(DatabaseKind::Sqlite) && self.broken_by(now).iter().any(moves)
    }

    /// Whether a backend that goes on as `now` finds other documents, or none.
    pub fn leaves_documents(&self, now: &Self) -> bool {
        let leaves = |broken: &Broken| match broken {
            Broken::Database { .. } => true,
            // A file is not named after the instance.
            Broken::Instance { .. } => now.database != Some(DatabaseKind::Sqlite),
            Broken::Storage { .. } => false,
        };
        self.puts_file_aside(now) || self.broken_by(now).iter().any(leaves)
    }

    /// Whether something is not known.
    pub fn is_open(&self) -> bool {
        self.instance.is_none() || self.database.is_none() || self.storage.is_none()
    }

    /// Whether a database server would keep a backend as `now` from starting:
    /// the database remembers its kind of storage.
    fn is_stuck(&self, now: &Self) -> bool {
        let broken = self.broken_by(now);
        let is_storage = |it: &Broken| matches!(it, Broken::Storage { .. });
        let on_server = now.database.is_some_and(|it| it != DatabaseKind::Sqlite);
        on_server && broken.iter().any(is_storage) && broken.iter().all(is_storage)
    }

    /// What to say of going on as `now`: errors, or warnings of what is left
    /// behind where that is allowed.
    pub fn diagnose(&self, now: &Self, deployment: &str, allowed: bool) -> Vec<Diagnostic> {
        let about = |broken: &Broken| {
            let path = broken.path();
            if !allowed {
                return Diagnostic::error(broken.refusal(), why_not(broken, deployment)).at(path);
            }
            if self.is_stuck(now) {
                return Diagnostic::error(
                    broken.refusal(),
                    format!(
                        "The database {} on the server remembers its kind of storage, and its backend does not start with another one, whatever is allowed. Give another instance_name in the same change, which means another database, or take the change back.",
                        database_name(now)
                    ),
                )
                .at(path);
            }
            Diagnostic::warning(broken.loss(), self.what_is_left(broken, now, deployment)).at(path)
        };
        self.broken_by(now).iter().map(about).collect()
    }

    fn what_is_left(&self, broken: &Broken, now: &Self, deployment: &str) -> String {
        let all = "documents, variables, functions and crons";
        match broken {
            Broken::Instance { was, now: new } => {
                let keys = format!(
                    "Instance {was:?} of deployment {deployment:?} becomes {new:?}: every admin key of the old name ends."
                );
                let old_kind = self.database.or(now.database);
                let data = match old_kind {
                    Some(DatabaseKind::Sqlite) | None => String::new(),
                    Some(_) => format!(
                        " All {all} stay behind in the database {} on the server; the backend goes on with {}, which must be there or is created where database.create is true.",
                        database_name(self),
                        database_name(now)
                    ),
                };
                let files = match self.storage.or(now.storage) {
                    Some(StorageKind::S3) => format!(
                        " Files stay behind in the buckets, below {was:?}, and are not found any more."
                    ),
                    _ => String::new(),
                };
                keys + &data + &files
            }
            Broken::Database { was, now } => {
                let aside = if *now == DatabaseKind::Sqlite {
                    " A database file that an earlier time has left on the volume is put aside, as db.sqlite3.aside and a time."
                } else {
                    ""
                };
                format!(
                    "The backend of deployment {deployment:?} goes on empty, in {}. All {all} stay behind in {}; nothing deletes them there.{aside}",
                    name(*now),
                    match was {
                        DatabaseKind::Sqlite => place(*was, deployment),
                        _ => format!("the database {} on the server", database_name(self)),
                    }
                )
            }
            Broken::Storage { was, .. } => {
                let aside = if now.database == Some(DatabaseKind::Sqlite) {
                    format!(
                        " Its database file is put aside in the volume {deployment}-data, as db.sqlite3.aside and a time, with all {all}: the backend goes on empty."
                    )
                } else {
                    String::new()
                };
                format!(
                    "Files, modules and search indexes of deployment {deployment:?} stay behind {}; nothing deletes them there.{aside}",
                    store(*was, deployment)
                )
            }
        }
    }
}

impl Broken {
    fn refusal(&self) -> &'static str {
        match self {
            Self::Instance { .. } => "The instance name cannot be changed",
            Self::Database { .. } => "The kind of database cannot be changed",
            Self::Storage { .. } => "The kind of storage cannot be changed",
        }
    }

    /// Each has words of its own, since Terraform folds alike warnings into one.
    fn loss(&self) -> &'static str {
        match self {
            Self::Instance { .. } => "The old instance is left behind",
            Self::Database { .. } => "Documents are left behind",
            Self::Storage { .. } => "Files are left behind",
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Self::Instance { .. } => "instance_name",
            Self::Database { .. } => "database",
            Self::Storage { .. } => "storage",
        }
    }
}

fn why_not(broken: &Broken, deployment: &str) -> String {
    let safe = "bring the data over with `npx convex export --include-file-storage` and `npx convex import --replace-all`, deploy the functions to it, and then destroy this one";
    let what = match broken {
        Broken::Instance { was, now } => {
            return format!(
                "The deployment's data was made as instance {was:?}, and {now:?} is configured. Set instance_name back to {was:?}. For another instance, make another deployment, and {safe}. To go on without what is bound to the old name, set allow_data_loss to true; a plan then says what that is."
            );
        }
        Broken::Database { was, now } => format!(
            "The documents of deployment {deployment:?} are in {}, and {} is configured",
            place(*was, deployment),
            name(*now)
        ),
        Broken::Storage { was, now } => format!(
            "The files, modules and search indexes of deployment {deployment:?} are {}, and {} is configured. A backend refuses to start with another kind of storage than its database was made with",
            store(*was, deployment),
            match now {
                StorageKind::Local => "the volume",
                StorageKind::S3 => "S3",
            }
        ),
    };
    format!(
        "{what}. A backend does not move data: it would go on empty. Take the change back. For the new kind, make another deployment, {safe}. To go on empty on purpose, set allow_data_loss to true; a plan then says what is left behind."
    )
}

fn changed<T: Clone + PartialEq>(was: Option<&T>, now: Option<&T>) -> Option<(T, T)> {
    let (was, now) = (was?, now?);
    (was != now).then(|| (was.clone(), now.clone()))
}

/// The kind that variables of the process choose, as the start script reads
/// them.
fn database_among(env: &ExtraEnv) -> DatabaseKind {
    let is_set = |name: &str| env.as_map().get(name).is_some_and(|url| !url.is_empty());
    match () {
        () if is_set("POSTGRES_URL") => DatabaseKind::Postgres,
        () if is_set("MYSQL_URL") => DatabaseKind::Mysql,
        () if is_set("DATABASE_URL") => DatabaseKind::Postgres,
        () => DatabaseKind::Sqlite,
    }
}

fn database_name(bonds: &Bonds) -> String {
    let name = bonds.instance.as_deref().unwrap_or_default();
    format!("{:?}", name.replace('-', "_"))
}

fn name(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
        DatabaseKind::Mysql => "MySQL",
    }
}

fn place(kind: DatabaseKind, deployment: &str) -> String {
    match kind {
        DatabaseKind::Sqlite => {
            format!("SQLite, the file db.sqlite3 of the volume {deployment}-data")
        }
        other => name(other).to_owned(),
    }
}

fn store(kind: StorageKind, deployment: &str) -> String {
    match kind {
        StorageKind::Local => format!("in the directory storage of the volume {deployment}-data"),
        StorageKind::S3 => "in the buckets of S3".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bonds, Broken, Diagnostic};
    use crate::{
        convex::{database::DatabaseKind, process_env::StorageKind},
        plugin::Severity,
    };

    fn bonds(instance: &str, database: DatabaseKind, storage: StorageKind) -> Bonds {
        Bonds {
            instance: Some(instance.to_owned()),
            database: Some(database),
            storage: Some(storage),
        }
    }

    fn texts(was: &Bonds, now: &Bonds, allowed: bool) -> (Vec<Severity>, String) {
        let found = was.diagnose(now, "app", allowed);
        let texts: Vec<_> = found.iter().map(|it| it.detail().to_owned()).collect();
        (
            found.iter().map(Diagnostic::severity).collect(),
            texts.join("\n"),
        )
    }

    #[test]
    fn what_is_not_known_breaks_nothing() {
        let was = bonds("a", DatabaseKind::Sqlite, StorageKind::Local);
        assert!(was.broken_by(&Bonds::default()).is_empty());
        assert!(Bonds::default().broken_by(&was).is_empty());
        assert!(was.broken_by(&was).is_empty());
        let known = Bonds {
            database: Some(DatabaseKind::Mysql),
            ..Bonds::default()
        };
        let both = known.or(was);
        assert_eq!(both, bonds("a", DatabaseKind::Mysql, StorageKind::Local));
    }

    #[test]
    fn each_kind_is_refused_with_the_way_out() {
        let was = bonds("a", DatabaseKind::Sqlite, StorageKind::Local);
        let now = bonds("b", DatabaseKind::Postgres, StorageKind::S3);
        assert_eq!(was.broken_by(&now).len(), 3);
        let (severities, text) = texts(&was, &now, false);
        assert_eq!(severities, [Severity::Error; 3]);
        for part in [
            "npx convex import --replace-all",
            "allow_data_loss",
            "db.sqlite3",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let (severities, text) = texts(&was, &now, true);
        assert_eq!(severities, [Severity::Warning; 3]);
        assert!(
            text.contains("file db.sqlite3 of the volume app-data"),
            "{text}"
        );
        let (_, back) = texts(&now, &was, true);
        assert!(back.contains("database \"b\" on the server"), "{back}");
    }

    #[test]
    fn a_file_that_would_be_in_the_way_is_put_aside() {
        let local = bonds("a", DatabaseKind::Sqlite, StorageKind::Local);
        let s3 = bonds("a", DatabaseKind::Sqlite, StorageKind::S3);
        let server = bonds("a", DatabaseKind::Postgres, StorageKind::Local);
        let renamed = bonds("b", DatabaseKind::Sqlite, StorageKind::Local);
        assert!(local.puts_file_aside(&s3) && server.puts_file_aside(&local));
        assert!(!local.puts_file_aside(&server) && !local.puts_file_aside(&renamed));
        assert!(!local.puts_file_aside(&local));
    }

    #[test]
    fn documents_are_left_behind_by_what_leads_to_another_database() {
        let local = bonds("a", DatabaseKind::Sqlite, StorageKind::Local);
        let s3 = bonds("a", DatabaseKind::Sqlite, StorageKind::S3);
        let server = bonds("a", DatabaseKind::Postgres, StorageKind::Local);
        let (renamed, elsewhere) = (
            bonds("b", DatabaseKind::Sqlite, StorageKind::Local),
            bonds("b", DatabaseKind::Postgres, StorageKind::Local),
        );
        for (was, now) in [
            (&local, &s3),
            (&s3, &local),
            (&local, &server),
            (&server, &local),
            (&server, &elsewhere),
        ] {
            assert!(was.leaves_documents(now), "{was:?} {now:?}");
        }
        for (was, now) in [(&local, &local), (&server, &server), (&local, &renamed)] {
            assert!(!was.leaves_documents(now), "{was:?} {now:?}");
        }
    }

    #[test]
    fn a_database_on_a_server_never_changes_its_storage() {
        let local = bonds("a", DatabaseKind::Postgres, StorageKind::Local);
        let s3 = bonds("a", DatabaseKind::Postgres, StorageKind::S3);
        let (severities, text) = texts(&local, &s3, true);
        assert_eq!(severities, [Severity::Error]);
        assert!(text.contains("another instance_name"), "{text}");
        let other = bonds("b", DatabaseKind::Postgres, StorageKind::S3);
        let (severities, _) = texts(&local, &other, true);
        assert_eq!(severities, [Severity::Warning; 2]);
        assert!(matches!(
            local.broken_by(&other)[0],
            Broken::Instance { .. }
        ));
    }
}
