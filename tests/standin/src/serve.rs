//! From the command line to a running backend, and to its end.

use std::env;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::cli::{Database, Flags};
use crate::connection::{Connection, Door};
use crate::deployment::{Deployment, LoadError, Settings, StorageKind};
use crate::export;
use crate::faults::Control;
use crate::faults::disk::{Disk, OnDisk};
use crate::faults::start::StartFaults;
use crate::identity::Authority;
use crate::import;
use crate::secret::BadSecret;
use crate::store::postgres::Postgres;
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreError, postgres_url};
use crate::variable::Limits;
use crate::{http, site};

/// The instance's name where none is given.
const DEFAULT_NAME: &str = "carnitas";
/// How long requests in progress may hold up an end that is not asked for. One that is waits without a limit (observed).
const FATAL_LIMIT: Duration = Duration::from_secs(2);
/// Time from the database to the ports. The real backend takes as long with a file, and twice as long with a server.
const FILE_START: Duration = Duration::from_millis(400);
const SERVER_START: Duration = Duration::from_secs(1);
/// How long one request may take where `HTTP_SERVER_TIMEOUT_SECONDS` does not say.
const REQUEST_LIMIT_S: u64 = 300;

/// Why a backend does not start. It ends with code 1 then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No secret was given.
    #[error("no --instance-secret was given; `openssl rand -hex 32` makes one")]
    NoSecret,
    /// The secret is malformed.
    #[error(transparent)]
    BadSecret(#[from] BadSecret),
    /// An origin is neither empty nor a web address.
    #[error("Origin url should start with https:// or http:// but got '{0}'")]
    BadOrigin(String),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `MySQL` was asked for.
    #[error("the stand-in has no MySQL store")]
    NoMySql,
    /// The system refused something, a port for example. Nothing else is told (observed).
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Serves until SIGINT, or until the database is lost. Returns the exit code, which is 0 in both cases (observed).
pub async fn run(flags: Flags, faults: StartFaults) -> Result<u8, StartError> {
    if let Some(code) = faults.strike_start().await {
        tracing::error!("STANDIN_FAULTS: ending with code {code} instead of serving");
        return Ok(code);
    }
    let disk = Disk::default();
    disk.fill(faults.fills_disk());
    let deployment = Arc::new(load(&flags, &faults, &disk).await?);
    import::resume(&deployment);
    export::resume(&deployment);
    let control = Arc::new(Control::new(faults.clone(), disk));
    let usual = match flags.db {
        Database::Sqlite => FILE_START,
        Database::PostgresV5 | Database::MysqlV5 => SERVER_START,
    };
    tokio::time::sleep(faults.start_delay().unwrap_or(usual)).await;

    let request_limit = Duration::from_secs(number("HTTP_SERVER_TIMEOUT_SECONDS", REQUEST_LIMIT_S));
    let api = listen("backend", flags.interface, flags.port).await?;
    let site = listen("backend_http_proxy", flags.interface, flags.site_proxy_port).await?;
    let api_port = api.local_addr()?.port();
    let (stop, stopping) = watch::channel(());
    let served = async {
        let http = http::router(deployment.clone(), control, request_limit);
        tokio::try_join!(
            serve(api, http, stopping.clone()),
            serve(site, site::router(api_port), stopping.clone())
        )
    };
    tokio::pin!(served);
    let bumped = deployment.clone();
    tokio::spawn(async move { bumped.bump().await });
    // A signal that comes earlier is lost where this is process 1, and the end elsewhere (observed).
    let mut interrupt = signal(SignalKind::interrupt())?;

    let limit = tokio::select! {
        ended = &mut served => {
            ended?;
            return Ok(0);
        }
        () = deployment.fatal() => {
            tracing::info!("Received a fatal error. Shutting down immediately");
            // The request that found it out still gets its answer.
            Some(FATAL_LIMIT)
        }
        _ = interrupt.recv() => {
            tracing::info!("Received Ctrl-C signal!");
            None
        }
        code = faults.strike_later() => {
            tracing::error!("STANDIN_FAULTS: ending with code {code}");
            return Ok(code);
        }
    };
    stop.send_replace(());
    drain(&mut served, &mut interrupt, limit).await;
    Ok(0)
}

/// Opens the database, and only then looks at the rest, in the order of the real backend: a secret that is refused
/// leaves a new `SQLite` file behind that no later start can use (observed).
async fn load(flags: &Flags, faults: &StartFaults, disk: &Disk) -> Result<Deployment, StartError> {
    let instance_name = flags
        .instance_name
        .clone()
        .unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let store: Box<dyn Store> = match flags.db {
        Database::Sqlite => {
            let store = Sqlite::open(Path::new(&flags.db_spec))?;
            tracing::info!("the database is the SQLite file {}", flags.db_spec);
            Box::new(store)
        }
        Database::PostgresV5 => {
            let settings =
                postgres_url::settings(&flags.db_spec, &instance_name, !flags.do_not_require_ssl)?;
            let store = Postgres::open(settings).await?;
            tracing::info!("the database of {instance_name} is on a Postgres server");
            Box::new(store)
        }
        Database::MysqlV5 => return Err(StartError::NoMySql),
    };
    let secret = flags
        .instance_secret
        .as_deref()
        .ok_or(StartError::NoSecret)?
        .parse()?;
    let limits = Limits {
        count: number("ENV_VAR_LIMIT", Limits::default().count),
        total: number("ENV_VAR_TOTAL_SIZE_LIMIT", Limits::default().total),
        ..Limits::default()
    };
    let settings = Settings {
        authority: Authority {
            instance_name,
            secret,
        },
        cloud_origin: origin(flags.convex_origin.as_ref(), flags.port),
        site_origin: origin(flags.convex_site.as_ref(), flags.site_proxy_port),
        limits: faults.limits(limits),
        version: env::var("CONVEX_RELEASE_VERSION_DEV").unwrap_or_else(|_| "unknown".into()),
    };
    let storage = if flags.s3_storage {
        StorageKind::S3
    } else {
        StorageKind::Local
    };
    let store = Box::new(OnDisk {
        store,
        disk: disk.clone(),
    });
    let blobs = Blobs::open(&match storage {
        StorageKind::Local => flags.local_storage.clone(),
        // There is no S3 here.
        StorageKind::S3 => env::temp_dir().join("convex-standin-s3"),
    })?;
    let deployment = Deployment::load(store, settings, storage, blobs).await?;
    check_origin(&deployment.settings.cloud_origin)?;
    check_origin(&deployment.settings.site_origin)?;
    Ok(deployment)
}

fn origin(given: Option<&String>, port: u16) -> String {
    given
        .cloned()
        .unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
}

fn check_origin(url: &str) -> Result<(), StartError> {
    if url.is_empty() || url.starts_with("https://") || url.starts_with("http://") {
        Ok(())
    } else {
        Err(StartError::BadOrigin(url.to_owned()))
    }
}

/// A number from the environment; one that cannot be read is ignored with a warning.
fn number<T: std::str::FromStr + std::fmt::Display>(name: &str, default: T) -> T {
    match env::var(name).map(|text| text.parse()) {
        Err(_) => default,
        Ok(Ok(number)) => number,
        Ok(Err(_)) => {
            tracing::warn!("{name} is not understood; {default} applies");
            default
        }
    }
}

async fn listen(service: &str, interface: Ipv4Addr, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((interface, port)).await?;
    tracing::info!(target: "common::http", "{service} listening on {}", listener.local_addr()?);
    Ok(listener)
}

async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopping: watch::Receiver<()>,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Connection>();
    axum::serve(Door(listener), service)
        .with_graceful_shutdown(async move {
            // An error means that nobody is left who could ask to stop, which is a reason to stop.
            drop(stopping.changed().await);
        })
        .await
}

/// Waits for the requests in progress: until they are answered, until another SIGINT, or for so long.
async fn drain<T>(
    served: &mut (impl Future<Output = io::Result<T>> + Unpin),
    interrupt: &mut Signal,
    limit: Option<Duration>,
) {
    tracing::info!("Shutdown initiated, draining existing requests...");
    let too_long = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = served => tracing::info!("Server successfully shut down."),
        _ = interrupt.recv() => tracing::warn!("Forcibly shutting down!"),
        () = too_long => tracing::info!("Cool down expired. Shutting down"),
    }
}
