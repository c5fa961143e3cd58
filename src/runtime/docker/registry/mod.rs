//! Credentials for the registries that images are pulled from.

mod helper;
mod image;

use std::{collections::BTreeMap, path::PathBuf};

use bollard::auth::DockerCredentials;
use serde::{Deserialize, Serialize};

pub use self::helper::HelperProblem;
use self::image::{host_of, registry_of, server_of};
use super::config_file::{ConfigFile, ConfigFileError};
use crate::convex::Secret;

/// What a registry is told. Either a name and a password, or a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAuth {
    /// The name.
    pub username: Option<String>,
    /// The password, or an access token in its place.
    pub password: Option<Secret>,
    /// What the registry's own login service has given for them.
    pub identity_token: Option<Secret>,
}

/// Where credentials come from. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// There are none.
    Nowhere,
    /// From the configuration.
    Configuration,
    /// From the configuration of the docker command line.
    DockerConfig,
    /// From this helper program.
    Helper(String),
    /// There would be a helper program, and it gave none.
    BrokenHelper(HelperProblem),
    /// There would be a configuration of the docker command line.
    BrokenConfig(ConfigFileError),
}

/// The credentials there are. Files and helper programs are only asked when an
/// image is pulled.
#[derive(Debug, Default)]
pub struct Registries {
    configured: BTreeMap<String, RegistryAuth>,
    config_directory: Option<PathBuf>,
}

/// What is sent along with a pull.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) credentials: Option<DockerCredentials>,
    pub(super) source: Source,
}

impl Found {
    fn nothing(source: Source) -> Self {
        Self {
            credentials: None,
            source,
        }
    }
}

impl Registries {
    /// Those of the configuration by registry, and else those of the docker
    /// command line, whose configuration is in that directory.
    #[must_use]
    pub fn new(
        configured: BTreeMap<String, RegistryAuth>,
        config_directory: Option<PathBuf>,
    ) -> Self {
        let configured = configured
            .into_iter()
            .map(|(registry, auth)| (host_of(&registry), auth))
            .collect();
        Self {
            configured,
            config_directory,
        }
    }

    /// The credentials for an image.
    pub(super) async fn for_image(&self, image: &str) -> Found {
        let registry = registry_of(image);
        let server = server_of(&registry);
        if let Some(auth) = self.configured.get(&registry) {
            let credentials = DockerCredentials {
                username: auth.username.clone(),
                password: expose(auth.password.as_ref()),
                identitytoken: expose(auth.identity_token.as_ref()),
                serveraddress: Some(server),
                ..Default::default()
            };
            return Found {
                credentials: Some(credentials),
                source: Source::Configuration,
            };
        }
        let file = match ConfigFile::read(self.config_directory.as_deref()) {
            Ok(file) => file,
            Err(error) => return Found::nothing(Source::BrokenConfig(error)),
        };
        match helper_for(&file, &registry) {
            Some(helper) => ask(helper, server).await,
            None => stored(&file, &registry, server),
        }
    }
}

/// The program that has the credentials for a registry.
fn helper_for<'a>(file: &'a ConfigFile, registry: &str) -> Option<&'a str> {
    let own = file
        .cred_helpers
        .iter()
        .find(|(key, _)| host_of(key) == registry)
        .map(|(_, helper)| helper.as_str());
    own.or(Some(file.creds_store.as_str()))
        .filter(|helper| !helper.is_empty())
}

async fn ask(helper: &str, server: String) -> Found {
    match helper::get(helper, &server).await {
        Ok(None) => Found::nothing(Source::Nowhere),
        Ok(Some(answer)) => {
            let token = answer.is_token();
            let secret = Some(answer.secret.expose().to_owned());
            Found {
                credentials: Some(DockerCredentials {
                    username: (!token).then_some(answer.username),
                    password: secret.clone().filter(|_| !token),
                    identitytoken: secret.filter(|_| token),
                    serveraddress: Some(server),
                    ..Default::default()
                }),
                source: Source::Helper(helper.to_owned()),
            }
        }
        Err(problem) => Found::nothing(Source::BrokenHelper(problem)),
    }
}

