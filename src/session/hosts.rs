//! The Docker hosts of a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::{
    plugin::{Diagnostic, Known},
    runtime::{
        HostRef,
        docker::{
            Connection, Docker, Endpoint, HostConfig, HostError, Origin, Registries, Surroundings,
        },
    },
};

/// What is configured of Docker.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// The host that is meant where none is named.
    pub default: Known<HostConfig>,
    /// All others, by name.
    pub named: Known<BTreeMap<String, Known<HostConfig>>>,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            default: Known::Known(HostConfig::default()),
            named: Known::Known(BTreeMap::new()),
        }
    }
}

/// All hosts, each of which is dialled when it is first needed, and only once
/// for all that use it.
#[derive(Debug)]
pub struct Hosts {
    config: DockerConfig,
    around: Surroundings,
    registries: Arc<Registries>,
    open: Mutex<Vec<(HostConfig, Arc<Docker>)>>,
}

impl Hosts {
    /// Of this configuration, in this environment.
    #[must_use]
    pub fn new(config: DockerConfig, around: Surroundings, registries: Registries) -> Self {
        Self {
            config,
            around,
            registries: Arc::new(registries),
            open: Mutex::default(),
        }
    }

    /// What is configured of a host. Unknown while it depends on something
    /// that is yet to be made; `None` when there is no host of that name.
    fn config(&self, host: &HostRef) -> Known<Option<HostConfig>> {
        match host {
            HostRef::Default => match &self.config.default {
                Known::Known(config) => Known::Known(Some(config.clone())),
                Known::Unknown => Known::Unknown,
            },
            HostRef::Named(name) => match &self.config.named {
                Known::Known(named) => match named.get(name) {
                    Some(Known::Known(config)) => Known::Known(Some(config.clone())),
                    Some(Known::Unknown) => Known::Unknown,
                    None => Known::Known(None),
                },
                Known::Unknown => Known::Unknown,
            },
            // It is dialled with what the default one is dialled with.
            HostRef::At(endpoint) => match &self.config.default {
                Known::Known(default) => Known::Known(Some(HostConfig {
                    host: Some(endpoint.to_string()),
                    context: None,
                    ..default.clone()
                })),
                Known::Unknown => Known::Unknown,
            },
        }
    }

    /// Whether it is known how a host is reached.
    #[must_use]
    pub fn knows(&self, host: &HostRef) -> bool {
        !self.config(host).is_unknown()
    }

    /// Refuses a name that no host has. Nothing is read or dialled.
    pub fn check(&self, host: &HostRef) -> Result<(), Diagnostic> {
        match self.config(host) {
            Known::Known(None) => Err(self.no_such(host)),
            Known::Known(Some(_)) | Known::Unknown => Ok(()),
        }
    }

    /// A host. Nothing is dialled yet.
    pub fn docker(&self, host: &HostRef) -> Result<Arc<Docker>, Diagnostic> {
        let config = match self.config(host) {
            Known::Known(Some(config)) => config,
            Known::Known(None) => return Err(self.no_such(host)),
            Known::Unknown => return Err(not_known_yet(host)),
        };
        let mut open = super::lock(&self.open);
        if let Some((_, docker)) = open.iter().find(|(other, _)| *other == config) {
            return Ok(Arc::clone(docker));
        }
        let connection = config
            .resolve(&self.around)
            .map_err(|error| diagnose(&error))?;
        tracing::debug!(endpoint = %connection.endpoint(), "a Docker host is used");
        let docker = open_docker(connection, &self.registries)?;
        open.push((config, Arc::clone(&docker)));
        Ok(docker)
    }

    fn no_such(&self, host: &HostRef) -> Diagnostic {
        let named = match &self.config.named {
            Known::Known(named) => named.keys().map(|name| format!("{name:?}")).collect(),
            Known::Unknown => Vec::new(),
        };
        let there: &str = &if named.is_empty() {
            "it names none".to_owned()
        } else {
            format!("it names {}", named.join(", "))
        };
        Diagnostic::error(
            "No such Docker host",
            format!(
                "There is no {:?} among the provider's docker.hosts; {there}. Add it there, or give an address such as ssh://user@host.",
                host.to_string()
            ),
        )
    }

    /// Whether everybody on the way to a host could listen, as far as can be
    /// told without reading a file.
    #[must_use]
    pub fn is_exposed(&self, host: &HostRef) -> bool {
        match self.config(host) {
            Known::Known(Some(config)) => exposed(&config, &self.around).is_some(),
            _ => false,
        }
    }
}

/// The address of a host to which everything is sent in the open over a
/// network, as far as can be told without reading a file.
#[must_use]
pub fn exposed(config: &HostConfig, around: &Surroundings) -> Option<Endpoint> {
    let has = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if config.tls.is_some() || around.tls.is_some() {
        return None;
    }
    let address = match &config.host {
        host if has(host) => host.as_ref(),
        _ if has(&config.context) => None,
        _ => around.host.as_ref(),
    };
    let endpoint = Endpoint::parse(address?).ok()?;
    (matches!(endpoint, Endpoint::Tcp { .. }) && !endpoint.is_here()).then_some(endpoint)
}

