//! What a deployment is called by what depends on it.

use std::{fmt, str::FromStr};

use super::docker::{Endpoint, EndpointError};
use crate::convex::{DeploymentName, NameError};

/// A Docker host, as a configuration names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostRef {
    /// The one that is meant where none is named.
    #[default]
    Default,
    /// One that is configured under this name.
    Named(String),
    /// The one at this address.
    At(Endpoint),
}

/// A text that names no Docker host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostRefError {
    /// Neither an address nor a name.
    #[error(
        "{0:?} is neither an address nor the name of a Docker host. Write an address such as ssh://user@host, or a name of letters, digits, `.`, `_` and `-`."
    )]
    NoName(String),
    /// An address that is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl HostRef {
    /// Whether this may be the name of a host.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
    }
}

impl FromStr for HostRef {
    type Err = HostRefError;

    fn from_str(text: &str) -> Result<Self, HostRefError> {
        if text.is_empty() {
            Ok(Self::Default)
        } else if text.contains("://") {
            Ok(Self::At(Endpoint::parse(text)?))
        } else if Self::is_name(text) {
            Ok(Self::Named(text.to_owned()))
        } else {
            Err(HostRefError::NoName(text.to_owned()))
        }
    }
}

impl fmt::Display for HostRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Named(name) => f.write_str(name),
            Self::At(endpoint) => endpoint.fmt(f),
        }
    }
}

/// A deployment and the host it is on: its name, and behind an `@` the host
/// where that is not the default one. Whoever is told it needs nothing else to
/// find the deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    /// Its name on the host.
    pub name: DeploymentName,
    /// The host.
    pub host: HostRef,
}

/// A text that is no deployment's ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentIdError {
    /// The part that is a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The part that is a host.
    #[error(transparent)]
    Host(#[from] HostRefError),
}

impl DeploymentId {
    /// Reads an ID.
    pub fn parse(text: &str) -> Result<Self, DeploymentIdError> {
        let (name, host) = text.split_once('@').unwrap_or((text, ""));
        let id = Self {
            name: DeploymentName::parse(name)?,
            host: host.parse()?,
        };
        if text.ends_with('@') {
            return Err(HostRefError::NoName(String::new()).into());
        }
        Ok(id)
    }
}

impl FromStr for DeploymentId {
    type Err = DeploymentIdError;

    fn from_str(text: &str) -> Result<Self, DeploymentIdError> {
        Self::parse(text)
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostRef::Default => self.name.fmt(f),
            host => write!(f, "{}@{host}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeploymentId, DeploymentIdError, HostRef};

    #[test]
    fn an_id_is_a_name_and_where_needed_a_host() {
        for (text, host) in [
            ("app", HostRef::Default),
            ("app@gpu-1", HostRef::Named("gpu-1".to_owned())),
            (
                "app@ssh://me@h:22/run/d.sock",
                "ssh://me@h:22/run/d.sock".parse().unwrap(),
            ),
            (
                "app@unix:///run/d.sock",
                "unix:///run/d.sock".parse().unwrap(),
            ),
        ] {
            let id = DeploymentId::parse(text).unwrap();
            assert_eq!(id.name.as_str(), "app");
            assert_eq!(id.host, host);
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "App", "app@", "@gpu", "app@a b", "app@tcp://", "app@-x"] {
            assert!(DeploymentId::parse(text).is_err(), "{text}");
        }
        assert!(matches!(
            DeploymentId::parse("a_b@gpu"),
            Err(DeploymentIdError::Name(_))
        ));
    }
}
