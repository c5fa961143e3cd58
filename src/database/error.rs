//! What can be wrong with a database, by cause.

use super::Version;
use crate::{convex::postgres::HostPort, plugin::redact::Foreign};

/// Why a database cannot be used. No variant holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The host's name leads nowhere.
    #[error("the host {} is not known: {reason}", .server.host())]
    UnknownHost {
        /// The server.
        server: HostPort,
        /// The system's words.
        reason: Foreign,
    },
    /// The host is there, and nothing listens on the port.
    #[error("nothing listens at {server}")]
    Refused {
        /// The server.
        server: HostPort,
    },
    /// The host cannot be reached.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        server: HostPort,
        /// The system's words.
        reason: Foreign,
    },
    /// Something took the connection and ended it without a word, as a proxy does whose server is
    /// not there.
    #[error("{server} takes the connection and ends it without a word")]
    Mute {
        /// The server.
        server: HostPort,
    },
    /// Something else than `PostgreSQL` answers.
    #[error("what answers at {server} is not PostgreSQL; it says {said:?}")]
    NotPostgres {
        /// The server.
        server: HostPort,
        /// The beginning of its answer.
        said: Foreign,
    },
    /// The server is starting, stopping or recovering.
    #[error("the server at {server} is not ready yet: {said}")]
    NotReady {
        /// The server.
        server: HostPort,
        /// Its words.
        said: Foreign,
    },
    /// The server is too old.
    #[error(
        "the server at {server} is PostgreSQL {found}, and {} is needed",
        Version::OLDEST
    )]
    TooOld {
        /// The server.
        server: HostPort,
        /// Its version.
        found: Version,
    },
    /// The server, or the database on it, takes no changes. A standby for example.
    #[error("the database {database:?} at {server} can only be read")]
    ReadOnly {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
    },
    /// The server, the user or the database has as many connections as it may have.
    #[error("{server} has no connection left: {said}")]
    TooManyConnections {
        /// The server.
        server: HostPort,
        /// Its words, which say whose limit it is.
        said: Foreign,
    },
    /// The server's disk is full.
    #[error("the disk of the server at {server} is full")]
    NoSpace {
        /// The server.
        server: HostPort,
    },
    /// TLS is required and the server has none.
    #[error("TLS is required, and the server at {server} does not offer it")]
    NoTls {
        /// The server.
        server: HostPort,
    },
    /// TLS is off and the server lets nobody in without.
    #[error("TLS is off, and the server at {server} lets {user:?} in with TLS only")]
    TlsRequired {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// The certificate comes from an authority that is not trusted here.
    #[error("the certificate of {server} comes from an unknown authority")]
    UnknownAuthority {
        /// The server.
        server: HostPort,
    },
    /// The certificate is that of an authority itself, which no server can show.
    #[error(
        "the certificate of {server} is that of an authority itself, and not one it has given to a server"
    )]
    AuthorityAsServer {
        /// The server.
        server: HostPort,
    },
    /// The certificate is for other hosts.
    #[error("the certificate of {server} is not for this host{}", for_whom(.names))]
    OtherHost {
        /// The server.
        server: HostPort,
        /// Whom it is for, where that is known.
        names: Vec<String>,
    },
    /// The certificate has ended.
    #[error("the certificate of {server} has expired")]
    Expired {
        /// The server.
        server: HostPort,
    },
    /// The certificate has not begun.
    #[error("the certificate of {server} is not valid yet")]
    NotYetValid {
        /// The server.
        server: HostPort,
    },
    /// The server wants a certificate of its client.
    #[error("the server at {server} asks {user:?} for a certificate of its own")]
    WantsCertificate {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// Any other failure of TLS.
    #[error("TLS with {server} failed: {reason}")]
    Tls {
        /// The server.
        server: HostPort,
        /// The TLS library's words.
        reason: Foreign,
    },
    /// There is nothing to verify a certificate with.
    #[error("this system has no certificate authorities to verify {server} with")]
    NoAuthorities {
        /// The server.
        server: HostPort,
    },
    /// The server asks for a password, and there is none.
    #[error("the server at {server} asks for a password of {user:?}, and there is none")]
    NoPassword {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// The user or the password is wrong. Servers do not say which.
    #[error("the server at {server} does not accept this password for {user:?}")]
    WrongPassword {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// There is no such user.
    #[error("the server at {server} has no user {user:?}")]
    NoUser {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// There is such a role, and it is not meant to log in.
    #[error("the role {user:?} may not log in at {server}")]
    NoLogin {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
    },
    /// The server asks for a proof that neither this program nor the backend can give.
    #[error("the server at {server} asks {user:?} for another proof than a password: {reason}")]
    OtherProof {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
        /// What is known of it.
        reason: Foreign,
    },
    /// The server's rules let nobody in who comes as this user, from here, to this database.
    #[error(
        "the rules of {server} (pg_hba.conf) let {user:?} not into database {database:?} from here"
    )]
    NoRule {
        /// The server.
        server: HostPort,
        /// The user.
        user: String,
        /// The database.
        database: String,
        /// Its words, with the address it sees.
        said: Foreign,
    },
    /// There is no such database, and it is not to be created.
    #[error("the server at {server} has no database {database:?}")]
    Missing {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
    },
    /// There is no such database, and the user may not create one.
    #[error("the server at {server} has no database {database:?}, and {user:?} may not create one")]
    MayNotCreate {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The user.
        user: String,
    },
    /// There is no such database, and none from which it could be created.
    #[error(
        "the server at {server} has no database {database:?}, and {user:?} may use none of {} to \
         create it from", tried.join(", ")
    )]
    NoWayToCreate {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The user.
        user: String,
        /// The databases that were tried.
        tried: Vec<String>,
    },
    /// The database is there, and the user may not connect to it.
    #[error("{user:?} may not connect to database {database:?} at {server}")]
    MayNotConnect {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The user.
        user: String,
    },
    /// The database takes no connections at all.
    #[error("the database {database:?} at {server} takes no connections")]
    Closed {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
    },
    /// The user may not create tables where the backend would.
    #[error(
        "{user:?} may not create tables in schema {schema:?} of database {database:?} at {server}"
    )]
    MayNotCreateTables {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The schema.
        schema: String,
        /// The user.
        user: String,
    },
    /// There is no schema for tables of this user.
    #[error("{user:?} has no schema for its tables in database {database:?} at {server}")]
    NoSchema {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The user.
        user: String,
    },
    /// The tables are there, and the user may not use them.
    #[error(
        "{user:?} may not read and change table {table:?} of database {database:?} at {server}"
    )]
    MayNotUseTable {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The table.
        table: String,
        /// The user.
        user: String,
    },
    /// A table of another program has a name the backend needs.
    #[error(
        "the database {database:?} at {server} has a table {table:?} that is not a Convex backend's"
    )]
    Occupied {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
        /// The table.
        table: String,
    },
    /// The data belongs to an instance of another name, as its files do.
    #[error("the data in database {database:?} at {server} belongs to another instance")]
    OtherInstance {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
    },
    /// Upstream's own tools have put a stop to changes; a backend does not start.
    #[error("the data in database {database:?} at {server} is marked as read-only")]
    Frozen {
        /// The server.
        server: HostPort,
        /// The database.
        database: String,
    },
    /// No answer in time.
    #[error("{server} did not {doing} within {seconds} s")]
    TimedOut {
        /// The server.
        server: HostPort,
        /// What it should have done.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The server lets this user in and then does not answer, as where somebody holds a lock.
    #[error("{server} accepted the login, but did not {doing} within {seconds} s")]
    Stuck {
        /// The server.
        server: HostPort,
        /// What it should have done.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The work was called off.
    #[error("called off while waiting for {server} to {doing}")]
    Cancelled {
        /// The server.
        server: HostPort,
        /// What it should have done.
        doing: &'static str,
    },
    /// The connection ended too early.
    #[error("the connection to {server} broke while it should {doing}: {reason}")]
    Broken {
        /// The server.
        server: HostPort,
        /// What it should have done.
        doing: &'static str,
        /// The cause, as far as it is known.
        reason: Foreign,
    },
    /// Anything else the server says.
    #[error("the server at {server} refused to {doing}: {said} (code {code})")]
    Failed {
        /// The server.
        server: HostPort,
        /// What it should have done.
        doing: &'static str,
        /// The code of the error (`SQLSTATE`).
        code: String,
        /// Its words.
        said: Foreign,
    },
}

/// What of the settings, or of the world, a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The host in the URL.
    Host,
    /// The port in the URL, or what listens there.
    Port,
    /// The user in the URL, or its rights.
    User,
    /// The password in the URL.
    Password,
    /// The use of TLS, or the certificate.
    Tls,
    /// The database.
    Database,
    /// The server as such.
    Server,
    /// The way to it, or the time it took.
    Connection,
}

