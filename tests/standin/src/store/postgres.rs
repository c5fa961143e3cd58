//! The store of a backend with an external Postgres server.
//!
//! Whoever starts last owns the database: a row of `leases` holds the time of that start, and every write checks it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Answer, Store, StoreError};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS leases (id INT PRIMARY KEY, ts BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS standin_documents (name TEXT PRIMARY KEY, json TEXT NOT NULL)";
/// Changes no row where the lease that is there is younger.
const TAKE_LEASE: &str = "
    INSERT INTO leases (id, ts) VALUES (1, $1)
    ON CONFLICT (id) DO UPDATE SET ts = excluded.ts WHERE leases.ts < excluded.ts";
/// Holds the lease still until the transaction ends.
const CHECK_LEASE: &str = "SELECT 1 FROM leases WHERE id = 1 AND ts = $1 FOR SHARE";
const WRITE: &str = "
    INSERT INTO standin_documents (name, json) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET json = excluded.json";
/// Longest wait for a server that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database on a Postgres server. It connects anew when the connection was lost.
pub struct Postgres {
    settings: Config,
    tls: MakeRustlsConnect,
    client: Option<Client>,
    lease: i64,
    fresh: bool,
}

impl Postgres {
    /// Connects, makes the tables where they are missing, and takes the lease.
    pub async fn open(mut settings: Config) -> Result<Self, StoreError> {
        settings.connect_timeout(CONNECT_TIMEOUT);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|error| StoreError::failed(&error))?;
        let lease = i64::try_from(now.as_nanos()).map_err(|error| StoreError::failed(&error))?;
        let mut store = Self {
            settings,
            tls: tls()?,
            client: None,
            lease,
            fresh: false,
        };
        store.take_database().await?;
        Ok(store)
    }

    async fn take_database(&mut self) -> Result<(), StoreError> {
        let lease = self.lease;
        let client = self.client().await?;
        client
            .batch_execute(TABLES)
            .await
            .map_err(|error| StoreError::failed(&error))?;
        let documents = client
            .query("SELECT 1 FROM standin_documents LIMIT 1", &[])
            .await
            .map_err(|error| StoreError::failed(&error))?;
        tracing::info!("attempting to acquire lease");
        let taken = client
            .execute(TAKE_LEASE, &[&lease])
            .await
            .map_err(|error| StoreError::failed(&error))?;
        if taken != 1 {
            return Err(StoreError::Failed(
                "failed to acquire lease: Already acquired with higher timestamp".into(),
            ));
        }
        tracing::info!("lease acquired with ts {lease}");
        self.fresh = documents.is_empty();
        Ok(())
    }

    /// A connection that was alive a moment ago.
    async fn client(&mut self) -> Result<&mut Client, StoreError> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            let (client, connection) = self
                .settings
                .connect(self.tls.clone())
                .await
                .map_err(|error| StoreError::failed(&error))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!("lost the connection to the database: {error}");
                }
            });
            self.client = Some(client);
        }
        self.client
            .as_mut()
            .ok_or_else(|| StoreError::Failed("not connected".into()))
    }

    async fn try_write(&mut self, name: &str, json: &str) -> Result<(), StoreError> {
        let lease = self.lease;
        let failed = |error: tokio_postgres::Error| StoreError::failed(&error);
        let transaction = self.client().await?.transaction().await.map_err(failed)?;
        if transaction
            .query(CHECK_LEASE, &[&lease])
            .await
            .map_err(failed)?
            .is_empty()
        {
            return Err(StoreError::LeaseLost);
        }
        transaction
            .execute(WRITE, &[&name, &json])
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

impl Store for Postgres {
    fn is_fresh(&self) -> bool {
        self.fresh
    }

    fn load(&mut self) -> Answer<'_, BTreeMap<String, String>> {
        Box::pin(async {
            let rows = self
                .client()
                .await?
                .query("SELECT name, json FROM standin_documents", &[])
                .await
                .map_err(|error| StoreError::failed(&error))?;
            Ok(rows
                .into_iter()
                .map(|row| (row.get(0), row.get(1)))
                .collect())
        })
    }

    fn write<'a>(&'a mut self, name: &'a str, json: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.try_write(name, json).await {
                // A server that restarted meanwhile is only noticed by using the old connection.
                Err(StoreError::Failed(_))
                    if self.client.as_ref().is_some_and(Client::is_closed) =>
                {
                    self.try_write(name, json).await
                }
                outcome => outcome,
            }
        })
    }

    /// Taking the lease has written one; whether it is lost shows at the next change (observed).
    fn bump(&mut self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// TLS that trusts the system's authorities and those of `PG_CA_FILE`.
fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    if let Some(error) = system.errors.first() {
        return Err(StoreError::failed(error));
    }
    for certificate in system.certs {
        roots
            .add(certificate)
            .map_err(|error| StoreError::failed(&error))?;
    }
    if let Some(path) = env::var_os("PG_CA_FILE").filter(|path| !path.is_empty()) {
        let bytes = fs::read(&path).map_err(|_| {
            StoreError::Failed(format!("Failed to read CA file: {}", path.display()))
        })?;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|_| {
                StoreError::Failed(format!(
                    "Failed to parse CA file as PEM: {}",
                    path.display()
                ))
            })?;
            roots
                .add(certificate)
                .map_err(|error| StoreError::failed(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
