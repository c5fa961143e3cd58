//! The database server of a deployment, as an attribute.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{
        Database, InstanceName, Secret,
        database::{DatabaseSettings, DatabaseValueError, Setting},
        process_env::ExtraEnv,
    },
    plugin::{
        Config, Diagnostic, Diagnostics, Known,
        schema::{Attr, Fields, Optional, Secretive, boolean, number, object, string},
        value::Path,
    },
};

/// The attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseModel {
    pub url: Option<Secret>,
    pub url_wo: Option<Secret>,
    pub url_wo_version: Option<i64>,
    pub create: Option<bool>,
    pub ssl_mode: Option<String>,
    pub ca_pem: Option<String>,
    pub max_connections: Option<i64>,
}

/// A database server, as far as it is at hand.
#[derive(Clone, Debug)]
pub enum DatabaseServer {
    /// With its URL.
    Known(Box<Database>),
    /// With a URL that the state does not keep.
    Hidden,
}

impl DatabaseServer {
    /// The server, where its URL is at hand.
    pub fn known(&self) -> Option<&Database> {
        match self {
            Self::Known(database) => Some(database),
            Self::Hidden => None,
        }
    }
}

impl DatabaseModel {
    /// The values of `ssl_mode`.
    const MODES: [&str; 6] = [
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
    ];

    /// The schema.
    pub fn attribute() -> Attr<Optional, Secretive> {
        object(
            Fields::new()
                .with(
                    "url",
                    string("URL of the PostgreSQL or MySQL server, such as `postgresql://user:password@host:5432`. A database name in it is not used: the database is named after the instance, with `-` as `_`. It is in the state, and in the environment of the backend's process.")
                        .optional()
                        .sensitive(),
                )
                .with(
                    "url_wo",
                    string("The same as `url`, but never in plan or state. It is used whenever the backend's container is made.")
                        .optional()
                        .sensitive()
                        .write_only(),
                )
                .with(
                    "url_wo_version",
                    number("Any number. When it changes, the backend's container is made anew with the current `url_wo`.")
                        .optional()
                        .within(i64::MIN..=i64::MAX),
                )
                .with(
                    "create",
                    boolean("Whether the database is created on the server where it is missing. Default `false`. PostgreSQL only.")
                        .optional(),
                )
                .with(
                    "ssl_mode",
                    string("How TLS is used: `disable`, `prefer`, `require`, `verify-ca` or `verify-full`. Default: what the URL says, else `require`. Wherever the backend speaks TLS it checks the server's certificate and name, so the last three are one.")
                        .optional()
                        .one_of(&Self::MODES),
                )
                .with(
                    "ca_pem",
                    string("Certificates of the authority that signed the server's certificate, in PEM form, beside those that the backend's image trusts.")
                        .optional(),
                )
                .with(
                    "max_connections",
                    number("Most connections the backend opens. Its own default is 128, too many for a server that many deployments share.")
                        .optional()
                        .within(2..=10_000),
                ),
            "A PostgreSQL or MySQL server that keeps the documents. Without it they are in SQLite on the volume. The volume is needed all the same: it has files, modules and search indexes. Before a backend starts on a PostgreSQL server, that is checked from where the backend will be: address, TLS, login, version, rights, and whether another backend is using the database.",
        )
        .optional()
    }

    fn given_url(&self) -> Option<&Secret> {
        self.url.as_ref().or(self.url_wo.as_ref())
    }

    /// The server. An error here is that of a state edited by hand, or of a
    /// value that was not known when all others were checked.
    pub fn server(&self) -> Result<DatabaseServer, Diagnostic> {
        let Some(url) = self.given_url() else {
            return Ok(DatabaseServer::Hidden);
        };
        let settings = DatabaseSettings {
            url: url.expose(),
            create: self.create,
            ssl_mode: self.ssl_mode.as_deref(),
            ca_pem: self.ca_pem.as_deref(),
            max_connections: self.max_connections,
        };
        match Database::parse(&settings) {
            Ok(database) => Ok(DatabaseServer::Known(Box::new(database))),
            Err(errors) => Err(errors.into_iter().next().map_or_else(
                || Diagnostic::error("Invalid value for database", "It cannot be used."),
                |error| of_error(&error, self.url_wo.is_some()),
            )),
        }
    }
}