impl DatabaseError {
    /// What it is about.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::UnknownHost { .. } | Self::Unreachable { .. } => Part::Host,
            Self::Refused { .. } | Self::Mute { .. } | Self::NotPostgres { .. } => Part::Port,
            Self::NotReady { .. }
            | Self::TooOld { .. }
            | Self::TooManyConnections { .. }
            | Self::NoSpace { .. }
            | Self::Stuck { .. }
            | Self::Failed { .. } => Part::Server,
            Self::NoTls { .. }
            | Self::TlsRequired { .. }
            | Self::UnknownAuthority { .. }
            | Self::AuthorityAsServer { .. }
            | Self::OtherHost { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::WantsCertificate { .. }
            | Self::Tls { .. }
            | Self::NoAuthorities { .. } => Part::Tls,
            Self::NoPassword { .. } | Self::WrongPassword { .. } => Part::Password,
            Self::NoUser { .. }
            | Self::NoLogin { .. }
            | Self::OtherProof { .. }
            | Self::NoRule { .. }
            | Self::MayNotCreate { .. }
            | Self::NoWayToCreate { .. }
            | Self::MayNotConnect { .. }
            | Self::MayNotCreateTables { .. }
            | Self::MayNotUseTable { .. } => Part::User,
            Self::ReadOnly { .. }
            | Self::Missing { .. }
            | Self::Closed { .. }
            | Self::NoSchema { .. }
            | Self::Occupied { .. }
            | Self::OtherInstance { .. }
            | Self::Frozen { .. } => Part::Database,
            Self::TimedOut { .. } | Self::Cancelled { .. } | Self::Broken { .. } => {
                Part::Connection
            }
        }
    }

    /// Whether a server that is just being started behaves like this.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Mute { .. } | Self::NotReady { .. }
        )
    }
}

fn for_whom(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(" but for {}", names.join(", "))
    }
}
