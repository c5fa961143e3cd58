//! What the files of a project are rendered from, for resource and data source.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    convex::{
        AdminKey, ApiOrigin, AuthKeys, DashboardOrigin, InstanceName, Origins, PageUrl,
        PostgresUrl, Reach, Secret, SiteOrigin,
        coder::{Slug, Slugs},
        env_var::VarName,
    },
    plugin::{
        Diagnostic, Diagnostics,
        schema::{
            Attr, Element, Fields, Group, Plain, Planned, boolean, invalid, map_of, number, object,
            set_of, string,
        },
        value::{Path, Value},
    },
    render::{
        env_local,
        files::{FilePath, Policy},
        package_json::PackageManager,
        project::{Agent, Images, Install, Pattern, Project, UnknownAgent, Writes},
    },
    resources::deployment::{default_backend_image, default_dashboard_image, model::OriginsModel},
};

/// The images for running a deployment by hand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImagesModel {
    pub backend: Option<String>,
    pub dashboard: Option<String>,
}

/// The slugs of the Coder apps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SlugsModel {
    pub api: Option<String>,
    pub site: Option<String>,
    pub dashboard: Option<String>,
}

/// How the install script goes about it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InstallModel {
    pub wait_s: Option<u32>,
    pub clone_wait_s: Option<u32>,
    pub deploy: Option<bool>,
    pub from_environment: Option<BTreeSet<String>>,
}

/// All of it, as configured.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub directory: Option<String>,
    pub name: Option<String>,
    pub origins: Option<OriginsModel>,
    pub internal_origins: Option<bool>,
    pub url: Option<String>,
    pub admin_key: Option<Secret>,
    pub database_url: Option<Secret>,
    pub instance_name: Option<String>,
    pub images: Option<ImagesModel>,
    pub slugs: Option<SlugsModel>,
    pub site_url: Option<String>,
    pub private_key: Option<Secret>,
    pub pattern: Option<String>,
    pub frontend: Option<bool>,
    pub compose: Option<bool>,
    pub agents: Option<BTreeSet<String>>,
    pub package_manager: Option<String>,
    pub policies: Option<BTreeMap<String, String>>,
    pub install: Option<InstallModel>,
}

/// Where the tools of a workspace reach the deployment when nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:3210";

/// How long the install script waits for the backend, in seconds.
const WAIT_S: u32 = 300;

/// How long it waits for the directory, in seconds.
const CLONE_WAIT_S: u32 = 60;

impl Inputs {
    /// The project. Its attributes were checked before, so a failure here is that of a state
    /// edited by hand.
    pub fn project(&self) -> Result<Project, Diagnostic> {
        let origins = match &self.origins {
            Some(given) => given
                .parse()
                .ok_or_else(|| wrong("origins", &"One of them is no origin."))?,
            None => Origins::default(),
        };
        if let Some(problem) = origins.conflict() {
            return Err(wrong(&format!("origins.{}", problem.part()), &problem));
        }
        let url = self.url.as_deref().unwrap_or(DEFAULT_URL);
        let given = self.slugs.clone().unwrap_or_default();
        let slugs = Slugs::given(
            given.api.as_deref(),
            given.site.as_deref(),
            given.dashboard.as_deref(),
        )
        .map_err(|(part, error)| wrong(&format!("slugs.{part}"), &error))?;
        let images = self.images.clone().unwrap_or_default();
        Ok(Project {
            name: self.project_name(),
            reach: Reach {
                public: origins,
                internal: self.internal_origins != Some(false),
            },
            url: Some(ApiOrigin::parse(url).map_err(|error| wrong("url", &error))?),
            admin_key: parsed(self.admin_key.as_ref(), "admin_key", AdminKey::parse)?,
            database: parsed(
                self.database_url.as_ref(),
                "database_url",
                PostgresUrl::parse,
            )?,
            instance_name: InstanceName::parse(self.instance_name.as_deref().unwrap_or("app"))
                .map_err(|error| wrong("instance_name", &error))?,
            images: Images {
                backend: images.backend.unwrap_or_else(default_backend_image),
                dashboard: images.dashboard.unwrap_or_else(default_dashboard_image),
            },
            slugs,
            site_url: self.site_url.clone(),
            auth_keys: parsed(self.private_key.as_ref(), "private_key", AuthKeys::parse)?,
            pattern: self
                .pattern
                .as_deref()
                .map_or(Ok(Pattern::default()), str::parse)
                .map_err(|error| wrong("pattern", &error))?,
            frontend: self.frontend.unwrap_or(true),
            compose: self.compose.unwrap_or_default(),
            agents: self
                .agents
                .iter()
                .flatten()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()
                .map_err(|error: UnknownAgent| wrong("agents", &error))?,
            policies: self.policies()?,
        })
    }

