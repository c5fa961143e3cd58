//! What to do about a failure.

use super::{DatabaseError, Version};

/// Names of the Docker host that only some container engines give to containers.
const OF_THE_HOST: [&str; 3] = [
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
];

impl DatabaseError {
    /// One or two sentences on what to do, to be put after the failure itself. They name settings
    /// as they are called everywhere: `url`, `create`, `ssl_mode`, `ca_pem`, `max_connections`.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::UnknownHost { server, .. } if OF_THE_HOST.contains(&server.host()) => format!(
                "Outside Docker Desktop, containers do not know {host}. Set `network = {{ extra_hosts = {{ \"{host}\" = \"host-gateway\" }} }}`, and let the server listen on an address of the Docker host that containers reach. In the shared network of another container, give the name to that container.",
                host = server.host()
            ),
            Self::UnknownHost { .. } => {
                "Correct the host in `url`. A name that only containers know, such as that of another container, is known in the networks that both are in.".to_owned()
            }
            Self::Refused { server } => format!(
                "Start the server, or correct the port in `url`: it is {}, and PostgreSQL's own is 5432.",
                server.port()
            ),
            Self::Unreachable { .. } => {
                "Correct the host in `url`, or let the network and its firewall lead there.".to_owned()
            }
            Self::Mute { .. } => {
                "Check that the server behind this address runs, and that it lets this machine in.".to_owned()
            }
            Self::NotPostgres { .. } => {
                "Correct host and port in `url` so that they lead to PostgreSQL itself.".to_owned()
            }
            Self::NotReady { .. } => "Try again when the server is up.".to_owned(),
            Self::TooOld { .. } => format!(
                "Upgrade the server to PostgreSQL {} or newer; Convex is tested with 17.",
                Version::OLDEST.major()
            ),
            Self::ReadOnly { .. } => {
                "Name the primary server in `url`, or make the database writable.".to_owned()
            }
            Self::TooManyConnections { .. } => {
                "End connections that nobody needs, raise the limit, or give each backend of this server fewer with `max_connections`.".to_owned()
            }
            Self::NoSpace { .. } => "Make room on it.".to_owned(),
            Self::NoTls { .. } => {
                "Turn TLS on at the server. Only where the network is your own, set `ssl_mode = \"disable\"`, and everything travels in the clear.".to_owned()
            }
            Self::TlsRequired { .. } => {
                "Set `ssl_mode = \"require\"`, or remove `sslmode` from the URL.".to_owned()
            }
            Self::UnknownAuthority { .. } => {
                "Give the certificate of the authority as `ca_pem`. A certificate that is its own authority is given itself.".to_owned()
            }
            Self::AuthorityAsServer { .. } => {
                "Make a certificate for the server that is not marked as an authority (CA:FALSE), and give the authority's as `ca_pem`.".to_owned()
            }
            Self::OtherHost { .. } => {
                "Write the host in `url` as the certificate has it, or make a certificate with this host among its subject alternative names. The backend checks the name in each mode of TLS.".to_owned()
            }
            Self::Expired { .. } => "Renew the server's certificate.".to_owned(),
            Self::NotYetValid { .. } => {
                "Check the clocks of the server and of this machine, or wait until the certificate is valid.".to_owned()
            }
            Self::WantsCertificate { .. } => {
                "The backend has no certificate to show. Let this user in with a password (pg_hba.conf, without `clientcert` and `cert`).".to_owned()
            }
            Self::Tls { .. } => {
                "Check the server's TLS settings: it must speak TLS 1.2 or newer.".to_owned()
            }
            Self::NoAuthorities { .. } => {
                "Install the system's CA certificates (Debian and Alpine: `ca-certificates`), or give the server's own authority as `ca_pem`.".to_owned()
            }
            Self::NoPassword { .. } => "Write the password into `url`: `user:password@host`.".to_owned(),
            Self::WrongPassword { .. } => {
                "Correct user and password in `url`; a server does not say which of them is wrong. Percent-encode special characters: `replace(urlencode(var.password), \"+\", \"%20\")`, since `urlencode` alone writes `+` for a blank.".to_owned()
            }
            Self::NoUser { user, .. } => format!(
                "Correct the user in `url`, or create it: `CREATE ROLE {} LOGIN PASSWORD '…'`.",
                identifier(user)
            ),
            Self::NoLogin { user, .. } => {
                format!("Allow it: `ALTER ROLE {} LOGIN`.", identifier(user))
            }
            Self::OtherProof { .. } => {
                "Let this user in with a password (pg_hba.conf: `scram-sha-256`).".to_owned()
            }
            Self::NoRule { said, .. } => format!(
                "Add a rule for it at the server (pg_hba.conf: `hostssl … scram-sha-256`), or correct user and host in `url`. The server said: {said}."
            ),
            Self::Missing { database, .. } => format!(
                "Create it (`CREATE DATABASE {}`), or set `create = true`.",
                identifier(database)
            ),
            Self::MayNotCreate { user, database, .. } => format!(
                "Allow it (`ALTER ROLE {user} CREATEDB`), or create the database for it: `CREATE DATABASE {} OWNER {user}`.",
                identifier(database),
                user = identifier(user),
            ),
            Self::NoWayToCreate { user, database, .. } => format!(
                "Create the database for it: `CREATE DATABASE {} OWNER {}`.",
                identifier(database),
                identifier(user)
            ),
            Self::MayNotConnect { user, database, .. } => format!(
                "Allow it: `GRANT CONNECT ON DATABASE {} TO {}`.",
                identifier(database),
                identifier(user)
            ),
            Self::Closed { database, .. } => format!(
                "Open it (`ALTER DATABASE {} ALLOW_CONNECTIONS true`), or choose another instance name.",
                identifier(database)
            ),
            Self::MayNotCreateTables { schema, user, .. } => format!(
                "Allow it, in that database: `GRANT CREATE ON SCHEMA {} TO {}`.",
                identifier(schema),
                identifier(user)
            ),
            Self::NoSchema { user, .. } => format!(
                "Make one, in that database: `CREATE SCHEMA AUTHORIZATION {}`; or correct the user's search_path.",
                identifier(user)
            ),
            Self::MayNotUseTable { table, user, .. } => format!(
                "Log in as the user that made the tables, or make this one their owner: `ALTER TABLE {} OWNER TO {}`, and so for the other tables.",
                identifier(table),
                identifier(user)
            ),
            Self::Occupied { .. } => {
                "Let Convex have a database of its own: choose another instance name.".to_owned()
            }
            Self::OtherInstance { .. } => {
                "Set the instance name to that of the data, or choose a name whose database is not in use.".to_owned()
            }
            Self::Frozen { .. } => {
                "A backend does not start on it. End the migration that marked it: `DELETE FROM read_only`.".to_owned()
            }
            Self::TimedOut { .. } => {
                "Check that the server answers, and that no firewall drops its packets; raise the time limit if it is only slow.".to_owned()
            }
            Self::Stuck { .. } => {
                "Another session probably holds a lock on the database. `SELECT pid, query FROM pg_stat_activity WHERE pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity)` shows it. End that session (`SELECT pg_terminate_backend(PID)`) or wait for its end, and apply again.".to_owned()
            }
            Self::Cancelled { .. } => "Nothing is left half done; start again.".to_owned(),
            Self::Broken { .. } | Self::Failed { .. } => {
                "The server's log says more. Remove the cause, and try again.".to_owned()
            }
        }
    }
}

