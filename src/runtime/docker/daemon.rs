//! A daemon for tests, which answers with what each test makes up.

use std::{collections::BTreeMap, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::{Connection, Docker, HostConfig, Patience, Registries, Surroundings};

/// A daemon that answers for as long as this lives.
pub(super) struct Daemon {
    pub(super) docker: Docker,
    pub(super) patience: Patience,
    _directory: TempDir,
}

/// A reply with a status and a body in JSON.
pub(super) fn json(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json");
    format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

/// A refusal, as daemons word it.
pub(super) fn refusal(status: u16, message: &str) -> Vec<u8> {
    json(status, &format!(r#"{{"message":{message:?}}}"#))
}

/// What a program prints: the number of each stream, and what comes on it.
pub(super) fn printed(parts: &[(u8, &str)]) -> Vec<u8> {
    let mut reply =
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_vec();
    for (stream, text) in parts {
        reply.extend([*stream, 0, 0, 0]);
        reply.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        reply.extend(text.as_bytes());
    }
    reply
}

impl Daemon {
    /// One that answers each request, known by its method and path, with these bytes.
    pub(super) fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        let config = HostConfig {
            host: Some(format!("unix://{}", socket.display())),
            ..HostConfig::default()
        };
        let connection: Connection = config.resolve(&Surroundings::default()).unwrap();
        let registries = Arc::new(Registries::new(BTreeMap::new(), None));
        Self {
            docker: Docker::new(connection, registries).unwrap(),
            patience: Patience::new(
                std::time::Duration::from_secs(20),
                tokio_util::sync::CancellationToken::default(),
            ),
            _directory: directory,
        }
    }

    /// One in whose containers each program ends with this code, or with none.
    pub(super) fn ending(code: Option<i64>, printed: Vec<u8>) -> Self {
        let code = code.map_or_else(|| "null".to_owned(), |code| code.to_string());
        Self::new(move |asked| {
            if asked.starts_with("POST /containers/a/exec") {
                json(201, r#"{"Id":"e"}"#)
            } else if asked.starts_with("POST /exec/e/start") {
                printed.clone()
            } else if asked.starts_with("GET /exec/e/json") {
                json(200, &format!(r#"{{"Running":false,"ExitCode":{code}}}"#))
            } else {
                refusal(404, "no such thing")
            }
        })
    }
}

/// Reads the head and the body of one request, which have to be small, and answers it.
async fn serve(mut stream: UnixStream, answer: Arc<impl Fn(&str) -> Vec<u8>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if let Ok(0) | Err(_) = stream.read_buf(&mut request).await {
            return;
        }
    }
    let line = String::from_utf8_lossy(&request);
    let line = line.lines().next().unwrap_or_default().to_owned();
    let _ = stream.write_all(&answer(&line)).await;
    let _ = stream.shutdown().await;
    // Closing before the other side has is an error there.
    while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.trim().parse().unwrap())
}
