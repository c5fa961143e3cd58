//! `convex_env`: the variables of a deployment, to look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    backend::{self, BackendError, TransportError},
    convex::{AdminKey, ApiOrigin, Secret},
    plugin::{
        Config, Cx, DataSource, Diagnostic, Diagnostics, Known, Timeouts,
        schema::{Element, Fields, OnUpdate, Schema, boolean, list_of, map_of, string},
    },
    resources::{
        backend_error, deployment,
        env::backend::{Backend, Target, find, list},
    },
    runtime::{DeploymentId, docker::Patience},
    session::{Listing, Session},
};

/// The data source.
#[derive(Debug)]
pub struct EnvDataSource;

/// The attributes of the data source `convex_env`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    id: Option<String>,
    deployment: Option<String>,
    url: Option<String>,
    admin_key: Option<Secret>,
    ca_pem: Option<String>,
    include_values: Option<bool>,
    running: Option<bool>,
    names: Option<Vec<String>>,
    values: Option<BTreeMap<String, Secret>>,
}

impl DataSource<Session> for EnvDataSource {
    type Model = Model;

    fn schema(&self) -> Schema {
        Schema::new(
            "The environment variables that a deployment has, whoever set them: their names, and on request their values. Looks at the backend at every plan and changes nothing. A deployment that is stopped is no error. Where the same configuration sets variables, add `depends_on` with the `convex_env`, so that they are looked at after.",
            Fields::new()
                .with(
                    "id",
                    string("The deployment, or the URL.").computed(OnUpdate::Keep),
                )
                .with(
                    "deployment",
                    string("ID of a deployment that this provider runs. Either this or `url`.")
                        .optional()
                        .parsed::<DeploymentId>(),
                )
                .with(
                    "url",
                    string("URL of the API of any Convex deployment, with `admin_key`. Either this or `deployment`.")
                        .optional()
                        .parsed::<ApiOrigin>(),
                )
                .with(
                    "admin_key",
                    string("Admin or deploy key for the deployment at `url`; one that may only read is enough. It is in the state.")
                        .optional()
                        .sensitive()
                        .parsed_with(AdminKey::parse),
                )
                .with(
                    "ca_pem",
                    string("Certificates of the authority that signed the certificate of `url`, in PEM form. Default: those this system trusts.")
                        .optional()
                        .parsed_with(backend::check_authorities),
                )
                .with(
                    "include_values",
                    boolean("Whether to read the values too, which puts them into the state. Default `false`.")
                        .optional()
                        .default(false),
                )
                .with(
                    "running",
                    boolean("Whether the backend runs.").computed(OnUpdate::Keep),
                )
                .with(
                    "names",
                    list_of(Element::String, "Names of all variables, in order; null while the backend does not run.")
                        .computed(OnUpdate::Keep),
                )
                .with(
                    "values",
                    map_of(Element::String, "Values by name; null while the backend does not run, and unless `include_values` is `true`.")
                        .computed(OnUpdate::Keep)
                        .sensitive(),
                ),
        )
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        match (config.given("deployment"), config.given("url")) {
            (Known::YES, Known::YES) => Diagnostic::error(
                "Which deployment?",
                "Both deployment and url are given. Keep deployment for one on the provider's Docker host, or url with admin_key for any other.",
            )
            .at("url")
            .into(),
            (Known::NO, Known::NO) => Diagnostic::error(
                "Which deployment?",
                "Give deployment for one on the provider's Docker host, or url and admin_key for any other.",
            )
            .at("deployment")
            .into(),
            (Known::NO, Known::YES) if config.given("admin_key") == Known::NO => Diagnostic::error(
                "Key missing",
                "The deployment at url needs an admin or deploy key. Give admin_key.",
            )
            .at("admin_key")
            .into(),
            (Known::YES, Known::NO) => ["admin_key", "ca_pem"]
                .into_iter()
                .filter(|attribute| config.given(*attribute) == Known::YES)
                .map(|attribute| {
                    Diagnostic::error(
                        "Attribute without a use",
                        format!("{attribute} goes with url. A deployment on the provider's Docker host needs no key and no certificate. Remove it."),
                    )
                    .at(attribute)
                })
                .collect(),
            _ => Diagnostics::default(),
        }
    }

    async fn read(&self, cx: &mut Cx<Session>, config: Model) -> Result<Model, Diagnostics> {
        let target = Target {
            deployment: config.deployment.clone(),
            url: config.url.clone(),
            admin_key: config.admin_key.clone(),
            ca_pem: config.ca_pem.clone(),
        };
        let listing = look(cx, &target).await?;
        let wanted = config.include_values == Some(true);
        Ok(Model {
            id: target.id().map(str::to_owned),
            running: Some(listing.is_some()),
            names: listing
                .as_ref()
                .map(|listing| listing.keys().cloned().collect()),
            values: listing
                .filter(|_| wanted)
                .map(|listing| listing.as_ref().clone()),
            ..config
        })
    }
}

/// All variables; `None` when no backend runs that could tell.
async fn look(cx: &Cx<Session>, target: &Target) -> Result<Option<Listing>, Diagnostic> {
    let object = target.object();
    let patience = Patience::new(Timeouts::default().read(), cx.cancellation());
    let client = match find(cx, target, &patience).await? {
        Backend::Running { client, .. } => client,
        Backend::Stopped { .. } => return Ok(None),
        Backend::Gone => return Err(gone(cx, target)),
    };
    match list(&client).await {
        Ok(Some(listing)) => Ok(Some(listing)),
        Ok(None) => Err(Diagnostic::error(
            "Variables cannot be listed",
            format!(
                "The key of {object} may not see its variables, or its backend is too old to list them. Give a key with more rights, or update the backend."
            ),
        )),
        Err(BackendError::Transport(TransportError::NotRunning)) => Ok(None),
        Err(error) => Err(backend_error(&object, "read the variables", &error)),
    }
}

fn gone(cx: &Cx<Session>, target: &Target) -> Diagnostic {
    let name = target.deployment.as_deref().unwrap_or_default();
    let planned = cx.session.deployment(name).planned;
    if planned.is_some_and(|planned| planned.creates) {
        return Diagnostic::error(
            "The deployment is not made yet",
            format!(
                "{} is made by the same apply, so there are no variables to look at now. Add depends_on with the convex_deployment, or the convex_env, to this data block: it is then read after.",
                target.object()
            ),
        )
        .at("deployment");
    }
    deployment::no_such(name)
}
