//! Real Docker, the images under test, and a way to watch and disturb what the
//! provider does with it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

/// Where Docker listens on a test machine.
pub const SOCKET: &str = "/var/run/docker.sock";

/// The images that deployments of tests run.
#[derive(Debug)]
pub struct Images {
    pub backend: String,
    pub dashboard: String,
}

/// The images named by `CONVEX_TEST_BACKEND_IMAGE` and
/// `CONVEX_TEST_DASHBOARD_IMAGE`, such as the real ones, else the stand-in's.
pub fn images() -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let given = |name| std::env::var(name).ok().filter(|image| !image.is_empty());
        if let (Some(backend), Some(dashboard)) = (
            given("CONVEX_TEST_BACKEND_IMAGE"),
            given("CONVEX_TEST_DASHBOARD_IMAGE"),
        ) {
            return Images { backend, dashboard };
        }
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/standin/image"))
            .output()
            .expect("the stand-in's image script runs");
        assert!(
            output.status.success(),
            "no images to test with: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |key: &str| {
            printed
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .expect("both names are printed")
                .to_owned()
        };
        Images {
            backend: of("BACKEND="),
            dashboard: of("DASHBOARD="),
        }
    })
}

/// Runs Docker's command line, which must succeed, and returns what it printed.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .env_remove("DOCKER_HOST")
        .output()
        .expect("Docker is installed: see tests/run");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A name for a deployment of a test, and the promise to leave nothing of it.
#[derive(Debug)]
pub struct Name(String);

impl Name {
    /// A name that no other test has.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("t{}-{count}", std::process::id()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The container in this role.
    pub fn container(&self, role: &str) -> String {
        format!("{}-{role}", self.0)
    }

    /// The volume.
    pub fn volume(&self) -> String {
        format!("{}-data", self.0)
    }

    fn filter(&self) -> String {
        format!("label=io.github.coder-convex.deployment={}", self.0)
    }

    /// Names of all containers, volumes and networks of the deployment.
    pub fn objects(&self) -> Vec<String> {
        let filter = self.filter();
        [
            &["ps", "-a", "--format", "container {{.Names}}", "--filter"][..],
            &["volume", "ls", "--format", "volume {{.Name}}", "--filter"],
            &["network", "ls", "--format", "network {{.Name}}", "--filter"],
        ]
        .into_iter()
        .flat_map(|arguments| {
            let printed = docker(&[arguments, &[filter.as_str()]].concat());
            printed.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        for object in self.objects() {
            let (kind, name) = object.split_once(' ').expect("a kind and a name");
            let arguments: &[&str] = match kind {
                "container" => &["rm", "-f", "-v"],
                "volume" => &["volume", "rm", "-f"],
                _ => &["network", "rm"],
            };
            let _ = Command::new("docker").args(arguments).arg(name).output();
        }
    }
}

/// A network beside that of a deployment, and the promise to remove it.
#[derive(Debug)]
pub struct Bridge(String);

impl Bridge {
    /// One that goes by the name of a deployment.
    pub fn beside(name: &Name) -> Self {
        let bridge = Self(format!("{}-beside", name.as_str()));
        docker(&["network", "create", &bridge.0]);
        bridge
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address by which containers, in whatever network, reach servers of
    /// this machine.
    pub fn host(&self) -> String {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        docker(&["network", "inspect", &self.0, "-f", format])
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["network", "rm", "-f", &self.0])
            .output();
    }
}

/// A port of the host that no other test publishes.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 500).expect("small") * 20;
    20_000 + offset + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// One call of Docker's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
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
    /// It is neither handled nor answered.
    Hang,
}

type Judge = dyn Fn(usize, &Call) -> Fate + Send + Sync;

/// A Docker socket that notes each call, and can disturb it.
pub struct Proxy {
    socket: PathBuf,
    calls: Arc<Mutex<Vec<Call>>>,
    connections: Arc<AtomicUsize>,
    judge: Arc<Mutex<Arc<Judge>>>,
    _directory: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    /// A proxy that lets everything pass.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let pass: Arc<Judge> = Arc::new(|_, _| Fate::Pass);
        let judge = Arc::new(Mutex::new(pass));
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(&socket).expect("a socket")
        };
        let connections = Arc::default();
        runtime.spawn(accept(
            listener,
            Arc::clone(&calls),
            Arc::clone(&connections),
            Arc::clone(&judge),
        ));
        Self {
            socket,
            calls,
            connections,
            judge,
            _directory: directory,
            _runtime: runtime,
        }
    }

    /// Its address, for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Where its socket is.
    pub fn socket(&self) -> String {
        self.socket.display().to_string()
    }

    /// How many connections were made since the last time this was asked.
    pub fn take_connections(&self) -> usize {
        self.connections.swap(0, Ordering::Relaxed)
    }

    /// The calls since the last time this was asked.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().expect("the calls"))
    }

    /// Lets `judge` decide on each call, by its number since the last
    /// [`Proxy::take`].
    pub fn disturb(&self, judge: impl Fn(usize, &Call) -> Fate + Send + Sync + 'static) {
        *self.judge.lock().expect("the judge") = Arc::new(judge);
    }
}

async fn accept(
    listener: UnixListener,
    calls: Arc<Mutex<Vec<Call>>>,
    connections: Arc<AtomicUsize>,
    judge: Arc<Mutex<Arc<Judge>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let (calls, judge) = (Arc::clone(&calls), Arc::clone(&judge));
        let service = service_fn(move |request| {
            let (calls, judge) = (Arc::clone(&calls), Arc::clone(&judge));
            async move { serve(request, &calls, &judge).await }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades(),
        );
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

async fn serve(
    request: Request<Incoming>,
    calls: &Mutex<Vec<Call>>,
    judge: &Mutex<Arc<Judge>>,
) -> Result<Response<Body>, std::io::Error> {
    let call = Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    };
    let number = {
        let mut calls = calls.lock().expect("the calls");
        calls.push(call.clone());
        calls.len() - 1
    };
    let judge = Arc::clone(&judge.lock().expect("the judge"));
    match judge(number, &call) {
        Fate::Pass => forward(request).await,
        Fate::Hang => std::future::pending().await,
    }
}

async fn forward(mut request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let stream = UnixStream::connect(SOCKET).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Incoming>(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let from_client = hyper::upgrade::on(&mut request);
    let mut response = sender
        .send_request(request)
        .await
        .map_err(std::io::Error::other)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let from_docker = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(client), Ok(docker)) = (from_client.await, from_docker.await) {
                let (mut client, mut docker) = (TokioIo::new(client), TokioIo::new(docker));
                let _ = tokio::io::copy_bidirectional(&mut client, &mut docker).await;
            }
        });
    }
    Ok(response.map(BodyExt::boxed))
}
