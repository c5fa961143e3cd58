//! Running as a plugin process: from the handshake to the last goodbye.
//!
//! Source of the behaviour: go-plugin v1.6.0 to v1.8.0 and Terraform v1.11.4
//! to v1.15. In short: Terraform starts the process with a cookie in its
//! environment, reads one line from its standard output, connects to the
//! address in it, and ends the process with a call and two seconds' patience.

mod companions;
mod handshake;
mod listener;
mod log;
mod tls;

use std::{io, io::Write, path::PathBuf, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    companions::Companions,
    listener::{Connections, Listener},
    tls::Identity,
};
pub use self::{
    handshake::{Launch, Refusal},
    log::{LogLevel, install as install_log},
};
use crate::plugin::{
    members::Provider,
    proto::provider_server::ProviderServer,
    service::{Service, Tasks},
};

/// Longest message, in bytes. A state or a plan may well exceed tonic's default of 4 MiB, and room
/// for a whole message is taken before it comes.
const MAX_MESSAGE: usize = 64 << 20;

/// How long the process outlives the call that ends it. Terraform kills it
/// after two seconds.
const FAREWELL: Duration = Duration::from_millis(1500);

/// How long operations may take to come to a safe place when Terraform itself
/// is gone, and how long the process waits for it to come back.
const ORPHANED: Duration = Duration::from_secs(10);

/// What can go wrong while serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket could not be made or used.
    #[error("cannot listen for Terraform: {0}")]
    Listen(#[from] io::Error),
    /// The certificate for the connection could not be made, or Terraform's
    /// could not be read.
    #[error("cannot secure the connection to Terraform: {0}")]
    Tls(String),
    /// The gRPC server failed.
    #[error("the connection to Terraform failed: {0}")]
    Grpc(#[from] tonic::transport::Error),
}

/// Where the one line for Terraform goes.
enum Announce {
    /// The handshake of a process that Terraform started.
    Handshake,
    /// `TF_REATTACH_PROVIDERS`, for a person who debugs the provider.
    Reattach {
        /// The provider's source address.
        address: String,
    },
}

/// Serves `provider` to the Terraform that started this process, until it says
/// goodbye or is gone.
pub async fn serve(provider: impl Provider, launch: Launch) -> Result<(), ServeError> {
    run(provider, launch, Announce::Handshake).await
}

/// Serves `provider` to any Terraform that is given the line this prints, until
/// the process is interrupted.
pub async fn serve_for_debugging(
    provider: impl Provider,
    launch: Launch,
    address: &str,
) -> Result<(), ServeError> {
    let address = address.to_owned();
    run(provider, launch, Announce::Reattach { address }).await
}

async fn run(
    provider: impl Provider,
    launch: Launch,
    announce: Announce,
) -> Result<(), ServeError> {
    let quit = CancellationToken::new();
    let debugging = matches!(announce, Announce::Reattach { .. });
    let identity = launch
        .client_certificate
        .as_deref()
        .map(Identity::new)
        .transpose()?;
    let mut listener = Listener::bind(&launch)?;
    // Held to the end of this function, so that nothing is left behind.
    let _directory = listener.directory();
    let tasks = Tasks {
        tracker: TaskTracker::new(),
    };
    let service = Arc::new(Service::new(provider, tasks.clone()));
    watch_signals(quit.clone(), debugging)?;

    let line = match announce {
        Announce::Handshake => handshake::line(listener.address(), identity.as_ref()),
        Announce::Reattach { address } => handshake::reattach(&address, listener.address()),
    };
    // The one thing that ever goes to standard output.
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    drop(stdout);

    let (incoming, connections) = listener.accept(identity.map(|identity| identity.acceptor));
    if !debugging {
        tokio::spawn(quit_when_orphaned(connections, quit.clone()));
    }
    let companions = Companions::new(quit.clone());
    let server = tonic::transport::Server::builder()
        .add_service(
            ProviderServer::new(Arc::clone(&service))
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .add_service(companions.controller())
        .add_service(companions.stdio())
        .add_service(companions.broker())
        .add_service(companions.health().await)
        .serve_with_incoming_shutdown(incoming, quit.clone().cancelled_owned());
    let farewell = async {
        quit.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        ended = server => ended?,
        () = farewell => {}
    }
    // Usually there is nothing left. When Terraform was killed in mid-apply,
    // what is under way comes to a place from which the next apply goes on.
    service.cancel();
    tasks.tracker.close();
    let _ = tokio::time::timeout(ORPHANED, tasks.tracker.wait()).await;
    Ok(())
}

/// A terminal's Ctrl-C reaches every process of its group. Terraform answers it
/// with a call, so the signal itself means nothing here; only a debugging
/// process has nobody else to tell it.
fn watch_signals(quit: CancellationToken, debugging: bool) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => if debugging { break },
                _ = terminate.recv() => break,
            }
        }
        quit.cancel();
    });
    Ok(())
}

/// A Terraform that was killed says no goodbye; its connection just ends.
async fn quit_when_orphaned(
    mut connections: tokio::sync::watch::Receiver<Connections>,
    quit: CancellationToken,
) {
    loop {
        let alone = connections
            .wait_for(|it| it.accepted > 0 && it.open == 0)
            .await;
        let Ok(before) = alone.map(|it| it.accepted) else {
            return;
        };
        let back = connections.wait_for(|it| it.accepted > before);
        if tokio::time::timeout(ORPHANED, back).await.is_err() {
            tracing::info!("Terraform is gone; exiting");
            quit.cancel();
            return;
        }
    }
}

/// The directory in which the socket is put when nobody says otherwise.
fn temporary_directory(launch: &Launch) -> PathBuf {
    launch
        .socket_directory
        .clone()
        .unwrap_or_else(|| launch.temporary_directory.clone())
}
