//! The environment of the backend's process and of the dashboard's.
//!
//! Source: upstream `self-hosted/docker-build/run_backend.sh` and
//! `self-hosted/docker/docker-compose.yml`.

mod extra;
mod problem;
mod s3;

use std::collections::BTreeMap;
use std::fmt;

pub use extra::ExtraEnv;
pub use problem::{ExtraEnvError, ExtraEnvWarning};
pub use s3::{S3Error, S3Settings, S3Storage, StorageKind};

use super::admin_key::AdminKey;
use super::database::Database;
use super::instance::{InstanceName, InstanceSecret};
use super::origins::{ApiOrigin, Origins};

/// How long deleted and replaced documents are kept, in seconds: two days, as upstream's own
/// compose file sets it. The backend's default is 14 days. It must not be raised again later.
pub const DOCUMENT_RETENTION_DELAY_S: u32 = 172_800;

/// The variable that tells the backend its release, which it answers with at `/version`.
pub const RELEASE: &str = "CONVEX_RELEASE_VERSION_DEV";

/// The variable with the admin key that the dashboard logs in with by itself.
pub const DASHBOARD_KEY: &str = "NEXT_PUBLIC_ADMIN_KEY";

/// Variables whose values are secrets whoever sets them.
const SECRETS: [&str; 9] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
    "INSTANCE_SECRET",
    "JWT_PRIVATE_KEY",
    "JWT_PRIVATE_KEY_BASE64",
    "MYSQL_URL",
    DASHBOARD_KEY,
    "POSTGRES_URL",
];

/// Whether the value of this variable is a secret whoever sets it.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// An environment, by name. `Debug` shows names only, because values can be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProcessEnv(BTreeMap<String, String>);

impl ProcessEnv {
    /// The variables, in order of their names.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The variables, in order of their names.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    /// Adds the variables of a store for files, which take the place of any of the same names.
    #[must_use]
    pub fn with_storage(mut self, storage: &S3Storage) -> Self {
        self.0.extend(storage.variables());
        self
    }

    /// Adds the secret of the instance, for a backend that has no file with it.
    #[must_use]
    pub fn with_instance_secret(mut self, secret: &InstanceSecret) -> Self {
        self.set("INSTANCE_SECRET", secret.to_hex().expose());
        self
    }

    /// Adds the admin key for a dashboard that is to log in by itself. It puts the key into the page
    /// that it shows to everybody.
    #[must_use]
    pub fn with_admin_key(mut self, key: &AdminKey) -> Self {
        self.set(DASHBOARD_KEY, key.expose());
        self
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl fmt::Debug for ProcessEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the environment of a backend is made from.
#[derive(Debug, Clone, Copy)]
pub struct BackendEnv<'a> {
    /// The instance.
    pub instance_name: &'a InstanceName,
    /// Its origins.
    pub origins: &'a Origins,
    /// What `/version` answers, best the tag of the image: stock images say "unknown" of themselves.
    pub release: Option<&'a str>,
    /// The database server; without one the backend keeps its data in a file (`SQLite`).
    pub database: Option<&'a Database>,
    /// What a user adds.
    pub extra: &'a ExtraEnv,
}

impl BackendEnv<'_> {
    /// The environment. The instance secret is not part of it: it comes from a credentials file, or
    /// is added by [`ProcessEnv::with_instance_secret`].
    ///
    /// What a user adds takes the place of a default, never of what follows from the arguments.
    #[must_use]
    pub fn render(&self) -> ProcessEnv {
        let mut env = ProcessEnv::default();
        env.set("DISABLE_METRICS_ENDPOINT", "true");
        env.set(
            "DOCUMENT_RETENTION_DELAY",
            DOCUMENT_RETENTION_DELAY_S.to_string(),
        );
        env.set("RUST_LOG", "info");
        if let Some(release) = self.release {
            env.set(RELEASE, release);
        }
        env.0.extend(self.extra.as_map().clone());
        if let Some(database) = self.database {
            for (name, value) in database.variables() {
                env.0.remove(name);
                if let Some(value) = value {
                    env.set(name, value);
                }
            }
        }
        env.set("CONVEX_CLOUD_ORIGIN", self.origins.api.as_str());
        env.set("CONVEX_SITE_ORIGIN", self.origins.site.as_str());
        env.set("INSTANCE_NAME", self.instance_name.as_str());
        env
    }
}

