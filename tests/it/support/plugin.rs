//! A plugin process and a client for it, without Terraform.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
};
use terraform_provider_convex::plugin::proto::provider_client::ProviderClient;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// What Terraform sets so that a plugin knows it.
pub const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// The certificate go-plugin makes for a client: self-signed, P-521, a CA.
pub struct ClientIdentity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pub pem: String,
}

impl ClientIdentity {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).expect("a key");
        let mut params =
            rcgen::CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(certificate.der())
            ),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }
}

/// A running plugin.
pub struct Plugin {
    pub child: Child,
    pub handshake: Vec<String>,
    stdout: BufReader<ChildStdout>,
    pub temporary: tempfile::TempDir,
}

impl Plugin {
    /// Starts the program as Terraform does and reads its handshake.
    pub fn start(program: &Path, environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(COOKIE.0, COOKIE.1)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6,5")
            .env("TMPDIR", temporary.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a handshake");
        Self {
            child,
            handshake: line.trim_end().split('|').map(str::to_owned).collect(),
            stdout,
            temporary,
        }
    }

    /// Connects without TLS.
    pub async fn connect(&self) -> ProviderClient<Channel> {
        client(self.channel(None).await.expect("a connection"))
    }

    /// Connects as the client that has `identity`, or none.
    pub async fn connect_tls(
        &self,
        identity: Option<&ClientIdentity>,
    ) -> Result<ProviderClient<Channel>, String> {
        let server = STANDARD_NO_PAD
            .decode(&self.handshake[5])
            .map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(server))
            .map_err(|error| error.to_string())?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(
                    vec![identity.certificate.clone()],
                    PrivatePkcs8KeyDer::from(identity.key.clone()).into(),
                )
                .map_err(|error| error.to_string())?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        self.channel(Some(TlsConnector::from(Arc::new(config))))
            .await
            .map(client)
    }

    pub async fn channel(&self, tls: Option<TlsConnector>) -> Result<Channel, String> {
        let (network, address) = (self.handshake[2].clone(), self.handshake[3].clone());
        let connector = tower::service_fn(move |_| {
            let (network, address, tls) = (network.clone(), address.clone(), tls.clone());
            async move {
                let plain: Box<dyn Io> = if network == "unix" {
                    Box::new(UnixStream::connect(address).await?)
                } else {
                    Box::new(TcpStream::connect(address).await?)
                };
                let stream: Box<dyn Io> = match tls {
                    None => plain,
                    Some(tls) => {
                        let name = ServerName::try_from("localhost").expect("a name");
                        Box::new(tls.connect(name, plain).await?)
                    }
                };
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        Endpoint::from_static("http://plugin")
            .connect_with_connector(connector)
            .await
            .map_err(|error| format!("{error:?}"))
    }

    /// Tells the process to end, as Terraform does.
    pub async fn shut_down(&self, channel: Channel) {
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.expect("ready");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = "/plugin.GRPCController/Shutdown".parse().expect("a path");
        // Like Terraform, which does not mind when the connection ends first.
        let _ = grpc.unary(tonic::Request::new(()), path, codec).await;
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end; `None` when it takes longer than `limit`.
    pub async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the process printed after the handshake, once it has ended.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        rest
    }

    /// What the process logged, once it has ended.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut text).expect("text");
        text
    }

    /// What is left in the directory for temporary files.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.temporary.path())
            .expect("the directory")
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(channel: Channel) -> ProviderClient<Channel> {
    ProviderClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}
