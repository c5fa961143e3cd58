//! The address of a `PostgreSQL` server, as pasted and as the backend takes it.

mod error;
mod host;
mod parameters;
mod ssl_mode;

use std::fmt;

use url::Url;

use self::parameters::Parameters;
pub use self::{
    error::PostgresUrlError,
    host::{DEFAULT_PORT, HostPort, is_loopback},
    ssl_mode::{SslMode, Tls},
};
use super::secret::Secret;

/// The address of a `PostgreSQL` server, with the user the backend logs in as.
///
/// The backend wants it without a database name ("cluster url already contains db name") and
/// appends the instance name to it (upstream `crates/clusters/src/lib.rs`). A name in the pasted
/// path is therefore split off and kept apart.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// Without a database name and without parameters.
    server: Secret,
    user: String,
    password: Option<Secret>,
    hosts: Vec<HostPort>,
    database: Option<String>,
    parameters: Parameters,
}

impl PostgresUrl {
    /// Takes a URL with or without a database name.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        if is_wrapped(text) {
            return Err(PostgresUrlError::Wrapped);
        }
        let (scheme, rest) = split_scheme(text)?;
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(PostgresUrlError::Blank);
        }
        let known = ["postgres", "postgresql"];
        if !known.iter().any(|it| scheme.eq_ignore_ascii_case(it)) {
            return Err(PostgresUrlError::OtherScheme);
        }
        let mut url = Url::parse(text).map_err(|_| why_no_url(rest))?;
        if url.fragment().is_some() {
            return Err(PostgresUrlError::Fragment);
        }
        // Before the host, which is missing where a parameter names a socket.
        let parameters = Parameters::parse(url.query_pairs())?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let hosts = host::parse(host.ok_or(PostgresUrlError::NoHost)?, url.port())?;
        if url.username().is_empty() {
            return Err(PostgresUrlError::NoUser);
        }
        let user = decode(url.username())?;
        let password = url.password().map(decode).transpose()?.map(Secret::from);
        let database = decode(url.path().trim_start_matches('/'))?;
        url.set_path("");
        url.set_query(None);
        Ok(Self {
            server: Secret::from(shell_safe(url.as_str())),
            user,
            password,
            hosts,
            database: (!database.is_empty()).then_some(database),
            parameters,
        })
    }

    /// The URL without a database name, with the parameters that the backend's driver knows, and
    /// `sslmode`, where there is one, in the words of that driver.
    ///
    /// Quotation marks, dollar signs, backslashes and the like are percent-encoded, which changes
    /// nothing for the server and lets the URL pass through shells and env files.
    #[must_use]
    pub fn cluster_url(&self) -> Secret {
        self.with_tls(self.ssl_mode().map(SslMode::tls))
    }

    /// The URL as the backend starts with it: [`Self::cluster_url`] with this use of TLS.
    #[must_use]
    pub fn for_backend(&self, tls: Tls) -> Secret {
        self.with_tls(Some(tls))
    }

    fn with_tls(&self, tls: Option<Tls>) -> Secret {
        let server = self.server.expose();
        let query = self.parameters.query(tls.map(Tls::as_ssl_mode));
        if query.is_empty() {
            return self.server.clone();
        }
        Secret::from(shell_safe(&format!("{server}?{query}")))
    }

    /// The user name, decoded.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The servers, of which the backend takes the first that can be written to. At least one.
    #[must_use]
    pub fn hosts(&self) -> &[HostPort] {
        &self.hosts
    }

    /// The database name the pasted URL had in its path, decoded.
    #[must_use]
    pub fn database_in_path(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The parameter `sslmode`, where there is one.
    #[must_use]
    pub fn ssl_mode(&self) -> Option<SslMode> {
        self.parameters.ssl_mode
    }

    /// The parameter `options`, where there is one: settings of the server for each connection.
    #[must_use]
    pub fn options(&self) -> Option<&str> {
        self.parameters.get("options")
    }

    /// Names of the parameters that [`Self::for_backend`] leaves out, because the backend would
    /// not start with them or decides them itself.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.parameters.left_out
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        f.debug_struct("PostgresUrl")
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), PostgresUrlError> {
    if text.is_empty() {
        return Err(PostgresUrlError::Empty);
    }
    text.split_once("://").ok_or_else(|| {
        let keywords = ["host", "user", "dbname", "password", "port"];
        let is_keywords = keywords
            .iter()
            .any(|keyword| text.contains(&format!("{keyword}=")));
        if is_keywords {
            PostgresUrlError::Keywords
        } else {
            PostgresUrlError::NotUrl
        }
    })
}

