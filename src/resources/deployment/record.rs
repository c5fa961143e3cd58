//! What is noted of a deployment in its volume, beside the credentials.
//!
//! A resource that only has a deployment's name, and an import, find here what
//! no container shows. It is changed without making a container anew.

use serde::{Deserialize, Serialize};

use super::{model::OriginsModel, settings::Settings};
use crate::{
    convex::{Reach, Secret},
    runtime::docker::Credentials,
};

/// The note. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    origins: OriginsModel,
    internal_origins: bool,
    secrets_in_state: bool,
}

impl Record {
    /// Of a deployment as it is to be.
    pub fn of(settings: &Settings) -> Self {
        Self {
            origins: OriginsModel::from(&settings.reach.public),
            internal_origins: settings.reach.internal,
            secrets_in_state: settings.keeps_secrets,
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

    /// Whether its secrets may be kept in the state.
    pub fn keeps_secrets(&self) -> bool {
        self.secrets_in_state
    }
}
