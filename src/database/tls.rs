//! TLS with a server, as the backend does it.
//!
//! The client asks, the server answers with one byte, and only then TLS begins. The certificate is
//! checked in full, against the authorities of the system and those given, as the backend checks
//! it (upstream `crates/postgres/src/lib.rs`). Its container trusts the authorities of its image,
//! which may be fewer or more than those of this machine.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, OtherError, RootCertStore,
    crypto::aws_lc_rs, pki_types::ServerName,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{DatabaseError, greeting::Stranger};
use crate::convex::{database::CaPem, postgres::HostPort};

/// Asks a server for TLS (`PostgreSQL` documentation, "Message Formats": `SSLRequest`).
const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What certificates are verified with.
#[derive(Clone, Debug)]
pub(super) struct Verifier(Option<Arc<ClientConfig>>);

impl Verifier {
    /// For connections without TLS.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The authorities of the system and these.
    pub(super) fn new(ca: Option<&CaPem>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in ca.map(CaPem::certificates).unwrap_or_default() {
            roots.add(certificate.clone())?;
        }
        if roots.is_empty() {
            return Ok(Self(None));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(config))))
    }
}

/// Asks whether a server speaks TLS on this stream. If it does, it now waits for that.
pub(super) async fn offers_tls<S>(stream: &mut S, server: &HostPort) -> Result<bool, DatabaseError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut answer = [0; 64];
    let asked = async {
        stream.write_all(&REQUEST).await?;
        stream.flush().await?;
        stream.read(&mut answer).await
    };
    let length = match asked.await {
        Ok(length) => length,
        Err(error) if is_end(&error) => 0,
        Err(error) => {
            return Err(DatabaseError::Broken {
                server: server.clone(),
                doing: "say whether it speaks TLS",
                reason: error.to_string().into(),
            });
        }
    };
    // A server says one byte and waits. More is a stranger's greeting, or somebody between that
    // slips something in before TLS begins (CVE-2021-23222).
    match &answer[..length] {
        [] => Err(DatabaseError::Mute {
            server: server.clone(),
        }),
        b"S" => Ok(true),
        b"N" => Ok(false),
        other => Err(DatabaseError::NotPostgres {
            server: server.clone(),
            said: Stranger::saying(other).said.into(),
        }),
    }
}

/// Begins TLS on a stream whose server waits for it.
pub(super) async fn begin<S>(
    stream: S,
    server: &HostPort,
    verifier: &Verifier,
) -> Result<TlsStream<S>, DatabaseError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(config) = &verifier.0 else {
        return Err(DatabaseError::NoAuthorities {
            server: server.clone(),
        });
    };
    let name = ServerName::try_from(server.host().to_owned()).map_err(|_| DatabaseError::Tls {
        server: server.clone(),
        reason: "no certificate can be for a host of this name".into(),
    })?;
    TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await
        .map_err(|error| classify(server, &error))
}

pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

fn classify(server: &HostPort, error: &io::Error) -> DatabaseError {
    let server = server.clone();
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(fault)) => of_certificate(server, fault),
        // It said yes to TLS with the first letter of something else, such as `SSH-2.0`.
        Some(Error::InvalidMessage(_)) => DatabaseError::NotPostgres {
            server,
            said: "S".into(),
        },
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => DatabaseError::Tls {
            server,
            reason: "it speaks none of the versions 1.2 and 1.3".into(),
        },
        Some(other) => DatabaseError::Tls {
            server,
            reason: other.to_string().into(),
        },
        None => DatabaseError::Tls {
            server,
            reason: format!("the connection broke: {error}").into(),
        },
    }
}

fn of_certificate(server: HostPort, fault: &CertificateError) -> DatabaseError {
    use CertificateError as Fault;
    match fault {
        Fault::UnknownIssuer => DatabaseError::UnknownAuthority { server },
        Fault::Expired | Fault::ExpiredContext { .. } => DatabaseError::Expired { server },
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            DatabaseError::NotYetValid { server }
        }
        Fault::NotValidForName => DatabaseError::OtherHost {
            server,
            names: Vec::new(),
        },
        Fault::NotValidForNameContext { presented, .. } => DatabaseError::OtherHost {
            server,
            names: presented.iter().map(|name| readable(name)).collect(),
        },
        Fault::Other(OtherError(inner)) if inner.to_string().contains("CaUsedAsEndEntity") => {
            DatabaseError::AuthorityAsServer { server }
        }
        other => DatabaseError::Tls {
            server,
            reason: format!("the certificate does not hold: {other}").into(),
        },
    }
}

/// A name as people write it, of the library's `DnsName("db")`.
fn readable(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}
