//! The database server of a deployment.

mod ca;
mod candidates;
mod problem;

use std::fmt;

pub use self::{
    ca::{CaPem, CaPemError},
    candidates::{URL_VARIABLES, url_from_variables},
    problem::{DatabaseValueError, DatabaseWarning, Setting},
};
use super::instance::InstanceName;
use super::mysql::MysqlUrl;
use super::postgres::{HostPort, PostgresUrl, PostgresUrlError, SslMode, Tls, is_loopback};
use super::process_env::ExtraEnv;
use super::secret::Secret;

/// The fewest connections a backend works with: it reads while it writes.
pub const MIN_CONNECTIONS: i64 = 2;

/// The most connections that can be meant. No server is set up for as many.
pub const MAX_CONNECTIONS: i64 = 10_000;

/// The connections a backend opens at most where nothing is said
/// (upstream `crates/common/src/knobs.rs`).
pub const DEFAULT_CONNECTIONS: u32 = 128;

/// The kinds of databases a backend can keep its data in. Data never moves from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file on the volume.
    Sqlite,
    /// A `PostgreSQL` server.
    Postgres,
    /// A `MySQL` server.
    Mysql,
}

impl DatabaseKind {
    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
            Self::Mysql => "mysql",
        }
    }

    /// From the word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::Sqlite, Self::Postgres, Self::Mysql];
        all.into_iter().find(|it| it.as_str() == word)
    }

    /// The kind of server that a URL is for, by its scheme alone.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once("://")?;
        match scheme.to_ascii_lowercase().as_str() {
            "mysql" => Some(Self::Mysql),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }
}

/// Settings as a user gives them. `Debug` shows nothing of them.
#[derive(Clone, Default)]
pub struct DatabaseSettings<'a> {
    /// The URL of the server, with or without a database name.
    pub url: &'a str,
    /// Whether the database may be created. Default: no.
    pub create: Option<bool>,
    /// One of the words of `sslmode`. It comes down to what the backend can do ([`Tls`]): `require`,
    /// `verify-ca` and `verify-full` are the same to it with `PostgreSQL`, and all check authority
    /// and host; `prefer` and `allow` speak TLS where the server offers it, and then check as much.
    pub ssl_mode: Option<&'a str>,
    /// Authorities beside those the system trusts, in PEM form.
    pub ca_pem: Option<&'a str>,
    /// How many connections the backend may open at most.
    pub max_connections: Option<i64>,
}

impl fmt::Debug for DatabaseSettings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Server {
    Postgres(PostgresUrl),
    Mysql {
        url: MysqlUrl,
        /// What the mode says of the name in the certificate.
        verify_name: Option<bool>,
    },
}

/// The database server of a deployment, as it can be used. `Debug` shows the host at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    server: Server,
    create: bool,
    tls: Tls,
    ca: Option<CaPem>,
    max_connections: Option<u32>,
}

impl Database {
    /// Takes settings, or gives every fault.
    pub fn parse(settings: &DatabaseSettings<'_>) -> Result<Self, Vec<DatabaseValueError>> {
        let mut errors = Vec::new();
        let mode = settings
            .ssl_mode
            .map(|text| SslMode::parse(text).ok_or(DatabaseValueError::SslMode));
        let mode = note(&mut errors, mode.transpose()).flatten();
        let server = note(&mut errors, parse_server(settings.url, mode));
        let ca = settings.ca_pem.map(CaPem::parse).transpose();
        let ca = note(&mut errors, ca.map_err(DatabaseValueError::from)).flatten();
        let max_connections = settings.max_connections.map(parse_connections).transpose();
        let max_connections = note(&mut errors, max_connections).flatten();
        let tls = server.as_ref().map(|server| {
            let said = match server {
                Server::Postgres(url) => url.ssl_mode().map(SslMode::tls),
                Server::Mysql { url, .. } => url.tls(),
            };
            mode.map(SslMode::tls).or(said).unwrap_or_default()
        });
        if let (Some(server), Some(mode)) = (&server, mode) {
            errors.extend(conflict(server, mode));
        }
        if settings.create == Some(true) && matches!(server, Some(Server::Mysql { .. })) {
            errors.push(DatabaseValueError::MysqlCreate);
        }
        if ca.is_some() && tls == Some(Tls::Off) {
            errors.push(DatabaseValueError::CaWithoutTls);
        }
        match (server, tls) {
            (Some(server), Some(tls)) if errors.is_empty() => Ok(Self {
                server,
                create: settings.create.unwrap_or(false),
                tls,
                ca,
                max_connections,
            }),
            _ => Err(errors),
        }
    }