/// A name as SQL has it. It is always in quotation marks, so that no name is a word of SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::identifier;
    use crate::{
        convex::postgres::PostgresUrl,
        database::DatabaseError,
        plugin::{Diagnostic, redact},
    };

    /// What a person reads of a failure at the server of this URL.
    fn shown(url: &PostgresUrl, error: &DatabaseError) -> String {
        redact::remember(url.password().expect("a password").expose());
        let detail = format!("{error}. {}", error.remedy());
        Diagnostic::error("Refused", detail).to_proto().detail
    }

    #[test]
    fn a_password_is_struck_out_of_the_words_of_a_server_alone() {
        // User and host are in plain sight, whatever the password is.
        let url = PostgresUrl::parse("postgres://medlar:medlar@medlar").unwrap();
        let server = url.hosts()[0].clone();
        let unknown = DatabaseError::UnknownHost {
            server: server.clone(),
            reason: "medlar: not known".into(),
        };
        let said = shown(&url, &unknown);
        assert!(
            said.starts_with("the host medlar is not known: [secret]: not known."),
            "{said}"
        );
        // So are the words of the message.
        let url = PostgresUrl::parse("postgres://medlar:percent-encode@medlar").unwrap();
        let refused = |password: &str| DatabaseError::NoRule {
            server: server.clone(),
            user: "medlar".to_owned(),
            database: "app".to_owned(),
            said: format!("no {password}, no entry").into(),
        };
        let said = shown(&url, &refused("percent-encode"));
        assert!(
            said.contains("The server said: no [secret], no entry."),
            "{said}"
        );
        let wrong = DatabaseError::WrongPassword {
            server: server.clone(),
            user: "medlar".to_owned(),
        };
        let url = PostgresUrl::parse("postgres://medlar:special@medlar").unwrap();
        let said = shown(&url, &wrong);
        assert!(said.contains("special characters"), "{said}");
    }

    #[test]
    fn a_name_of_the_docker_host_and_a_lock_have_remedies_of_their_own() {
        let server = |host: &str| {
            let url = PostgresUrl::parse(&format!("postgres://u@{host}")).unwrap();
            url.hosts()[0].clone()
        };
        let unknown = |host: &str| DatabaseError::UnknownHost {
            server: server(host),
            reason: "not known".into(),
        };
        for (error, remedy) in [
            (
                unknown("host.docker.internal"),
                "extra_hosts = { \"host.docker.internal\" = \"host-gateway\" }",
            ),
            (
                unknown("host.containers.internal"),
                "extra_hosts = { \"host.containers.internal\"",
            ),
            (unknown("db"), "Correct the host in `url`"),
            (
                DatabaseError::Stuck {
                    server: server("db"),
                    doing: "say what is in the database",
                    seconds: 15,
                },
                "pg_blocking_pids",
            ),
            (
                DatabaseError::TimedOut {
                    server: server("db"),
                    doing: "take the connection",
                    seconds: 15,
                },
                "firewall",
            ),
        ] {
            assert!(error.remedy().contains(remedy), "{}", error.remedy());
        }
    }

    #[test]
    fn no_name_is_a_word_of_sql() {
        for (name, sql) in [
            ("my_app", "\"my_app\""),
            ("user", "\"user\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(identifier(name), sql);
        }
    }
}
