//! URLs for the backend, held to the steps it takes with them and to its own driver.

use std::collections::HashMap;

use proptest::prelude::*;
use terraform_provider_convex::convex::postgres::{PostgresUrl, Tls};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use url::Url;

/// What upstream does with the URL it gets (`crates/clusters/src/lib.rs` and
/// `crates/db_connection/src/lib.rs`), told in its own order.
fn as_the_backend_reads(url: &str, database: &str, require_tls: bool) -> Result<Config, String> {
    let mut url = Url::parse(url).map_err(|error| error.to_string())?;
    if url.username().is_empty() {
        return Err("no user".to_owned());
    }
    if !["", "/"].contains(&url.path()) {
        return Err("a database name".to_owned());
    }
    url.set_path(database);
    if require_tls {
        url.query_pairs_mut().append_pair("sslmode", "require");
    }
    url.query_pairs_mut()
        .append_pair("target_session_attrs", "read-write");
    let pairs: HashMap<String, String> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.as_str()
        .parse()
        .map_err(|error: tokio_postgres::Error| format!("{error:?}"))
}

fn read(url: &PostgresUrl, tls: Tls) -> Config {
    let text = url.for_backend(tls);
    as_the_backend_reads(text.expose(), "my_app", tls == Tls::Required)
        .unwrap_or_else(|error| panic!("{}: {error}", text.expose()))
}

fn tcp(names: &[&str]) -> Vec<Host> {
    names
        .iter()
        .map(|name| Host::Tcp((*name).to_owned()))
        .collect()
}

#[test]
fn what_people_paste_reaches_the_driver_of_the_backend() {
    for (pasted, hosts, ports) in [
        ("postgres://u:p@db/app", vec!["db"], vec![5432]),
        (
            "postgresql://u:p@[2001:db8::1]:6000/app?sslmode=verify-full&sslrootcert=system",
            vec!["2001:db8::1"],
            vec![6000],
        ),
        (
            "postgresql://u:p@ep-x.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
            vec!["ep-x.eu.aws.neon.tech"],
            vec![5432],
        ),
        (
            "postgres://u:p@db:6543/postgres?pgbouncer=true&connection_limit=1&schema=public",
            vec!["db"],
            vec![6543],
        ),
        (
            "postgres://u:p@a,b:6000/app?target_session_attrs=primary&application_name=my%20app",
            vec!["a", "b"],
            vec![5432, 6000],
        ),
    ] {
        let url = PostgresUrl::parse(pasted).unwrap();
        let shown = url.cluster_url();
        as_the_backend_reads(shown.expose(), "my_app", false).unwrap_or_else(|it| panic!("{it}"));
        for (tls, mode) in [
            (Tls::Off, SslMode::Disable),
            (Tls::Preferred, SslMode::Prefer),
            (Tls::Required, SslMode::Require),
        ] {
            let config = read(&url, tls);
            assert_eq!(config.get_user(), Some("u"));
            assert_eq!(config.get_password(), Some(&b"p"[..]));
            assert_eq!(config.get_dbname(), Some("my_app"));
            assert_eq!(config.get_hosts(), tcp(&hosts));
            assert_eq!(config.get_ports(), ports);
            assert_eq!(config.get_ssl_mode(), mode, "{pasted}");
        }
    }
}

#[test]
fn the_steps_of_the_backend_are_as_strict_as_it_is() {
    for refused in [
        "postgres://u:p@db/app",
        "postgres://db",
        "postgres://u:p@db?schema=public",
        "postgres://u:p@db?sslmode=verify-full",
        "postgres://u:p@a:1,b:2",
    ] {
        assert!(
            as_the_backend_reads(refused, "x", false).is_err(),
            "{refused}"
        );
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn any_user_password_and_parameter_reach_the_driver(
        user in "[^\\x00]{1,8}",
        password in "[^\\x00]{1,8}",
        name in "\\PC{0,8}",
        options in "[!-~]{0,8}",
        other in "[a-z_]{1,8}",
    ) {
        let pasted = format!(
            "postgres://{}:{}@h:1/{}?application_name={}&options={}&x{other}=y",
            encode(&user), encode(&password), encode("a/b"), encode(&name), encode(&options),
        );
        let url = PostgresUrl::parse(&pasted).unwrap();
        prop_assert_eq!(url.user(), &user);
        let config = read(&url, Tls::Required);
        prop_assert_eq!(config.get_user(), Some(user.as_str()));
        prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
        prop_assert_eq!(config.get_options(), Some(options.as_str()));
        prop_assert_eq!(config.get_dbname(), Some("my_app"));
    }

    #[test]
    fn whatever_is_taken_the_backend_takes_and_what_is_shown_holds_no_password(
        scheme in "postgres(ql)?://",
        login in "([a-c%2]{1,3}(:[a-c/?#%@,]{0,2}s3cr3t[a-c/?#%@,2]{0,2})?@)?",
        host in "([a-c]{1,3}|[a-c.,]{0,6}|\\[[:1]{2,4}\\])(:[0-9a]{0,3})?",
        rest in "(/[a-c]{0,2})?(\\?((sslmode|options|host|x)=[a-z%]{0,4}&?){0,2})?",
    ) {
        let text = format!("{scheme}{login}{host}{rest}");
        match PostgresUrl::parse(&text) {
            Ok(url) => {
                let shown = format!("{url:?}");
                prop_assert!(!shown.contains("s3cr3t") || !has_password(&url, "s3cr3t"));
                for tls in [Tls::Off, Tls::Preferred, Tls::Required] {
                    let config = read(&url, tls);
                    prop_assert_eq!(config.get_hosts().len(), url.hosts().len());
                    let again = PostgresUrl::parse(url.for_backend(tls).expose()).unwrap();
                    prop_assert_eq!(again.for_backend(tls), url.for_backend(tls));
                    prop_assert_eq!(again.left_out().len(), 0);
                    prop_assert_eq!(again.hosts(), url.hosts());
                    prop_assert_eq!(again.password(), url.password());
                }
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
            }
        }
    }
}

fn has_password(url: &PostgresUrl, part: &str) -> bool {
    url.password().is_some_and(|it| it.expose().contains(part))
}
