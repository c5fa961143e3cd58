//! Contexts of the docker command line: daemons by name, kept in files.
//!
//! Source: docker/cli, `cli/context/store`. A context is a directory named by
//! the SHA-256 of its name, with `meta.json` below `contexts/meta` and the
//! certificates below `contexts/tls`.

use std::{
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use serde::Deserialize;

use super::tls::TlsConfig;
use crate::local_file;

/// The longest file of a context that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A context that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Nobody has made it here.
    #[error(
        "there is no Docker context {name:?} in {place}. Make it with `docker context create`, or name another; `docker context ls` lists them"
    )]
    Missing {
        /// Its name.
        name: String,
        /// Where contexts are looked for.
        place: String,
    },
    /// Nothing says where contexts are kept.
    #[error(
        "there is no place to look for the Docker context {name:?}: neither DOCKER_CONFIG nor HOME is set. Set one of them, or give docker.host"
    )]
    NoPlace {
        /// Its name.
        name: String,
    },
    /// A file of it cannot be read.
    #[error("the Docker context {name:?} cannot be used: {path}: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is for something else than Docker.
    #[error(
        "the Docker context {name:?} says no address of a Docker daemon. Make it anew with `docker context create`"
    )]
    NoDocker {
        /// Its name.
        name: String,
    },
}

/// What a context says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// The address, as it was given when the context was made.
    pub(super) host: String,
    /// The certificates, if it has any.
    pub(super) tls: Option<TlsConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(default, rename = "Host")]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Context {
    /// Reads a context from the directory of the docker command line's
    /// configuration.
    pub(super) fn read(directory: Option<&Path>, name: &str) -> Result<Self, ContextError> {
        let contexts = directory
            .map(|directory| directory.join("contexts"))
            .ok_or_else(|| ContextError::NoPlace {
                name: name.to_owned(),
            })?;
        let id = id(name);
        let meta = contexts.join("meta").join(&id).join("meta.json");
        let text = match local_file::read(&meta, MAX_FILE) {
            Ok(text) => text,
            Err(error) if is_missing(&error) => {
                return Err(ContextError::Missing {
                    name: name.to_owned(),
                    place: contexts.display().to_string(),
                });
            }
            Err(error) => return Err(unreadable(name, &meta, &error)),
        };
        let read: Meta =
            serde_json::from_slice(&text).map_err(|error| unreadable(name, &meta, &error))?;
        let endpoint = read
            .endpoints
            .docker
            .filter(|docker| !docker.host.is_empty())
            .ok_or_else(|| ContextError::NoDocker {
                name: name.to_owned(),
            })?;
        let certificates = contexts.join("tls").join(&id).join("docker");
        let mut tls = read_certificates(&certificates)
            .map_err(|(path, error)| unreadable(name, &path, &error))?;
        if endpoint.skip_tls_verify {
            tls.get_or_insert_default().verify = Some(false);
        }
        Ok(Self {
            host: endpoint.host,
            tls,
        })
    }
}

/// The directory of a context.
fn id(name: &str) -> String {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// The certificates in a directory, under the names that Docker gives them:
/// `ca.pem`, `cert.pem` and `key.pem`. `None` when none of them is there.
pub(super) fn read_certificates(
    directory: &Path,
) -> Result<Option<TlsConfig>, (PathBuf, io::Error)> {
    let read = |name: &str| {
        let path = directory.join(name);
        match local_file::read_text(&path, MAX_FILE) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err((path, error)),
        }
    };
    let tls = TlsConfig {
        ca_pem: read("ca.pem")?,
        cert_pem: read("cert.pem")?,
        key_pem: read("key.pem")?.map(Into::into),
        ..TlsConfig::default()
    };
    Ok((tls != TlsConfig::default()).then_some(tls))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(name: &str, path: &Path, reason: &dyn std::fmt::Display) -> ContextError {
    ContextError::Unreadable {
        name: name.to_owned(),
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Context, ContextError, id};

    fn make(directory: &Path, name: &str, meta: &str, files: &[(&str, &str)]) {
        let meta_directory = directory.join("contexts/meta").join(id(name));
        fs::create_dir_all(&meta_directory).unwrap();
        fs::write(meta_directory.join("meta.json"), meta).unwrap();
        let tls = directory.join("contexts/tls").join(id(name)).join("docker");
        fs::create_dir_all(&tls).unwrap();
        for (file, text) in files {
            fs::write(tls.join(file), text).unwrap();
        }
    }

    #[test]
    fn a_context_is_found_by_the_hash_of_its_name() {
        // As `docker context create remote` names it.
        assert_eq!(
            id("remote"),
            "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a"
        );
    }

    #[test]
    fn address_and_certificates_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let meta = r#"{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://h:2376","SkipTLSVerify":false}}}"#;
        let files = [("ca.pem", "A"), ("cert.pem", "B"), ("key.pem", "C")];
        make(directory.path(), "remote", meta, &files);
        let context = Context::read(Some(directory.path()), "remote").unwrap();
        assert_eq!(context.host, "tcp://h:2376");
        let tls = context.tls.unwrap();
        assert_eq!(tls.ca_pem.as_deref(), Some("A"));
        assert_eq!(tls.cert_pem.as_deref(), Some("B"));
        assert_eq!(tls.key_pem.unwrap().expose(), "C");
        assert_eq!(tls.verify, None);
    }

    #[test]
    fn a_context_may_do_without_certificates() {
        let directory = tempfile::tempdir().unwrap();
        let meta = r#"{"Name":"a","Endpoints":{"docker":{"Host":"ssh://h"}}}"#;
        make(directory.path(), "a", meta, &[]);
        assert_eq!(
            Context::read(Some(directory.path()), "a").unwrap().tls,
            None
        );
        let meta = r#"{"Name":"b","Endpoints":{"docker":{"Host":"tcp://h","SkipTLSVerify":true}}}"#;
        make(directory.path(), "b", meta, &[]);
        let context = Context::read(Some(directory.path()), "b").unwrap();
        assert_eq!(context.tls.unwrap().verify, Some(false));
    }

    #[test]
    fn what_is_no_context_of_docker_has_its_own_error() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name| Context::read(Some(directory.path()), name);
        assert!(matches!(read("none"), Err(ContextError::Missing { .. })));
        make(
            directory.path(),
            "k8s",
            r#"{"Name":"k8s","Endpoints":{}}"#,
            &[],
        );
        assert!(matches!(read("k8s"), Err(ContextError::NoDocker { .. })));
        make(directory.path(), "broken", "{", &[]);
        assert!(matches!(
            read("broken"),
            Err(ContextError::Unreadable { .. })
        ));
        assert!(matches!(
            Context::read(None, "a"),
            Err(ContextError::NoPlace { .. })
        ));
    }
}