/// Whether something stands before the scheme: a command, an assignment or a quotation mark.
fn is_wrapped(text: &str) -> bool {
    let Some((before, _)) = text.trim_start().split_once("://") else {
        return false;
    };
    let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    let known = ["postgres", "postgresql", "mysql"];
    let is_known =
        scheme.is_some_and(|it| known.iter().any(|known| it.eq_ignore_ascii_case(known)));
    let wraps = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '=');
    is_known && before.contains(wraps)
}

/// Whether the port of these hosts is a number that no port can be.
pub(super) fn has_impossible_port(hosts: &str) -> bool {
    let port = hosts.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().unwrap_or_default() == 0
}

/// What is wrong with a text that is no URL, of which this is the part after the scheme.
fn why_no_url(rest: &str) -> PostgresUrlError {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    let has_user = authority.len() > hosts.len();
    if has_user && has_impossible_port(hosts) {
        return PostgresUrlError::Port;
    }
    if hosts.contains(',') && has_user {
        return PostgresUrlError::HostList;
    }
    if !hosts.is_empty() || !has_user {
        return PostgresUrlError::NotUrl;
    }
    let lower = rest.to_ascii_lowercase();
    if lower.contains("host=/") || lower.contains("host=%2f") {
        PostgresUrlError::UnixSocket
    } else {
        PostgresUrlError::NoHost
    }
}