/// The environment of the dashboard. The admin key is added by [`ProcessEnv::with_admin_key`].
#[must_use]
pub fn dashboard_env(api: &ApiOrigin, extra: &ExtraEnv) -> ProcessEnv {
    let mut env = ProcessEnv(extra.as_map().clone());
    env.set("NEXT_PUBLIC_DEPLOYMENT_URL", api.as_str());
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convex::database::DatabaseSettings;

    fn extra(pairs: &[(&str, &str)]) -> ExtraEnv {
        ExtraEnv::for_backend(pairs.iter().copied()).unwrap()
    }

    fn render(extra: &ExtraEnv, database: Option<&Database>) -> Vec<(String, String)> {
        let instance_name = &InstanceName::parse("app").unwrap();
        let origins = &Origins::default();
        let release = Some("903b8b9");
        let backend = BackendEnv {
            instance_name,
            origins,
            release,
            database,
            extra,
        };
        backend.render().into_map().into_iter().collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_backend_without_settings_gets_the_defaults_of_upstream() {
        let expected = owned(&[
            ("CONVEX_CLOUD_ORIGIN", "http://localhost:3210"),
            ("CONVEX_RELEASE_VERSION_DEV", "903b8b9"),
            ("CONVEX_SITE_ORIGIN", "http://localhost:3211"),
            ("DISABLE_METRICS_ENDPOINT", "true"),
            ("DOCUMENT_RETENTION_DELAY", "172800"),
            ("INSTANCE_NAME", "app"),
            ("RUST_LOG", "info"),
        ]);
        assert_eq!(render(&ExtraEnv::default(), None), expected);
    }

    #[test]
    fn what_a_user_adds_replaces_defaults() {
        let env = render(&extra(&[("RUST_LOG", "debug"), ("FOO", "")]), None);
        for pair in owned(&[("RUST_LOG", "debug"), ("FOO", "")]) {
            assert!(env.contains(&pair), "{pair:?}");
        }
    }

    fn database(url: &str) -> Database {
        let settings = DatabaseSettings {
            url,
            ..DatabaseSettings::default()
        };
        Database::parse(&settings).unwrap()
    }

    #[test]
    fn a_database_goes_without_its_name_and_without_tls_only_if_it_says_so() {
        let url = database("postgres://u:p@db/app?sslmode=disable");
        let env = render(&extra(&[("POSTGRES_URL", "postgres://other")]), Some(&url));
        for pair in owned(&[
            ("POSTGRES_URL", "postgres://u:p@db?sslmode=disable"),
            ("DO_NOT_REQUIRE_SSL", "true"),
        ]) {
            assert!(env.contains(&pair), "{pair:?}");
        }
        let url = database("postgres://u:p@db");
        let env = render(&extra(&[("DO_NOT_REQUIRE_SSL", "true")]), Some(&url));
        assert!(!env.iter().any(|(name, _)| name == "DO_NOT_REQUIRE_SSL"));
    }

    #[test]
    fn one_database_leaves_no_other_behind() {
        let others = extra(&[
            ("POSTGRES_URL", "x"),
            ("MYSQL_URL", "x"),
            ("DATABASE_URL", "x"),
        ]);
        for (url, name) in [
            ("mysql://u:p@db", "MYSQL_URL"),
            ("postgres://u:p@db", "POSTGRES_URL"),
        ] {
            let env = render(&others, Some(&database(url)));
            let urls: Vec<&str> = env
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| name.ends_with("_URL"))
                .collect();
            assert_eq!(urls, [name]);
        }
    }

    #[test]
    fn the_dashboard_learns_where_the_api_is() {
        let extra = ExtraEnv::for_dashboard([("NODE_OPTIONS", "--trace")]).unwrap();
        let env = dashboard_env(&Origins::default().api, &extra);
        let expected = owned(&[
            ("NEXT_PUBLIC_DEPLOYMENT_URL", "http://localhost:3210"),
            ("NODE_OPTIONS", "--trace"),
        ]);
        assert_eq!(
            env.as_map().clone().into_iter().collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn debug_output_shows_names_only() {
        let env = ProcessEnv(extra(&[("TOKEN", "hunter2")]).as_map().clone());
        assert_eq!(format!("{env:?}"), r#"{"TOKEN"}"#);
    }
}
