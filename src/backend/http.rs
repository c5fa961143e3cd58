//! Straight to a backend over HTTP or HTTPS.

use std::{error::Error, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Uri, body::Bytes, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{Request, Response, TransportError, client::Transport, request::MAX_REPLY};
use crate::convex::{AdminKey, ApiOrigin};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a backend that does not listen yet is waited for. At an address
/// that somebody has typed there may well be none at all.
const START: Duration = Duration::from_secs(3);

/// How long a reply may take, in seconds.
const REPLY_S: u64 = 30;

/// What is wrong with where requests are to go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The certificates given are none.
    #[error(
        "There is no certificate in it. Give one or more certificates in PEM form, each from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`."
    )]
    NoCertificate,
    /// One of the certificates given is broken.
    #[error("A certificate in it cannot be used: {0}. Give certificates in PEM form.")]
    Certificate(String),
    /// There is nothing to verify a server's certificate with.
    #[error(
        "This system has no certificate authorities to verify {0} with. Install its CA certificates (Debian and Alpine: `ca-certificates`) or give the server's own CA."
    )]
    NoRoots(String),
    /// The TLS library refused its configuration.
    #[error("TLS cannot be set up: {0}.")]
    Tls(String),
}

pub(super) type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A way to a backend at a URL. Redirects are not followed: the key must go
/// nowhere else.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    origin: String,
    client: Https,
}

impl HttpTransport {
    /// A way to `origin`. Its certificate is verified against `ca_pem` where
    /// given, else against the authorities this system trusts.
    pub fn new(origin: &ApiOrigin, ca_pem: Option<&str>) -> Result<Self, UrlError> {
        let origin = origin.as_str();
        let roots = match ca_pem {
            Some(pem) => given_roots(pem)?,
            None if origin.starts_with("https:") => system_roots(origin)?,
            // Never asked, since nothing but plain HTTP is spoken.
            None => RootCertStore::empty(),
        };
        Ok(Self {
            origin: origin.to_owned(),
            client: client(roots)?,
        })
    }

    fn http_request(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<hyper::Request<Full<Bytes>>, TransportError> {
        let body = request.body.as_ref().map(|body| body.expose().to_owned());
        let uri: Uri = format!("{}{}", self.origin, request.path)
            .parse()
            .map_err(|_| TransportError::Failed(format!("{} is no URL", self.origin)))?;
        let mut builder = hyper::Request::builder()
            .method(request.method.as_str())
            .uri(uri)
            .header(header::ACCEPT, "application/json")
            .header(
                header::USER_AGENT,
                concat!("terraform-provider-convex/", env!("CARGO_PKG_VERSION")),
            );
        if body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            let mut value = header::HeaderValue::try_from(format!("Convex {}", key.expose()))
                .map_err(|_| {
                    TransportError::Failed("the admin key does not fit into a header".to_owned())
                })?;
            value.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, value);
        }
        builder
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| TransportError::Failed(error.to_string()))
    }
}

impl Transport for HttpTransport {
    async fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<Response, TransportError> {
        let request = self.http_request(request, key)?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| classify(&error, error.is_connect()))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_REPLY)
                .collect()
                .await
                .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                    Some(_) => TransportError::TooLong { limit: MAX_REPLY },
                    None => TransportError::Broken(chain(&*error)),
                })?;
            Ok(Response {
                status,
                body: body.to_bytes().to_vec(),
            })
        };
        tokio::time::timeout(Duration::from_secs(REPLY_S), exchange)
            .await
            .unwrap_or(Err(TransportError::TimedOut { seconds: REPLY_S }))
    }

    fn patience(&self) -> Duration {
        START
    }
}

/// A client that verifies certificates against `roots`.
pub(super) fn client(roots: RootCertStore) -> Result<Https, UrlError> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| UrlError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT));
    http.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Checks certificates that are to verify servers with.
pub fn check_authorities(pem: &str) -> Result<(), UrlError> {
    given_roots(pem).map(|_| ())
}

fn given_roots(pem: &str) -> Result<RootCertStore, UrlError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| UrlError::Certificate(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| UrlError::Certificate(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(UrlError::NoCertificate);
    }
    Ok(roots)
}

fn system_roots(origin: &str) -> Result<RootCertStore, UrlError> {
    let roots = found_roots();
    if roots.is_empty() {
        return Err(UrlError::NoRoots(origin.to_owned()));
    }
    Ok(roots)
}

/// The authorities this system trusts, if it has any.
pub(super) fn found_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

pub(super) fn classify(error: &(dyn Error + 'static), connecting: bool) -> TransportError {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(tls) = error.downcast_ref::<io::Error>().and_then(tls_error) {
            return TransportError::Tls(tls.to_string());
        }
        source = error.source();
    }
    if connecting {
        TransportError::Unreachable(chain(error))
    } else {
        TransportError::Broken(chain(error))
    }
}

/// The TLS library's error in an error of the connection, which may be wrapped
/// several times. Following `source` skips what is wrapped.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    let deeper = || inner.downcast_ref::<io::Error>().and_then(tls_error);
    inner.downcast_ref::<rustls::Error>().or_else(deeper)
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
