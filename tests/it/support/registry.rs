//! A registry of images that wants to know who asks.
//!
//! It has one image, `test/backend:1`, with the content of one of this machine,
//! and speaks as much of the distribution specification as a pull takes.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::tools;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Who may pull.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Whoever says this name and password with each request.
    Basic(String, String),
    /// Whoever has a token from its login service, which wants this identity
    /// token.
    Identity(String),
}

/// The token that the login service gives out.
const PASS: &str = "let-me-in";

struct Content {
    manifest: Vec<u8>,
    blobs: HashMap<String, Vec<u8>>,
}

struct Shared {
    content: &'static Content,
    guard: Guard,
    host: String,
    refused: Mutex<Vec<String>>,
}

/// The registry; it ends when this is dropped.
pub struct Registry {
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Registry {
    /// Starts it with an image of this machine.
    pub fn start(image: &str, guard: Guard) -> Self {
        static CONTENT: OnceLock<Content> = OnceLock::new();
        let content = CONTENT.get_or_init(|| content(image));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            content,
            guard,
            // Docker takes this machine's registries without TLS.
            host: format!("localhost:{port}"),
            refused: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { answer(request, &shared).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            shared,
            _runtime: runtime,
        }
    }

    /// Its name.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The name of its image.
    pub fn image(&self) -> String {
        format!("{}/test/backend:1", self.shared.host)
    }

    /// What was shown by those it has turned away, since the last time this
    /// was asked.
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.refused.lock().expect("the refused"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rmi", "--no-prune", &self.image()])
            .output();
    }
}

fn digest_of(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// An image as a registry has it, made from what `docker save` writes.
fn content(image: &str) -> Content {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = directory.path().join("image.tar");
    tools::run(
        Command::new("docker")
            .args(["save", "--output"])
            .arg(&archive)
            .arg(image),
    );
    let index: Json = serde_json::from_slice(&member(&archive, "manifest.json")).expect("JSON");
    let config = index[0]["Config"].as_str().expect("a name");
    let layers = index[0]["Layers"].as_array().expect("a list");
    let mut blobs = HashMap::new();
    let mut keep = |kind: &str, bytes: Vec<u8>| {
        let digest = digest_of(&bytes);
        let described = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        blobs.insert(digest, bytes);
        described
    };
    let config = keep(CONFIG, member(&archive, config));
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| keep(LAYER, member(&archive, layer.as_str().expect("a name"))))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    Content {
        manifest: manifest.to_string().into_bytes(),
        blobs,
    }
}

fn member(archive: &Path, name: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(File::open(archive).expect("an archive"));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("a member");
        if entry.path().expect("a path") == Path::new(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            return bytes;
        }
    }
    panic!("no {name} in the archive");
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let shown = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    if path == "/token" {
        let body = request.into_body().collect().await?.to_bytes();
        return Ok(token(&String::from_utf8_lossy(&body), shared));
    }
    let (expected, challenge) = match &shared.guard {
        Guard::Basic(name, password) => (
            format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))),
            "Basic realm=\"test\"".to_owned(),
        ),
        Guard::Identity(_) => (
            format!("Bearer {PASS}"),
            format!(
                "Bearer realm=\"http://{}/token\",service=\"test\"",
                shared.host
            ),
        ),
    };
    if shown != expected {
        if !shown.is_empty() {
            shared.refused.lock().expect("the refused").push(shown);
        }
        let body =
            json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "authentication required" }] });
        let reply = reply(
            StatusCode::UNAUTHORIZED,
            "application/json",
            body.to_string(),
        );
        return Ok(with(reply, header::WWW_AUTHENTICATE, &challenge));
    }
    let content = shared.content;
    let digest = path.rsplit('/').next().unwrap_or_default();
    let reply = if path == "/v2/" {
        reply(StatusCode::OK, "application/json", "{}")
    } else if path.starts_with("/v2/test/backend/manifests/") {
        let reply = reply(StatusCode::OK, MANIFEST, content.manifest.clone());
        let name = header::HeaderName::from_static("docker-content-digest");
        with(reply, name, &digest_of(&content.manifest))
    } else if let Some(blob) = content.blobs.get(digest) {
        reply(StatusCode::OK, "application/octet-stream", blob.clone())
    } else {
        reply(
            StatusCode::NOT_FOUND,
            "application/json",
            "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
        )
    };
    Ok(reply)
}

/// The login service (distribution, `docs/spec/auth/oauth.md`).
fn token(form: &str, shared: &Shared) -> Response<Full<Bytes>> {
    let Guard::Identity(expected) = &shared.guard else {
        return reply(StatusCode::NOT_FOUND, "text/plain", "");
    };
    let shown = url::form_urlencoded::parse(form.as_bytes())
        .find(|(key, _)| key == "refresh_token")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    if shown != *expected {
        shared.refused.lock().expect("the refused").push(shown);
        return reply(
            StatusCode::UNAUTHORIZED,
            "application/json",
            "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}",
        );
    }
    let body = json!({ "access_token": PASS, "expires_in": 300 });
    reply(StatusCode::OK, "application/json", body.to_string())
}

fn reply(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    with(reply, header::CONTENT_TYPE, kind)
}

fn with(
    mut reply: Response<Full<Bytes>>,
    name: header::HeaderName,
    value: &str,
) -> Response<Full<Bytes>> {
    let value = value.parse().expect("a header");
    reply.headers_mut().insert(name, value);
    reply
}
