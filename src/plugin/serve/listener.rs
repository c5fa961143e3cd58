//! The socket Terraform connects to, and its connections.

use std::{
    fs::Permissions,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::stream;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{mpsc, watch},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use super::{Launch, temporary_directory};

/// A socket's path must fit `sockaddr_un.sun_path`, 108 bytes with the final
/// NUL.
const LONGEST_SOCKET_PATH: usize = 107;

const SOCKET_NAME: &str = "plugin.sock";

/// Where the server listens.
pub(super) enum Address {
    Unix(String),
    Tcp(SocketAddr),
}

impl Address {
    /// The network and the address, as go-plugin writes them.
    pub(super) fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Unix(path) => ("unix", path.clone()),
            Self::Tcp(address) => ("tcp", address.to_string()),
        }
    }
}

pub(super) struct Listener {
    socket: Socket,
    address: Address,
    directory: Option<TempDir>,
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens on a Unix socket in a directory only this user can enter, or
    /// on a port of the loopback interface where that was asked for.
    pub(super) fn bind(launch: &Launch) -> io::Result<Self> {
        if launch.tcp {
            return Self::bind_tcp(launch.ports);
        }
        let directory = private_directory(&temporary_directory(launch))?;
        let path = directory.path().join(SOCKET_NAME);
        let socket = UnixListener::bind(&path)?;
        Ok(Self {
            socket: Socket::Unix(socket),
            address: Address::Unix(path.to_string_lossy().into_owned()),
            directory: Some(directory),
        })
    }

    fn bind_tcp((first, last): (u16, u16)) -> io::Result<Self> {
        let mut failure = io::Error::other("no port to try");
        for port in first..=last {
            match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(socket) => {
                    socket.set_nonblocking(true)?;
                    let socket = TcpListener::from_std(socket)?;
                    let address = Address::Tcp(socket.local_addr()?);
                    return Ok(Self {
                        socket: Socket::Tcp(socket),
                        address,
                        directory: None,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the directory of the socket, which is removed when it is dropped.
    pub(super) fn directory(&mut self) -> Option<TempDir> {
        self.directory.take()
    }

    /// Accepts connections, and counts those that are open.
    pub(super) fn accept(
        self,
        tls: Option<TlsAcceptor>,
    ) -> (
        impl stream::Stream<Item = io::Result<Connection>>,
        watch::Receiver<Connections>,
    ) {
        let (count, counter) = watch::channel(Connections::default());
        let count = Arc::new(count);
        let (ready, incoming) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Ok(plain) = self.socket.accept().await {
                let (tls, ready, open) = (tls.clone(), ready.clone(), Open::new(&count));
                // A client that is slow to prove who it is delays nobody.
                tokio::spawn(async move {
                    let io = match tls {
                        None => Io::Plain(plain),
                        Some(tls) => match tls.accept(plain).await {
                            Ok(stream) => Io::Tls(Box::new(stream)),
                            Err(error) => {
                                tracing::warn!(%error, "refused a connection");
                                return;
                            }
                        },
                    };
                    let _ = ready.send(Ok(Connection { io, _open: open })).await;
                });
            }
        });
        let incoming = stream::unfold(incoming, |mut incoming| async move {
            incoming
                .recv()
                .await
                .map(|connection| (connection, incoming))
        });
        (incoming, counter)
    }
}

/// A directory for the socket whose path is short enough. A long `TMPDIR` is
/// passed over: Terraform gets the whole path anyway.
fn private_directory(wanted: &Path) -> io::Result<TempDir> {
    let make = |within: &Path| {
        tempfile::Builder::new()
            .prefix("terraform-plugin-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(within)
    };
    let directory = make(wanted)?;
    let length = directory.path().as_os_str().len() + 1 + SOCKET_NAME.len();
    if length <= LONGEST_SOCKET_PATH {
        return Ok(directory);
    }
    make(Path::new("/tmp"))
}

impl Socket {
    async fn accept(&self) -> io::Result<Plain> {
        loop {
            let accepted = match self {
                Self::Unix(socket) => socket.accept().await.map(|(it, _)| Plain::Unix(it)),
                Self::Tcp(socket) => socket.accept().await.map(|(it, _)| Plain::Tcp(it)),
            };
            match accepted {
                // The client went away again before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }
}

/// How many connections there were and are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connections {
    /// How many were accepted so far. One that is gone at once is noticed by
    /// this number alone.
    pub(super) accepted: usize,
    /// How many of them are open.
    pub(super) open: usize,
}

/// Counts as one open connection for as long as it lives.
struct Open(Arc<watch::Sender<Connections>>);

impl Open {
    fn new(count: &Arc<watch::Sender<Connections>>) -> Self {
        count.send_modify(|it| {
            it.accepted += 1;
            it.open += 1;
        });
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|it| it.open -= 1);
    }
}

pub(super) enum Plain {
    Unix(UnixStream),
    Tcp(TcpStream),
}

enum Io {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
}

/// A connection from Terraform.
pub(super) struct Connection {
    io: Io,
    _open: Open,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

macro_rules! delegate_io {
    ($type:ty, $this:ident => { $($pattern:pat => $inner:expr),+ $(,)? }) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                match $this { $($pattern => Pin::new($inner).poll_read(cx, buf)),+ }
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                match $this { $($pattern => Pin::new($inner).poll_write(cx, buf)),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                match $this { $($pattern => Pin::new($inner).poll_flush(cx)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                match $this { $($pattern => Pin::new($inner).poll_shutdown(cx)),+ }
            }
        }
    };
}

delegate_io!(Plain, this => {
    Self::Unix(stream) => stream,
    Self::Tcp(stream) => stream,
});

delegate_io!(Connection, this => {
    Self { io: Io::Plain(stream), .. } => stream,
    Self { io: Io::Tls(stream), .. } => &mut **stream,
});
