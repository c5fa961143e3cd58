//! What the operations of one run share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::{
    convex::{InstanceName, InstanceSecret, Origins},
    plugin::{Diagnostic, Known},
    runtime::docker::{Docker, Endpoint},
};

/// A configured provider.
#[derive(Debug)]
pub struct Session {
    /// `None` while the address is not known.
    endpoint: Option<Endpoint>,
    docker: OnceLock<Arc<Docker>>,
    deployments: Mutex<HashMap<String, Deployment>>,
    backends: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What this run knows of a deployment, from the resource that manages it.
///
/// Terraform shows a resource its own values only. What depends on a
/// deployment, such as the issuer of tokens on its origin, is planned from
/// this: Terraform handles a deployment before what depends on it.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// What it will be, once this run has planned it.
    pub planned: Option<Planned>,
    /// What was last seen of it.
    pub live: Option<Live>,
}

/// What a deployment will be.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Whether it is made, and so has none of what it may have had before.
    pub creates: bool,
    /// Its origins.
    pub origins: Known<Origins>,
    /// Whether it will run.
    pub running: Known<bool>,
}

/// What was last seen of a deployment.
#[derive(Clone, Debug)]
pub struct Live {
    /// The name of its instance.
    pub instance_name: InstanceName,
    /// The secret that keys to its backend are made from.
    pub secret: InstanceSecret,
    /// The origins its backend was started with.
    pub origins: Origins,
    /// Whether its backend runs.
    pub running: bool,
}

impl Session {
    pub(crate) fn with_docker(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::without_docker()
        }
    }

    pub(crate) fn without_docker() -> Self {
        Self {
            endpoint: None,
            docker: OnceLock::new(),
            deployments: Mutex::default(),
            backends: Mutex::default(),
        }
    }

    /// The Docker daemon. Not dialled yet.
    pub fn docker(&self) -> Result<Arc<Docker>, Diagnostic> {
        if let Some(docker) = self.docker.get() {
            return Ok(Arc::clone(docker));
        }
        let endpoint = self.endpoint.clone().ok_or_else(|| {
            Diagnostic::error(
                "Docker address not known yet",
                "The provider's docker.host depends on something that is only made during apply, but a deployment that exists has to be looked at now. Apply what it depends on first, for example with -target.",
            )
        })?;
        let docker = Docker::new(endpoint)
            .map_err(|error| Diagnostic::error("Cannot use Docker", error.to_string()))?;
        Ok(Arc::clone(self.docker.get_or_init(|| Arc::new(docker))))
    }

    /// Whether the Docker daemon's address is known.
    #[must_use]
    pub fn knows_docker(&self) -> bool {
        self.endpoint.is_some()
    }

    fn deployments(&self) -> MutexGuard<'_, HashMap<String, Deployment>> {
        self.deployments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a deployment.
    #[must_use]
    pub fn deployment(&self, name: &str) -> Deployment {
        self.deployments().get(name).cloned().unwrap_or_default()
    }

    /// Notes something of a deployment.
    pub fn note(&self, name: &str, change: impl FnOnce(&mut Deployment)) {
        change(self.deployments().entry(name.to_owned()).or_default());
    }

    /// Keeps changes to one backend apart: it answers parallel ones with
    /// conflicts.
    pub async fn exclusively(&self, backend: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(backends.entry(backend.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
