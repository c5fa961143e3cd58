//! What is noted of a deployment in its volume, beside the credentials.
//!
//! A resource that only has a deployment's name, and an import, find here what
//! no container shows. It is changed without making a container anew.

use serde::{Deserialize, Serialize};

use super::{bonds::Bonds, model::OriginsModel, ownership::Owner, settings::Settings};
use crate::{
    convex::{Reach, Secret, database::DatabaseKind, process_env::StorageKind},
    runtime::docker::Credentials,
};

/// The note. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    origins: OriginsModel,
    internal_origins: bool,
    secrets_in_state: bool,
    #[serde(default)]
    database_kind: Option<String>,
    #[serde(default)]
    storage_kind: Option<String>,
    /// Who has the deployment; see [`ownership`](super::ownership).
    #[serde(default)]
    owner: Option<Owner>,
}

impl Record {
    /// Of a deployment as it is to be.
    pub fn of(settings: &Settings) -> Self {
        let bonds = Bonds::of(settings);
        let reach = settings.reach();
        Self {
            origins: OriginsModel::from(&reach.public),
            internal_origins: reach.internal,
            secrets_in_state: settings.keeps_secrets,
            database_kind: bonds.database.map(|it| it.as_str().to_owned()),
            storage_kind: bonds.storage.map(|it| it.as_str().to_owned()),
            owner: settings.owner.clone(),
        }
    }

    /// The one in a volume, if a provider that knows of it has been there.
    pub fn read(stored: &Credentials) -> Option<Self> {
        serde_json::from_str(stored.record.as_ref()?.expose()).ok()
    }

    /// As it lies in the volume.
    pub fn text(&self) -> Secret {
        serde_json::json!(self).to_string().into()
    }

    /// How the deployment is reached.
    pub fn reach(&self) -> Option<Reach> {
        Some(Reach {
            public: self.origins.parse()?,
            internal: self.internal_origins,
        })
    }

    /// What the volume says that its data is bound to. The name of the instance
    /// is in a file of the backend's own.
    pub fn bonds(stored: &Credentials) -> Bonds {
        let record = Self::read(stored);
        let record = record.as_ref();
        Bonds {
            instance: stored.name.clone(),
            database: record
                .and_then(|it| it.database_kind.as_deref())
                .and_then(DatabaseKind::of_word),
            storage: record
                .and_then(|it| it.storage_kind.as_deref())
                .and_then(StorageKind::of_word),
        }
    }

    /// Who has the deployment, by its volume.
    pub fn owner(stored: &Credentials) -> Option<Owner> {
        Self::read(stored)?.owner
    }

    /// Whether its secrets may be kept in the state.
    pub fn keeps_secrets(&self) -> bool {
        self.secrets_in_state
    }
}
