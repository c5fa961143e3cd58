//! `convex_verification`: the checklist, for `check` blocks.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    convex::{Access, AdminKey, ApiOrigin, Secret},
    plugin::{
        Config, Cx, DataSource, Diagnostic, Diagnostics, Known,
        schema::{Element, Fields, OnUpdate, Schema, boolean, list_of, map_of_objects, string},
    },
    project::verify::{
        Addresses, Answer, Check, Facts, Probes, addresses, ask, probe, site_beside, snapshot,
        unasked, verify,
    },
    resources::deployment::{Found, locate},
    runtime::{
        DeploymentId, Names, Role, SITE_PORT,
        docker::{ExecTransport, Patience},
    },
    session::{Live, Session},
};

/// The data source.
#[derive(Debug)]
pub struct VerificationDataSource;

/// The attributes of the data source `convex_verification`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    directory: Option<String>,
    deployment: Option<String>,
    url: Option<String>,
    site_url: Option<String>,
    admin_key: Option<Secret>,
    passed: Option<bool>,
    failed: Option<Vec<String>>,
    checks: Option<BTreeMap<String, CheckModel>>,
}

/// One entry of the checklist.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckModel {
    passed: Option<bool>,
    detail: Option<String>,
    remedy: Option<String>,
}

impl From<&Check> for CheckModel {
    fn from(check: &Check) -> Self {
        Self {
            passed: check.passed,
            detail: Some(check.detail.clone()),
            remedy: Some(check.remedy.clone()),
        }
    }
}

/// How long everything may take.
const PATIENCE: Duration = Duration::from_mins(1);

impl DataSource<Session> for VerificationDataSource {
    type Model = Model;

    fn schema(&self) -> Schema {
        let text = |description| string(description).computed(OnUpdate::Keep);
        Schema::new(
            "The checklist for a project and its deployment: what was seen, and what to do. Asks the deployment at every plan; where nothing is there to be asked, as when a Coder template is imported, the checks stay open and nothing fails.",
            Fields::new()
                .with(
                    "directory",
                    string("Directory of the app on the machine that runs Terraform. Without it only the deployment is checked.")
                        .optional(),
                )
                .with(
                    "deployment",
                    string("ID of a deployment that this provider runs. It is asked through Docker, so that its ports need not be reached. Either this or `url`.")
                        .optional()
                        .parsed::<DeploymentId>(),
                )
                .with(
                    "url",
                    string("URL of the API of any deployment. Default: what `.env.convex.local` in `directory` says.")
                        .optional()
                        .parsed::<ApiOrigin>(),
                )
                .with(
                    "site_url",
                    string("URL of its HTTP actions, without a path. Default: one port further, where `url` ends with `:3210`.")
                        .optional()
                        .parsed::<ApiOrigin>(),
                )
                .with(
                    "admin_key",
                    string("Its admin key, with `url`.")
                        .optional()
                        .sensitive()
                        .parsed_with(AdminKey::parse),
                )
                .with(
                    "passed",
                    boolean("Whether no check failed. Those that could not be made do not count.")
                        .computed(OnUpdate::Keep),
                )
                .with(
                    "failed",
                    list_of(Element::String, "Names of the checks that failed.")
                        .computed(OnUpdate::Keep),
                )
                .with(
                    "checks",
                    map_of_objects(
                        Fields::new()
                            .with(
                                "passed",
                                boolean("Whether all is well; null when it could not be told.")
                                    .computed(OnUpdate::Keep),
                            )
                            .with("detail", text("What was seen. No secret."))
                            .with("remedy", text("What to do; empty when all is well.")),
                        "Each check by its name.",
                    )
                    .computed(OnUpdate::Keep),
                ),
        )
    }

    fn validate(&self, config: Config<'_>) -> Diagnostics {
        let mut found = Diagnostics::default();
        if ["deployment", "url"].map(|path| config.given(path)) == [Known::YES; 2] {
            found.push(
                Diagnostic::error(
                    "Which deployment?",
                    "Both deployment and url are given. Keep deployment for one that this provider runs, or url for any other.",
                )
                .at("url"),
            );
        }
        let nothing = ["directory", "deployment", "url"]
            .iter()
            .all(|attribute| config.given(*attribute) == Known::NO);
        if nothing {
            found.push(
                Diagnostic::error(
                    "Nothing to check",
                    "Give the directory of an app, or a deployment, or the url of one, or several of them.",
                )
                .at("directory"),
            );
        }
        found
    }

