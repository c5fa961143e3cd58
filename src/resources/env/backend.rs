//! The backend whose variables these are.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::model::Model;
use crate::{
    backend::{BackendError, Client, HttpTransport, Request, Response, Transport, TransportError},
    convex::{Access, AdminKey, ApiOrigin, Reach, Secret},
    plugin::{Cx, Diagnostic, redact},
    resources::{
        deployment::{Found, locate},
        issue_key,
    },
    runtime::{
        DeploymentId, Names,
        docker::{Docker, ExecTransport, Patience},
    },
    session::{Listing, Live, Session},
};

/// Either way to a backend.
#[derive(Debug)]
pub enum Way {
    /// Through its container.
    Exec(ExecTransport<Arc<Docker>>),
    /// Straight, for so long at most.
    Http(Box<HttpTransport>, Bounds),
}

/// How long a way is gone, and what can end that before.
#[derive(Clone, Debug)]
pub struct Bounds {
    patience: Patience,
    cancel: CancellationToken,
}

impl Bounds {
    async fn keep<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let left = self.patience.left();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(TransportError::Interrupted),
            outcome = work => outcome,
            () = tokio::time::sleep(left) => Err(TransportError::TimedOut { seconds: left.as_secs() }),
        }
    }
}

impl Transport for Way {
    async fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<Response, TransportError> {
        match self {
            Self::Exec(transport) => transport.send(request, key).await,
            Self::Http(transport, bounds) => bounds.keep(transport.send(request, key)).await,
        }
    }

    fn patience(&self) -> Duration {
        match self {
            Self::Exec(transport) => transport.patience(),
            Self::Http(transport, bounds) => transport.patience().min(bounds.patience.left()),
        }
    }

    async fn log(&self) -> Option<String> {
        match self {
            Self::Exec(transport) => transport.log().await,
            Self::Http(transport, _) => transport.log().await,
        }
    }
}

/// What this provider knows of a deployment that it runs itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// Where its HTTP actions answer, and who issues tokens.
    pub site_origin: String,
    /// Where browsers reach its HTTP actions, if elsewhere.
    pub custom_site: Option<String>,
    /// Whether secrets may be kept in the state.
    pub keeps_secrets: bool,
}

impl Traits {
    /// Those of a deployment that was seen.
    pub fn of(live: &Live) -> Self {
        Self {
            keeps_secrets: live.keeps_secrets,
            ..Self::of_reach(&live.reach)
        }
    }

    /// Those of a deployment with secrets in the state.
    pub fn of_reach(reach: &Reach) -> Self {
        Self {
            keeps_secrets: true,
            site_origin: reach.issuer().to_string(),
            custom_site: reach.custom_site().map(ToString::to_string),
        }
    }
}

/// What there is of the backend.
#[derive(Debug)]
pub enum Backend {
    /// It can be asked.
    Running {
        /// With this.
        client: Box<Client<Way>>,
        /// What is known when this provider runs it.
        traits: Option<Traits>,
    },
    /// Its data is there, but nothing answers.
    Stopped {
        /// What is known when this run knows.
        traits: Option<Traits>,
    },
    /// There is nothing.
    Gone,
}

impl Backend {
    /// What is known of it, when this provider runs it.
    pub fn traits(&self) -> Option<&Traits> {
        match self {
            Self::Running { traits, .. } | Self::Stopped { traits } => traits.as_ref(),
            Self::Gone => None,
        }
    }
}

/// Which backend, and how to get in.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The deployment of this provider's, or
    pub deployment: Option<String>,
    /// the address of any other one,
    pub url: Option<String>,
    /// with its key,
    pub admin_key: Option<Secret>,
    /// and who signed its certificate.
    pub ca_pem: Option<String>,
}

impl Target {
    /// The one of a model.
    pub fn of(model: &Model) -> Self {
        Self {
            deployment: model.deployment.clone(),
            url: model.url.clone(),
            admin_key: model
                .admin_key
                .clone()
                .or_else(|| model.admin_key_wo.clone()),
            ca_pem: model.ca_pem.clone(),
        }
    }

    /// What tells it from others, and the resource's ID.
    pub fn id(&self) -> Option<&str> {
        self.deployment.as_deref().or(self.url.as_deref())
    }

    /// Whether its key is neither kept nor known now.
    pub fn lacks_key(&self) -> bool {
        self.url.is_some() && self.admin_key.is_none()
    }

    /// How it is called in messages.
    pub fn object(&self) -> String {
        match (&self.deployment, &self.url) {
            (Some(deployment), _) => format!("deployment {deployment:?}"),
            (None, Some(url)) => format!("the deployment at {url}"),
            (None, None) => "the deployment".to_owned(),
        }
    }
}

/// Finds the backend.
pub async fn find(
    cx: &Cx<Session>,
    target: &Target,
    patience: &Patience,
) -> Result<Backend, Diagnostic> {
    match (&target.deployment, &target.url) {
        (Some(deployment), _) => by_deployment(cx, deployment, patience).await,
        (None, Some(url)) => {
            let bounds = Bounds {
                patience: patience.clone(),
                cancel: cx.cancellation(),
            };
            by_url(url, target, bounds)
        }
        (None, None) => Ok(Backend::Gone),
    }
}

async fn by_deployment(
    cx: &Cx<Session>,
    deployment: &str,
    patience: &Patience,
) -> Result<Backend, Diagnostic> {
    let live = match locate(cx, deployment).await? {
        Found::Running(live) => live,
        Found::Stopped(live) => {
            return Ok(Backend::Stopped {
                traits: live.as_ref().map(Traits::of),
            });
        }
        Found::Gone => return Ok(Backend::Gone),
    };
    let id = DeploymentId::parse(deployment).map_err(|error| invalid("deployment", &error))?;
    let secret = live.secret.as_ref().ok_or_else(|| {
        Diagnostic::error(
            "The instance secret is gone",
            format!("The volume of deployment {deployment:?} has no instance secret, so its backend cannot be spoken to. Apply the configuration that manages it."),
        )
        .at("deployment")
    })?;
    let key = issue_key(&live.instance_name, secret, Access::Full)?;
    let docker = cx.session.hosts().docker(&id.host)?;
    let transport = ExecTransport::new(docker, Names::of(&id.name), patience.clone())
        .in_container(live.backend.clone());
    Ok(Backend::Running {
        client: Box::new(Client::new(Way::Exec(transport), key)),
        traits: Some(Traits::of(&live)),
    })
}

fn by_url(url: &str, target: &Target, bounds: Bounds) -> Result<Backend, Diagnostic> {
    let origin = ApiOrigin::parse(url).map_err(|error| invalid("url", &error))?;
    let key = target.admin_key.clone().unwrap_or_default();
    redact::remember(key.expose());
    let key = AdminKey::parse(key.expose()).map_err(|error| invalid("admin_key", &error))?;
    let transport = HttpTransport::new(&origin, target.ca_pem.as_deref())
        .map_err(|error| invalid("url", &error))?;
    Ok(Backend::Running {
        client: Box::new(Client::new(Way::Http(Box::new(transport), bounds), key)),
        traits: None,
    })
}

fn invalid(attribute: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
}

/// All variables, or `None` where the key may not see them or the backend has
/// no way to tell.
pub async fn list(client: &Client<Way>) -> Result<Option<Listing>, BackendError> {
    match client.variables().await {
        Ok(variables) => Ok(Some(Arc::new(variables))),
        Err(BackendError::NotAllowed | BackendError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
