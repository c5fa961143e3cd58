//! What can be wrong with the settings of a database, and what is worth a word.

use super::super::mysql::MysqlUrlError;
use super::super::postgres::PostgresUrlError;
use super::CaPemError;

/// Why settings of a database cannot be used. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseValueError {
    /// Neither of the two kinds of servers.
    #[error(
        "The database URL begins with neither `postgresql://` nor `mysql://`, and the backend knows \
         no other database servers. Without a URL it keeps its data in a file on its volume."
    )]
    Scheme,
    /// Not the URL of a `PostgreSQL` server.
    #[error(transparent)]
    Postgres(#[from] PostgresUrlError),
    /// Not the URL of a `MySQL` server.
    #[error(transparent)]
    Mysql(#[from] MysqlUrlError),
    /// A mode nobody knows.
    #[error(
        "There is no such mode of TLS. Write disable, prefer, require, verify-ca or verify-full, or \
         leave it out: then the URL decides, and where it says nothing, TLS is required."
    )]
    SslMode,
    /// A mode the backend does not have with `MySQL`.
    #[error(
        "The backend cannot leave it to a MySQL server whether to speak TLS. Write disable or require."
    )]
    MysqlPrefer,
    /// A database to be created on a server of which nothing is asked.
    #[error(
        "The provider creates databases on PostgreSQL servers only. Remove `create`, and create the \
         database on the MySQL server yourself: it is named after the instance, with `-` as `_`."
    )]
    MysqlCreate,
    /// The URL says one thing of TLS and the mode another.
    #[error("The database URL says `{url}`, and `ssl_mode` says `{mode}`. Remove one of them.")]
    SslConflict {
        /// What the URL says.
        url: String,
        /// The mode.
        mode: &'static str,
    },
    /// No certificates.
    #[error(transparent)]
    Ca(#[from] CaPemError),
    /// An authority for a connection without TLS.
    #[error(
        "An authority is given, but TLS is off, so no certificate would ever be checked. Remove it, \
         or require TLS."
    )]
    CaWithoutTls,
    /// Too few or too many connections.
    #[error(
        "The backend cannot work with {given} connections. Allow it {} to {}; ten are enough for a \
         small one.",
        super::MIN_CONNECTIONS,
        super::MAX_CONNECTIONS
    )]
    Connections {
        /// The refused number.
        given: i64,
    },
    /// An instance whose database would be one of the server's own.
    #[error(
        "The database of this instance would be {name:?}, which belongs to the server itself. \
         Choose another instance name."
    )]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A variable of the process that the settings decide.
    #[error(
        "{name} follows from `{decided_by}` of the database. Set that, and leave the variable out."
    )]
    Variable {
        /// The variable.
        name: String,
        /// The setting.
        decided_by: &'static str,
    },
}

/// Which setting something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The URL.
    Url,
    /// Whether the database may be created.
    Create,
    /// The mode of TLS.
    SslMode,
    /// The authority.
    Ca,
    /// The number of connections.
    MaxConnections,
    /// The instance name, which is none of the database's own settings.
    InstanceName,
    /// The environment a user gives, which is none of them either.
    Environment,
}

impl DatabaseValueError {
    /// The setting at fault.
    #[must_use]
    pub fn setting(&self) -> Setting {
        match self {
            Self::Scheme | Self::Postgres(_) | Self::Mysql(_) => Setting::Url,
            Self::MysqlCreate => Setting::Create,
            Self::SslMode | Self::MysqlPrefer | Self::SslConflict { .. } => Setting::SslMode,
            Self::Ca(_) | Self::CaWithoutTls => Setting::Ca,
            Self::Connections { .. } => Setting::MaxConnections,
            Self::ReservedName { .. } => Setting::InstanceName,
            Self::Variable { .. } => Setting::Environment,
        }
    }
}

/// What a user should know of settings that are taken all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseWarning {
    /// A parameter the backend does not get.
    #[error(
        "The parameter `{name}` of the database URL is left out: the backend does not know it and \
         would not start, or decides it itself."
    )]
    LeftOut {
        /// The parameter.
        name: String,
    },
    /// An authority in a file that the backend cannot see.
    #[error(
        "The parameter `sslrootcert` of the database URL is left out, because the backend cannot see \
         that file. Give the content of the file as `ca_pem`."
    )]
    RootCertificate,
    /// A database in the URL that is not the one of the instance.
    #[error(
        "The database URL names the database {given:?}, which the backend does not use. Its database \
         is {used:?}, named after the instance. To use an existing database, give its name as \
         instance_name, with `-` for `_`; to silence this warning, remove the name from the URL."
    )]
    OtherName {
        /// The name in the URL.
        given: String,
        /// The name that is used.
        used: String,
    },
    /// A name by which a container means itself.
    #[error(
        "The database URL says {host}, which inside a container is the container itself. Name a host \
         that the backend's container can reach, such as host.docker.internal with \
         network.extra_hosts, or let it share the network of that host."
    )]
    Loopback {
        /// The host.
        host: String,
    },
    /// No TLS over a network.
    #[error(
        "The connection to the database is not encrypted, so the password's proof and all data can \
         be read on the way. Require TLS unless the network is your own."
    )]
    NoTls,
    /// TLS that either side can go without.
    #[error(
        "The connection to the database is encrypted only where the server offers that, and whoever \
         is on the way can see to it that it does not. Require TLS unless the network is your own."
    )]
    PerhapsNoTls,
}