    async fn read(&self, cx: &mut Cx<Session>, config: Model) -> Result<Model, Diagnostics> {
        let snapshot = match &config.directory {
            None => None,
            Some(directory) => Some(snapshot(Path::new(directory)).map_err(|error| {
                Diagnostic::error(
                    "The directory cannot be read",
                    format!("{directory}: {error}. Name a directory, or leave it out."),
                )
                .at("directory")
            })?),
        };
        let probes = match (&config.deployment, &config.url) {
            (Some(deployment), _) => by_deployment(cx, deployment).await,
            (None, Some(url)) => by_url(url, &config).await?,
            (None, None) => match addresses(snapshot.as_ref(), |_| None) {
                Ok(addresses) => probe(&addresses).await,
                Err(why) => unasked(&why),
            },
        };
        let report = verify(&Facts { snapshot, probes });
        Ok(Model {
            passed: Some(report.passed()),
            failed: Some(report.failed().map(|it| it.name.to_owned()).collect()),
            checks: Some(
                report
                    .checks
                    .iter()
                    .map(|check| (check.name.to_owned(), check.into()))
                    .collect(),
            ),
            ..config
        })
    }
}

async fn by_url(url: &str, config: &Model) -> Result<Probes, Diagnostic> {
    let wrong = |attribute: &str, error: &dyn std::fmt::Display| {
        Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
    };
    let api = ApiOrigin::parse(url).map_err(|error| wrong("url", &error))?;
    let site = match &config.site_url {
        Some(site) => Some(ApiOrigin::parse(site).map_err(|error| wrong("site_url", &error))?),
        None => site_beside(&api),
    };
    let key = config
        .admin_key
        .as_ref()
        .map(|key| AdminKey::parse(key.expose()).map_err(|error| wrong("admin_key", &error)))
        .transpose()?;
    Ok(probe(&Addresses { api, site, key }).await)
}

/// Looks at the containers, and asks from inside.
async fn by_deployment(cx: &Cx<Session>, deployment: &str) -> Probes {
    let stopped = |containers| Probes {
        containers,
        ..unasked("the containers do not run")
    };
    if !cx.session.reaches(deployment) {
        return stopped(Answer::NotAsked(
            "the address of Docker is not known yet".to_owned(),
        ));
    }
    match locate(cx, deployment).await {
        Ok(Found::Running(live)) => ask_inside(cx, deployment, &live)
            .await
            .unwrap_or_else(|why| stopped(Answer::Failed(why.detail().to_owned()))),
        Ok(Found::Stopped(_)) => stopped(Answer::Known(false)),
        Ok(Found::Gone) => stopped(Answer::Failed(format!(
            "there is no deployment {deployment:?}"
        ))),
        // Where a template is imported there is no Docker, and nothing is wrong.
        Err(why) => stopped(Answer::NotAsked(format!(
            "Docker cannot be asked: {}",
            why.summary()
        ))),
    }
}

async fn ask_inside(cx: &Cx<Session>, deployment: &str, live: &Live) -> Result<Probes, Diagnostic> {
    let failed = |error: &dyn std::fmt::Display| {
        Diagnostic::error("The deployment cannot be asked", error.to_string())
    };
    let id = DeploymentId::parse(deployment).map_err(|error| failed(&error))?;
    let secret = live
        .secret
        .as_ref()
        .ok_or_else(|| failed(&"its instance secret is not known"))?;
    let key = AdminKey::issue(&live.instance_name, secret, Access::Full)
        .map_err(|error| failed(&error))?;
    let container = Names::of(&id.name).container(Role::Backend);
    let patience = Patience::new(PATIENCE, cx.cancellation());
    let docker = cx.session.hosts().docker(&id.host)?;
    let transport = ExecTransport::new(docker, container.clone(), patience);
    let site = transport.clone().at(SITE_PORT);
    let site = Ok((format!("{container}:{SITE_PORT}"), site));
    let probes = ask(&container, transport, site, Some(&key)).await;
    Ok(Probes {
        containers: Answer::Known(true),
        ..probes
    })
}
