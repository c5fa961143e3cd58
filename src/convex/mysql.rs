//! The address of a `MySQL` server, as pasted and as the backend takes it.
//!
//! It is passed on and never dialled from here. The backend's driver ends the backend at a
//! parameter it does not know, so these are left out, as with `PostgreSQL`. Sources: `mysql_async`
//! (`Opts`), upstream `crates/clusters/src/lib.rs` and `crates/mysql/src/connection.rs`.

use std::fmt;

use url::Url;

use super::postgres::{Tls, decode_percent, has_impossible_port, shell_safe};
use super::secret::Secret;

const EXAMPLE: &str = "Write one such as `mysql://user:password@db.example.com:3306`.";

/// What the driver knows and the backend does not decide itself, with numbers for values.
const NUMBERS: [&str; 5] = [
    "conn_ttl",
    "max_allowed_packet",
    "stmt_cache_size",
    "tcp_keepalive",
    "wait_timeout",
];

/// The same, with `true` or `false`.
const FLAGS: [&str; 5] = [
    "client_found_rows",
    "enable_cleartext_plugin",
    "secure_auth",
    "tcp_nodelay",
    "verify_identity",
];

/// Why a text is not the address of a `MySQL` server. No variant holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MysqlUrlError {
    /// Blanks, line breaks or control characters.
    #[error(
        "The database URL contains blanks, line breaks or control characters. Remove them, or \
         percent-encode those that belong to the password: \
         `replace(urlencode(var.password), \"+\", \"%20\")`, since `urlencode` alone writes `+` for a \
         blank."
    )]
    Blank,
    /// Not a URL, most often because of a bare character in the password.
    #[error(
        "The database URL cannot be taken apart. Percent-encode the characters `/ ? # @ : %` in user \
         name and password: `%2F %3F %23 %40 %3A %25`."
    )]
    NotUrl,
    /// A port that there cannot be.
    #[error(
        "The database URL has a port that is not between 1 and 65535. Write the server's port, or leave it out for {DEFAULT_PORT}."
    )]
    Port,
    /// A part from `#` on.
    #[error(
        "The database URL has a part from `#` on. Where it belongs to the password, write `%23` for \
         `#`; else remove it."
    )]
    Fragment,
    /// No host.
    #[error("The database URL has no host. {EXAMPLE}")]
    NoHost,
    /// No user name.
    #[error("The database URL has no user name, which the backend asks for. {EXAMPLE}")]
    NoUser,
    /// A socket in the place of a host.
    #[error(
        "The database URL leads to a Unix socket, which exists on one machine only and not inside \
         the backend's container. Name the server's host and port instead."
    )]
    UnixSocket,
    /// A parameter with a value the backend does not start with.
    #[error(
        "The database URL has a value for the parameter `{name}` with which the backend does not \
         start. Write {expected}."
    )]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it can be.
        expected: &'static str,
    },
}

/// The port of a server that names none.
const DEFAULT_PORT: u16 = 3306;

/// The address of a `MySQL` server, with the user the backend logs in as and without a database:
/// the backend chooses the one that is named after its instance.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlUrl {
    base: Secret,
    host: String,
    port: u16,
    database: Option<String>,
    password: Option<Secret>,
    kept: Vec<(&'static str, String)>,
    left_out: Vec<String>,
    require_ssl: Option<bool>,
}