/// The credentials that are in the file itself.
fn stored(file: &ConfigFile, registry: &str, server: String) -> Found {
    let entry = file.auths.iter().find(|(key, _)| host_of(key) == registry);
    let Some((_, stored)) = entry else {
        return Found::nothing(Source::Nowhere);
    };
    let (login, token) = (stored.login(), stored.identity_token());
    let registry_token = (!stored.registrytoken.is_empty()).then_some(&stored.registrytoken);
    if login.is_none() && token.is_none() && registry_token.is_none() {
        // What `docker login` leaves behind when a helper has the rest.
        return Found::nothing(Source::Nowhere);
    }
    let (username, password) = login.unzip();
    Found {
        credentials: Some(DockerCredentials {
            username: username.filter(|name| !name.is_empty()),
            password: expose(password.as_ref()),
            identitytoken: expose(token.as_ref()),
            registrytoken: expose(registry_token),
            serveraddress: Some(server),
            ..Default::default()
        }),
        source: Source::DockerConfig,
    }
}

fn expose(secret: Option<&Secret>) -> Option<String> {
    secret.map(|secret| secret.expose().to_owned())
}

/// The registry of an image, for messages.
pub(super) fn name_of(image: &str) -> String {
    registry_of(image)
}

/// Whether a registry's words mean that it wants other credentials. They come
/// through the daemon as text alone (moby, `distribution/errors.go`; the
/// registries' own codes, distribution, `registry/api/errcode`).
pub(super) fn is_refusal(reason: &str) -> bool {
    let lower = reason.to_ascii_lowercase();
    [
        "unauthorized",
        "pull access denied",
        "authentication required",
        "no basic auth credentials",
        "incorrect username or password",
        "denied: ",
        "403 forbidden",
        "invalid username/password",
    ]
    .iter()
    .any(|words| lower.contains(words))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::{Registries, RegistryAuth, Source, is_refusal};

    fn with_file(text: &str) -> (tempfile::TempDir, Registries) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.json"), text).unwrap();
        let configured = BTreeMap::from([(
            "https://GHCR.io/".to_owned(),
            RegistryAuth {
                username: Some("me".to_owned()),
                password: Some("configured".into()),
                identity_token: None,
            },
        )]);
        let path = directory.path().to_owned();
        (directory, Registries::new(configured, Some(path)))
    }

    #[tokio::test]
    async fn the_configuration_goes_before_the_file() {
        let (_directory, registries) = with_file(
            r#"{ "auths": {
                "ghcr.io": { "auth": "bWU6ZmlsZQ==" },
                "https://index.docker.io/v1/": { "auth": "bWU6aHVi" },
                "r.example:5000": { "auth": "bWU6", "identitytoken": "t" },
                "empty.example": {}
            } }"#,
        );
        for (image, source, password, token) in [
            (
                "ghcr.io/a/b:1",
                Source::Configuration,
                Some("configured"),
                None,
            ),
            ("ubuntu", Source::DockerConfig, Some("hub"), None),
            (
                "r.example:5000/a",
                Source::DockerConfig,
                Some(""),
                Some("t"),
            ),
            ("empty.example/a", Source::Nowhere, None, None),
            ("other.example/a", Source::Nowhere, None, None),
        ] {
            let found = registries.for_image(image).await;
            assert_eq!(found.source, source, "{image}");
            let credentials = found.credentials.unwrap_or_default();
            assert_eq!(credentials.password.as_deref(), password, "{image}");
            assert_eq!(credentials.identitytoken.as_deref(), token, "{image}");
        }
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_remembered() {
        let (_directory, registries) = with_file("{");
        let found = registries.for_image("a.example/b").await;
        assert!(matches!(found.source, Source::BrokenConfig(_)));
        let (_directory, registries) = with_file(r#"{ "credsStore": "no-such-helper" }"#);
        let found = registries.for_image("a.example/b").await;
        assert!(matches!(found.source, Source::BrokenHelper(_)));
    }

    #[test]
    fn a_refusal_is_told_from_an_image_that_is_not_there() {
        for refusal in [
            "Head \"https://ghcr.io/v2/a/manifests/1\": unauthorized",
            "pull access denied for a, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            "Get \"http://127.0.0.1:5000/v2/a/manifests/1\": no basic auth credentials",
            "initializing source docker://a: reading manifest 1: denied: requested access",
        ] {
            assert!(is_refusal(refusal), "{refusal}");
        }
        for other in [
            "manifest for a:1 not found: manifest unknown: manifest unknown",
            "Get \"https://a/v2/\": dial tcp: lookup a: no such host",
        ] {
            assert!(!is_refusal(other), "{other}");
        }
    }
}
