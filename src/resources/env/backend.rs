//! The backend whose variables these are.

use std::sync::Arc;

use super::model::Model;
use crate::{
    backend::{Client, HttpTransport, Request, Response, Transport, TransportError},
    convex::{Access, AdminKey, ApiOrigin, DeploymentName},
    plugin::{Cx, Diagnostic},
    resources::deployment::{Found, locate},
    runtime::{
        Names, Role,
        docker::{Docker, ExecTransport, Patience},
    },
    session::Session,
};

/// Either way to a backend.
#[derive(Debug)]
pub enum Way {
    /// Through its container.
    Exec(ExecTransport<Arc<Docker>>),
    /// Straight.
    Http(Box<HttpTransport>),
}

impl Transport for Way {
    async fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<Response, TransportError> {
        match self {
            Self::Exec(transport) => transport.send(request, key).await,
            Self::Http(transport) => transport.send(request, key).await,
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
        /// Where its HTTP actions answer, when this provider started it.
        site_origin: Option<String>,
    },
    /// Its data is there, but nothing answers.
    Stopped {
        /// Where its HTTP actions will answer, when this run knows.
        site_origin: Option<String>,
    },
    /// There is nothing.
    Gone,
}

/// How the backend is called in messages.
pub fn object(model: &Model) -> String {
    match (&model.deployment, &model.url) {
        (Some(deployment), _) => format!("deployment {deployment:?}"),
        (None, Some(url)) => format!("the deployment at {url}"),
        (None, None) => "the deployment".to_owned(),
    }
}

/// Finds the backend.
pub async fn find(
    cx: &Cx<Session>,
    model: &Model,
    patience: &Patience,
) -> Result<Backend, Diagnostic> {
    match (&model.deployment, &model.url) {
        (Some(deployment), _) => by_deployment(cx, deployment, patience).await,
        (None, Some(url)) => by_url(url, model),
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
                site_origin: live.map(|live| live.origins.site.to_string()),
            });
        }
        Found::Gone => return Ok(Backend::Gone),
    };
    let name = DeploymentName::parse(deployment).map_err(|error| invalid("deployment", &error))?;
    let key = AdminKey::issue(&live.instance_name, &live.secret, Access::Full)
        .map_err(|error| Diagnostic::error("Cannot make the admin key", error.to_string()))?;
    let container = Names::of(&name).container(Role::Backend);
    let transport = ExecTransport::new(cx.session.docker()?, container, patience.clone());
    Ok(Backend::Running {
        client: Box::new(Client::new(Way::Exec(transport), key)),
        site_origin: Some(live.origins.site.to_string()),
    })
}

fn by_url(url: &str, model: &Model) -> Result<Backend, Diagnostic> {
    let origin = ApiOrigin::parse(url).map_err(|error| invalid("url", &error))?;
    let key = model.admin_key.clone().unwrap_or_default();
    let key = AdminKey::parse(key.expose()).map_err(|error| invalid("admin_key", &error))?;
    let transport = HttpTransport::new(&origin, None).map_err(|error| invalid("url", &error))?;
    Ok(Backend::Running {
        client: Box::new(Client::new(Way::Http(Box::new(transport)), key)),
        site_origin: None,
    })
}

fn invalid(attribute: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
}