/// Percent-encodes what a shell or an env file could take for something of its own.
pub(super) fn shell_safe(url: &str) -> String {
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

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, PostgresUrlError> {
    let decoded = decode_percent(text).ok_or(PostgresUrlError::NotUrl)?;
    if decoded.contains('\0') {
        return Err(PostgresUrlError::Nul);
    }
    Ok(decoded)
}

/// Undoes percent-encoding; nothing where the text is not properly encoded.
pub(super) fn decode_percent(text: &str) -> Option<String> {
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

    fn hosts(url: &PostgresUrl) -> Vec<String> {
        url.hosts().iter().map(ToString::to_string).collect()
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
                "postgres://u:p@h?sslmode=verify-full&a=b&pgbouncer=true&options=-ca%3Db",
                "postgres://u:p@h?options=-ca%3Db&sslmode=require",
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
        let url =
            parse("PostgreSQL://a%40b:hunter%2F2@[::1]/app?sslmode=verify-full&options=-ca%3Db");
        assert_eq!(url.user(), "a@b");
        assert_eq!(url.password().map(Secret::expose), Some("hunter/2"));
        assert_eq!(hosts(&url), ["[::1]:5432"]);
        assert_eq!(url.hosts()[0].host(), "::1");
        assert_eq!(url.ssl_mode(), Some(SslMode::VerifyFull));
        assert_eq!(url.options(), Some("-ca=b"));
        let url = parse("postgresql://u@h:1");
        assert_eq!(
            (url.ssl_mode(), url.password(), url.options()),
            (None, None, None)
        );
        assert_eq!(hosts(&url), ["h:1"]);
    }

    #[test]
    fn of_several_hosts_the_last_may_have_a_port() {
        let url = parse("postgres://u:p@a,b_1,10.0.0.1:6000/app");
        assert_eq!(hosts(&url), ["a:5432", "b_1:5432", "10.0.0.1:6000"]);
        assert_eq!(
            url.cluster_url().expose(),
            "postgres://u:p@a,b_1,10.0.0.1:6000"
        );
        assert_eq!(hosts(&parse("postgres://u@a,b")), ["a:5432", "b:5432"]);
    }

    #[test]
    fn a_host_that_is_oneself_is_known() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.9", true),
            ("[::1]", true),
            ("db", false),
            ("127.example.com", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn the_backend_gets_the_parameters_it_starts_with() {
        let url = parse(
            "postgres://u:p@h/app?schema=public&sslmode=verify-ca&application_name=a%20b\
             &pgbouncer=true&connect_timeout=5&connect_timeout=7&target_session_attrs=primary\
             &sslrootcert=%2Fca.pem&sslnegotiation=direct&schema=x",
        );
        let expected = "postgres://u:p@h?application_name=a%20b&connect_timeout=7&sslmode=";
        for (tls, mode) in [
            (Tls::Off, "disable"),
            (Tls::Preferred, "prefer"),
            (Tls::Required, "require"),
        ] {
            assert_eq!(url.for_backend(tls).expose(), format!("{expected}{mode}"));
        }
        let left_out = [
            "schema",
            "pgbouncer",
            "target_session_attrs",
            "sslrootcert",
            "sslnegotiation",
        ];
        assert_eq!(url.left_out(), left_out);
        assert_eq!(
            parse("postgres://u:a'$b@h").for_backend(Tls::Off).expose(),
            "postgres://u:a%27%24b@h?sslmode=disable"
        );
    }

    #[test]
    fn each_fault_is_named() {
        let overrides = |name: &str| PostgresUrlError::Override {
            name: name.to_owned(),
        };
        let file = |name: &str| PostgresUrlError::ClientFile {
            name: name.to_owned(),
        };
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
            ("postgresql+asyncpg://u:p@h", PostgresUrlError::OtherScheme),
            ("postgres://u:%00@h", PostgresUrlError::Nul),
            ("postgres://u:p@h/%00", PostgresUrlError::Nul),
            ("postgres://u:p@/app", PostgresUrlError::NoHost),
            ("postgres://u:p@h:0", PostgresUrlError::Port),
            ("postgres://u:p@h:99999/app", PostgresUrlError::Port),
            ("postgres://u:p@g,h:65536", PostgresUrlError::Port),
            ("postgres://u:99999/x@h", PostgresUrlError::NotUrl),
            ("psql 'postgresql://u:p@h/app'", PostgresUrlError::Wrapped),
            ("\"postgres://u:p@h\"", PostgresUrlError::Wrapped),
            ("'mysql://u:p@h'", PostgresUrlError::Wrapped),
            ("DATABASE_URL=postgres://u:p@h", PostgresUrlError::Wrapped),
            (" postgres://u:p@h", PostgresUrlError::Blank),
            ("postgres://u:p@ex%C3%A4mple", PostgresUrlError::Host),
            ("postgres://u:p@exämple", PostgresUrlError::Host),
            ("postgres://u:p@a..b", PostgresUrlError::Host),
            ("postgres://u:p@.", PostgresUrlError::Host),
            ("postgres://u:p@a,[::1]", PostgresUrlError::HostList),
            ("postgres://u:p@a:1,b:2/app", PostgresUrlError::HostList),
            ("postgres://u:p@a,,b", PostgresUrlError::NoHost),
            (
                "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/app",
                PostgresUrlError::UnixSocket,
            ),
            (
                "postgres:///app?host=/var/run/postgresql&user=u",
                PostgresUrlError::UnixSocket,
            ),
            (
                "postgres://u:p@/app?host=%2fvar%2frun",
                PostgresUrlError::UnixSocket,
            ),
            ("postgres://u:p@h?host=other", overrides("host")),
            ("postgres://u@h?password=hunter2", overrides("password")),
            ("postgres://u:p@h?port=1", overrides("port")),
            ("postgres://u:p@h?sslcert=x", file("sslcert")),
            ("postgres://u:p@h?service=x", file("service")),
            // A question mark in the password.
            ("postgres://u@1?hunter2,@h", PostgresUrlError::NotUrl),
        ];
        for (text, error) in cases {
            assert_eq!(PostgresUrl::parse(text).unwrap_err(), error, "{text}");
        }
        for (parameter, name) in [
            ("options=-c%20a%3Db", "options"),
            ("options=-c+a%3Db", "options"),
            ("connect_timeout=hunter2", "connect_timeout"),
            ("keepalives=+1", "keepalives"),
            ("channel_binding=hunter2", "channel_binding"),
            ("load_balance_hosts=", "load_balance_hosts"),
            ("application_name=%0A", "application_name"),
        ] {
            let text = format!("postgres://u:p@h?{parameter}");
            let error = PostgresUrl::parse(&text).unwrap_err();
            let told = matches!(&error, PostgresUrlError::Value { name: it, .. } if *it == name);
            assert!(told, "{text}: {error:?}");
        }
    }

    #[test]
    fn no_error_quotes_a_secret() {
        for text in [
            "postgres://u:hunter2#x@h/app",
            "postgres://u:hunter2/x@h/app",
            "postgres://u@1?hunter2,@h",
            "postgres://u@h?password=hunter2",
            "postgres://u@h?sslmode=hunter2",
            "postgres://u@h?connect_timeout=hunter2",
            "hunter2",
            "host=h password=hunter2",
        ] {
            let error = PostgresUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let shown = format!("{:?}", parse("postgres://u:hunter2@h/app"));
        assert_eq!(shown, "PostgresUrl { hosts: [\"h:5432\"], .. }");
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
            prop_assert_eq!(decode(again.password().unwrap()).unwrap(), password.clone());
            prop_assert_eq!(url.password().unwrap().expose(), password);
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
