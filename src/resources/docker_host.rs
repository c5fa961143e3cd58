//! The attribute `docker` of what may be on another Docker host.

use serde::{Deserialize, Serialize};

use crate::{
    plugin::{
        Diagnostic,
        schema::{Attr, Fields, Group, Optional, object, string},
    },
    runtime::HostRef,
};

/// Which Docker host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerModel {
    /// Its address, or its name among the provider's.
    pub host: Option<String>,
}

impl DockerModel {
    /// The attribute.
    #[must_use]
    pub fn attribute(description: &'static str) -> Attr<Optional, Group> {
        object(
            Fields::new().with(
                "host",
                string("An address, such as `ssh://user@host`, which is dialled with the provider's `docker.tls` or `docker.ssh`; or a name among the provider's `docker.hosts`. Null or empty means the provider's own.")
                    .optional()
                    .parsed::<HostRef>(),
            ),
            description,
        )
        .optional()
    }

    /// The host. The attribute was checked before, so a failure here is that of
    /// a state edited by hand.
    pub fn host(model: Option<&Self>) -> Result<HostRef, Diagnostic> {
        let text = model.and_then(|it| it.host.as_deref()).unwrap_or_default();
        text.parse().map_err(|error: crate::runtime::HostRefError| {
            Diagnostic::error("Invalid value for docker.host", error.to_string()).at("docker.host")
        })
    }

    /// That of a host.
    #[must_use]
    pub fn of(host: &HostRef) -> Option<Self> {
        match host {
            HostRef::Default => None,
            host => Some(Self {
                host: Some(host.to_string()),
            }),
        }
    }
}
