//! The files of a project that uses a deployment.

mod additions;
mod compose;
mod install;
mod scaffold;
mod scripts;
mod template;

use std::{collections::BTreeMap, str::FromStr};

pub use install::Install;

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
}

/// A name that is no [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no pattern. Write minimal-auth or ai-rag.")]
pub struct UnknownPattern {
    name: String,
}

impl Pattern {
    /// All names.
    pub const NAMES: &'static [&'static str] = &["minimal-auth", "ai-rag"];
}

impl FromStr for Pattern {
    type Err = UnknownPattern;

    fn from_str(name: &str) -> Result<Self, UnknownPattern> {
        match name {
            "minimal-auth" => Ok(Self::MinimalAuth),
            "ai-rag" => Ok(Self::AiRag),
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
    /// Whether there is a React app that Vite serves.
    pub frontend: bool,
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
            body: Body::Ignored(&gitignore::LINES),
            mode: Mode::Plain,
        }];
        files.extend(self.secret_files());
        files.push(Desired {
            path: FilePath::known("package.json"),
            policy: Policy::Merge,
            body: Body::Package {
                name: additions::package_name(&self.name),
                additions: additions::additions(self),
            },
            mode: Mode::Plain,
        });
        files.extend(self.scripts());
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

    /// What a person has to fill in, and what goes with the pattern.
    fn own_variables(&self) -> BTreeMap<String, Secret> {
        match self.pattern {
            Pattern::MinimalAuth => BTreeMap::new(),
            Pattern::AiRag => BTreeMap::from([
                ("ENABLE_RAG".to_owned(), Secret::from("true")),
                ("OPENAI_API_KEY".to_owned(), Secret::default()),
            ]),
        }
    }

    /// Whether the `convex` command line finds everything in [`ENV_LOCAL`].
    fn file_suffices(&self) -> bool {
        self.admin_key.is_some() && self.url.is_some()
    }
}

#[cfg(test)]
mod tests;
