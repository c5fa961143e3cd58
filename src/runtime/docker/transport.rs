//! How requests reach a Docker daemon.
//!
//! Requests name no API version, so that each daemon, of whatever age, takes
//! its own and nothing needs to be negotiated. What it says of its version in
//! its first reply decides whether it is new enough.

use std::{fmt, io, sync::Arc};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::{Uri, header::HeaderValue};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use super::{
    dial::{Allowance, DialError, Dialer},
    engine::Engine,
    host::Connection,
};

/// How long a daemon may take to begin a reply, in seconds. The longest
/// legitimate wait is for a container that is given time to end.
const REPLY_S: u64 = 90;

/// Longest reply that is read as a whole, in bytes: twice what a program may print, which is
/// refused with better words.
const MAX_REPLY: u64 = 32 << 20;

/// Longest report of a pull, in bytes. Each of its lines is read as a whole.
const MAX_PULL: u64 = 128 << 20;

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(u32, u32);

impl ApiVersion {
    /// The oldest one that has all that is used here, that of Docker 20.10.
    pub(super) const OLDEST: Self = Self(1, 41);

    /// The first one of Podman's own that changes containers.
    pub(super) const FLEXIBLE: Self = Self(5, 1);

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        // Podman's has a third part.
        let minor = minor.split('.').next()?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The daemon's API is older than what is used here.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the daemon's API {found} is older than {oldest}")]
pub(super) struct TooOld {
    pub(super) found: ApiVersion,
    pub(super) oldest: ApiVersion,
}

/// The connection was lost while a request was under way.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) String);

/// Makes a client. Nothing is dialled before its first request, and everything
/// that uses the client shares its connections.
pub(super) fn client(
    connection: Connection,
    engine: Arc<Engine>,
) -> Result<Docker, bollard::errors::Error> {
    let client = Client::builder(TokioExecutor::new()).build(Dialer::new(connection));
    let transport = move |request: BollardRequest| {
        let (client, engine) = (client.clone(), Arc::clone(&engine));
        async move {
            let request = unversioned(request);
            let longest = longest(request.uri().path(), &engine);
            let response = client
                .request(well_encoded(request))
                .await
                .map_err(|error| bollard::errors::Error::IOError {
                    err: io_error(&error, error.is_connect()),
                })?;
            engine
                .note(response.headers())
                .map_err(|too_old| bollard::errors::Error::IOError {
                    err: io::Error::other(too_old),
                })?;
            if let Some(allowance) = response.extensions().get::<Allowance>() {
                let is_refusal = response.status().as_u16() >= 400;
                allowance.set(if is_refusal { MAX_REPLY } else { longest });
            }
            Ok(response)
        }
    };
    Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        REPLY_S,
        API_DEFAULT_VERSION,
    )
}

/// How many bytes a reply may have. Whatever reads an archive counts for itself.
fn longest(path: &str, engine: &Engine) -> u64 {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["containers", _, "archive"] => u64::MAX,
        ["images", "create"] => MAX_PULL,
        ["exec", id, "start"] => engine.output_of(id).unwrap_or(MAX_REPLY),
        _ => MAX_REPLY,
    }
}

/// The request without an API version in its path.
fn unversioned(mut request: BollardRequest) -> BollardRequest {
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let is_version = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|version| ApiVersion::parse(version).is_some())
    };
    let stripped = path
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .filter(|(first, _)| is_version(first))
        .map(|(_, rest)| format!("http://docker/{rest}"));
    if let Some(uri) = stripped.and_then(|uri| uri.parse::<Uri>().ok()) {
        *request.uri_mut() = uri;
    }
    request
}

/// The request with its credentials as Docker reads them: in base64 for URLs
/// (moby, `api/types/registry/authconfig.go`). The client's library writes the
/// other kind, of which daemons make no credentials at all, without a word.
fn well_encoded(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let text = value.to_str().unwrap_or_default();
        let text = text.replace('+', "-").replace('/', "_");
        if let Ok(mut encoded) = HeaderValue::try_from(text) {
            encoded.set_sensitive(true);
            *value = encoded;
        }
    }
    request
}

/// The cause of a failed request, in a form that tells what it was.
fn io_error(error: &(dyn std::error::Error + 'static), connecting: bool) -> io::Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if let Some(known) = DialError::of(io) {
                return known.into();
            }
            if !connecting {
                return io::Error::other(Lost(io.to_string()));
            }
            return match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            };
        }
        source = cause.source();
    }
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    io::Error::other(Lost(innermost.to_string()))
}
