//! A session with a server: logged in, and ready for questions.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::SslMode,
    types::{ToSql, Type},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    DatabaseError, Limits, Version,
    classify::{At, of_login, of_statement},
    greeting::Greeted,
    tls::{self, Verifier},
};
use crate::convex::{
    Secret,
    postgres::{HostPort, PostgresUrl, Tls},
};

/// By this name an administrator knows sessions of this program.
pub(super) const PROGRAM: &str = "convex-preflight";

/// How long each step of a log-in, or a question, may take.
const STEP: Duration = Duration::from_secs(15);

/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who logs in, and to what.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    user: &'a str,
    password: Option<&'a Secret>,
    options: Option<&'a str>,
    database: &'a str,
}

impl<'a> Login<'a> {
    /// As a URL says, to this database.
    #[must_use]
    pub fn of(url: &'a PostgresUrl, database: &'a str) -> Self {
        Self {
            user: url.user(),
            password: url.password(),
            options: url.options(),
            database,
        }
    }

    pub(super) fn user(&self) -> &'a str {
        self.user
    }

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some_and(|password| !password.is_empty())
    }

    pub(super) fn database(&self) -> &'a str {
        self.database
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .user(self.user)
            // A server that asks for a password refuses the empty one by itself.
            .password(self.password.map(Secret::expose).unwrap_or_default())
            .dbname(self.database)
            .application_name(PROGRAM)
            // TLS, where there is any, has begun before the driver sees the stream.
            .ssl_mode(SslMode::Disable);
        if let Some(options) = self.options {
            config.options(options);
        }
        config
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// No answer in time means something else once the server has let somebody in.
fn stuck(error: DatabaseError) -> DatabaseError {
    match error {
        DatabaseError::TimedOut {
            server,
            doing,
            seconds,
        } => DatabaseError::Stuck {
            server,
            doing,
            seconds,
        },
        other => other,
    }
}

/// A session with one database of a server.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: AbortOnDropHandle<()>,
    server: HostPort,
    user: String,
    database: String,
    version: Version,
    encrypted: bool,
}

impl Session {
    /// Logs in over a stream on which nothing has been said yet, to a server of PostgreSQL
    /// [`Version::OLDEST`] or newer. `server` is who the certificate must be for.
    pub(super) async fn open<S>(
        stream: S,
        server: &HostPort,
        login: Login<'_>,
        (tls, verifier): (Tls, &Verifier),
        limits: &Limits,
    ) -> Result<Self, DatabaseError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut stream = stream;
        let encrypted = match tls {
            Tls::Off => false,
            Tls::Preferred | Tls::Required => {
                let asked = tls::offers_tls(&mut stream, server);
                let doing = "say whether it speaks TLS";
                limits.within(server, doing, STEP, asked).await?
            }
        };
        if tls == Tls::Required && !encrypted {
            return Err(DatabaseError::NoTls {
                server: server.clone(),
            });
        }
        let stream: Box<dyn Io> = if encrypted {
            let begun = tls::begin(stream, server, verifier);
            let begun = limits.within(server, "begin TLS", STEP, begun).await?;
            Box::new(begun)
        } else {
            Box::new(stream)
        };
        let at = At { server, login };
        let config = login.config();
        let connected = async {
            config
                .connect_raw(Greeted::new(stream), NoTls)
                .await
                .map_err(|error| of_login(&at, &error))
        };
        let (client, connection) = limits
            .within(server, "answer the log-in", STEP, connected)
            .await?;
        let said = connection.parameter("server_version").unwrap_or_default();
        let version = Version::parse(said).ok_or_else(|| DatabaseError::NotPostgres {
            server: server.clone(),
            said: said.into(),
        });
        let driver = tokio::spawn(async move {
            // What went wrong with the connection is told to whoever waits for an answer.
            let _ = connection.await;
        });
        let session = Self {
            client,
            driver: AbortOnDropHandle::new(driver),
            server: server.clone(),
            user: login.user().to_owned(),
            database: login.database().to_owned(),
            version: version?,
            encrypted,
        };
        if session.version < Version::OLDEST {
            return Err(DatabaseError::TooOld {
                server: server.clone(),
                found: session.version,
            });
        }
        Ok(session)
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    pub(super) fn server(&self) -> &HostPort {
        &self.server
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// Asks a question. Statements have no names, so that pools between here and the server do not
    /// mix them up.
    pub(super) async fn ask(
        &self,
        limits: &Limits,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseError> {
        let asked = async {
            let rows = self.client.query_typed(sql, parameters).await;
            rows.map_err(|error| of_statement(&self.server, doing, &error))
        };
        let answer = limits.within(&self.server, doing, STEP, asked).await;
        answer.map_err(stuck)
    }

    /// Runs a statement without parameters and without an answer. The error is the driver's own.
    pub(super) async fn run(
        &self,
        limits: &Limits,
        doing: &'static str,
        longest: Duration,
        sql: &str,
    ) -> Result<Result<(), tokio_postgres::Error>, DatabaseError> {
        let ran = async { Ok(self.client.batch_execute(sql).await) };
        let answer = limits.within(&self.server, doing, longest, ran).await;
        answer.map_err(stuck)
    }

    /// Ends the session as the server likes it, so that its log has nothing to complain about.
    pub(super) async fn end(self) {
        let Self { client, driver, .. } = self;
        drop(client);
        let _ = tokio::time::timeout(GOODBYE, driver).await;
    }
}
