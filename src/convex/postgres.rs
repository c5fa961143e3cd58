//! The address of a `PostgreSQL` server, as pasted and as the backend takes it.

use std::fmt;

use url::Url;

use super::secret::Secret;

const DEFAULT_PORT: u16 = 5432;

const EXAMPLE: &str = "Write one such as `postgresql://user:password@db.example.com:5432`.";

/// Why a text is not the address of a `PostgreSQL` server. No variant holds a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlError {
    /// There is nothing.
    #[error("The database URL is empty. {EXAMPLE}")]
    Empty,
    /// Blanks, line breaks or control characters.
    #[error(
        "The database URL contains blanks, line breaks or control characters. Remove them, or \
         percent-encode those that belong to the password."
    )]
    Blank,
    /// `host=… user=…` instead of a URL.
    #[error("The database URL is a list of keywords, and the backend takes only URLs. {EXAMPLE}")]
    Keywords,
    /// Another scheme, `jdbc:postgresql` for example.
    #[error(
        "The database URL begins with another scheme than `postgresql://` or `postgres://`. Write \
         one of these, without `jdbc:` or the like before it."
    )]
    OtherScheme,
    /// Not a URL, most often because of a bare character in the password.
    #[error(
        "The database URL cannot be taken apart. Percent-encode the characters `/ ? # @ : %` in user \
         name and password: `%2F %3F %23 %40 %3A %25`."
    )]
    NotUrl,
    /// A part from `#` on, most often the rest of a password.
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
    /// A database name among the parameters.
    #[error(
        "The database URL names a database in its parameter `dbname`, which would override the one \
         the backend chooses. Remove the parameter."
    )]
    DatabaseParameter,
    /// A `sslmode` nobody knows.
    #[error(
        "The database URL has a `sslmode` that is none of disable, allow, prefer, require, verify-ca \
         and verify-full. Write one of them, or leave it out."
    )]
    SslMode,
}

/// What a database URL asks of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only where the server insists.
    Allow,
    /// TLS where the server offers it.
    Prefer,
    /// TLS. The backend then always checks the certificate.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority for this very host.
    VerifyFull,
}

/// The address of a `PostgreSQL` server, with the user the backend logs in as.
///
/// The backend wants it without a database name ("cluster url already contains db name") and
/// appends the instance name to it (upstream `crates/clusters/src/lib.rs`). A name in the pasted
/// path is therefore split off and kept apart; parameters are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    cluster_url: Secret,
    user: String,
    host: String,
    port: u16,
    database: Option<String>,
    ssl_mode: Option<SslMode>,
}

impl PostgresUrl {
    /// Takes a URL with or without a database name.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        if text.is_empty() {
            return Err(PostgresUrlError::Empty);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            let keywords = ["host", "user", "dbname", "password", "port"];
            let is_keywords = keywords
                .iter()
                .any(|keyword| text.contains(&format!("{keyword}=")));
            return Err(if is_keywords {
                PostgresUrlError::Keywords
            } else {
                PostgresUrlError::NotUrl
            });
        };
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(PostgresUrlError::Blank);
        }
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(PostgresUrlError::OtherScheme);
        }
        let mut url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => PostgresUrlError::NoHost,
            _ => PostgresUrlError::NotUrl,
        })?;
        if url.fragment().is_some() {
            return Err(PostgresUrlError::Fragment);
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(PostgresUrlError::NoHost)?.to_owned();
        if url.username().is_empty() {
            return Err(PostgresUrlError::NoUser);
        }
        let user = decode(url.username()).ok_or(PostgresUrlError::NotUrl)?;
        decode(url.password().unwrap_or_default()).ok_or(PostgresUrlError::NotUrl)?;
        let database =
            decode(url.path().trim_start_matches('/')).ok_or(PostgresUrlError::NotUrl)?;
        let mut ssl_mode = None;
        for (key, value) in url.query_pairs() {
            match &*key {
                "dbname" => return Err(PostgresUrlError::DatabaseParameter),
                "sslmode" => ssl_mode = Some(SslMode::parse(&value)?),
                _ => {}
            }
        }
        let port = url.port().unwrap_or(DEFAULT_PORT);
        url.set_path("");
        Ok(Self {
            cluster_url: Secret::from(shell_safe(url.as_str())),
            user,
            host,
            port,
            database: (!database.is_empty()).then_some(database),
            ssl_mode,
        })
    }

    /// The URL as the backend takes it: without a database name, with all parameters.
    ///
    /// Quotation marks, dollar signs, backslashes and the like are percent-encoded, which changes
    /// nothing for the server and lets the URL pass through shells and env files.
    #[must_use]
    pub fn cluster_url(&self) -> &Secret {
        &self.cluster_url
    }

    /// The user name, decoded.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 5432 where none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database name the pasted URL had in its path, decoded.
    #[must_use]
    pub fn database_in_path(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The parameter `sslmode`, where there is one.
    #[must_use]
    pub fn ssl_mode(&self) -> Option<SslMode> {
        self.ssl_mode
    }
}

