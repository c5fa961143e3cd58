//! The configuration of the docker command line, `config.json`.
//!
//! Source: docker/cli, `cli/config/configfile`. Only what is used here is read.

use std::{collections::BTreeMap, io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{convex::Secret, local_file};

/// The longest configuration that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ConfigFile {
    /// The context in use; empty or `default` for none.
    pub(super) current_context: String,
    /// Credentials by registry, as it was written at login.
    pub(super) auths: BTreeMap<String, Stored>,
    /// The helper program for each of some registries.
    pub(super) cred_helpers: BTreeMap<String, String>,
    /// The helper program for all others.
    pub(super) creds_store: String,
}

/// Credentials in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    auth: Secret,
    username: String,
    password: Secret,
    identitytoken: Secret,
    pub(super) registrytoken: Secret,
}

impl Stored {
    /// The name and the password.
    pub(super) fn login(&self) -> Option<(String, Secret)> {
        if !self.username.is_empty() {
            return Some((self.username.clone(), self.password.clone()));
        }
        // Docker ends the password at a zero byte.
        let decoded = STANDARD.decode(self.auth.expose()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.trim_end_matches('\0').into()))
    }

    /// A token in place of a password.
    pub(super) fn identity_token(&self) -> Option<Secret> {
        (!self.identitytoken.is_empty()).then(|| self.identitytoken.clone())
    }
}

/// A file that is there and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} cannot be read: {reason}")]
pub struct ConfigFileError {
    /// The file.
    pub path: String,
    /// What is wrong with it; nothing that is in it.
    pub reason: String,
}

impl ConfigFile {
    /// The one in a directory; one that is not there says nothing, and neither
    /// does one that this user may not read, which was meant for another.
    pub(super) fn read(directory: Option<&Path>) -> Result<Self, ConfigFileError> {
        let Some(directory) = directory else {
            return Ok(Self::default());
        };
        let path = directory.join("config.json");
        let wrong = |reason: String| ConfigFileError {
            path: path.display().to_string(),
            reason,
        };
        let text = match local_file::read(&path, MAX_FILE) {
            Ok(text) => text,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied => return Ok(Self::default()),
                _ => return Err(wrong(error.to_string())),
            },
        };
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // The parser's own words may quote what is in the file.
        serde_json::from_slice(&text).map_err(|error| {
            wrong(format!(
                "it is no JSON of the form Docker writes (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::ConfigFile;

    fn read(text: &str) -> Result<ConfigFile, super::ConfigFileError> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.json"), text).unwrap();
        ConfigFile::read(Some(directory.path()))
    }

    #[test]
    fn credentials_are_read_in_each_form() {
        let file = read(
            r#"{
                "auths": {
                    "a": { "auth": "bWU6cGE6c3M=" },
                    "b": { "username": "me", "password": "p" },
                    "c": { "auth": "bWU6", "identitytoken": "t" },
                    "d": {}
                },
                "credHelpers": { "e": "ecr-login" },
                "credsStore": "pass",
                "currentContext": "remote",
                "HttpHeaders": { "X": "1" }
            }"#,
        )
        .unwrap();
        let login = |key: &str| {
            let (user, password) = file.auths[key].login()?;
            Some(format!("{user} {}", password.expose()))
        };
        assert_eq!(login("a").as_deref(), Some("me pa:ss"));
        assert_eq!(login("b").as_deref(), Some("me p"));
        assert_eq!(login("d"), None);
        let token = file.auths["c"].identity_token().unwrap();
        assert_eq!(token.expose(), "t");
        assert_eq!(file.cred_helpers["e"], "ecr-login");
        assert_eq!(file.creds_store, "pass");
        assert_eq!(file.current_context, "remote");
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(ConfigFile::read(Some(directory.path())).is_ok());
        assert!(ConfigFile::read(None).is_ok());
        assert!(read("").is_ok());
    }

    #[test]
    fn a_broken_file_is_reported_without_what_is_in_it() {
        let error = read(r#"{ "auths": { "a": { "auth": hunter22 } } }"#).unwrap_err();
        assert!(error.path.ends_with("config.json"));
        assert!(!error.reason.contains("hunter22"), "{error}");
        let error = read(r#"{ "auths": { "a": "hunter22" } }"#).unwrap_err();
        assert!(!error.reason.contains("hunter22"), "{error}");
    }
}