impl MysqlUrl {
    /// Takes a URL with or without a database name.
    pub fn parse(text: &str) -> Result<Self, MysqlUrlError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(MysqlUrlError::Blank);
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((_, host)) = authority.rsplit_once('@')
            && has_impossible_port(host)
        {
            return Err(MysqlUrlError::Port);
        }
        let mut url = Url::parse(text).map_err(|_| MysqlUrlError::NotUrl)?;
        if url.scheme() != "mysql" {
            return Err(MysqlUrlError::NotUrl);
        }
        if url.fragment().is_some() {
            return Err(MysqlUrlError::Fragment);
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(MysqlUrlError::NoHost)?.to_owned();
        if url.username().is_empty() {
            return Err(MysqlUrlError::NoUser);
        }
        let decode = |text: &str| decode_percent(text).ok_or(MysqlUrlError::NotUrl);
        decode(url.username())?;
        let password = url.password().map(decode).transpose()?.map(Secret::from);
        let database = decode(url.path().trim_start_matches('/'))?;
        let mut found = Self {
            base: Secret::default(),
            host,
            port: url.port().unwrap_or(DEFAULT_PORT),
            database: (!database.is_empty()).then_some(database),
            password,
            kept: Vec::new(),
            left_out: Vec::new(),
            require_ssl: None,
        };
        for (name, value) in url.query_pairs() {
            found.take(&name, &value)?;
        }
        url.set_path("");
        url.set_query(None);
        found.base = Secret::from(shell_safe(url.as_str()));
        Ok(found)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), MysqlUrlError> {
        let known = |names: &[&'static str]| names.iter().copied().find(|it| *it == name);
        let bad = |name, expected| MysqlUrlError::Value { name, expected };
        if let Some(name) = known(&NUMBERS) {
            let number: Option<u32> = value.parse().ok();
            number.ok_or(bad(name, "a whole number"))?;
            self.keep(name, value);
        } else if let Some(name) = known(&FLAGS) {
            let flag: Option<bool> = value.parse().ok();
            flag.ok_or(bad(name, "true or false"))?;
            self.keep(name, value);
        } else if name == "require_ssl" {
            let flag = value.parse().ok();
            self.require_ssl = Some(flag.ok_or(bad("require_ssl", "true or false"))?);
        } else if name == "compression" {
            let level = value.len() == 1 && value.bytes().all(|b| b.is_ascii_digit());
            if !level && !["fast", "on", "true", "best"].contains(&value) {
                return Err(bad("compression", "fast, best, on, or a digit"));
            }
            self.keep("compression", value);
        } else if name == "socket" {
            return Err(MysqlUrlError::UnixSocket);
        } else if name.len() > 40
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        {
            // No parameter but a piece of the password, which must not be quoted.
            return Err(MysqlUrlError::NotUrl);
        } else if !self.left_out.iter().any(|it| it == name) {
            self.left_out.push(name.to_owned());
        }
        Ok(())
    }

    fn keep(&mut self, name: &'static str, value: &str) {
        self.kept.retain(|(other, _)| *other != name);
        self.kept.push((name, value.to_owned()));
    }

    /// The URL as the backend starts with it. `verify_name` is whether the certificate must be for
    /// this very host; without, the URL's own `verify_identity` counts.
    #[must_use]
    pub fn for_backend(&self, tls: Tls, verify_name: Option<bool>) -> Secret {
        let mut url = format!("{}?", self.base.expose());
        for (name, value) in &self.kept {
            if *name != "verify_identity" || verify_name.is_none() {
                url.push_str(&format!("{name}={value}&"));
            }
        }
        if let Some(verify) = verify_name {
            url.push_str(&format!("verify_identity={verify}&"));
        }
        url.push_str(if tls == Tls::Off {
            "require_ssl=false"
        } else {
            "require_ssl=true"
        });
        Secret::from(url)
    }

    /// The host, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database name that the pasted URL had in its path, decoded.
    #[must_use]
    pub fn database_in_path(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// What the URL says of TLS.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.require_ssl
            .map(|required| if required { Tls::Required } else { Tls::Off })
    }

    /// Names of the parameters that are left out, because the backend would not start with them or
    /// decides them itself.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

impl fmt::Debug for MysqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlUrl")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MysqlUrl {
        MysqlUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_database_name_and_what_the_driver_does_not_know_are_left_out() {
        let url = parse(
            "mysql://u:p%40@h:3307/app?sslaccept=strict&tcp_keepalive=1000&verify_identity=true\
             &pool_max=5&tcp_keepalive=2000",
        );
        assert_eq!(url.left_out(), ["sslaccept", "pool_max"]);
        assert_eq!(url.password().map(Secret::expose), Some("p@"));
        assert_eq!(url.host(), "h");
        let base = "mysql://u:p%40@h:3307";
        assert_eq!(
            url.for_backend(Tls::Required, None).expose(),
            format!("{base}?verify_identity=true&tcp_keepalive=2000&require_ssl=true")
        );
        assert_eq!(
            url.for_backend(Tls::Required, Some(false)).expose(),
            format!("{base}?tcp_keepalive=2000&verify_identity=false&require_ssl=true")
        );
        assert_eq!(
            parse("mysql://u:a$b@h")
                .for_backend(Tls::Off, None)
                .expose(),
            "mysql://u:a%24b@h?require_ssl=false"
        );
    }

    #[test]
    fn what_the_url_says_of_tls() {
        for (query, tls) in [
            ("", None),
            ("?require_ssl=true", Some(Tls::Required)),
            ("?require_ssl=true&require_ssl=false", Some(Tls::Off)),
        ] {
            assert_eq!(parse(&format!("mysql://u@h{query}")).tls(), tls);
        }
    }

    #[test]
    fn each_fault_is_named_without_a_secret() {
        let value = |name, expected| MysqlUrlError::Value { name, expected };
        for (text, error) in [
            ("mysql://u:hunter2 @h", MysqlUrlError::Blank),
            ("mysql://u:hunter2#@h", MysqlUrlError::NotUrl),
            ("mysql://u:hunter2%@h", MysqlUrlError::NotUrl),
            ("mariadb://u:hunter2@h", MysqlUrlError::NotUrl),
            ("mysql://u:hunter2@h:99999/app", MysqlUrlError::Port),
            ("mysql://u:hunter2@h:0", MysqlUrlError::Port),
            ("mysql://u:hunter2@h#x", MysqlUrlError::Fragment),
            ("mysql:///app", MysqlUrlError::NoHost),
            ("mysql://h", MysqlUrlError::NoUser),
            ("mysql://u@1?hunter2,@h", MysqlUrlError::NotUrl),
            ("mysql://u@h?socket=/x", MysqlUrlError::UnixSocket),
            (
                "mysql://u@h?require_ssl=hunter2",
                value("require_ssl", "true or false"),
            ),
            (
                "mysql://u@h?tcp_nodelay=hunter2",
                value("tcp_nodelay", "true or false"),
            ),
            (
                "mysql://u@h?wait_timeout=hunter2",
                value("wait_timeout", "a whole number"),
            ),
            (
                "mysql://u@h?compression=hunter2",
                value("compression", "fast, best, on, or a digit"),
            ),
        ] {
            let found = MysqlUrl::parse(text).unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!format!("{found}{found:?}").contains("hunter2"), "{text}");
        }
        let shown = format!("{:?}", parse("mysql://u:hunter2@h"));
        assert_eq!(shown, "MysqlUrl { host: \"h\", .. }");
    }
}
