//! Ways to a server.

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};

use super::DatabaseError;
use crate::convex::postgres::HostPort;

/// How long one address of a host may take to answer, before the next one is tried.
const ADDRESS: Duration = Duration::from_secs(10);

/// A way to open a stream of bytes to a server: over TCP from here, or through something else that
/// reaches it, such as a program in a container of the same network.
pub trait Dial: Send + Sync {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a stream. Nothing has been sent on it yet.
    fn dial(
        &self,
        server: &HostPort,
    ) -> impl Future<Output = Result<Self::Stream, DatabaseError>> + Send;
}

/// Over TCP from this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    type Stream = TcpStream;

    async fn dial(&self, server: &HostPort) -> Result<TcpStream, DatabaseError> {
        let unknown = |reason: String| DatabaseError::UnknownHost {
            server: server.clone(),
            reason: reason.into(),
        };
        let addresses = lookup_host((server.host(), server.port()))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let mut failed = None;
        for address in addresses {
            let error = match tokio::time::timeout(ADDRESS, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Questions and answers are small, and each waits for the other.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            };
            // A refusal says more of a server than silence at another of its addresses.
            let is_refusal = error.kind() == io::ErrorKind::ConnectionRefused;
            if failed.is_none() || is_refusal {
                failed = Some(error);
            }
        }
        Err(match failed {
            None => unknown("it has no address".to_owned()),
            Some(error) => of_connecting(server, &error),
        })
    }
}

/// What a failed attempt to connect means. For ways of one's own to a server.
#[must_use]
pub fn of_connecting(server: &HostPort, error: &io::Error) -> DatabaseError {
    let server = server.clone();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DatabaseError::Refused { server },
        io::ErrorKind::TimedOut => DatabaseError::Unreachable {
            server,
            reason: "no answer".into(),
        },
        _ => DatabaseError::Unreachable {
            server,
            reason: error.to_string().into(),
        },
    }
}