    /// The kind of the server.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        match self.server {
            Server::Postgres(_) => DatabaseKind::Postgres,
            Server::Mysql { .. } => DatabaseKind::Mysql,
        }
    }

    /// The address, if it is a `PostgreSQL` server.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresUrl> {
        match &self.server {
            Server::Postgres(url) => Some(url),
            Server::Mysql { .. } => None,
        }
    }

    /// Where the server listens, as `host:port`; several with commas between. No secret.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.server {
            Server::Postgres(url) => {
                let hosts: Vec<_> = url.hosts().iter().map(HostPort::to_string).collect();
                hosts.join(",")
            }
            Server::Mysql { url, .. } => format!("{}:{}", url.host(), url.port()),
        }
    }

    /// Whether the database may be created where it is missing.
    #[must_use]
    pub fn may_create(&self) -> bool {
        self.create
    }

    /// How TLS is used: as the mode says, else as the URL says, else always.
    #[must_use]
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Authorities beside those the system trusts.
    #[must_use]
    pub fn ca(&self) -> Option<&CaPem> {
        self.ca.as_ref()
    }

    /// How many connections the backend opens at most.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.max_connections.unwrap_or(DEFAULT_CONNECTIONS)
    }

    /// The password in the URL.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        match &self.server {
            Server::Postgres(url) => url.password(),
            Server::Mysql { url, .. } => url.password(),
        }
    }

    /// The URL as the backend gets it.
    #[must_use]
    pub fn url_for_backend(&self) -> Secret {
        match &self.server {
            Server::Postgres(url) => url.for_backend(self.tls),
            Server::Mysql { url, verify_name } => url.for_backend(self.tls, *verify_name),
        }
    }

    /// Refuses an instance whose database would be one of the server's own.
    pub fn check_name(&self, instance: &InstanceName) -> Result<(), DatabaseValueError> {
        let reserved: &[&str] = match self.kind() {
            DatabaseKind::Mysql => &["information_schema", "mysql", "performance_schema", "sys"],
            _ => &["template0", "template1"],
        };
        let name = instance.database_name();
        if reserved.contains(&name.as_str()) {
            return Err(DatabaseValueError::ReservedName { name });
        }
        Ok(())
    }

    /// Variables among those a user adds that these settings decide.
    #[must_use]
    pub fn conflicts(&self, extra: &ExtraEnv) -> Vec<DatabaseValueError> {
        let names = self.names();
        let decided = [
            ("DATABASE_URL", "url", true),
            ("MYSQL_URL", "url", true),
            ("POSTGRES_URL", "url", true),
            ("DO_NOT_REQUIRE_SSL", "ssl_mode", true),
            (names.ca, "ca_pem", self.ca.is_some()),
            (
                names.max_connections,
                "max_connections",
                self.max_connections.is_some(),
            ),
        ];
        decided
            .into_iter()
            .filter(|(name, _, is_decided)| *is_decided && extra.as_map().contains_key(*name))
            .map(|(name, decided_by, _)| DatabaseValueError::Variable {
                name: name.to_owned(),
                decided_by,
            })
            .collect()
    }

    /// What the user should know, where this is the instance.
    #[must_use]
    pub fn warnings(&self, instance: &InstanceName) -> Vec<DatabaseWarning> {
        let (left_out, hosts, given): (_, Vec<&str>, _) = match &self.server {
            Server::Postgres(url) => (
                url.left_out(),
                url.hosts().iter().map(HostPort::host).collect(),
                url.database_in_path(),
            ),
            Server::Mysql { url, .. } => (url.left_out(), vec![url.host()], url.database_in_path()),
        };
        let used = instance.database_name();
        let mut warnings: Vec<_> = left_out
            .iter()
            .filter(|name| self.ca.is_none() || *name != "sslrootcert")
            .map(|name| match name.as_str() {
                "sslrootcert" => DatabaseWarning::RootCertificate,
                _ => DatabaseWarning::LeftOut { name: name.clone() },
            })
            .collect();
        warnings.extend(given.filter(|given| *given != used).map(|given| {
            DatabaseWarning::OtherName {
                given: given.to_owned(),
                used: used.clone(),
            }
        }));
        let (own, far): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| is_loopback(host));
        warnings.extend(own.into_iter().map(|host| DatabaseWarning::Loopback {
            host: host.to_owned(),
        }));
        // A name of one label is found within a Docker network, where nobody else listens.
        let crosses_networks = far.iter().any(|host| host.contains(['.', ':']));
        match self.tls {
            Tls::Off if crosses_networks => warnings.push(DatabaseWarning::NoTls),
            Tls::Preferred if crosses_networks => warnings.push(DatabaseWarning::PerhapsNoTls),
            _ => {}
        }
        warnings
    }

    /// The variables for the backend, and those it must not have.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        let names = self.names();
        let unless_required = (self.tls != Tls::Required).then(|| "true".to_owned());
        let mut variables = vec![
            ("DATABASE_URL", None),
            ("MYSQL_URL", None),
            ("POSTGRES_URL", None),
            (names.url, Some(self.url_for_backend().expose().to_owned())),
            ("DO_NOT_REQUIRE_SSL", unless_required),
        ];
        if let Some(ca) = &self.ca {
            variables.push((names.ca, Some(ca.path())));
        }
        if let Some(number) = self.max_connections {
            variables.push((names.max_connections, Some(number.to_string())));
        }
        variables
    }

    fn names(&self) -> &'static Names {
        match self.server {
            Server::Postgres(_) => &Names {
                url: "POSTGRES_URL",
                ca: "PG_CA_FILE",
                max_connections: "POSTGRES_MAX_CONNECTIONS",
            },
            Server::Mysql { .. } => &Names {
                url: "MYSQL_URL",
                ca: "MYSQL_CA_FILE",
                max_connections: "MYSQL_MAX_CONNECTIONS",
            },
        }
    }
}

