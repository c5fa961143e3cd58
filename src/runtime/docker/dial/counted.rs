//! A connection that gives no more bytes than a reply may have.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;

/// The reply is longer than any that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon's reply has more than {0} bytes")]
pub(in crate::runtime::docker) struct TooLong(u64);

impl TooLong {
    /// What is behind an error, if it is one.
    pub(in crate::runtime::docker) fn of(
        error: &(dyn std::error::Error + 'static),
    ) -> Option<Self> {
        let io = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let inner = io.map(|it| it as &(dyn std::error::Error + 'static));
        error
            .downcast_ref()
            .copied()
            .or_else(|| inner.and_then(Self::of))
            .or_else(|| error.source().and_then(Self::of))
    }
}

/// How long the reply may be that is read from a connection.
#[derive(Clone, Debug)]
pub(in crate::runtime::docker) struct Allowance(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    all: AtomicU64,
    left: AtomicU64,
}

impl Allowance {
    fn new(bytes: u64) -> Self {
        Self(Arc::new(Bytes {
            all: bytes.into(),
            left: bytes.into(),
        }))
    }

    /// From here on so many bytes.
    pub(in crate::runtime::docker) fn set(&self, bytes: u64) {
        self.0.all.store(bytes, Ordering::Relaxed);
        self.0.left.store(bytes, Ordering::Relaxed);
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let left = self.0.left.load(Ordering::Relaxed).checked_sub(bytes);
        let left =
            left.ok_or_else(|| io::Error::other(TooLong(self.0.all.load(Ordering::Relaxed))))?;
        self.0.left.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// A connection with what may still be read of it.
pub(super) struct Counted {
    io: Box<dyn Io>,
    pub(super) allowance: Allowance,
}

impl Counted {
    /// One that gives no more than `bytes` unless more is allowed.
    pub(super) fn new(io: Box<dyn Io>, bytes: u64) -> Self {
        Self {
            io,
            allowance: Allowance::new(bytes),
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        Poll::Ready(self.allowance.spend(read as u64))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
