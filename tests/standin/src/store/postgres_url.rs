//! The address of a Postgres server as the backend takes it, and the settings that follow from it.

use std::collections::BTreeMap;

use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use url::Url;

use super::StoreError;

/// The name of an instance's database: its own, with `_` for every `-`. The database must exist.
#[must_use]
pub fn database_name(instance_name: &str) -> String {
    instance_name.replace('-', "_")
}

/// How to reach the database of an instance on a server.
///
/// The address names user and server but no database. Unless TLS is not required, `sslmode=require` replaces whatever
/// `sslmode` the address asks for.
pub fn settings(
    address: &str,
    instance_name: &str,
    require_tls: bool,
) -> Result<Config, StoreError> {
    let bad = |text: String| StoreError::BadUrl(text);
    let mut url: Url = address
        .parse()
        .map_err(|error: url::ParseError| bad(error.to_string()))?;
    if url.username().is_empty() {
        return Err(bad("cluster url username must be set".into()));
    }
    if !matches!(url.path(), "" | "/") {
        return Err(bad(format!(
            "cluster url already contains db name: {}",
            url.path()
        )));
    }
    url.set_path(&database_name(instance_name));

    let mut parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    // The real backend keeps a schema's name here; the library knows no such parameter.
    parameters.remove("search_path");
    if require_tls {
        parameters.insert("sslmode".into(), "require".into());
    }
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }

    let mut settings: Config = url
        .as_str()
        .parse()
        .map_err(|_| bad("invalid postgres connection url".into()))?;
    settings.target_session_attrs(TargetSessionAttrs::ReadWrite);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    fn refused(address: &str) -> String {
        settings(address, "app", true).unwrap_err().to_string()
    }

    #[test]
    fn the_database_is_named_after_the_instance() {
        let settings = settings("postgres://me:secret@db.example:5433", "my-app-1", true).unwrap();
        assert_eq!(settings.get_dbname(), Some("my_app_1"));
        assert_eq!(settings.get_user(), Some("me"));
        assert_eq!(settings.get_ports(), [5433]);
    }

    #[test]
    fn required_tls_outranks_the_address() {
        let mode = |address, require| settings(address, "app", require).unwrap().get_ssl_mode();
        assert_eq!(
            mode("postgres://me@db?sslmode=disable", true),
            SslMode::Require
        );
        assert_eq!(
            mode("postgres://me@db?sslmode=disable", false),
            SslMode::Disable
        );
        assert_eq!(mode("postgres://me@db", false), SslMode::Prefer);
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        assert_eq!(refused("postgres://db"), "cluster url username must be set");
        assert_eq!(
            refused("postgres://me:secret@db/app"),
            "cluster url already contains db name: /app"
        );
        assert_eq!(
            refused("postgres://me:secret@db?colour=red"),
            "invalid postgres connection url"
        );
        assert_eq!(refused("nonsense"), "relative URL without a base");
    }
}
