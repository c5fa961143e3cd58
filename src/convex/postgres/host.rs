//! Where a server listens.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::error::PostgresUrlError;

/// The port of a server that names none.
pub const DEFAULT_PORT: u16 = 5432;

/// The longest host name, in bytes (RFC 1035).
const MAX_HOST: usize = 253;

/// A host and a port. Shown as `host:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// The host name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether a host is the machine, or container, of whoever dials it.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

/// Reads the host of a URL, which may be a list. As the backend's driver has it, the port of the
/// URL is that of the last one, and all others listen on [`DEFAULT_PORT`].
pub(super) fn parse(host: &str, port: Option<u16>) -> Result<Vec<HostPort>, PostgresUrlError> {
    if is_socket(host) {
        return Err(PostgresUrlError::UnixSocket);
    }
    if port == Some(0) {
        return Err(PostgresUrlError::Port);
    }
    let names: Vec<&str> = host.split(',').collect();
    let last = names.len() - 1;
    names
        .into_iter()
        .enumerate()
        .map(|(place, name)| {
            Ok(HostPort {
                host: parse_one(name)?,
                port: match port {
                    Some(port) if place == last => port,
                    _ => DEFAULT_PORT,
                },
            })
        })
        .collect()
}

/// Whether it is the directory of a Unix socket, encoded or not.
pub(super) fn is_socket(host: &str) -> bool {
    host.starts_with('/')
        || host
            .get(..3)
            .is_some_and(|it| it.eq_ignore_ascii_case("%2F"))
}

fn parse_one(name: &str) -> Result<String, PostgresUrlError> {
    if let Some(inner) = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        let address: Result<Ipv6Addr, _> = inner.parse();
        return address
            .map(|address| address.to_string())
            .map_err(|_| PostgresUrlError::Host);
    }
    if name.is_empty() {
        return Err(PostgresUrlError::NoHost);
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // A dot at the end is that of a name told in full.
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_empty = |label: &str| label.is_empty();
    if name.len() > MAX_HOST || !name.chars().all(good) || labels.split('.').any(is_empty) {
        return Err(PostgresUrlError::Host);
    }
    Ok(name.to_owned())
}
