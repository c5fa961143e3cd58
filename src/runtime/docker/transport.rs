//! How requests reach a Docker daemon.
//!
//! Requests name no API version, so that each daemon, of whatever age, takes
//! its own and nothing needs to be negotiated. What it says of its version in
//! its first reply decides whether it is new enough.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::{Uri, rt::ReadBufCursor};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use url::Url;

/// How long a daemon may take to begin a reply, in seconds. The longest
/// legitimate wait is for a container that is given time to end.
const REPLY_S: u64 = 90;

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// On a Unix socket.
    Unix(String),
    /// On a TCP port, without TLS.
    Tcp {
        /// The host name or address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// A text that names no daemon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not of the form of an address.
    #[error(
        "{given:?} is no address of a Docker daemon. Write unix:///var/run/docker.sock or tcp://host:2375."
    )]
    Malformed {
        /// What was given.
        given: String,
    },
    /// A way to a daemon that is not supported.
    #[error("{scheme}:// is not supported. Use unix:// or tcp://.")]
    Scheme {
        /// The part before the `://`.
        scheme: String,
    },
}

/// The port of a daemon that is reached without TLS.
const TCP_PORT: u16 = 2375;

impl Endpoint {
    /// The daemon of this machine.
    #[must_use]
    pub fn local() -> Self {
        Self::Unix("/var/run/docker.sock".to_owned())
    }

    /// Reads an address as `DOCKER_HOST` has it.
    pub fn parse(given: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed {
            given: given.to_owned(),
        };
        let (scheme, rest) = given.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.to_owned())),
            "tcp" | "http" => {
                let url = Url::parse(&format!("http://{rest}")).map_err(|_| malformed())?;
                let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
                match url.host_str() {
                    Some(host) if bare => Ok(Self::Tcp {
                        host: host.to_owned(),
                        // The port 80 of such a URL would be a default of ours.
                        port: url.port().unwrap_or(TCP_PORT),
                    }),
                    _ => Err(malformed()),
                }
            }
            "unix" => Err(malformed()),
            scheme => Err(EndpointError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    async fn open(&self) -> io::Result<Box<dyn Io>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp { host, port } => {
                let host = host.trim_matches(['[', ']']);
                Box::new(TcpStream::connect((host, *port)).await?)
            }
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(u32, u32);

impl ApiVersion {
    /// The oldest one that has all that is used here, that of Docker 20.10.
    pub(super) const OLDEST: Self = Self(1, 41);

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
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

/// Makes a client. Nothing is dialled before its first request.
pub(super) fn client(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    let dialer = Dialer(Arc::new(endpoint.clone()));
    let client = Client::builder(TokioExecutor::new()).build(dialer);
    let checked = Arc::new(AtomicU32::new(0));
    let transport = move |request: BollardRequest| {
        let (client, checked) = (client.clone(), Arc::clone(&checked));
        async move {
            let response = client
                .request(unversioned(request))
                .await
                .map_err(|error| bollard::errors::Error::IOError {
                    err: io_error(&error),
                })?;
            if checked.load(Ordering::Relaxed) == 0 {
                check_version(response.headers())?;
                checked.store(1, Ordering::Relaxed);
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

fn check_version(headers: &hyper::HeaderMap) -> Result<(), bollard::errors::Error> {
    let found = headers
        .get("api-version")
        .and_then(|version| ApiVersion::parse(version.to_str().ok()?));
    match found {
        Some(found) if found < ApiVersion::OLDEST => Err(bollard::errors::Error::IOError {
            err: io::Error::other(TooOld {
                found,
                oldest: ApiVersion::OLDEST,
            }),
        }),
        _ => Ok(()),
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

/// The cause of a failed request, when it is one of the system's.
fn io_error(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            };
        }
        source = cause.source();
    }
    io::Error::other(error.to_string())
}

#[derive(Clone)]
struct Dialer(Arc<Endpoint>);

type Dialing = Pin<Box<dyn Future<Output = io::Result<Conn>> + Send>>;

impl tower_service::Service<Uri> for Dialer {
    type Response = Conn;
    type Error = io::Error;
    type Future = Dialing;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialing {
        let endpoint = Arc::clone(&self.0);
        Box::pin(async move { endpoint.open().await.map(|io| Conn(TokioIo::new(io))) })
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection to a daemon, of whatever kind.
struct Conn(TokioIo<Box<dyn Io>>);

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError};

    #[test]
    fn addresses_are_read_as_docker_host_has_them() {
        let unix = Endpoint::parse("unix:///run/user/1000/docker.sock").unwrap();
        assert_eq!(unix, Endpoint::Unix("/run/user/1000/docker.sock".into()));
        let tcp = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(Endpoint::parse("tcp://h").unwrap(), tcp("h", 2375));
        assert_eq!(Endpoint::parse("tcp://h:1/").unwrap(), tcp("h", 1));
        assert_eq!(Endpoint::parse("tcp://[::1]:1").unwrap(), tcp("[::1]", 1));
        for address in ["unix:///a.sock", "tcp://h:2375", "tcp://[::1]:2375"] {
            assert_eq!(Endpoint::parse(address).unwrap().to_string(), address);
        }
    }

    #[test]
    fn what_names_no_daemon_is_refused() {
        for given in [
            "",
            "docker.sock",
            "unix://docker.sock",
            "tcp://",
            "tcp://h:x",
            "tcp://h/p",
        ] {
            assert!(
                matches!(Endpoint::parse(given), Err(EndpointError::Malformed { .. })),
                "{given}"
            );
        }
        assert_eq!(
            Endpoint::parse("npipe:////./pipe/docker_engine"),
            Err(EndpointError::Scheme {
                scheme: "npipe".into()
            })
        );
    }
}