impl SslMode {
    fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(PostgresUrlError::SslMode),
        })
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUrl")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn shell_safe(url: &str) -> String {
    let mut safe = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '\'' => safe.push_str("%27"),
            '"' => safe.push_str("%22"),
            '$' => safe.push_str("%24"),
            '`' => safe.push_str("%60"),
            '\\' => safe.push_str("%5C"),
            '!' => safe.push_str("%21"),
            _ => safe.push(c),
        }
    }
    safe
}

/// Undoes percent-encoding; nothing where the text is not properly encoded.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(super::crypto::from_hex(std::str::from_utf8(&digits).ok()?)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_database_name_is_split_off_and_the_rest_kept() {
        let cases = [
            ("postgres://u:p@h", "postgres://u:p@h", None),
            ("postgresql://u:p@h/", "postgresql://u:p@h", None),
            (
                "postgresql://u:p@h:5433/app",
                "postgresql://u:p@h:5433",
                Some("app"),
            ),
            (
                "postgres://u:p@h/app?sslmode=disable",
                "postgres://u:p@h?sslmode=disable",
                Some("app"),
            ),
            (
                "postgres://u:p@h?sslmode=require&a=b",
                "postgres://u:p@h?sslmode=require&a=b",
                None,
            ),
            (
                "postgres://u@[::1]:5433/my%20db",
                "postgres://u@[::1]:5433",
                Some("my db"),
            ),
            (
                "postgres://u:p%40s%2Fs%23@h/app",
                "postgres://u:p%40s%2Fs%23@h",
                Some("app"),
            ),
            (
                "postgres://u:a'b$c!d@h",
                "postgres://u:a%27b%24c%21d@h",
                None,
            ),
            ("postgres://u:@h", "postgres://u@h", None),
        ];
        for (text, cluster_url, database) in cases {
            let url = parse(text);
            assert_eq!(url.cluster_url().expose(), cluster_url);
            assert_eq!(url.database_in_path(), database);
        }
    }

    #[test]
    fn the_parts_can_be_read() {
        let url = parse("postgresql://a%40b:hunter2@[::1]/app?sslmode=verify-full");
        assert_eq!((url.user(), url.host(), url.port()), ("a@b", "[::1]", 5432));
        assert_eq!(url.ssl_mode(), Some(SslMode::VerifyFull));
        assert_eq!(parse("postgresql://u@h").ssl_mode(), None);
        assert_eq!(parse("postgresql://u@h:1").port(), 1);
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            ("", PostgresUrlError::Empty),
            ("host=h user=u", PostgresUrlError::Keywords),
            ("u:p@h", PostgresUrlError::NotUrl),
            ("mysql://u:p@h", PostgresUrlError::OtherScheme),
            ("jdbc:postgresql://h/app", PostgresUrlError::OtherScheme),
            ("postgres://u:hunter2#x@h/app", PostgresUrlError::NotUrl),
            ("postgres://u:hunter2/x@h/app", PostgresUrlError::NotUrl),
            ("postgres://u:hunter2%@h/app", PostgresUrlError::NotUrl),
            ("postgres://u:p@h/app#x", PostgresUrlError::Fragment),
            ("postgres://u:hunt er2@h", PostgresUrlError::Blank),
            ("postgres://u:p@h\n", PostgresUrlError::Blank),
            ("postgres://u:p@h:x", PostgresUrlError::NotUrl),
            ("postgres:///app", PostgresUrlError::NoHost),
            ("postgres://u:p@/app", PostgresUrlError::NoHost),
            ("postgres://h/app", PostgresUrlError::NoUser),
            ("postgres://:p@h/app", PostgresUrlError::NoUser),
            (
                "postgres://u:p@h?dbname=app",
                PostgresUrlError::DatabaseParameter,
            ),
            (
                "postgres://u:p@h?sslmode=hunter2",
                PostgresUrlError::SslMode,
            ),
        ];
        for (text, error) in cases {
            assert_eq!(PostgresUrl::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let shown = format!("{:?}", parse("postgres://u:hunter2@h/app"));
        assert_eq!(shown, "PostgresUrl { host: \"h\", port: 5432, .. }");
    }

    proptest! {
        #[test]
        fn any_encoded_password_survives(password in "\\PC{1,12}") {
            let hex = super::super::crypto::to_hex(password.as_bytes());
            let encoded = hex.as_bytes().chunks(2).fold(String::new(), |encoded, digits| {
                encoded + "%" + std::str::from_utf8(digits).unwrap()
            });
            let url = parse(&format!("postgres://u:{encoded}@h:1/app?sslmode=require"));
            let again = Url::parse(url.cluster_url().expose()).unwrap();
            prop_assert_eq!(decode(again.password().unwrap()).unwrap(), password);
            prop_assert_eq!(again.path(), "");
            prop_assert!(parse(url.cluster_url().expose()).cluster_url() == url.cluster_url());
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "(postgres://)?([a-c%]{1,2}[:@/?#%]){0,4}\\PC{0,4}") {
            if let Ok(url) = PostgresUrl::parse(&text) {
                prop_assert!(parse(url.cluster_url().expose()).database_in_path().is_none());
            }
        }
    }
}
