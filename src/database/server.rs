//! A server, looked at before anything is started on it.

use std::time::Duration;

use super::{
    Contents, DatabaseError, Dial, Limits, Version, classify, contents,
    remedy::identifier,
    session::{Login, Session},
    tls::{self, Verifier},
};
use crate::convex::{
    Database, InstanceName,
    postgres::{HostPort, PostgresUrl, Tls},
};

/// How long the creation of a database may take. It copies a few megabytes, on a busy disk.
const CREATE: Duration = Duration::from_mins(2);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// How often a creation is tried again while somebody uses the template it copies.
const CREATE_TRIES: u32 = 20;

/// Databases that are there from a server's first day on. `template1` last: whoever is in it keeps
/// others from creating databases.
const ALWAYS_THERE: [&str; 2] = ["postgres", "template1"];

/// A server of a deployment, and a way to it.
#[derive(Debug)]
pub struct Server<'a, D> {
    database: &'a Database,
    url: &'a PostgresUrl,
    dial: D,
    verifier: Verifier,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of the servers in the URL it is.
    pub server: HostPort,
    /// Its version.
    pub version: Version,
    /// Whether TLS is spoken.
    pub encrypted: bool,
    /// What became of the database.
    pub presence: Presence,
    /// What is in it; `None` where there is none.
    pub contents: Option<Contents>,
    /// How many connections this user can have to it at most, all programs together. To be held
    /// against what the backend opens ([`Database::max_connections`]).
    pub connections: Option<u32>,
}

/// Whether there is a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is none, and it could be created.
    Missing,
    /// It has just been created.
    Created,
    /// It was there.
    Existing,
}

impl<'a, D: Dial> Server<'a, D> {
    /// The server of these settings, reached by `dial`; nothing for any other kind than
    /// `PostgreSQL`. Nothing is dialled yet.
    pub fn new(database: &'a Database, dial: D) -> Result<Option<Self>, DatabaseError> {
        let Some(url) = database.postgres() else {
            return Ok(None);
        };
        let verifier = match database.tls() {
            Tls::Off => Ok(Verifier::none()),
            Tls::Preferred | Tls::Required => Verifier::new(database.ca()),
        };
        let verifier = verifier.map_err(|error| DatabaseError::Tls {
            server: first(url),
            reason: error.to_string().into(),
        })?;
        Ok(Some(Self {
            database,
            url,
            dial,
            verifier,
        }))
    }

