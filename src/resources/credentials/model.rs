//! The state of credentials, and the schema beside it.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{Access, AdminKey, InstanceName, InstanceSecret, Secret, crypto::CryptoError},
    plugin::schema::{Fields, OnUpdate, Schema, string},
};

/// The attributes of `convex_credentials`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub instance_name: Option<String>,
    pub instance_secret: Option<Secret>,
    pub rotate_trigger: Option<String>,
    pub admin_key: Option<Secret>,
    pub read_only_admin_key: Option<Secret>,
    pub database_name: Option<String>,
}

/// What follows from name and secret.
#[derive(Debug)]
pub struct Keys {
    pub admin: AdminKey,
    pub read_only: AdminKey,
}

impl Keys {
    /// Those of an instance.
    pub fn of(name: &InstanceName, secret: &InstanceSecret) -> Result<Self, CryptoError> {
        Ok(Self {
            admin: AdminKey::issue(name, secret, Access::Full)?,
            read_only: AdminKey::issue(name, secret, Access::ReadOnly)?,
        })
    }
}

impl Model {
    /// Takes over a name, a secret, and what follows from them.
    pub fn fill(
        &mut self,
        name: &InstanceName,
        secret: &InstanceSecret,
    ) -> Result<(), CryptoError> {
        let keys = Keys::of(name, secret)?;
        self.id = Some(name.to_string());
        self.instance_name = Some(name.to_string());
        self.database_name = Some(name.database_name());
        self.instance_secret = Some(secret.to_hex());
        self.admin_key = Some(keys.admin.as_secret().clone());
        self.read_only_admin_key = Some(keys.read_only.as_secret().clone());
        Ok(())
    }
}

/// The schema.
pub fn schema() -> Schema {
    let text = |description| string(description).computed(OnUpdate::Keep);
    Schema::new(
        "The secret of a backend's instance and the admin keys that follow from it, with a life of their own: for a backend that something else runs, such as Kubernetes, Nomad, ECS or compose. Start it with `INSTANCE_NAME` and `INSTANCE_SECRET` from here, and the keys are valid from its first start on; nothing has to be asked of it. The function `backend_container` says what else its container is made from. A `convex_deployment` has credentials of its own and does not need this. Everything lives in the state alone. Destroying it forgets the secret and changes nothing where it is in use.",
        Fields::new()
            .with("id", text("The name of the instance."))
            .with(
                "instance_name",
                string("Name of the instance, for `INSTANCE_NAME`: lower-case letters, digits and hyphens. It is part of every admin key and, with `-` as `_`, the name of the database. A backend that has data in PostgreSQL or MySQL must keep it.")
                    .required()
                    .parsed::<InstanceName>(),
            )
            .with(
                "instance_secret",
                string("Secret of the instance, for `INSTANCE_SECRET`: 64 hexadecimal digits, from which admin keys are made. Default: generated once. One that was given or imported stays when it is given no more, until it is rotated.")
                    .optional()
                    .parsed_with(InstanceSecret::parse)
                    .inferred(OnUpdate::Keep)
                    .sensitive(),
            )
            .with(
                "rotate_trigger",
                string("Any text, such as a date. When it changes, a new secret is generated in place of the old one. All admin keys made before end when the backend is started with it.")
                    .optional(),
            )
            .with(
                "admin_key",
                text("Admin key of the instance: full control, for `CONVEX_SELF_HOSTED_ADMIN_KEY`, the dashboard and `convex_env`. It never expires.").sensitive(),
            )
            .with(
                "read_only_admin_key",
                text("Admin key that may only read data, variables and logs.").sensitive(),
            )
            .with(
                "database_name",
                text("Name of the database that the backend looks for on a server of PostgreSQL or MySQL, and which must be there before it starts."),
            ),
    )
}
