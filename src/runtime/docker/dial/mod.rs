//! Connections to a daemon.

mod counted;
mod greeting;
mod ssh;
mod ssh_problem;

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Uri, rt::ReadBufCursor};
use hyper_util::{client::legacy::connect::Connected, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use self::counted::Counted;
pub(super) use self::counted::{Allowance, TooLong};
pub use self::ssh_problem::SshProblem;
use super::host::{Connection, Endpoint, Shown, TlsProblem, Wire};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(30);

/// How many connections are opened at the same time. An SSH server turns away
/// more than ten of which it does not know yet who they are (`MaxStartups`).
const AT_ONCE: usize = 4;

/// Longest reply that is read before it is known what it answers, in bytes.
const MAX_HEAD: u64 = 1 << 20;

/// A failure that is not the system's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DialError {
    Tls(TlsProblem),
    Ssh(SshProblem),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(problem) => problem.fmt(f),
            Self::Ssh(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for DialError {}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        Self::other(error)
    }
}

impl DialError {
    /// What is behind an error of a connection, if it is no other one's.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<Self>() {
            Some(known) => Some(known.clone()),
            None => inner.downcast_ref::<io::Error>().and_then(Self::of),
        }
    }

    /// The same error with its cause, where TLS is the cause with a daemon that
    /// was shown this.
    fn of_tls(error: io::Error, shown: &Shown) -> io::Error {
        fn tls(error: &io::Error) -> Option<&rustls::Error> {
            let inner = error.get_ref()?;
            let nested = || tls(inner.downcast_ref::<io::Error>()?);
            inner.downcast_ref::<rustls::Error>().or_else(nested)
        }
        match tls(&error) {
            Some(tls) => Self::Tls(TlsProblem::of(tls, shown)).into(),
            None => error,
        }
    }
}

/// Opens connections to one daemon.
#[derive(Clone)]
pub(super) struct Dialer {
    connection: Arc<Connection>,
    at_once: Arc<Semaphore>,
}

impl Dialer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Arc::new(connection),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    async fn open(&self) -> io::Result<Conn> {
        let stream: Box<dyn Io> = match (&self.connection.endpoint, &self.connection.wire) {
            (Endpoint::Unix(path), _) => Box::new(UnixStream::connect(path).await?),
            (Endpoint::Tcp { host, port }, wire) => {
                let host = host.trim_matches(['[', ']']);
                let port = port.unwrap_or_default();
                let plain = within(TcpStream::connect((host, port))).await?;
                match wire {
                    Wire::Tls {
                        config,
                        name,
                        shown,
                    } => {
                        let connector = TlsConnector::from(Arc::clone(config));
                        let greeted = within(async {
                            let mut stream = connector.connect(name.clone(), plain).await?;
                            // Whether our certificate is taken is only told
                            // after the handshake. A request that fails then
                            // would leave it open what became of it.
                            greeting::exchange(&mut stream).await?;
                            Ok(stream)
                        });
                        let stream = greeted.await;
                        Box::new(stream.map_err(|error| DialError::of_tls(error, shown))?)
                    }
                    Wire::Plain | Wire::Ssh(_) => Box::new(plain),
                }
            }
            (Endpoint::Ssh(address), wire) => {
                let config = match wire {
                    Wire::Ssh(config) => config.as_ref(),
                    Wire::Plain | Wire::Tls { .. } => &super::host::SshConfig::default(),
                };
                let _turn = self.at_once.acquire().await.map_err(io::Error::other)?;
                Box::new(ssh::open(address, config).await?)
            }
        };
        Ok(Conn(TokioIo::new(Counted::new(stream, MAX_HEAD))))
    }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

type Dialing = Pin<Box<dyn Future<Output = io::Result<Conn>> + Send>>;

impl tower_service::Service<Uri> for Dialer {
    type Response = Conn;
    type Error = io::Error;
    type Future = Dialing;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialing {
        let dialer = self.clone();
        Box::pin(async move { dialer.open().await })
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection to a daemon, of whatever kind.
pub(super) struct Conn(TokioIo<Counted>);

impl hyper_util::client::legacy::connect::Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.0.inner().allowance.clone())
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
