//! A session with a server: logged in, and ready for questions.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::SslMode,
    types::{FromSql, ToSql, Type},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    DatabaseError, Limits, Version,
    classify::{At, of_login, of_statement, with_source},
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

/// A row of an answer.
pub(super) struct Answer {
    row: Row,
    server: HostPort,
    doing: &'static str,
}

impl Answer {
    /// A value. What is not of the type that was asked for, as a NULL can be, is the server's
    /// error.
    pub(super) fn get<'a, T: FromSql<'a>>(&'a self, index: usize) -> Result<T, DatabaseError> {
        let value = self.row.try_get(index);
        value.map_err(|error| of_statement(&self.server, self.doing, &error))
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
    /// Why the connection ended, where it ended with an error.
    broken: Arc<OnceLock<String>>,
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
        let broken = Arc::new(OnceLock::new());
        let noted = Arc::clone(&broken);
        let driver = tokio::spawn(async move {
            let mut connection = connection;
            // Whoever waits for an answer only hears that there is none, once this is dropped.
            if let Err(error) = (&mut connection).await {
                let _ = noted.set(with_source(&error));
            }
        });
        let session = Self {
            client,
            driver: AbortOnDropHandle::new(driver),
            broken,
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
    ) -> Result<Vec<Answer>, DatabaseError> {
        let asked = async {
            let rows = self.client.query_typed(sql, parameters).await;
            rows.map_err(|error| match self.broken.get() {
                Some(reason) if error.is_closed() => DatabaseError::Broken {
                    server: self.server.clone(),
                    doing,
                    reason: reason.as_str().into(),
                },
                _ => of_statement(&self.server, doing, &error),
            })
        };
        let rows = limits.within(&self.server, doing, STEP, asked).await;
        let answers = rows.map_err(stuck)?.into_iter().map(|row| Answer {
            row,
            server: self.server.clone(),
            doing,
        });
        Ok(answers.collect())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_util::sync::CancellationToken;

    use super::{Answer, Login, Session};
    use crate::{
        convex::postgres::{PostgresUrl, Tls},
        database::{DatabaseError, Limits, tls::Verifier},
    };

    /// A message of a server.
    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], content].concat()
    }

    /// A server that lets everybody in, and answers each question with the same rows of one column
    /// of booleans.
    async fn serve(mut stream: DuplexStream, rows: Vec<u8>) {
        let ready = message(b'Z', b"I");
        let hello = [
            message(b'R', &[0; 4]),
            message(b'S', b"server_version\x0017.0\0"),
            ready.clone(),
        ];
        let column = b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x10\0\x01\xff\xff\xff\xff\0\x01";
        let answer = [
            message(b'1', b""),
            message(b'2', b""),
            message(b'T', column),
            rows,
            message(b'C', b"SELECT 1\0"),
            ready,
        ];
        let mut replies = [hello.concat(), answer.concat()].into_iter();
        let mut asked = vec![0; 4096];
        while let Ok(1..) = stream.read(&mut asked).await {
            let Some(reply) = replies.next() else { return };
            let _ = stream.write_all(&reply).await;
        }
    }

    async fn ask(rows: Vec<u8>) -> Result<Vec<Answer>, DatabaseError> {
        let (near, far) = duplex(4096);
        tokio::spawn(serve(far, rows));
        let limits = Limits::new(Duration::from_secs(20), CancellationToken::new());
        let login = Login {
            user: "u",
            password: None,
            options: None,
            database: "d",
        };
        let server = PostgresUrl::parse("postgresql://u@h").unwrap().hosts()[0].clone();
        let verifier = Verifier::none();
        let session = Session::open(near, &server, login, (Tls::Off, &verifier), &limits).await?;
        session.ask(&limits, "say it", "SELECT a", &[]).await
    }

    #[tokio::test]
    async fn a_null_where_none_belongs_is_an_error_of_the_server() {
        let yes = message(b'D', b"\0\x01\0\0\0\x01\x01");
        let answers = ask(yes.clone()).await.unwrap();
        assert!(answers[0].get::<bool>(0).unwrap());
        let null = message(b'D', b"\0\x01\xff\xff\xff\xff");
        let answers = ask(null).await.unwrap();
        let error = answers[0].get::<bool>(0).unwrap_err();
        assert!(matches!(error, DatabaseError::Broken { .. }), "{error:?}");
        assert_eq!(answers[0].get::<Option<bool>>(0).unwrap(), None);
        assert!(answers[0].get::<String>(0).is_err());
        assert!(answers[0].get::<bool>(1).is_err());
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_kept() {
        let row = message(
            b'D',
            &[&b"\0\x01\0\x01\0\0"[..], &vec![1; 1 << 16]].concat(),
        );
        let Err(DatabaseError::Broken { reason, .. }) = ask(row.repeat(1 << 8)).await else {
            panic!("it was kept");
        };
        assert!(
            reason.to_string().contains("more than 8388608 bytes"),
            "{reason}"
        );
    }
}