/// The variables the backend reads its settings from.
struct Names {
    url: &'static str,
    ca: &'static str,
    max_connections: &'static str,
}

/// The value, or `None` with its error noted.
fn note<T>(
    errors: &mut Vec<DatabaseValueError>,
    outcome: Result<T, DatabaseValueError>,
) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

fn parse_server(url: &str, mode: Option<SslMode>) -> Result<Server, DatabaseValueError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme.eq_ignore_ascii_case("mysql") {
        let verify_name = match mode {
            Some(SslMode::Allow | SslMode::Prefer) => return Err(DatabaseValueError::MysqlPrefer),
            Some(SslMode::VerifyCa) => Some(false),
            Some(SslMode::VerifyFull) => Some(true),
            Some(SslMode::Disable | SslMode::Require) | None => None,
        };
        let url = MysqlUrl::parse(url)?;
        return Ok(Server::Mysql { url, verify_name });
    }
    match PostgresUrl::parse(url) {
        Ok(url) => Ok(Server::Postgres(url)),
        // `jdbc:postgresql` and `postgresql+driver` are better told from others.
        Err(PostgresUrlError::OtherScheme) if !scheme.contains("postgres") => {
            Err(DatabaseValueError::Scheme)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse_connections(given: i64) -> Result<u32, DatabaseValueError> {
    u32::try_from(given)
        .ok()
        .filter(|_| (MIN_CONNECTIONS..=MAX_CONNECTIONS).contains(&given))
        .ok_or(DatabaseValueError::Connections { given })
}

/// The URL's word against the mode's, where the backend would not do the same for both.
fn conflict(server: &Server, mode: SslMode) -> Option<DatabaseValueError> {
    let (said, tls) = match server {
        Server::Postgres(url) => {
            let said = url.ssl_mode()?;
            (format!("sslmode={}", said.as_str()), said.tls())
        }
        Server::Mysql { url, .. } => {
            let said = url.tls()?;
            (format!("require_ssl={}", said == Tls::Required), said)
        }
    };
    (tls != mode.tls()).then_some(DatabaseValueError::SslConflict {
        url: said,
        mode: mode.as_str(),
    })
}

#[cfg(test)]
mod tests;
