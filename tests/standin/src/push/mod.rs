//! Pushed functions.
//!
//! The real backend evaluates what is pushed to it. Here functions run in another process, which a push does not wait for:
//! what must be known at once, the auth providers of `auth.config`, is read from the text of the bundle.

mod auth_config;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;
pub use auth_config::{AUTH_CONFIG, Provider};

/// The module whose default export is the HTTP router.
const HTTP: &str = "http.js";

/// Where a module runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// In the backend.
    Isolate,
    /// In Node.
    Node,
}

/// A module as the command line sends it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    path: String,
    source: String,
    source_map: Option<String>,
    environment: Environment,
}

/// A module that the command line takes for unchanged, and only names.
#[derive(Debug, Deserialize)]
pub struct Unchanged {
    path: String,
    environment: Environment,
    sha256: String,
}

/// A module as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its code.
    pub source: String,
    /// Over code and source map, in hexadecimal.
    pub sha256: String,
    /// Where it runs.
    pub environment: Environment,
}

/// What was pushed last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The directory of the functions in the project, such as `convex/`.
    pub functions: String,
    /// The release of the npm package that pushed.
    pub version: String,
    /// The modules by path; none before the first push.
    pub modules: BTreeMap<String, Module>,
    /// The module that defines tables. It has no hash: it comes with each push.
    #[serde(default)]
    pub schema: Option<Schema>,
}

/// The module that defines tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    path: String,
    source: String,
}

impl Pushed {
    /// What is there after a push: what is sent, and what stays as it was.
    pub fn after(
        &self,
        functions: String,
        version: String,
        sent: Vec<Sent>,
        unchanged: Vec<Unchanged>,
    ) -> Result<Self, ApiError> {
        let mut modules = BTreeMap::new();
        for Unchanged {
            path,
            environment,
            sha256,
        } in unchanged
        {
            let kept = self.modules.get(&path);
            let kept = kept.filter(|it| it.sha256 == sha256 && it.environment == environment);
            let kept = kept.ok_or_else(|| {
                ApiError::bad_request(
                    "ModuleNotFound",
                    format!("The module {path} was to stay as it is, but is not there in this form. Push all modules."),
                )
            })?;
            modules.insert(path, kept.clone());
        }
        for sent in sent {
            let mut hash = Sha256::new();
            hash.update(&sent.source);
            hash.update(sent.source_map.as_deref().unwrap_or_default());
            let module = Module {
                source: sent.source,
                sha256: hex::encode(hash.finalize()),
                environment: sent.environment,
            };
            modules.insert(sent.path, module);
        }
        Ok(Self {
            functions,
            version,
            modules,
            schema: None,
        })
    }

    /// Whether there is an HTTP router.
    #[must_use]
    pub fn has_router(&self) -> bool {
        self.modules.contains_key(HTTP)
    }

    /// All code by path.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        let modules = self.modules.iter();
        let modules = modules.map(|(path, module)| (path.as_str(), module.source.as_str()));
        let schema = self.schema.iter();
        modules.chain(schema.map(|schema| (schema.path.as_str(), schema.source.as_str())))
    }

    /// Paths that another push has and this one has not.
    pub fn lacks<'a>(&self, other: &'a Self) -> Vec<&'a str> {
        let paths = other.modules.keys().map(String::as_str);
        paths
            .filter(|path| !self.modules.contains_key(*path))
            .collect()
    }
}

#[cfg(test)]
mod tests;