    /// Looks, and changes nothing. A missing database that may be created and can be is no error
    /// but [`Presence::Missing`].
    pub async fn look(
        &self,
        instance: &InstanceName,
        limits: &Limits,
    ) -> Result<Found, DatabaseError> {
        let name = instance.database_name();
        match self.open(&name, limits).await {
            Ok(session) => {
                self.found(session, instance, Presence::Existing, limits)
                    .await
            }
            Err(DatabaseError::Missing { server, database }) => {
                if !self.database.may_create() {
                    return Err(DatabaseError::Missing { server, database });
                }
                let session = self.open_beside(&database, limits).await?;
                let found = Found {
                    server: session.server().clone(),
                    version: session.version(),
                    encrypted: session.is_encrypted(),
                    presence: Presence::Missing,
                    contents: None,
                    connections: None,
                };
                session.end().await;
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks, and creates the database if it is missing and may be created. If others create it at
    /// the same time, theirs is as good.
    pub async fn prepare(
        &self,
        instance: &InstanceName,
        limits: &Limits,
    ) -> Result<Found, DatabaseError> {
        let name = instance.database_name();
        let mut presence = Presence::Existing;
        let session = match self.open(&name, limits).await {
            Err(DatabaseError::Missing { .. }) if self.database.may_create() => {
                if self.create(&name, limits).await? {
                    presence = Presence::Created;
                }
                self.open(&name, limits).await?
            }
            outcome => outcome?,
        };
        self.found(session, instance, presence, limits).await
    }

    async fn found(
        &self,
        session: Session,
        instance: &InstanceName,
        presence: Presence,
        limits: &Limits,
    ) -> Result<Found, DatabaseError> {
        let looked = async {
            let contents = contents::look(&session, instance, limits).await?;
            let connections = contents::connections(&session, limits).await?;
            Ok(Found {
                server: session.server().clone(),
                version: session.version(),
                encrypted: session.is_encrypted(),
                presence,
                contents: Some(contents),
                connections,
            })
        };
        let found = looked.await;
        session.end().await;
        found
    }

    /// Logs in to a database, on the first server that takes changes.
    pub async fn open(&self, database: &str, limits: &Limits) -> Result<Session, DatabaseError> {
        let login = Login::of(self.url, database);
        loop {
            let mut failed: Option<DatabaseError> = None;
            for server in self.url.hosts() {
                match self.open_at(server, login, limits).await {
                    Ok(session) => return Ok(session),
                    Err(error) => {
                        // Of several, one that answers says more than one that does not.
                        let says_more = failed.as_ref().is_some_and(says_little);
                        if failed.is_none() || (says_more && !says_little(&error)) {
                            failed = Some(error);
                        }
                    }
                }
            }
            let server = first(self.url);
            match failed {
                Some(error) if error.is_passing() && limits.may_wait() => {
                    limits.pause(&server, PAUSE).await?;
                }
                Some(error) => return Err(error),
                None => {
                    return Err(DatabaseError::UnknownHost {
                        server,
                        reason: "there is none".into(),
                    });
                }
            }
        }
    }

    async fn open_at(
        &self,
        server: &HostPort,
        login: Login<'_>,
        limits: &Limits,
    ) -> Result<Session, DatabaseError> {
        let security = (self.database.tls(), &self.verifier);
        let stream = self.stream(server, limits).await?;
        match Session::open(stream, server, login, security, limits).await {
            Ok(session) => contents::check_writable(session, limits).await,
            Err(DatabaseError::NoRule { server, .. })
                if security.0 == Tls::Off && self.offers_tls(&server, limits).await =>
            {
                Err(DatabaseError::TlsRequired {
                    server,
                    user: login.user().to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn stream(&self, server: &HostPort, limits: &Limits) -> Result<D::Stream, DatabaseError> {
        let longest = Duration::from_secs(30);
        limits
            .within(
                server,
                "take the connection",
                longest,
                self.dial.dial(server),
            )
            .await
    }

    /// Whether a server that lets nobody in without TLS would speak it.
    async fn offers_tls(&self, server: &HostPort, limits: &Limits) -> bool {
        let Ok(mut stream) = self.stream(server, limits).await else {
            return false;
        };
        let asked = tls::offers_tls(&mut stream, server);
        let asked = limits.within(server, "say whether it speaks TLS", CREATE, asked);
        asked.await.unwrap_or(false)
    }

    /// Logs in to some other database than this missing one, to create it from. The name in the
    /// URL comes first: whoever gave it knew that it works.
    async fn open_beside(&self, missing: &str, limits: &Limits) -> Result<Session, DatabaseError> {
        let mut tried: Vec<String> = Vec::new();
        let mut seen = first(self.url);
        for name in self.url.database_in_path().into_iter().chain(ALWAYS_THERE) {
            if name == missing || tried.iter().any(|it| it == name) {
                continue;
            }
            match self.open(name, limits).await {
                Ok(session) => return may_create(session, missing, limits).await,
                Err(
                    DatabaseError::Missing { server, .. }
                    | DatabaseError::MayNotConnect { server, .. }
                    | DatabaseError::NoRule { server, .. }
                    | DatabaseError::Closed { server, .. },
                ) => seen = server,
                Err(error) => return Err(error),
            }
            tried.push(name.to_owned());
        }
        Err(DatabaseError::NoWayToCreate {
            server: seen,
            database: missing.to_owned(),
            user: self.url.user().to_owned(),
            tried,
        })
    }

    /// Creates a database; whether it was this call that did.
    async fn create(&self, name: &str, limits: &Limits) -> Result<bool, DatabaseError> {
        let session = self.open_beside(name, limits).await?;
        let created = create(&session, name, limits).await;
        session.end().await;
        created
    }
}

async fn may_create(
    session: Session,
    missing: &str,
    limits: &Limits,
) -> Result<Session, DatabaseError> {
    let sql =
        "SELECT rolsuper OR rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let rows = session
        .ask(limits, "say what the user may do", sql, &[])
        .await?;
    if let Some(row) = rows.first()
        && row.get(0)?
    {
        return Ok(session);
    }
    let error = DatabaseError::MayNotCreate {
        server: session.server().clone(),
        database: missing.to_owned(),
        user: session.user().to_owned(),
    };
    session.end().await;
    Err(error)
}

async fn create(session: &Session, name: &str, limits: &Limits) -> Result<bool, DatabaseError> {
    let doing = "create the database";
    let sql = format!("CREATE DATABASE {}", identifier(name));
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(error) = session.run(limits, doing, CREATE, &sql).await? else {
            return Ok(true);
        };
        match error.code().map(|code| code.code().to_owned()).as_deref() {
            // Somebody else was faster: known by name, or found in the index a moment later.
            Some("42P04" | "23505") => return Ok(false),
            // Somebody is in the template it is copied from. Mostly another creator, for a moment.
            Some("55006") if tries < CREATE_TRIES => {
                limits.pause(session.server(), PAUSE).await?;
            }
            Some("42501") => {
                return Err(DatabaseError::MayNotCreate {
                    server: session.server().clone(),
                    database: name.to_owned(),
                    user: session.user().to_owned(),
                });
            }
            _ => {
                return Err(classify::of_statement(session.server(), doing, &error));
            }
        }
    }
}

fn first(url: &PostgresUrl) -> HostPort {
    // There is at least one.
    url.hosts()[0].clone()
}

/// Whether it is a failure of the way rather than an answer of a server.
fn says_little(error: &DatabaseError) -> bool {
    matches!(
        error,
        DatabaseError::UnknownHost { .. }
            | DatabaseError::Unreachable { .. }
            | DatabaseError::Refused { .. }
            | DatabaseError::Mute { .. }
            | DatabaseError::TimedOut { .. }
    )
}
