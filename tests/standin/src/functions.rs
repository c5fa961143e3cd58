//! Function calls, of whatever kind and on whatever way they come in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::query;
use crate::runner::Failure;
use crate::tokens::{self, User};

/// Whoever calls: the bearer of a key, a user, or nobody.
#[derive(Debug, Clone)]
pub struct Caller {
    /// By the key.
    pub identity: Identity,
    /// By the token.
    pub user: Option<Arc<User>>,
}

/// What a function may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads documents.
    Query,
    /// Reads and writes them.
    Mutation,
    /// Does anything else.
    Action,
    /// Whichever of them it is.
    Any,
}

/// How values are written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// So that they can be read again.
    Encoded,
    /// Plainly: 64-bit integers and bytes are texts.
    Plain,
}

/// A call.
pub struct Call<'a> {
    /// What the function has to be.
    pub kind: Kind,
    /// `module:function`; the function `default` may be left out.
    pub path: &'a str,
    /// The arguments, an object.
    pub arguments: &'a Value,
    /// The form of the value.
    pub format: Format,
}

impl Caller {
    /// Nobody.
    pub const NOBODY: Self = Self {
        identity: Identity::Nobody,
        user: None,
    };

    /// Refuses a user whose token has expired meanwhile.
    pub fn check_expiry(&self) -> Result<(), ApiError> {
        match &self.user {
            Some(user) if user.expires <= tokens::now() => Err(ApiError::unauthenticated(
                "TokenExpired",
                "Convex token identity expired",
            )),
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<Deployment>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        deployment: &Arc<Deployment>,
    ) -> Result<Self, Self::Rejection> {
        if let Some(token) = bearer(parts) {
            return Ok(Self {
                user: Some(deployment.user(token).await?),
                ..Self::NOBODY
            });
        }
        Ok(Self {
            identity: deployment.settings.authority.identify(parts)?,
            user: None,
        })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_at_checked(7)?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer ") && !token.is_empty()).then_some(token)
}

/// Runs a function: one of the system's own, or one that was pushed.
pub async fn run(
    deployment: &Deployment,
    caller: &Caller,
    call: Call<'_>,
) -> Result<Result<Value, Failure>, ApiError> {
    let Call {
        kind,
        path,
        arguments,
        format,
    } = call;
    let failed = |message| Failure {
        message,
        data: None,
    };
    if path.starts_with("_system/") && kind == Kind::Query {
        return Ok(
            match query::run(deployment, caller.identity, path, arguments)? {
                query::Outcome::Value(value) => Ok(value),
                query::Outcome::Failure(message) => Err(failed(format!("{message}\n"))),
            },
        );
    }
    if deployment.pushed().modules.is_empty() {
        let message = format!("Could not find public function for '{path}'.\n");
        return Ok(Err(failed(message)));
    }
    deployment
        .call(json!({ "call": {
            "kind": kind.name(),
            "path": path,
            "args": arguments,
            "format": if format == Format::Plain { "json" } else { "convex_encoded_json" },
            "identity": caller.user.as_ref().map(|user| &user.identity),
            "allowInternal": caller.identity != Identity::Nobody,
        } }))
        .await
}

impl Failure {
    /// What a client is told, as fields of a message in which the text has this name.
    #[must_use]
    pub fn told(self, name: &str) -> Value {
        let text = format!(
            "[Request ID: {}] Server Error\n{}",
            request_id(),
            self.message
        );
        let mut fields = json!({ name: text });
        if let Some(data) = self.data {
            fields["errorData"] = data;
        }
        fields
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Action => "action",
            Self::Any => "any",
        }
    }
}

/// A name for one request, in the form of the real backend's.
#[must_use]
pub fn request_id() -> String {
    let mut id = crate::deployment::random_id();
    id.truncate(16);
    id
}
