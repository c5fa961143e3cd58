//! The secrets an operation on a deployment works with.

use super::{
    model::Model,
    settings::{Entrypoint, Settings},
    work::Work,
};
use crate::{
    convex::{AuthKeys, InstanceSecret, Secret, auth_keys::KeySize},
    plugin::{Diagnostic, redact},
    runtime::{DATA_DIRECTORY, File, Observed, docker::Credentials},
};

/// The secrets, and where they go.
#[derive(Debug, Default)]
pub struct Secrets {
    /// That of the instance. `None` where it stays what it is, in the volume,
    /// and nothing here needs it.
    pub instance: Option<InstanceSecret>,
    /// The key of the application, where the backend is started with it.
    application: Option<Secret>,
    /// What the backend is started with, where that is not in its image.
    pub files: Vec<File>,
}

impl Secrets {
    /// Those of a new deployment: what is given, else what the volume has, else
    /// new ones.
    pub async fn for_create(
        settings: &Settings,
        given: Option<&Secret>,
        stored: &Credentials,
    ) -> Result<Self, Diagnostic> {
        let instance = match given {
            Some(given) => parse(given, "")?,
            None => match stored_secret(stored)? {
                Some(stored) => stored,
                None => new_secret()?,
            },
        };
        let mut secrets = Self {
            instance: Some(instance),
            ..Self::default()
        };
        secrets.add_application(settings, stored).await?;
        Ok(secrets)
    }

    /// Those of a deployment that changes. `rotates` says whether its secret is
    /// to be replaced by a generated one.
    pub async fn for_update(
        work: &Work,
        prior: &Model,
        planned: &Model,
        observed: &Observed,
        rotates: bool,
    ) -> Result<Self, Diagnostic> {
        let given = planned.instance_secret.as_ref();
        let keeps = work.settings.keeps_secrets;
        // A state without it: switched on just now, or imported when stopped.
        // The key in the dashboard follows from it.
        let prefills = work.settings.running
            && work.settings.prefills_key()
            && prior.instance_secret.is_none();
        let asks_for_secret = (keeps || prefills) && !rotates && given.is_none();
        let entrypoint = work.settings.entrypoint.as_ref();
        let asks_for_key = work.settings.running && entrypoint.is_some_and(|it| it.key.is_none());
        let stored = if asks_for_secret || asks_for_key {
            work.stored_credentials(observed).await?
        } else {
            Credentials::default()
        };
        let instance = match given {
            Some(given) => Some(parse(given, "")?),
            None if rotates => Some(new_secret()?),
            None if asks_for_secret => match stored_secret(&stored)? {
                Some(stored) => Some(stored),
                None => Some(new_secret()?),
            },
            // Switched off: what only the state knew goes into the volume.
            None => match &prior.instance_secret {
                Some(prior) => Some(parse(prior, "")?),
                None => None,
            },
        };
        let mut secrets = Self {
            instance,
            ..Self::default()
        };
        if work.settings.running {
            secrets.add_application(&work.settings, &stored).await?;
        }
        Ok(secrets)
    }

    /// The key that the backend is started with: what is given, else what the
    /// volume has, else a new one. One among the variables of the process is
    /// left to the start script.
    async fn add_application(
        &mut self,
        settings: &Settings,
        stored: &Credentials,
    ) -> Result<(), Diagnostic> {
        self.files.extend(settings.authorities());
        let Some(entrypoint) = &settings.entrypoint else {
            return Ok(());
        };
        let among_variables = settings
            .backend_env
            .as_map()
            .contains_key("JWT_PRIVATE_KEY_BASE64");
        let keys = match (&entrypoint.key, &stored.jwt_key) {
            (Some(given), _) => Some(parse_key(given)?),
            (None, _) if among_variables => None,
            (None, Some(stored)) => Some(parse_key(stored)?),
            (None, None) => {
                let keys = new_key().await?;
                self.application = Some(keys.private_key_pem());
                Some(keys)
            }
        };
        if let Some(keys) = &keys {
            redact::remember(keys.private_key_pem().expose());
        }
        self.files.extend(Entrypoint::files(keys.as_ref()));
        Ok(())
    }

    /// What is to be kept in the volume.
    pub fn to_store(&self) -> Credentials {
        Credentials {
            secret: self.instance.as_ref().map(InstanceSecret::to_hex),
            jwt_key: self.application.clone(),
            ..Credentials::default()
        }
    }
}

/// The secret in a volume, if there is one.
pub fn stored_secret(stored: &Credentials) -> Result<Option<InstanceSecret>, Diagnostic> {
    let remedy = format!(
        " It was found in the volume ({DATA_DIRECTORY}/credentials/instance_secret). Give instance_secret to replace it; keys made with the old one then end."
    );
    let parse = |hex: &Secret| parse(hex, &remedy);
    stored.secret.as_ref().map(parse).transpose()
}

fn parse(hex: &Secret, remedy: &str) -> Result<InstanceSecret, Diagnostic> {
    let secret = InstanceSecret::parse(hex.expose()).map_err(|error| {
        Diagnostic::error("Invalid instance secret", format!("{error}{remedy}"))
            .at("instance_secret")
    })?;
    redact::remember(secret.to_hex().expose());
    Ok(secret)
}

fn new_secret() -> Result<InstanceSecret, Diagnostic> {
    let secret = InstanceSecret::generate()
        .map_err(|error| Diagnostic::error("Cannot make an instance secret", error.to_string()))?;
    redact::remember(secret.to_hex().expose());
    Ok(secret)
}

fn parse_key(pem: &Secret) -> Result<AuthKeys, Diagnostic> {
    AuthKeys::parse(pem.expose()).map_err(|error| {
        Diagnostic::error("Invalid key for sign-in tokens", error.to_string())
            .at("backend.jwt_private_key")
    })
}

async fn new_key() -> Result<AuthKeys, Diagnostic> {
    let failed = |error: &dyn std::fmt::Display| {
        Diagnostic::error("Cannot make a key for sign-in tokens", error.to_string())
    };
    tokio::task::spawn_blocking(|| AuthKeys::generate(KeySize::Rsa2048))
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))
}