    fn policies(&self) -> Result<BTreeMap<FilePath, Policy>, Diagnostic> {
        let mut policies = BTreeMap::new();
        for (path, policy) in self.policies.iter().flatten() {
            let at = || Path::of("policies").key(path);
            let invalid = |error: &dyn std::fmt::Display| {
                Diagnostic::error("Invalid policy", error.to_string()).at(at())
            };
            let parsed = FilePath::parse(path).map_err(|error| invalid(&error))?;
            let policy = policy.parse().map_err(|error| invalid(&error))?;
            policies.insert(parsed, policy);
        }
        Ok(policies)
    }

    /// The name, else the last part of the directory.
    fn project_name(&self) -> String {
        let directory = self.directory.as_deref().unwrap_or_default();
        let last = directory.trim_end_matches('/').rsplit('/').next();
        self.name
            .clone()
            .or_else(|| {
                last.filter(|it| !matches!(*it, "" | "." | ".." | "~"))
                    .map(str::to_owned)
            })
            .unwrap_or_else(|| "app".to_owned())
    }

    /// The install script, which writes this of the files.
    pub(super) fn install_script(&self, writes: Writes) -> Result<Secret, Diagnostic> {
        let given = self.install.clone().unwrap_or_default();
        let install = Install {
            directory: self.directory.clone().unwrap_or_else(|| "~/app".to_owned()),
            manager: self.package_manager()?,
            wait_s: given.wait_s.unwrap_or(WAIT_S),
            clone_wait_s: given.clone_wait_s.unwrap_or(CLONE_WAIT_S),
            deploy: given.deploy.unwrap_or(true),
            writes,
            from_environment: given
                .from_environment
                .iter()
                .flatten()
                .map(|name| variable_of_environment(name))
                .collect::<Result<_, _>>()
                .map_err(|error| wrong("install.from_environment", &error))?,
        };
        Ok(self.project()?.install_script(&install))
    }

    /// The package manager that is given.
    pub(super) fn package_manager(&self) -> Result<Option<PackageManager>, Diagnostic> {
        self.package_manager
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| wrong("package_manager", &error))
    }

    /// What is wrong with the policies, by the files there are.
    pub fn check_policies(&self) -> Vec<Diagnostic> {
        let Ok(project) = self.project() else {
            return Vec::new();
        };
        let files = project.files();
        let refused = |path: &FilePath, problem: String| {
            Diagnostic::error("Invalid policy", problem).at(Path::of("policies").key(path.as_str()))
        };
        project
            .policies
            .iter()
            .filter_map(|(path, policy)| {
                match files.iter().find(|file| file.path == *path) {
                    None => Some(refused(
                        path,
                        format!("{path} is none of the project's files. Write one of those that `files` and `secret_files` have."),
                    )),
                    Some(file) if *policy == Policy::Merge && !file.body.can_be_merged() => {
                        Some(refused(
                            path,
                            format!("{path} is of one piece and cannot be merged. Write managed, create or skip."),
                        ))
                    }
                    Some(_) => None,
                }
            })
            .collect()
    }
}

fn wrong(attribute: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
}

/// Takes the name of a variable that a deployment may be given from an environment.
fn variable_of_environment(name: &str) -> Result<VarName, String> {
    if [env_local::SELF_HOSTED_URL, env_local::ADMIN_KEY].contains(&name) {
        return Err(format!(
            "{name} is for tools that manage the deployment, and functions must not have it. Remove it."
        ));
    }
    VarName::parse(name).map_err(|error| error.to_string())
}

