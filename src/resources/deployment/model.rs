//! The state of a deployment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    bonds::Bonds,
    confinement::{HardeningModel, LimitsModel, LogModel},
    database::DatabaseModel,
    release::UpgradeModel,
    restore::RestoreModel,
    storage::StorageModel,
};
use crate::{
    convex::{
        ApiOrigin, DashboardOrigin, Origins, Secret, SiteOrigin, database::DatabaseKind,
        process_env::StorageKind,
    },
    plugin::Timeouts,
    resources::docker_host::DockerModel,
};

/// The attributes of `convex_deployment`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub name: String,
    pub docker: Option<DockerModel>,
    pub running: Option<bool>,
    pub origins: Option<OriginsModel>,
    pub internal_origins: Option<bool>,
    pub instance_name: Option<String>,
    pub instance_secret: Option<Secret>,
    pub secrets_in_state: Option<bool>,
    pub rotate_trigger: Option<String>,
    pub backend: Option<BackendModel>,
    pub dashboard: Option<DashboardModel>,
    pub database: Option<DatabaseModel>,
    pub storage: Option<StorageModel>,
    pub allow_data_loss: Option<bool>,
    pub on_conflict: Option<String>,
    pub upgrade: Option<UpgradeModel>,
    pub restore_from: Option<RestoreModel>,
    pub network: Option<NetworkModel>,
    pub hardening: Option<HardeningModel>,
    pub log: Option<LogModel>,
    pub volume: Option<VolumeModel>,
    pub labels: Option<BTreeMap<String, String>>,
    pub timeouts: Option<Timeouts>,
    pub admin_key: Option<Secret>,
    pub database_name: Option<String>,
    pub database_server: Option<String>,
    pub database_kind: Option<String>,
    pub storage_kind: Option<String>,
    pub urls: Option<UrlsModel>,
    pub owner_id: Option<String>,
    pub container_ids: Option<PerContainer>,
    pub image_digests: Option<PerContainer>,
    pub version: Option<String>,
    pub kept_images: Option<PerContainer>,
    pub last_snapshot: Option<String>,
    pub ports: Option<PublishModel>,
    pub env_local: Option<Secret>,
    pub agent_env: Option<BTreeMap<String, Secret>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginsModel {
    pub api: Option<String>,
    pub site: Option<String>,
    pub dashboard: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendModel {
    pub image: Option<String>,
    pub env: Option<BTreeMap<String, String>>,
    pub memory_mb: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<u64>,
    pub jwt_entrypoint: Option<bool>,
    pub jwt_private_key: Option<Secret>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DashboardModel {
    pub enabled: Option<bool>,
    pub image: Option<String>,
    pub prefill_admin_key: Option<bool>,
    pub memory_mb: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkModel {
    pub container: Option<String>,
    pub networks: Option<Vec<String>>,
    pub extra_hosts: Option<BTreeMap<String, String>>,
    pub publish: Option<PublishModel>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishModel {
    pub api: Option<u16>,
    pub site: Option<u16>,
    pub dashboard: Option<u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VolumeModel {
    pub on_destroy: Option<String>,
}

impl VolumeModel {
    /// Keeps the data when the deployment is destroyed.
    pub const RETAIN: &str = "retain";
    /// Removes the data with the deployment.
    pub const DELETE: &str = "delete";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlsModel {
    pub api: Option<String>,
    pub site: Option<String>,
    pub dashboard: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerContainer {
    pub backend: Option<String>,
    pub dashboard: Option<String>,
}

impl BackendModel {
    /// What it may use at most.
    pub fn limits(&self) -> LimitsModel {
        LimitsModel {
            memory_mb: self.memory_mb,
            cpus: self.cpus,
            pids: self.pids,
        }
    }
}

impl DashboardModel {
    /// What it may use at most.
    pub fn limits(&self) -> LimitsModel {
        LimitsModel {
            memory_mb: self.memory_mb,
            cpus: self.cpus,
            pids: self.pids,
        }
    }
}

impl Model {
    /// Refuses a deployment that another configuration has.
    pub const FAIL: &str = "fail";
    /// Takes it over.
    pub const ADOPT: &str = "adopt";

    /// Whether its data goes with it.
    pub fn deletes_data(&self) -> bool {
        let fate = self.volume.as_ref().and_then(|it| it.on_destroy.as_deref());
        fate == Some(VolumeModel::DELETE)
    }

    /// The images that its containers are made from: those that running ones
    /// keep, else those asked for.
    pub fn images(&self) -> PerContainer {
        let kept = self.kept_images.clone().unwrap_or_default();
        let backend = self.backend.as_ref().and_then(|it| it.image.clone());
        let dashboard = self.dashboard.as_ref().and_then(|it| it.image.clone());
        PerContainer {
            backend: kept.backend.or(backend),
            dashboard: kept.dashboard.or(dashboard),
        }
    }

    /// What the state says that its data is bound to.
    pub fn bonds(&self) -> Bonds {
        Bonds {
            instance: self.instance_name.clone(),
            database: self
                .database_kind
                .as_deref()
                .and_then(DatabaseKind::of_word),
            storage: self.storage_kind.as_deref().and_then(StorageKind::of_word),
        }
    }

    /// Puts in what its data is bound to.
    pub fn set_bonds(&mut self, bonds: &Bonds) {
        self.database_kind = bonds.database.map(|it| it.as_str().to_owned());
        self.storage_kind = bonds.storage.map(|it| it.as_str().to_owned());
    }

    /// Whether its secrets may be kept in the state.
    pub fn keeps_secrets(&self) -> bool {
        self.secrets_in_state != Some(false)
    }
}

impl From<&Origins> for OriginsModel {
    fn from(origins: &Origins) -> Self {
        Self {
            api: Some(origins.api.to_string()),
            site: Some(origins.site.to_string()),
            dashboard: Some(origins.dashboard.to_string()),
        }
    }
}

impl OriginsModel {
    /// The origins, where all three are given and right.
    pub fn parse(&self) -> Option<Origins> {
        Some(Origins {
            api: ApiOrigin::parse(self.api.as_deref()?).ok()?,
            site: SiteOrigin::parse(self.site.as_deref()?).ok()?,
            dashboard: DashboardOrigin::parse(self.dashboard.as_deref()?).ok()?,
        })
    }
}
