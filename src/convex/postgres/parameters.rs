//! The part of a database URL from `?` on.
//!
//! The backend's driver knows some parameters and ends the backend at all others, while programs
//! put many more into a `DATABASE_URL`. What only tunes another program is therefore left out of
//! what the backend gets. What would lead elsewhere, or needs something the backend cannot do, is
//! refused. Sources: `tokio-postgres` (`Config`), upstream `crates/db_connection/src/lib.rs`.

use std::borrow::Cow;

use super::error::PostgresUrlError;
use super::host;
use super::ssl_mode::SslMode;

/// What the driver knows and the backend does not decide itself. `sslnegotiation` is not among
/// them: its one other value needs a TLS setting the backend does not have.
const KEPT: [&str; 11] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "sslmode",
    "tcp_user_timeout",
];

const OVERRIDES: [&str; 6] = ["host", "hostaddr", "passfile", "password", "port", "user"];

const FILES: [&str; 5] = ["service", "servicefile", "sslcert", "sslkey", "sslpassword"];

/// Longest name of a parameter that is shown to anybody; a longer one is a part of a password.
const MAX_NAME: usize = 40;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Without `sslmode`, each name once, in order.
    kept: Vec<(String, String)>,
    pub(super) left_out: Vec<String>,
    pub(super) ssl_mode: Option<SslMode>,
}

impl Parameters {
    /// Reads the pairs of a query, decoded. Of two with one name the last counts.
    pub(super) fn parse<'a>(
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, PostgresUrlError> {
        let mut found = Self::default();
        for (name, value) in pairs {
            let name = name.as_ref();
            check_name(name)?;
            match name {
                "dbname" => return Err(PostgresUrlError::DatabaseParameter),
                "host" if host::is_socket(&value) => return Err(PostgresUrlError::UnixSocket),
                name if OVERRIDES.contains(&name) => {
                    let name = name.to_owned();
                    return Err(PostgresUrlError::Override { name });
                }
                name if FILES.contains(&name) => {
                    let name = name.to_owned();
                    return Err(PostgresUrlError::ClientFile { name });
                }
                "sslmode" => {
                    let mode = SslMode::parse(&value).ok_or(PostgresUrlError::SslMode)?;
                    found.ssl_mode = Some(mode);
                }
                name if KEPT.contains(&name) => {
                    check_value(name, &value)?;
                    found.kept.retain(|(other, _)| other != name);
                    found.kept.push((name.to_owned(), value.into_owned()));
                }
                name => {
                    if !found.left_out.iter().any(|other| other == name) {
                        found.left_out.push(name.to_owned());
                    }
                }
            }
        }
        Ok(found)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.kept.iter().find(|(other, _)| other == name)?;
        Some(value)
    }

    /// As a query, with this `sslmode`.
    pub(super) fn query(&self, mode: Option<SslMode>) -> String {
        let kept = self
            .kept
            .iter()
            .map(|(name, value)| (encode(name), encode(value)));
        let mode = mode.map(|it| ("sslmode".to_owned(), it.as_str().to_owned()));
        let pairs: Vec<_> = kept
            .chain(mode)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }
}

/// Percent-encoding that each reader undoes alike: no `+` for a blank.
fn encode(text: &str) -> String {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
}

fn check_name(name: &str) -> Result<(), PostgresUrlError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    // Anything else is no parameter but a piece of the password, and must not be quoted.
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(good);
    is_name.then_some(()).ok_or(PostgresUrlError::NotUrl)
}

fn check_value(name: &str, value: &str) -> Result<(), PostgresUrlError> {
    let one_of = |values: &[&str]| values.contains(&value);
    let (name, good, remedy) = match name {
        "application_name" => (
            "application_name",
            !value.chars().any(char::is_control),
            "Remove control characters from it.",
        ),
        // The backend encodes a blank as `+`, which its driver then takes for a plus sign.
        "options" => (
            "options",
            !value.contains(|c: char| c.is_whitespace() || c.is_control()),
            "Remove blanks: write `-cname=value` for `-c name=value`.",
        ),
        "channel_binding" => (
            "channel_binding",
            one_of(&["disable", "prefer", "require"]),
            "Write disable, prefer or require.",
        ),
        "load_balance_hosts" => (
            "load_balance_hosts",
            one_of(&["disable", "random"]),
            "Write disable or random.",
        ),
        other => {
            let name = KEPT.iter().find(|kept| **kept == other);
            // The narrowest type the driver reads one of them into.
            let good = !value.starts_with('+') && value.parse::<u32>().is_ok();
            (*name.unwrap_or(&""), good, "Write a whole number.")
        }
    };
    good.then_some(())
        .ok_or(PostgresUrlError::Value { name, remedy })
}
