//! From the command line to a running backend, and to its end.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{Database, Flags};
use crate::connection::{Connection, Door};
use crate::deployment::{Deployment, LoadError, Settings, StorageKind};
use crate::faults::Control;
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
/// How long requests in progress may hold up the end. The real backend waits without a limit; here a request may hang
/// on demand.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
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
    #[error("{flag} must be empty or begin with http:// or https://, but is '{url}'")]
    BadOrigin {
        /// Which one.
        flag: &'static str,
        /// What was given.
        url: String,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `MySQL` was asked for.
    #[error("the stand-in has no MySQL store")]
    NoMySql,
    /// A port cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused something else.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Serves until SIGINT, or until the database is lost. Returns the exit code, which is 0 in both cases (observed).
pub async fn run(flags: Flags, faults: StartFaults) -> Result<u8, StartError> {
    if let Some(code) = faults.strike_start().await {
        tracing::error!("STANDIN_FAULTS: ending with code {code} instead of serving");
        return Ok(code);
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let deployment = Arc::new(load(&flags, &faults).await?);
    import::resume(&deployment);
    let control = Arc::new(Control::new(faults.clone()));

    let request_limit = Duration::from_secs(number("HTTP_SERVER_TIMEOUT_SECONDS", REQUEST_LIMIT_S));
    let api = listen(flags.interface, flags.port).await?;
    let site = listen(flags.interface, flags.site_proxy_port).await?;
    tracing::info!("listening for the API on {}", api.local_addr()?);
    tracing::info!("listening for HTTP actions on {}", site.local_addr()?);
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

    tokio::select! {
        ended = &mut served => { ended?; }
        () = deployment.fatal() => {
            tracing::info!("the database is lost: stopping");
            // The request that found it out still gets its answer.
            stop.send_replace(());
            drain(&mut served, &mut interrupt).await;
        }
        _ = interrupt.recv() => {
            tracing::info!("SIGINT: stopping");
            stop.send_replace(());
            drain(&mut served, &mut interrupt).await;
        }
        code = faults.strike_later() => {
            tracing::error!("STANDIN_FAULTS: ending with code {code}");
            return Ok(code);
        }
    }
    Ok(0)
}

/// Opens the database, and only then looks at the rest, in the order of the real backend: a secret that is refused
/// leaves a new `SQLite` file behind that no later start can use (observed).
async fn load(flags: &Flags, faults: &StartFaults) -> Result<Deployment, StartError> {
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
    let deployment = Deployment::load(store, settings, storage).await?;
    check_origin("--convex-origin", &deployment.settings.cloud_origin)?;
    check_origin("--convex-site", &deployment.settings.site_origin)?;
    Ok(deployment)
}

fn origin(given: Option<&String>, port: u16) -> String {
    given
        .cloned()
        .unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
}

fn check_origin(flag: &'static str, url: &str) -> Result<(), StartError> {
    if url.is_empty() || url.starts_with("https://") || url.starts_with("http://") {
        Ok(())
    } else {
        Err(StartError::BadOrigin {
            flag,
            url: url.to_owned(),
        })
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

async fn listen(interface: Ipv4Addr, port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::from((interface, port));
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Bind { address, error })
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

async fn drain<T>(
    served: &mut (impl Future<Output = io::Result<T>> + Unpin),
    interrupt: &mut Signal,
) {
    tracing::info!("waiting for requests in progress");
    tokio::select! {
        _ = served => tracing::info!("all requests are answered"),
        _ = interrupt.recv() => tracing::warn!("SIGINT again: not waiting any longer"),
        () = tokio::time::sleep(DRAIN_LIMIT) => tracing::warn!("requests are still in progress: not waiting any longer"),
    }
}
