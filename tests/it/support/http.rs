//! A web server that notes what it is asked, and does with it what a test
//! says: for example passes it on to a backend, or breaks the connection.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The header of that name.
    pub authorization: Option<String>,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The backend behind handles it.
    Pass,
    /// The backend behind handles it, and the answer is lost.
    LoseReply,
    /// Nobody handles it, and the connection is closed.
    Close,
    /// It is never answered.
    Hang,
    /// It is answered with this status, location and text.
    Answer(u16, Option<String>, String),
    /// It is answered, a byte now and then, without end.
    Drip,
}

type Judge = dyn Fn(usize, &Asked) -> Fate + Send + Sync;

struct Shared {
    behind: Option<SocketAddr>,
    asked: Mutex<Vec<Asked>>,
    judge: Mutex<Arc<Judge>>,
}

/// The server; it ends when it is dropped.
pub struct Server {
    url: String,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    /// Before the backend at this URL, which gets every request.
    pub fn before(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("a plain address");
        let address = address.parse().expect("an address and a port");
        Self::start(Some(address), None, |_, _| Fate::Pass)
    }

    /// With nothing behind it.
    pub fn alone(judge: impl Fn(usize, &Asked) -> Fate + Send + Sync + 'static) -> Self {
        Self::start(None, None, judge)
    }

    /// Before the backend at this URL, speaking TLS.
    pub fn secured(url: &str, identity: &Identity) -> Self {
        let address = url.strip_prefix("http://").expect("a plain address");
        let address = address.parse().expect("an address and a port");
        Self::start(Some(address), Some(identity), |_, _| Fate::Pass)
    }

    fn start(
        behind: Option<SocketAddr>,
        identity: Option<&Identity>,
        judge: impl Fn(usize, &Asked) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if identity.is_some() { "https" } else { "http" };
        let judge: Arc<Judge> = Arc::new(judge);
        let shared = Arc::new(Shared {
            behind,
            asked: Mutex::default(),
            judge: Mutex::new(judge),
        });
        let tls = identity.map(Identity::acceptor);
        runtime.spawn(accept(listener, tls, Arc::clone(&shared)));
        Self {
            url: format!("{scheme}://localhost:{}", address.port()),
            shared,
            _runtime: runtime,
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked since the last time this was called.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().expect("the requests"))
    }

    /// How much was asked since [`Server::take`] was last called.
    pub fn count(&self) -> usize {
        self.shared.asked.lock().expect("the requests").len()
    }

    /// Lets `judge` decide on each request, by its number since the last
    /// [`Server::take`].
    pub fn judge(&self, judge: impl Fn(usize, &Asked) -> Fate + Send + Sync + 'static) {
        *self.shared.judge.lock().expect("the judge") = Arc::new(judge);
    }
}

/// A certificate for `localhost`, signed by an authority of its own.
pub struct Identity {
    authority: String,
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    /// A new authority and a new certificate.
    pub fn new() -> Self {
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let authority =
            rcgen::CertifiedIssuer::self_signed(authority, authority_key).expect("an authority");
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
            .expect("a name")
            .signed_by(&key, &authority)
            .expect("a certificate");
        let body = STANDARD.encode(authority.der());
        Self {
            authority: format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"),
            certificate,
            key,
        }
    }

    /// The authority's certificate, in PEM form.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key),
            )
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let cut = CancellationToken::new();
    let service = service_fn(|request| handle(request, &shared, &cut));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        () = cut.cancelled() => {}
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;

async fn handle(
    request: Request<Incoming>,
    shared: &Shared,
    cut: &CancellationToken,
) -> Result<Response<Body>, std::io::Error> {
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        authorization: request
            .headers()
            .get(header::AUTHORIZATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    let number = {
        let mut all = shared.asked.lock().expect("the requests");
        all.push(asked.clone());
        all.len() - 1
    };
    let judge = Arc::clone(&shared.judge.lock().expect("the judge"));
    match judge(number, &asked) {
        Fate::Pass => forward(request, shared).await,
        Fate::LoseReply => {
            let reply = forward(request, shared).await?;
            let _ = reply.into_body().collect().await;
            cut.cancel();
            std::future::pending().await
        }
        Fate::Close => {
            cut.cancel();
            std::future::pending().await
        }
        Fate::Hang => std::future::pending().await,
        Fate::Answer(status, location, text) => {
            let mut reply = Response::builder().status(status);
            if let Some(location) = location {
                reply = reply.header(header::LOCATION, location);
            }
            let body = Full::from(text)
                .map_err(|never| match never {})
                .boxed_unsync();
            reply.body(body).map_err(std::io::Error::other)
        }
        Fate::Drip => {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let frame = hyper::body::Frame::data(Bytes::from_static(b" "));
                Some((Ok(frame), ()))
            });
            let body = http_body_util::StreamBody::new(drops);
            Ok(Response::new(body.boxed_unsync()))
        }
    }
}

async fn forward(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Body>, std::io::Error> {
    let address = shared.behind.expect("a backend behind");
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Incoming>(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let reply = sender
        .send_request(request)
        .await
        .map_err(std::io::Error::other)?;
    Ok(reply.map(BodyExt::boxed_unsync))
}
