//! The listening socket, with connections that a request's handler can cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Pause after the system refused a connection, for want of file descriptors most of all.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// A TCP listener whose connections can be cut.
pub struct Door(pub TcpListener);

/// A TCP connection that ends at once when it is cut.
pub struct Cuttable {
    stream: TcpStream,
    knife: Knife,
}

/// Cuts the connection that a request came in on: whatever is answered afterwards does not leave.
#[derive(Clone, Default)]
pub struct Knife(Arc<AtomicU8>);

/// The connection of a request: who is at its other end, and how to cut it.
#[derive(Clone)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Cuts it.
    pub knife: Knife,
}

const WHOLE: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

impl Knife {
    /// Ends the connection as a process that goes away does: the peer reads the end of the stream.
    pub fn close(&self) {
        self.0.store(CLOSED, Ordering::Relaxed);
    }

    /// Ends the connection by a TCP reset.
    pub fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }
}

impl Cuttable {
    fn check(&self) -> io::Result<()> {
        match self.knife.0.load(Ordering::Relaxed) {
            WHOLE => Ok(()),
            CLOSED => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

impl Listener for Door {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    // Without this a small answer may wait for the peer's acknowledgement of its head.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!("cannot set TCP_NODELAY: {error}");
                    }
                    return (
                        Cuttable {
                            stream,
                            knife: Knife::default(),
                        },
                        peer,
                    );
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self {
            peer: *stream.remote_addr(),
            knife: stream.io().knife.clone(),
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
