//! `convex_verification`: the checklist, for `check` blocks.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    backend::page::FromHere,
    convex::{Access, AdminKey, ApiOrigin, Secret},
    plugin::{
        Config, Cx, DataSource, Diagnostic, Diagnostics, Known,
        schema::{Element, Fields, OnUpdate, Schema, boolean, list_of, map_of_objects, string},
    },
    project::verify::{
        Addresses, Answer, Check, Facts, Given, Keeper, Loopback, Probes, Source, Views, Way, ask,
        ask_from_here, browser_addresses, probe, site_beside, snapshot, unasked, verify,
    },
    resources::{
        deployment::{Found, locate},
        issue_key,
    },
    runtime::{
        BACKEND_PORT, DeploymentId, Names, ObservedContainer, Role, SITE_PORT,
        docker::{Docker, ExecTransport, FromInside, Patience},
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
    frontend_url: Option<String>,
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
            "The checklist for a project and its deployment: whether users can sign in, what was seen, and what to do. Asks the deployment at every plan. With `deployment`, the issuer of tokens is asked from inside the container of the backend, as the backend asks it, and the backend is shown a token that its own key has signed. If there is nothing to ask, as when a Coder template is imported, the checks stay open and nothing fails.",
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
                    string("Its admin key, with `url`. It is only sent if the instance that answers has the name in the key.")
                        .optional()
                        .sensitive()
                        .parsed_with(AdminKey::parse),
                )
                .with(
                    "frontend_url",
                    string("URL of the frontend, to compare `SITE_URL` with, such as `auth.site_url` of `convex_env`. Without it `site_url` in `checks` says what `SITE_URL` is, and does not judge it.")
                        .optional(),
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
            Some(directory) => Some(snapshot(directory.into()).await.map_err(|error| {
                Diagnostic::error(
                    "The directory cannot be read",
                    format!("{directory}: {error}. Name a directory, or leave it out."),
                )
                .at("directory")
            })?),
        };
        let browsers = snapshot.as_ref().map(browser_addresses).unwrap_or_default();
        let probes = match (&config.deployment, &config.url, &snapshot) {
            (Some(deployment), _, _) => by_deployment(cx, deployment, &browsers).await,
            (None, Some(url), _) => by_url(url, &config, browsers).await?,
            (None, None, Some(snapshot)) => ask_from_here(snapshot).await,
            (None, None, None) => unasked("no deployment was named"),
        };
        let report = verify(&Facts {
            snapshot,
            probes,
            frontend_url: config.frontend_url.clone(),
        });
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

/// What a project gives browsers for API and HTTP actions.
type Browsers = [Vec<String>; 2];

async fn by_url(url: &str, config: &Model, browsers: Browsers) -> Result<Probes, Diagnostic> {
    let wrong = |attribute: &str, error: &dyn std::fmt::Display| {
        Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
    };
    let api = ApiOrigin::parse(url).map_err(|error| wrong("url", &error))?;
    let site = match &config.site_url {
        Some(site) => Some(ApiOrigin::parse(site).map_err(|error| wrong("site_url", &error))?),
        None => site_beside(&api),
    };
    let key = match &config.admin_key {
        Some(key) => {
            Given::Key(AdminKey::parse(key.expose()).map_err(|error| wrong("admin_key", &error))?)
        }
        None => Given::Nothing,
    };
    let addresses = Addresses {
        api,
        site,
        key,
        browsers,
    };
    Ok(Probes {
        sources: [Source::Configuration; 2],
        ..probe(&addresses, None::<&FromHere>).await
    })
}

/// Looks at the containers, and asks from inside.
async fn by_deployment(cx: &Cx<Session>, deployment: &str, browsers: &Browsers) -> Probes {
    let stopped = |containers| Probes {
        keeper: Some(Keeper::Terraform),
        containers,
        ..unasked("the containers do not run")
    };
    if !cx.session.reaches(deployment) {
        return stopped(Answer::NotAsked(
            "the address of Docker is not known yet".to_owned(),
        ));
    }
    match locate(cx, deployment).await {
        Ok(Found::Running(live)) => ask_inside(cx, deployment, &live, browsers)
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

async fn ask_inside(
    cx: &Cx<Session>,
    deployment: &str,
    live: &Live,
    browsers: &Browsers,
) -> Result<Probes, Diagnostic> {
    let failed = |error: &dyn std::fmt::Display| {
        Diagnostic::error("The deployment cannot be asked", error.to_string())
    };
    let id = DeploymentId::parse(deployment).map_err(|error| failed(&error))?;
    let secret = live
        .secret
        .as_ref()
        .ok_or_else(|| failed(&"its instance secret is not known"))?;
    let key = issue_key(&live.instance_name, secret, Access::Full)?;
    let names = Names::of(&id.name);
    let patience = Patience::new(PATIENCE, cx.cancellation());
    let docker = cx.session.hosts().docker(&id.host)?;
    let backend = docker
        .container_alone(&patience, &names, Role::Backend)
        .await
        .map_err(|error| failed(&error))?
        .ok_or_else(|| failed(&"its backend is gone"))?;
    let here = FromHere::new().map_err(|error| failed(&error))?;
    let inside = FromInside::new(docker.clone(), backend.id.clone(), patience.clone());
    let own = |port: u16| format!("http://127.0.0.1:{port}");
    let way = Way {
        name: &names.container(Role::Backend),
        api: &own(BACKEND_PORT),
        site: Some(own(SITE_PORT)),
        pages: &inside,
        transport: ExecTransport::new(docker.clone(), names.clone(), patience),
    };
    let views = Views {
        here: &here,
        inside: Some(&inside),
        loopback: loopback(&docker, &backend),
    };
    Ok(Probes {
        keeper: Some(Keeper::Terraform),
        containers: Answer::Known(true),
        ..ask(way, &views, &Given::Key(key), browsers).await
    })
}

/// Whose machine an address such as `http://localhost:3210` means to browsers.
fn loopback(docker: &Docker, backend: &ObservedContainer) -> Loopback {
    if !backend.ports.is_empty() && docker.endpoint().is_here() {
        Loopback::Here
    } else if backend.network_mode.starts_with("container:") {
        // The container it shares a network with is what Coder forwards ports from.
        Loopback::Inside
    } else {
        Loopback::Nowhere
    }
}
