//! Finds the cause in what a server, or the driver, says.
//!
//! Servers say it in the language of their country, so that causes are told by codes (`SQLSTATE`)
//! and by the names of the server's own routines, which are always the same.

use std::{error::Error as _, io};

use tokio_postgres::{Error, error::DbError};

use super::{DatabaseError, greeting::Stranger, session::Login, tls::is_end};
use crate::{convex::postgres::HostPort, plugin::redact::Foreign};

/// The most that is quoted of a server, in characters.
const LONGEST: usize = 300;

/// The routine of a server that looks whether there is such a role and whether it may log in.
const ROLE_CHECK: &str = "InitializeSessionUserId";

/// Where somebody wanted to log in, and as whom.
pub(super) struct At<'a> {
    pub(super) server: &'a HostPort,
    pub(super) login: Login<'a>,
}

/// The routine of a server that says no after the exchange of proofs.
const PROOF_CHECK: &str = "auth_failed";

/// Ways to check a password elsewhere, which have the code of proofs that are none. Their names
/// are the same in every language.
const ELSEWHERE: [&str; 4] = ["LDAP", "PAM", "RADIUS", "BSD"];

/// What a failed log-in means.
pub(super) fn of_login(at: &At<'_>, error: &Error) -> DatabaseError {
    let doing = "answer the log-in";
    let server = at.server.clone();
    if let Some(said) = error.as_db_error() {
        return of_answer(at, said);
    }
    if let Some(cause) = io_cause(error) {
        return match stranger(cause) {
            Some(said) => DatabaseError::NotPostgres { server, said },
            None if is_end(cause) => DatabaseError::Mute { server },
            None => DatabaseError::Broken {
                server,
                doing,
                reason: cause.to_string().into(),
            },
        };
    }
    if error.is_closed() {
        return DatabaseError::Mute { server };
    }
    let reason = with_source(error);
    // The driver's kinds of errors have no other mark than their words.
    if reason.starts_with("authentication error") {
        return DatabaseError::OtherProof {
            server,
            user: at.login.user().to_owned(),
            reason: reason.into(),
        };
    }
    DatabaseError::NotPostgres {
        server,
        said: reason.into(),
    }
}

fn of_answer(at: &At<'_>, error: &DbError) -> DatabaseError {
    let server = at.server.clone();
    let user = at.login.user().to_owned();
    let database = at.login.database().to_owned();
    let said = quote(error);
    match error.code().code() {
        "28P01" if at.login.has_password() => DatabaseError::WrongPassword { server, user },
        "28P01" => DatabaseError::NoPassword { server, user },
        "28000" if error.routine() == Some(ROLE_CHECK) => {
            // The same code for two causes; a missing role is by far the more frequent one, and
            // only in English can one be told from the other.
            if said.as_str().contains("not permitted to log in") {
                DatabaseError::NoLogin { server, user }
            } else {
                DatabaseError::NoUser { server, user }
            }
        }
        "28000" if said.as_str().contains("client certificate") => {
            DatabaseError::WantsCertificate { server, user }
        }
        "28000" if error.routine() == Some(PROOF_CHECK) => {
            if ELSEWHERE.iter().any(|name| said.as_str().contains(name)) {
                DatabaseError::WrongPassword { server, user }
            } else {
                DatabaseError::OtherProof {
                    server,
                    user,
                    reason: said,
                }
            }
        }
        "28000" => DatabaseError::NoRule {
            server,
            user,
            database,
            said,
        },
        "3D000" => DatabaseError::Missing { server, database },
        "42501" => DatabaseError::MayNotConnect {
            server,
            database,
            user,
        },
        "55000" => DatabaseError::Closed { server, database },
        _ => of_any(&server, "log in", error),
    }
}

/// What a failed statement means.
pub(super) fn of_statement(server: &HostPort, doing: &'static str, error: &Error) -> DatabaseError {
    match error.as_db_error() {
        Some(said) => of_any(server, doing, said),
        None => DatabaseError::Broken {
            server: server.clone(),
            doing,
            reason: with_source(error).into(),
        },
    }
}

fn of_any(server: &HostPort, doing: &'static str, error: &DbError) -> DatabaseError {
    let server = server.clone();
    let said = quote(error);
    match error.code().code() {
        "53300" => DatabaseError::TooManyConnections { server, said },
        "53100" => DatabaseError::NoSpace { server },
        "57P01" | "57P02" | "57P03" => DatabaseError::NotReady { server, said },
        code => DatabaseError::Failed {
            server,
            doing,
            code: code.to_owned(),
            said,
        },
    }
}

fn io_cause(error: &Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

fn stranger(error: &io::Error) -> Option<Foreign> {
    let stranger: &Stranger = error.get_ref()?.downcast_ref()?;
    Some(stranger.said.as_str().into())
}

/// The server's words, in one line and not too many.
fn quote(error: &DbError) -> Foreign {
    let words = error.message().split_whitespace();
    let line = words.collect::<Vec<_>>().join(" ");
    let shown: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    shown.into()
}

pub(super) fn with_source(error: &Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
