//! A TCP port in front of this machine's Docker socket, with or without TLS.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
};
use tokio_rustls::TlsAcceptor;

/// The port; it is closed when this is dropped.
pub struct Gate {
    port: u16,
    let_in: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Gate {
    /// Before the socket, for those whom TLS lets in.
    pub fn with_tls(socket: &str, config: Arc<ServerConfig>) -> Self {
        Self::start(socket, Some(TlsAcceptor::from(config)))
    }

    /// Before the socket, for everybody on this machine.
    pub fn open(socket: &str) -> Self {
        Self::start(socket, None)
    }

    fn start(socket: &str, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let let_in = Arc::new(AtomicUsize::new(0));
        let (counter, socket) = (Arc::clone(&let_in), socket.to_owned());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, socket, tls) = (Arc::clone(&counter), socket.clone(), tls.clone());
                tokio::spawn(pass(stream, socket, tls, counter));
            }
        });
        Self {
            port,
            let_in,
            _runtime: runtime,
        }
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections came through so far.
    pub fn let_in(&self) -> usize {
        self.let_in.load(Ordering::Relaxed)
    }
}

async fn pass(
    stream: TcpStream,
    socket: String,
    tls: Option<TlsAcceptor>,
    counter: Arc<AtomicUsize>,
) {
    match tls {
        None => join(stream, &socket, &counter).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                join(stream, &socket, &counter).await;
            }
        }
    }
}

async fn join<S>(mut stream: S, socket: &str, counter: &AtomicUsize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    counter.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut docker) = UnixStream::connect(socket).await {
        let _ = copy_bidirectional(&mut stream, &mut docker).await;
    }
}