/// Checks what a configuration says of a database.
pub fn check(config: Config<'_>) -> Diagnostics {
    let mut found = Diagnostics::default();
    if !config.has("database") {
        return found;
    }
    let by = config.given("database.url_wo");
    let hidden = by == Known::YES;
    match (config.given("database.url"), by) {
        (Known::YES, Known::YES) => found.push(
            Diagnostic::error(
                "Which URL?",
                "Both url and url_wo are given. Keep url_wo, which is never stored, or url.",
            )
            .at("database.url"),
        ),
        (Known::NO, Known::NO) => found.push(
            Diagnostic::error(
                "URL missing",
                "A database needs the URL of its server: give url, or url_wo, which is never stored. Without a server leave database out; data is then in SQLite on the volume.",
            )
            .at("database"),
        ),
        _ => {}
    }
    if config.given("database.url_wo_version") == Known::YES && by == Known::NO {
        found.push(
            Diagnostic::error(
                "Nothing to pin",
                "url_wo_version goes with url_wo, and there is none. Remove it, or give url_wo.",
            )
            .at("database.url_wo_version"),
        );
    }
    let text = |path: &str| config.get::<Option<String>>(path).known().flatten();
    let url = ["database.url", "database.url_wo"]
        .into_iter()
        .find_map(|path| config.get::<Option<Secret>>(path).known().flatten());
    // What is not known yet is looked at when it is.
    let Some(url) = url else { return found };
    let (ssl_mode, ca_pem) = (text("database.ssl_mode"), text("database.ca_pem"));
    let settings = DatabaseSettings {
        url: url.expose(),
        create: config.get("database.create").known().flatten(),
        ssl_mode: ssl_mode.as_deref(),
        ca_pem: ca_pem.as_deref(),
        max_connections: config.get("database.max_connections").known().flatten(),
    };
    match Database::parse(&settings) {
        Err(errors) => found.extend(errors.iter().map(|error| of_error(error, hidden))),
        Ok(database) => {
            let instance = ["instance_name", "name"]
                .into_iter()
                .find_map(|path| config.get::<Option<String>>(path).known().flatten())
                .and_then(|name| InstanceName::parse(&name).ok());
            if let Some(Err(error)) = instance.map(|it| database.check_name(&it)) {
                found.push(of_error(&error, hidden));
            }
            if let Known::Known(Some(env)) = config.get::<Option<_>>("backend.env") {
                let env: std::collections::BTreeMap<String, String> = env;
                if let Ok(extra) = ExtraEnv::for_backend(env) {
                    let conflicts = database.conflicts(&extra);
                    found.extend(conflicts.iter().map(|error| of_error(error, hidden)));
                }
            }
        }
    }
    found
}

/// The attribute of a setting.
fn path(setting: Setting, hidden: bool) -> Path {
    let database = Path::of("database");
    match setting {
        Setting::Url if hidden => database.attribute("url_wo"),
        Setting::Url => database.attribute("url"),
        Setting::Create => database.attribute("create"),
        Setting::SslMode => database.attribute("ssl_mode"),
        Setting::Ca => database.attribute("ca_pem"),
        Setting::MaxConnections => database.attribute("max_connections"),
        Setting::InstanceName => Path::of("instance_name"),
        Setting::Environment => Path::of("backend.env"),
    }
}

fn of_error(error: &DatabaseValueError, hidden: bool) -> Diagnostic {
    let mut path = path(error.setting(), hidden);
    if let DatabaseValueError::Variable { name, .. } = error {
        path = path.key(name);
    }
    Diagnostic::error(format!("Invalid value for {path}"), error.to_string()).at(path)
}