fn open_docker(
    connection: Connection,
    registries: &Arc<Registries>,
) -> Result<Arc<Docker>, Diagnostic> {
    Docker::new(connection, Arc::clone(registries))
        .map(Arc::new)
        .map_err(|error| Diagnostic::error("Cannot use Docker", error.to_string()))
}

fn not_known_yet(host: &HostRef) -> Diagnostic {
    let which = match host {
        HostRef::Named(name) => format!("docker.hosts[{name:?}]"),
        HostRef::Default | HostRef::At(_) => "docker.host (or what it is dialled with)".to_owned(),
    };
    Diagnostic::error(
        "Docker address not known yet",
        format!(
            "The provider's {which} depends on something that is only made during apply, but a deployment that exists has to be looked at now. Apply what it depends on first, for example with -target."
        ),
    )
}

/// What is wrong with how a host is configured.
fn diagnose(error: &HostError) -> Diagnostic {
    let place = |origin: &Origin, attribute: &str| match origin {
        Origin::Configuration => format!("In the provider's {attribute}"),
        Origin::Variable(name) => format!("In the environment variable {name}"),
        Origin::CurrentContext => "In the current context of the docker command line".to_owned(),
    };
    match error {
        HostError::Endpoint { origin, error } => Diagnostic::error(
            "Invalid Docker address",
            format!("{}: {error}", place(origin, "docker.host")),
        ),
        HostError::Context { origin, error } => Diagnostic::error(
            "Docker context cannot be used",
            format!("{}: {error}.", place(origin, "docker.context")),
        ),
        HostError::Tls { origin, error } => {
            let attribute = format!("docker.tls.{}", error.attribute());
            Diagnostic::error(
                "TLS to Docker cannot be set up",
                format!("{}: {error}", place(origin, &attribute)),
            )
        }
        HostError::Certificates { .. } => Diagnostic::error(
            "TLS to Docker cannot be set up",
            format!(
                "DOCKER_TLS_VERIFY is set, but {error}. Set DOCKER_CERT_PATH to a directory with ca.pem, cert.pem and key.pem that this user may read, or give docker.tls."
            ),
        ),
        HostError::ConfigFile(error) => Diagnostic::error(
            "Docker's configuration cannot be read",
            format!(
                "It may name a context: {error}. Correct the file, or say with docker.host or DOCKER_HOST which daemon to use."
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::{DockerConfig, HostConfig, HostRef, Hosts, Known, Registries, Surroundings};

    fn at(host: &str) -> HostConfig {
        HostConfig {
            host: Some(host.to_owned()),
            ..HostConfig::default()
        }
    }

    fn hosts(default: Known<HostConfig>) -> Hosts {
        let named = BTreeMap::from([
            ("gpu".to_owned(), Known::Known(at("ssh://gpu"))),
            ("later".to_owned(), Known::Unknown),
        ]);
        let config = DockerConfig {
            default,
            named: Known::Known(named),
        };
        Hosts::new(config, Surroundings::default(), Registries::default())
    }

    fn host(text: &str) -> HostRef {
        text.parse().unwrap()
    }

    #[test]
    fn one_client_serves_all_that_name_the_same_host() {
        let hosts = hosts(Known::Known(at("unix:///a.sock")));
        let default = hosts.docker(&HostRef::Default).unwrap();
        let again = hosts.docker(&HostRef::Default).unwrap();
        assert!(Arc::ptr_eq(&default, &again));
        let by_address = hosts.docker(&host("unix:///a.sock")).unwrap();
        assert!(Arc::ptr_eq(&default, &by_address));
        let named = hosts.docker(&host("gpu")).unwrap();
        assert!(Arc::ptr_eq(&named, &hosts.docker(&host("gpu")).unwrap()));
        assert!(!Arc::ptr_eq(&default, &named));
        assert_eq!(named.endpoint().to_string(), "ssh://gpu");
    }

    #[test]
    fn what_is_not_known_yet_keeps_only_itself_waiting() {
        let hosts = hosts(Known::Unknown);
        assert!(!hosts.knows(&HostRef::Default));
        assert!(!hosts.knows(&host("later")));
        assert!(hosts.knows(&host("gpu")));
        assert!(hosts.docker(&host("gpu")).is_ok());
        let problem = hosts.docker(&host("later")).unwrap_err();
        assert!(problem.detail().contains("docker.hosts[\"later\"]"));
    }

    #[test]
    fn a_name_that_is_not_configured_is_said() {
        let hosts = hosts(Known::Known(HostConfig::default()));
        let problem = hosts.docker(&host("cpu")).unwrap_err();
        assert_eq!(problem.summary(), "No such Docker host");
        assert!(hosts.check(&host("cpu")).is_err());
        assert!(hosts.check(&host("later")).is_ok());
        assert!(problem.detail().contains("\"gpu\""), "{}", problem.detail());
    }

    #[test]
    fn plain_tcp_to_another_machine_is_exposed() {
        let hosts = hosts(Known::Known(HostConfig::default()));
        assert!(hosts.is_exposed(&host("tcp://h")));
        for text in ["tcp://127.0.0.1:1", "ssh://h", "gpu", ""] {
            assert!(!hosts.is_exposed(&host(text)), "{text}");
        }
    }
}
