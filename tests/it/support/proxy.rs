//! A Docker socket between the provider and the daemon, which notes each call
//! and can disturb it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn, upgrade};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

/// Where Docker listens on a test machine.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Most bytes of the input of a program that are noted.
const NOTED: usize = 64 * 1024;

/// One call of Docker's API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    /// The program that is to run in a container, with its arguments.
    pub command: Vec<String>,
    /// What such a program was given to read, as far as it has been sent.
    pub input: Input,
}

/// The input of a program.
#[derive(Clone, Default)]
pub struct Input(Arc<Mutex<Vec<u8>>>);

impl Input {
    fn add(&self, bytes: &[u8]) {
        let mut noted = self.0.lock().expect("the input");
        let room = NOTED.saturating_sub(noted.len());
        noted.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The method and path of a request to the backend, when it is one: they
    /// are in the configuration that curl reads.
    pub fn request(&self) -> Option<(String, String)> {
        let noted = self.0.lock().expect("the input");
        let text = String::from_utf8_lossy(&noted);
        let of = |option: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(option))?;
            Some(line.trim_matches('"').to_owned())
        };
        let url = of("url = ")?;
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        Some((of("request = ")?, format!("/{path}")))
    }
}

impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        *self.0.lock().expect("the input") == *other.0.lock().expect("the input")
    }
}

impl Eq for Input {}

impl fmt::Debug for Input {
    /// Without the secrets that are in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.lock().expect("the input").len();
        write!(f, "{bytes} bytes, {:?}", self.request())
    }
}

impl Call {
    /// Whether the call can change anything. Running a program in a container
    /// counts only if it is one that changes something, which its caller
    /// knows.
    pub fn changes(&self) -> bool {
        let looks = self.method == "GET" || self.method == "HEAD";
        !looks && !self.path.contains("/exec")
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Docker handles it.
    Pass,
    /// It is not handled, and answered with this status and message.
    Answer(u16, &'static str),
    /// It is neither handled nor answered.
    Hang,
    /// Docker handles it, and its answer is lost with the connection.
    Lose,
    /// The daemon ends: all connections close, and nobody listens any more
    /// until [`Proxy::revive`].
    Die,
}

type Judge = dyn Fn(usize, &Call) -> Fate + Send + Sync;

struct Shared {
    socket: PathBuf,
    calls: Mutex<Vec<Call>>,
    connections: AtomicUsize,
    judge: Mutex<Arc<Judge>>,
    /// Ends with the daemon.
    life: Mutex<CancellationToken>,
}

/// A Docker socket that notes each call, and can disturb it.
pub struct Proxy {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
    _directory: TempDir,
}

impl Proxy {
    /// A proxy that lets everything pass.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let pass: Arc<Judge> = Arc::new(|_, _| Fate::Pass);
        let proxy = Self {
            shared: Arc::new(Shared {
                socket: directory.path().join("docker.sock"),
                calls: Mutex::default(),
                connections: AtomicUsize::default(),
                judge: Mutex::new(pass),
                life: Mutex::default(),
            }),
            runtime,
            _directory: directory,
        };
        proxy.listen();
        proxy
    }

    fn listen(&self) {
        let listener = {
            let _guard = self.runtime.enter();
            UnixListener::bind(self.socket()).expect("a socket")
        };
        self.runtime
            .spawn(accept(listener, Arc::clone(&self.shared)));
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.shared.socket
    }

    /// Its address, for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The calls since the last time this was asked.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.calls.lock().expect("the calls"))
    }

    /// How many connections were made since the last time this was asked.
    pub fn take_connections(&self) -> usize {
        self.shared.connections.swap(0, Ordering::Relaxed)
    }

    /// Lets `judge` decide on each call, by its number since the last
    /// [`Proxy::take`].
    pub fn disturb(&self, judge: impl Fn(usize, &Call) -> Fate + Send + Sync + 'static) {
        *self.shared.judge.lock().expect("the judge") = Arc::new(judge);
    }

    /// Lets everything pass again.
    pub fn calm(&self) {
        self.disturb(|_, _| Fate::Pass);
    }

    /// Starts the daemon again after [`Fate::Die`].
    pub fn revive(&self) {
        *self.shared.life.lock().expect("the life") = CancellationToken::new();
        self.listen();
    }
}

impl Shared {
    fn life(&self) -> CancellationToken {
        self.life.lock().expect("the life").clone()
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let life = shared.life();
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let service = {
                let shared = Arc::clone(&shared);
                service_fn(move |request| serve(request, Arc::clone(&shared)))
            };
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let life = life.clone();
            tokio::spawn(async move { life.run_until_cancelled(connection).await.map(drop) });
        }
    };
    life.run_until_cancelled(accepting).await;
}

type Body = BoxBody<Bytes, hyper::Error>;

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

async fn serve(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Body>> {
    let mut call = Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        ..Call::default()
    };
    let request = if call.path.ends_with("/exec") {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let told: Json = serde_json::from_slice(&body).unwrap_or_default();
        let command = told["Cmd"].as_array().into_iter().flatten();
        call.command = command
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect();
        Request::from_parts(parts, whole(body))
    } else {
        request.map(BodyExt::boxed)
    };
    let number = {
        let mut calls = shared.calls.lock().expect("the calls");
        calls.push(call.clone());
        calls.len() - 1
    };
    let judge = Arc::clone(&shared.judge.lock().expect("the judge"));
    match judge(number, &call) {
        Fate::Pass => forward(request, call.input, &shared, false).await,
        Fate::Lose => {
            let response = forward(request, call.input, &shared, true).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // The program is given its input; what it says is lost.
                return Ok(response);
            }
            let _ = response.into_body().collect().await;
            Err(io::Error::other("the answer is lost"))
        }
        Fate::Answer(status, message) => {
            let body = serde_json::json!({ "message": message }).to_string();
            Response::builder()
                .status(status)
                .header(hyper::header::CONTENT_TYPE, "application/json")
                .body(whole(body))
                .map_err(io::Error::other)
        }
        Fate::Hang => std::future::pending().await,
        Fate::Die => {
            let _ = fs::remove_file(&shared.socket);
            shared.life().cancel();
            std::future::pending().await
        }
    }
}

async fn forward(
    mut request: Request<Body>,
    input: Input,
    shared: &Shared,
    loses: bool,
) -> io::Result<Response<Body>> {
    let stream = UnixStream::connect(SOCKET).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let from_client = upgrade::on(&mut request);
    let mut response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let from_docker = upgrade::on(&mut response);
        let life = shared.life();
        tokio::spawn(async move {
            if let (Ok(client), Ok(docker)) = (from_client.await, from_docker.await) {
                let talk = join(TokioIo::new(client), TokioIo::new(docker), input, loses);
                life.run_until_cancelled(talk).await;
            }
        });
    }
    Ok(response.map(BodyExt::boxed))
}

/// Carries bytes both ways until both ends have said all.
async fn join(
    client: TokioIo<upgrade::Upgraded>,
    docker: TokioIo<upgrade::Upgraded>,
    input: Input,
    loses: bool,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_docker, mut to_docker) = tokio::io::split(docker);
    let inwards = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            input.add(&buffer[..length]);
            if to_docker.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        let _ = to_docker.shutdown().await;
    };
    let outwards = async {
        if loses {
            let _ = tokio::io::copy(&mut from_docker, &mut tokio::io::sink()).await;
        } else {
            let _ = tokio::io::copy(&mut from_docker, &mut to_client).await;
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(inwards, outwards);
}
