//! `convex_admin_key`: a key that never enters the state.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{Access, InstanceName, InstanceSecret, Secret},
    plugin::{
        Config, Cx, Diagnostic, Diagnostics, EphemeralResource, Known,
        schema::{Fields, OnUpdate, Schema, boolean, string},
    },
    resources::{find_instance, issue_key},
    runtime::DeploymentId,
    session::Session,
};

/// The ephemeral resource.
#[derive(Debug)]
pub struct AdminKeyEphemeral;

/// The attributes of `convex_admin_key`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    deployment: Option<String>,
    instance_name: Option<String>,
    instance_secret: Option<Secret>,
    read_only: Option<bool>,
    admin_key: Option<Secret>,
}

impl EphemeralResource<Session> for AdminKeyEphemeral {
    type Model = Model;

    fn schema(&self) -> Schema {
        Schema::new(
            "An admin key for a deployment, computed when it is needed and stored nowhere. Give either `deployment`, or `instance_name` and `instance_secret`.",
            Fields::new()
                .with(
                    "deployment",
                    string("ID of a deployment that this provider runs. Where this configuration does not manage it, its backend must run, so that the secret can be read from its volume.")
                        .optional()
                        .parsed::<DeploymentId>(),
                )
                .with(
                    "instance_name",
                    string("Name of the instance.")
                        .optional()
                        .parsed::<InstanceName>()
                        .inferred(OnUpdate::Keep),
                )
                .with(
                    "instance_secret",
                    string("Secret of the instance: 64 hexadecimal digits.")
                        .optional()
                        .parsed_with(InstanceSecret::parse)
                        .sensitive(),
                )
                .with(
                    "read_only",
                    boolean("Whether the key may only read. Default `false`.")
                        .optional()
                        .default(false),
                )
                .with(
                    "admin_key",
                    string("The key. Null while the deployment is stopped, if its secret is not in the state.").computed(OnUpdate::Keep).sensitive(),
                ),
        )
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        let given =
            ["deployment", "instance_name", "instance_secret"].map(|path| config.given(path));
        let fits = |wanted: [bool; 3]| {
            let mut pairs = given.iter().zip(wanted);
            pairs.all(|(given, wanted)| given.is_unknown() || *given == Known::Known(wanted))
        };
        if fits([true, false, false]) || fits([false, true, true]) {
            return Diagnostics::default();
        }
        Diagnostic::error(
            "Which instance?",
            "Give either deployment, or both instance_name and instance_secret.",
        )
        .at("deployment")
        .into()
    }

    async fn open(&self, cx: &mut Cx<Session>, config: Model) -> Result<Known<Model>, Diagnostics> {
        let (name, secret) = match &config.deployment {
            Some(deployment) => match find_instance(cx, deployment).await? {
                Known::Known((Some(name), Some(secret))) => (name, secret),
                Known::Known((name, _)) => {
                    if name.is_none() {
                        cx.warn(Diagnostic::warning(
                            "No key of a deployment that is stopped",
                            format!(
                                "The secret of deployment {deployment:?} can only be read from its volume while its backend runs, so admin_key is null. Start it, or give instance_name and instance_secret."
                            ),
                        ).at("deployment"));
                    }
                    return Ok(Known::Known(Model {
                        instance_name: name.map(|name| name.to_string()),
                        ..config
                    }));
                }
                Known::Unknown => return Ok(Known::Unknown),
            },
            None => {
                let name = config.instance_name.as_deref().unwrap_or_default();
                let secret = config.instance_secret.clone().unwrap_or_default();
                let invalid = |attribute: &str, error: &dyn std::fmt::Display| {
                    Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string())
                        .at(attribute)
                };
                (
                    InstanceName::parse(name).map_err(|error| invalid("instance_name", &error))?,
                    InstanceSecret::parse(secret.expose())
                        .map_err(|error| invalid("instance_secret", &error))?,
                )
            }
        };
        let access = match config.read_only {
            Some(true) => Access::ReadOnly,
            _ => Access::Full,
        };
        let key = issue_key(&name, &secret, access)?;
        Ok(Known::Known(Model {
            instance_name: Some(name.to_string()),
            admin_key: Some(key.as_secret().clone()),
            ..config
        }))
    }
}
