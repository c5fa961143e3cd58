//! What can be wrong with the address of a `PostgreSQL` server.

pub(super) const EXAMPLE: &str =
    "Write one such as `postgresql://user:password@db.example.com:5432`.";

/// Why a text is not the address of a `PostgreSQL` server. No variant holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlError {
    /// There is nothing.
    #[error("The database URL is empty. {EXAMPLE}")]
    Empty,
    /// Blanks, line breaks or control characters.
    #[error(
        "The database URL contains blanks, line breaks or control characters. Remove them, or \
         percent-encode those that belong to the password: \
         `replace(urlencode(var.password), \"+\", \"%20\")`, since `urlencode` alone writes `+` for a \
         blank."
    )]
    Blank,
    /// Other text around the URL, as where it was copied from.
    #[error(
        "The database URL has other text around it, such as quotation marks, `psql` or \
         `DATABASE_URL=`. Give only the URL, which begins with its scheme, such as `postgresql://`."
    )]
    Wrapped,
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
    /// An encoded NUL character, which ends a text for `PostgreSQL`.
    #[error(
        "The database URL contains `%00`, which no user name, password or database name can hold. \
         Remove it."
    )]
    Nul,
    /// A part from `#` on, most often the rest of a password.
    #[error(
        "The database URL has a part from `#` on. Where it belongs to the password, write `%23` for \
         `#`; else remove it."
    )]
    Fragment,
    /// No host.
    #[error("The database URL has no host. {EXAMPLE}")]
    NoHost,
    /// A host that no name server knows and that is no address.
    #[error(
        "The database URL has a host with other characters than letters, digits, `.`, `-` and `_`. \
         Write a host name, an IPv4 address, or an IPv6 address in brackets."
    )]
    Host,
    /// A directory with a socket in the place of a host.
    #[error(
        "The database URL leads to a Unix socket, which exists on one machine only and not inside \
         the backend's container. Name the server's host and port instead."
    )]
    UnixSocket,
    /// Several hosts in a form the backend cannot read.
    #[error(
        "The database URL has several hosts, of which the backend reads a port after the last one \
         only, and no IPv6 address. Let all but the last listen on port 5432, or name one host."
    )]
    HostList,
    /// A port that there cannot be.
    #[error(
        "The database URL has a port that is not between 1 and 65535. Write the server's port, or leave it out for 5432."
    )]
    Port,
    /// No user name.
    #[error("The database URL has no user name, which the backend asks for. {EXAMPLE}")]
    NoUser,
    /// A database name among the parameters.
    #[error(
        "The database URL names a database in its parameter `dbname`, which would override the one \
         the backend chooses. Remove the parameter."
    )]
    DatabaseParameter,
    /// A parameter that overrides a part of the address.
    #[error(
        "The database URL has the parameter `{name}`, which would override what stands before the \
         `?`. Write it there instead."
    )]
    Override {
        /// The parameter.
        name: String,
    },
    /// A parameter for a client's own certificate, or for a file beside the client.
    #[error(
        "The database URL has the parameter `{name}`, and the backend can neither show a certificate \
         of its own nor read files of yours. Use a login with a password, and remove the parameter."
    )]
    ClientFile {
        /// The parameter.
        name: String,
    },
    /// A parameter with a value the backend does not start with.
    #[error(
        "The database URL has a value for the parameter `{name}` with which the backend does not \
         start. {remedy}"
    )]
    Value {
        /// The parameter.
        name: &'static str,
        /// What to write.
        remedy: &'static str,
    },
    /// A `sslmode` nobody knows.
    #[error(
        "The database URL has a `sslmode` that is none of disable, allow, prefer, require, verify-ca \
         and verify-full. Write one of them, or leave it out."
    )]
    SslMode,
}
