//! Who asks, and what they may do.

use axum::extract::Query;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::admin_key::{AdminKey, Principal};
use crate::error::ApiError;
use crate::secret::InstanceSecret;

/// What a read-only key may do, in the words and the order of `/api/check_admin_key` (observed).
pub const READ_ONLY_OPERATIONS: [&str; 12] = [
    "ViewEnvironmentVariables",
    "ViewLogs",
    "ViewMetrics",
    "ViewIntegrations",
    "ViewData",
    "ViewBackups",
    "DownloadBackups",
    "RunInternalQueries",
    "RunTestQuery",
    "ViewAuditLog",
    "ViewUsageLimits",
    "ViewUsage",
];

/// The side that checks keys: it knows the instance's name and secret.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The instance's name, which every key must carry.
    pub instance_name: String,
    /// The instance's secret.
    pub secret: InstanceSecret,
}

/// Whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The bearer of an admin key.
    Admin {
        /// Whether the key may only look.
        read_only: bool,
    },
    /// The bearer of a system key. It may do all, but is no administrator to `/api/check_admin_key`.
    System,
    /// Nobody: no key was given.
    Nobody,
}

/// What is asked for, as far as the stand-in distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read variables, URLs or other data.
    View,
    /// Change environment variables or canonical URLs.
    WriteVariables,
    /// Push functions.
    Deploy,
    /// Export a snapshot.
    CreateBackups,
    /// Import a snapshot.
    ImportBackups,
}

impl Operation {
    /// Its name in refusals.
    fn name(self) -> &'static str {
        match self {
            Self::View => "deployment:view",
            Self::WriteVariables => "deployment:env:write",
            Self::Deploy => "deployment:deploy",
            Self::CreateBackups => "deployment:backups:create",
            Self::ImportBackups => "deployment:backups:import",
        }
    }
}

impl Identity {
    /// Refuses, in the words of the API, what this caller may not do.
    pub fn require(self, operation: Operation) -> Result<(), ApiError> {
        match (self, operation) {
            (Self::Nobody, _) => Err(ApiError::bad_deploy_key()),
            (_, Operation::View) | (Self::Admin { read_only: false } | Self::System, _) => Ok(()),
            (Self::Admin { read_only: true }, _) => Err(ApiError::new(
                axum::http::StatusCode::FORBIDDEN,
                "OperationNotPermitted",
                format!(
                    "You do not have permission to perform this operation ({}).",
                    operation.name()
                ),
            )),
        }
    }
}

impl Authority {
    /// Who sent a request, by its `Authorization` header or else its query parameter `adminKey`.
    pub fn identify(&self, parts: &Parts) -> Result<Identity, ApiError> {
        self.by_header(&parts.headers)
            .unwrap_or_else(|| self.by_query(&parts.uri))
    }

    /// Who holds an admin key.
    pub fn by_key(&self, key: &str) -> Result<Identity, ApiError> {
        let key = AdminKey::open(key, &self.instance_name, &self.secret).map_err(|_| {
            ApiError::unauthenticated(
                "BadAdminKey",
                "The provided admin key was invalid for this instance",
            )
        })?;
        Ok(match key.principal {
            Principal::Member(member) => {
                tracing::info!(
                    target: "keybroker::broker",
                    "Admin key accepted from MemberId({member}) at {} for {}",
                    key.issued_s,
                    self.instance_name
                );
                Identity::Admin {
                    read_only: key.read_only,
                }
            }
            Principal::System => Identity::System,
        })
    }

    fn by_header(&self, headers: &HeaderMap) -> Option<Result<Identity, ApiError>> {
        let header = headers.get(AUTHORIZATION)?;
        Some(match header.to_str() {
            Ok(header) => self.by_authorization(header),
            Err(_) => Err(ApiError::bad_request(
                "HeaderParseFailure",
                "The Authorization header is not plain ASCII.",
            )),
        })
    }

    fn by_authorization(&self, header: &str) -> Result<Identity, ApiError> {
        let Some((scheme, credential)) = header.split_at_checked(7) else {
            return Err(ApiError::bad_request(
                "InvalidHeaderFailure",
                "Invalid authentication header",
            ));
        };
        if scheme.eq_ignore_ascii_case("convex ") {
            return self.by_key(acting_key(credential)?);
        }
        if scheme.eq_ignore_ascii_case("bearer ") && !credential.is_empty() {
            return Err(refuse_token(credential.trim()));
        }
        Err(ApiError::bad_request(
            "InvalidAdminKey",
            "Invalid admin key",
        ))
    }

    fn by_query(&self, uri: &Uri) -> Result<Identity, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Parameters {
            admin_key: Option<String>,
        }
        let Query(parameters) = Query::<Parameters>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request("BadQueryArgs", error.body_text()))?;
        parameters
            .admin_key
            .map_or(Ok(Identity::Nobody), |key| self.by_key(&key))
    }
}

/// A key without the kind in front: `prod:name|…` is `name|…`. Of the kinds `preview` and `project` nothing but what
/// comes after the bar is left, which is no instance's key (observed).
fn without_kind(key: &str) -> &str {
    let bar = key.find('|').unwrap_or(0);
    let Some((kind, _)) = key[..bar].split_once(':') else {
        return key;
    };
    let of_cloud = ["preview", "project"].map(|it| kind.eq_ignore_ascii_case(it));
    &key[if of_cloud.contains(&true) {
        bar
    } else {
        kind.len()
    } + 1..]
}

/// The key proper out of `kind:name|key:user`, where the kind and the user (base64 of a JSON object) are optional.
fn acting_key(credential: &str) -> Result<&str, ApiError> {
    let key = without_kind(credential);
    let Some((key, user)) = key.split_once(':') else {
        return Ok(key);
    };
    let user = BASE64_STANDARD
        .decode(user)
        .ok()
        .and_then(|user| serde_json::from_slice::<Value>(&user).ok());
    if user.is_some_and(|user| user.is_object()) {
        Ok(key)
    } else {
        Err(ApiError::bad_request(
            "HeaderParseFailure",
            "The Authorization header names no user to act as.",
        ))
    }
}

/// Why a user's token is refused: always, because tokens are for functions, and none is run.
fn refuse_token(token: &str) -> ApiError {
    let parts: Vec<&str> = token.split('.').collect();
    let payload = match parts[..] {
        [_, payload, _] => BASE64_URL_SAFE_NO_PAD.decode(payload).ok(),
        _ => None,
    };
    match payload.and_then(|payload| serde_json::from_slice::<Value>(&payload).ok()) {
        None => ApiError::unauthenticated(
            "InvalidAuthHeader",
            "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts \
             separated by dots.",
        ),
        Some(payload) if payload["iss"].is_string() => ApiError::unauthenticated(
            "NoAuthProvider",
            "No auth provider is configured that issued this token.",
        ),
        Some(_) => ApiError::unauthenticated(
            "InvalidAuthHeader",
            "The token names no issuer (claim 'iss').",
        ),
    }
}