fn parsed<T, E: std::fmt::Display>(
    given: Option<&Secret>,
    attribute: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Diagnostic> {
    given
        .map(|given| parse(given.expose()).map_err(|error| wrong(attribute, &error)))
        .transpose()
}

fn check_policies(value: &Value, path: &Path, found: &mut Diagnostics) {
    for (key, value) in value.as_map().into_iter().flatten() {
        if let Some(Err(error)) = value.as_str().map(str::parse::<Policy>) {
            found.push(invalid(&path.key(key), error));
        }
    }
}

fn origins() -> Attr<Planned, Group> {
    let default = Origins::default();
    object(
        Fields::new()
            .with(
                "api",
                string("Origin of the API. Default `http://localhost:3210`.")
                    .optional()
                    .parsed::<ApiOrigin>()
                    .default(default.api.as_str()),
            )
            .with(
                "site",
                string("Origin of HTTP actions. Default `http://localhost:3211`.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .default(default.site.as_str()),
            )
            .with(
                "dashboard",
                string("Origin of the dashboard. Default `http://localhost:6791`.")
                    .optional()
                    .parsed::<DashboardOrigin>()
                    .default(default.dashboard.as_str()),
            ),
        "Where browsers reach the deployment: its `origins`. The `vite.config.ts` of a new app lets Vite serve the domain that they and `site_url` have in common; see `agent_env`.",
    )
    .optional()
    .filled()
}

/// The attributes that are configured, put to `fields`.
pub fn with_attributes(fields: Fields<Plain>) -> Fields<Plain> {
    let slug = |description| string(description).optional().parsed::<Slug>();
    let image = |description| string(description).optional();
    fields
        .with(
            "name",
            string("What the app is called. Default: the last part of the directory.").optional(),
        )
        .with("origins", origins())
        .with(
            "internal_origins",
            boolean("Whether the deployment runs on internal origins: its `internal_origins`. Decides which issuer of tokens the env files name. Default `true`.")
                .optional()
                .default(true),
        )
        .with(
            "url",
            string("Where tools in the workspace reach the API, for `CONVEX_SELF_HOSTED_URL`. Default `http://127.0.0.1:3210`.")
                .optional()
                .parsed::<ApiOrigin>()
                .default(DEFAULT_URL),
        )
        .with(
            "admin_key",
            string("Admin key of the deployment, to be written into `.env.convex.local`. Without it the key is expected in the environment, where `coder_env` puts it.")
                .optional()
                .sensitive()
                .parsed_with(AdminKey::parse),
        )
        .with(
            "database_url",
            string("URL of the PostgreSQL server, to be written into `.env.convex.local` for a deployment that `compose` runs.")
                .optional()
                .sensitive()
                .parsed_with(PostgresUrl::parse),
        )
        .with(
            "instance_name",
            string("Name of the instance in the compose file that `compose` writes. Default `app`.")
                .optional()
                .parsed::<InstanceName>()
                .default("app"),
        )
        .with(
            "images",
            object(
                Fields::new()
                    .with("backend", image("Of the backend."))
                    .with("dashboard", image("Of the dashboard.")),
                "Images in the compose file that `compose` writes. Default: a release this version of the provider was made for.",
            )
            .optional(),
        )
        .with(
            "slugs",
            object(
                Fields::new()
                    .with("api", slug("Of the API. Default `convex-api`."))
                    .with("site", slug("Of the HTTP actions. Default `convex-site`."))
                    .with("dashboard", slug("Of the dashboard. Default `convex`.")),
                "Slugs of the Coder apps, for the scripts that `compose` writes.",
            )
            .optional(),
        )
        .with(
            "site_url",
            string("URL of the app itself, such as that of a Coder app. Vite serves it on this host. With `compose`, it is set as `SITE_URL`, for redirects after signing in.")
                .optional()
                .parsed::<PageUrl>(),
        )
        .with(
            "private_key",
            string("RSA key that signs sign-in tokens, as PKCS#8 PEM, such as `convex_env.app.auth.private_key`. With it `.env.convex.deployment` and `jwt_private_key.pem` are written, for tools that set a deployment's variables.")
                .optional()
                .sensitive()
                .parsed_with(AuthKeys::parse),
        )
        .with(
            "pattern",
            string("Source that is written. `minimal-auth` (default): a new app with tasks of users who sign in. `ai-rag`: the same, and documents that are found by meaning. `none`: no source and no `package.json`, for a repository with an app of its own; only the env file is written, and lines of `.gitignore` that keep secrets out of git. Clone such a repository before the env file is written: `git clone` refuses a directory with files.")
                .optional()
                .one_of(Pattern::NAMES)
                .default("minimal-auth"),
        )
        .with(
            "frontend",
            boolean("Whether a new app has a page: a React app that Vite serves. Default `true`.")
                .optional()
                .default(true),
        )
        .with(
            "compose",
            boolean("Whether to write what runs a deployment without Terraform: `docker-compose.convex.yml`, scripts that start it and set its variables, and commands for them in `package.json`. Default `false`. With `false`, `npm run dev` serves the page and changes nothing of the deployment. With `true`, it starts the containers of the compose file, and sets the variables that the deployment lacks.")
                .optional()
                .default(false),
        )
        .with(
            "agents",
            set_of(Element::String, "Files for coding agents that work on the app; none by default. `skill`: `.agents/skills/convex-deployment/SKILL.md`, a page on the deployment, the commands that only read, and those to ask for first. `mcp`: `.mcp.json` with the MCP server of the `convex` command line, without its tools that run functions, change variables or show their values. As of `convex` 1.49, each call of that server needs a login to Convex Cloud (`npx convex login`), even for a self-hosted deployment. Both run `read-only.sh` beside the page, which takes a read-only admin key from the environment variable `CONVEX_READ_ONLY_KEY`; `provider::convex::admin_key` makes one. No file has a key, but an agent with a shell can read the full admin key in the environment or in `.env.convex.local`: these files guide an agent and do not confine it. A file that exists is kept as it is.")
                .optional()
                .parsed::<Agent>(),
        )
        .with(
            "package_manager",
            string("npm, pnpm, yarn or bun. Default: what `package.json` or a lock file says, here or above in the repository, else npm.")
                .optional()
                .one_of(PackageManager::NAMES),
        )
        .with(
            "policies",
            map_of(Element::String, "What becomes of files that exist, by path, where it is not the usual. `managed`: a change is set aside beside the file and repaired. `create`: the file is yours once it exists. `merge`: what is missing is added, nothing else is touched. `skip`: neither looked at nor written. Usual are `merge` for `.gitignore`, `package.json` and env files, `managed` for what `compose` writes, `create` for source.")
                .optional()
                .keys_parsed::<FilePath>()
                .check(check_policies),
        )
        .with(
            "install",
            object(
                Fields::new()
                    .with(
                        "wait_s",
                        number("How long to wait for the backend, in seconds. Default 300.")
                            .optional()
                            .within(1..=3600),
                    )
                    .with(
                        "clone_wait_s",
                        number("How long to wait for the directory, which a clone may be about to make, in seconds. Default 60.")
                            .optional()
                            .within(0..=3600),
                    )
                    .with(
                        "deploy",
                        boolean("Whether to deploy the functions. Default `true`.").optional(),
                    )
                    .with(
                        "from_environment",
                        set_of(Element::String, "Names of variables of the deployment that the script takes from its own environment, such as `[\"OPENAI_API_KEY\"]` for a user secret of Coder. Terraform never has their values. The script compares them with those of the deployment, and sends what differs in one request before it deploys. A variable that is missing or empty in the environment keeps its value in the deployment; if it has none there, the script deploys and then fails. Do not declare the same name in `convex_env`, and list it in `unmanaged` of an exclusive `convex_env`.")
                            .optional()
                            .parsed_with(variable_of_environment),
                    ),
                "How the install script goes about it.",
            )
            .optional(),
        )
}
