//! Which Docker daemon, and how to get there.
//!
//! What is configured and what the environment says are values; only
//! [`HostConfig::resolve`] reads files, and nothing here dials.

mod context;
mod endpoint;
mod ssh;
mod tls;
mod tls_problem;
mod validity;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Deserialize, Serialize};

use self::context::{Context, read_certificates};
pub(super) use self::validity::Shown;
pub use self::{
    context::ContextError,
    endpoint::{Endpoint, EndpointError, SshAddress},
    ssh::{SshConfig, SshConfigError},
    tls::{TlsConfig, TlsConfigError},
    tls_problem::TlsProblem,
};
use super::config_file::{ConfigFile, ConfigFileError};

/// What is configured of a daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// Its address.
    pub host: Option<String>,
    /// A context of the docker command line, in place of the address.
    pub context: Option<String>,
    /// For an address with `tcp://`.
    pub tls: Option<TlsConfig>,
    /// For an address with `ssh://`.
    pub ssh: Option<SshConfig>,
}

/// What the environment of this process says, as the docker command line
/// takes it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` or `DOCKER_TLS` asks for TLS, and if so,
    /// whether the daemon's certificate is to be verified.
    pub tls: Option<bool>,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// Where the docker command line keeps its configuration.
    pub config_directory: Option<PathBuf>,
}

impl Surroundings {
    /// Reads the environment through `var`. An empty variable counts as none.
    pub fn read(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let given = |name: &str| var(name).filter(|value| !value.is_empty());
        let text = |name: &str| given(name).and_then(|value| value.into_string().ok());
        let verified = given("DOCKER_TLS_VERIFY").map(|_| true);
        Self {
            host: text("DOCKER_HOST"),
            context: text("DOCKER_CONTEXT"),
            tls: verified.or_else(|| given("DOCKER_TLS").map(|_| false)),
            cert_path: given("DOCKER_CERT_PATH").map(PathBuf::from),
            config_directory: given("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| given("HOME").map(|home| Path::new(&home).join(".docker"))),
        }
    }

    fn certificates(&self) -> Result<Option<TlsConfig>, HostError> {
        let Some(verify) = self.tls else {
            return Ok(None);
        };
        let directory = self.cert_path.as_ref().or(self.config_directory.as_ref());
        let found = match directory {
            Some(directory) => {
                read_certificates(directory).map_err(|(path, error)| HostError::Certificates {
                    path: path.display().to_string(),
                    reason: error.to_string(),
                })?
            }
            None => None,
        };
        Ok(Some(TlsConfig {
            verify: (!verify).then_some(false),
            ..found.unwrap_or_default()
        }))
    }
}

/// Where a setting comes from that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration of the daemon.
    Configuration,
    /// A variable of the environment.
    Variable(&'static str),
    /// The current context of the docker command line.
    CurrentContext,
}

/// Why it cannot be told where a daemon is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Its address is none.
    #[error("{error}")]
    Endpoint {
        /// Where it comes from.
        origin: Origin,
        /// What is wrong with it.
        error: EndpointError,
    },
    /// Its context cannot be used.
    #[error("{error}")]
    Context {
        /// Where its name comes from.
        origin: Origin,
        /// What is wrong with it.
        error: ContextError,
    },
    /// TLS cannot be set up.
    #[error("{error}")]
    Tls {
        /// Where its settings come from.
        origin: Origin,
        /// What is wrong with them.
        error: TlsConfigError,
    },
    /// The files that `DOCKER_CERT_PATH` names cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The configuration of the docker command line cannot be read.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
}

/// A daemon, and all that it takes to dial it. Nothing is dialled yet.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) endpoint: Endpoint,
    pub(super) wire: Wire,
}

/// What is spoken on the way.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    /// Nothing but the API.
    Plain,
    /// TLS, with a daemon of this name.
    Tls {
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        shown: Shown,
    },
    /// SSH.
    Ssh(Arc<SshConfig>),
}

/// Where certificates come from that are not configured.
enum Certificates<'a> {
    /// A context says itself whether there is TLS.
    OfContext(Option<TlsConfig>),
    /// An address goes with the variables.
    OfEnvironment(&'a Surroundings),
}

impl HostConfig {
    /// Finds out where the daemon is: by what is configured, else by the
    /// environment, else by the current context of the docker command line,
    /// else on this machine. Reads files, and dials nothing.
    pub fn resolve(&self, around: &Surroundings) -> Result<Connection, HostError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(host) = given(&self.host) {
            return self.at(
                &host,
                Origin::Configuration,
                Certificates::OfEnvironment(around),
            );
        }
        let (name, origin) = if let Some(name) = given(&self.context) {
            (name, Origin::Configuration)
        } else if let Some(host) = &around.host {
            return self.at(
                host,
                Origin::Variable("DOCKER_HOST"),
                Certificates::OfEnvironment(around),
            );
        } else if let Some(name) = &around.context {
            (name.clone(), Origin::Variable("DOCKER_CONTEXT"))
        } else {
            let file = ConfigFile::read(around.config_directory.as_deref())?;
            (file.current_context, Origin::CurrentContext)
        };
        if name.is_empty() || name == "default" {
            // The command line's own name for doing without a context.
            return match &around.host {
                Some(host) => self.at(
                    host,
                    Origin::Variable("DOCKER_HOST"),
                    Certificates::OfEnvironment(around),
                ),
                None => self.connect(Endpoint::local(), None, Origin::Configuration),
            };
        }
        let context = Context::read(around.config_directory.as_deref(), &name)
            .map_err(|error| HostError::Context { origin, error })?;
        self.at(&context.host, origin, Certificates::OfContext(context.tls))
    }

    /// At an address.
    fn at(
        &self,
        host: &str,
        origin: Origin,
        certificates: Certificates<'_>,
    ) -> Result<Connection, HostError> {
        let endpoint =
            Endpoint::parse(host).map_err(|error| HostError::Endpoint { origin, error })?;
        let is_tcp = matches!(endpoint, Endpoint::Tcp { .. });
        let (tls, origin) = match (&self.tls, certificates) {
            _ if !is_tcp => (None, origin),
            (Some(tls), _) => (Some(tls.clone()), Origin::Configuration),
            (None, Certificates::OfContext(tls)) => (tls, origin),
            (None, Certificates::OfEnvironment(around)) => {
                (around.certificates()?, Origin::Variable("DOCKER_CERT_PATH"))
            }
        };
        self.connect(endpoint, tls, origin)
    }

    fn connect(
        &self,
        endpoint: Endpoint,
        tls: Option<TlsConfig>,
        origin: Origin,
    ) -> Result<Connection, HostError> {
        let endpoint = endpoint.dialled(tls.is_some());
        let wrong = |error| HostError::Tls { origin, error };
        let wire = match (&endpoint, tls) {
            (Endpoint::Tcp { host, .. }, Some(tls)) => Wire::Tls {
                config: Arc::new(tls.build().map_err(wrong)?),
                name: tls.server_name(host).map_err(wrong)?,
                shown: tls.shown(),
            },
            (Endpoint::Ssh(_), _) => Wire::Ssh(Arc::new(self.ssh.clone().unwrap_or_default())),
            _ => Wire::Plain,
        };
        Ok(Connection { endpoint, wire })
    }
}

impl Connection {
    /// Where the daemon listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether everybody on the way can listen, and act in our name.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        matches!(self.wire, Wire::Plain) && !self.endpoint.is_here()
    }
}

#[cfg(test)]
mod tests;
