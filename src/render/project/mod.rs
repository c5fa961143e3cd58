//! The files of a project that uses a deployment.

mod additions;
mod agents;
mod compose;
mod hosts;
mod install;
mod next;
pub mod node;
mod scaffold;
mod scripts;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

pub use additions::packages;
pub use agents::{Agent, UnknownAgent};
pub use hosts::ALLOWED_HOSTS;
pub use install::{Install, Writes};
pub use scaffold::VITE_CONFIG;
pub use scripts::SETUP;

use crate::{
    convex::{
        AdminKey, ApiOrigin, AuthKeys, InstanceName, PostgresUrl, Reach, Secret, coder::Slugs,
    },
    render::{
        env_deployment, env_local,
        files::{Body, Desired, FilePath, Mode, Policy},
        gitignore,
    },
};

/// The file with the addresses and the key of the deployment.
pub const ENV_LOCAL: &str = ".env.convex.local";

/// The file with the variables of the deployment itself.
pub const ENV_DEPLOYMENT: &str = ".env.convex.deployment";

/// The file with the key that signs tokens.
pub const PRIVATE_KEY: &str = "jwt_private_key.pem";

/// What the functions of a new app do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pattern {
    /// Tasks of users who sign in.
    #[default]
    MinimalAuth,
    /// And documents that are found by meaning.
    AiRag,
    /// There is no new app: the directory has an app of its own.
    None,
}

/// A name that is no [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern must be one of minimal-auth, ai-rag or none; got {name:?}.")]
pub struct UnknownPattern {
    name: String,
}

impl Pattern {
    /// All names.
    pub const NAMES: &'static [&'static str] = &["minimal-auth", "ai-rag", "none"];
}

impl FromStr for Pattern {
    type Err = UnknownPattern;

    fn from_str(name: &str) -> Result<Self, UnknownPattern> {
        match name {
            "minimal-auth" => Ok(Self::MinimalAuth),
            "ai-rag" => Ok(Self::AiRag),
            "none" => Ok(Self::None),
            _ => Err(UnknownPattern {
                name: name.to_owned(),
            }),
        }
    }
}

/// The images that a deployment started by hand runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Of the backend.
    pub backend: String,
    /// Of the dashboard.
    pub dashboard: String,
}

/// Everything the files depend on.
#[derive(Debug, Clone)]
pub struct Project {
    /// What the app, and the deployment that is started by hand, are called.
    pub name: String,
    /// Where the deployment answers browsers, and who issues its tokens.
    pub reach: Reach,
    /// Where it answers tools that run beside it.
    pub url: Option<ApiOrigin>,
    /// Its admin key, if it is to be in a file.
    pub admin_key: Option<AdminKey>,
    /// Its database server, where it has one.
    pub database: Option<PostgresUrl>,
    /// The name of its instance.
    pub instance_name: InstanceName,
    /// The images for running it by hand.
    pub images: Images,
    /// The Coder apps by which it is reached.
    pub slugs: Slugs,
    /// Where the app itself is, for redirects after signing in.
    pub site_url: Option<String>,
    /// The keys for sign-in tokens, if they are to be in files.
    pub auth_keys: Option<AuthKeys>,
    /// What the functions do.
    pub pattern: Pattern,
    /// Whether a new app has a page: a React app that Vite serves.
    pub frontend: bool,
    /// Whether there are the files that run a deployment of its own by Docker Compose. Where the
    /// deployment is somebody else's, they would start a second one and make keys of their own.
    pub compose: bool,
    /// What coding agents are given.
    pub agents: BTreeSet<Agent>,
    /// What becomes of files that exist, where it is not the usual.
    pub policies: BTreeMap<FilePath, Policy>,
}

impl Project {
    /// All files, in the order in which they are written.
    #[must_use]
    pub fn files(&self) -> Vec<Desired> {
        let mut files = vec![Desired {
            path: FilePath::known(".gitignore"),
            policy: Policy::Merge,
            body: Body::Ignored(self.ignored()),
            mode: Mode::Plain,
        }];
        files.extend(self.secret_files());
        if self.has_package() {
            files.push(Desired {
                path: FilePath::known("package.json"),
                policy: Policy::Merge,
                body: Body::Package {
                    name: additions::package_name(&self.name),
                    additions: additions::additions(self),
                },
                mode: Mode::Plain,
            });
        }
        if self.compose {
            files.extend(self.scripts());
        }
        files.extend(self.agent_files());
        files.extend(self.scaffold());
        for file in &mut files {
            if let Some(policy) = self.policies.get(&file.path) {
                file.policy = *policy;
            }
        }
        files
    }

    fn secret_files(&self) -> Vec<Desired> {
        let merged = |path, body| Desired {
            path: FilePath::known(path),
            policy: Policy::Merge,
            body,
            mode: Mode::Private,
        };
        let local = Body::Variables {
            head: "# The Convex deployment of this workspace. Yours to edit: what is missing is added,\n# what you change stays. Secret: keep this file out of git.\n",
            entries: env_local::entries(
                &self.reach,
                self.url.as_ref(),
                self.admin_key.as_ref(),
                self.database.as_ref(),
            ),
        };
        let mut files = vec![merged(ENV_LOCAL, local)];
        let Some(keys) = &self.auth_keys else {
            return files;
        };
        files.push(merged(
            ENV_DEPLOYMENT,
            Body::DeploymentVariables {
                entries: env_deployment::entries(keys, &self.reach.issuer()),
                own: self.own_variables(),
            },
        ));
        files.push(Desired {
            path: FilePath::known(PRIVATE_KEY),
            policy: Policy::Create,
            body: Body::Secret(keys.private_key_pem()),
            mode: Mode::Private,
        });
        files
    }

    /// Whether the functions are a new app's.
    fn has_functions(&self) -> bool {
        self.pattern != Pattern::None
    }

    /// Whether a new app has a page.
    fn has_frontend(&self) -> bool {
        self.has_functions() && self.frontend
    }

    /// Whether `package.json` is added to.
    fn has_package(&self) -> bool {
        self.has_functions() || self.compose
    }

    fn ignored(&self) -> &'static [&'static str] {
        if self.has_functions() {
            &gitignore::NEW_APP
        } else {
            &gitignore::LINES
        }
    }

    /// What a person has to fill in, and what goes with the pattern.
    fn own_variables(&self) -> BTreeMap<String, Secret> {
        match self.pattern {
            Pattern::MinimalAuth | Pattern::None => BTreeMap::new(),
            Pattern::AiRag => BTreeMap::from([
                ("ENABLE_RAG".to_owned(), Secret::from("true")),
                ("OPENAI_API_KEY".to_owned(), Secret::default()),
            ]),
        }
    }

    /// The option by which the `convex` command line reads [`ENV_LOCAL`], which it does not by
    /// itself. Empty where the file lacks the key, which is in the environment then.
    fn env_file_option(&self) -> &'static str {
        if self.admin_key.is_some() && self.url.is_some() {
            " --env-file .env.convex.local"
        } else {
            ""
        }
    }
}

#[cfg(test)]
mod tests;
