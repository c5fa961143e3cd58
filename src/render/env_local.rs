//! The addresses and the key of a deployment, as a project's tools look for them.

use std::collections::BTreeMap;

use super::dotenv::{self, EncodeError};
use crate::convex::{AdminKey, ApiOrigin, Origins, PostgresUrl, Secret};

/// What a project needs to know of its deployment.
#[derive(Debug, Clone, Copy)]
pub struct ProjectEnv<'a> {
    /// Where the deployment answers browsers.
    pub origins: &'a Origins,
    /// Where it answers tools that run beside it, such as the `convex` command line.
    pub self_hosted_url: &'a ApiOrigin,
    /// Its admin key, where it may be told.
    pub admin_key: Option<&'a AdminKey>,
    /// Its database server, where it has one.
    pub database: Option<&'a PostgresUrl>,
}

struct Entry {
    name: &'static str,
    comment: &'static str,
    value: Secret,
}

impl ProjectEnv<'_> {
    /// The file `.env.convex.local`: each variable below a comment of one line.
    ///
    /// It holds the admin key and maybe the password of the database, so it is a secret as a whole.
    pub fn env_local(&self) -> Result<Secret, EncodeError> {
        let mut file = String::from(
            "# The Convex deployment of this workspace. Written anew by each build; changes here are lost.\n",
        );
        let database = self.database.map(|database| Entry {
            name: "POSTGRES_URL",
            comment: "The database server, without a database name: Convex appends its own.",
            value: database.cluster_url().clone(),
        });
        for Entry {
            name,
            comment,
            value,
        } in database.into_iter().chain(self.entries())
        {
            let line = dotenv::encode_line(name, value.expose())?;
            for part in ["\n# ", comment, "\n", &line, "\n"] {
                file.push_str(part);
            }
        }
        Ok(Secret::from(file))
    }

    /// The same variables for the environment of an agent, without the database.
    #[must_use]
    pub fn agent_env(&self) -> BTreeMap<&'static str, Secret> {
        self.entries()
            .into_iter()
            .map(|entry| (entry.name, entry.value))
            .collect()
    }

    fn entries(&self) -> Vec<Entry> {
        let api = || Secret::from(self.origins.api.as_str());
        let site = || Secret::from(self.origins.site.as_str());
        let entry = |name, comment, value| Entry {
            name,
            comment,
            value,
        };
        let mut entries = vec![
            entry(
                "CONVEX_CLOUD_ORIGIN",
                "Where browsers reach the API.",
                api(),
            ),
            entry("CONVEX_SITE_ORIGIN", "Where HTTP actions answer.", site()),
            entry(
                "CONVEX_SITE_URL",
                "The same address, as authentication code reads it.",
                site(),
            ),
            entry(
                "CONVEX_DEPLOYMENT_URL",
                "The address of the deployment: its API.",
                api(),
            ),
            entry(
                "VITE_CONVEX_URL",
                "The same address, as a Vite frontend reads it.",
                api(),
            ),
            entry(
                "JWT_ISSUER",
                "The issuer of sign-in tokens: the site origin.",
                site(),
            ),
            entry(
                "CONVEX_SELF_HOSTED_URL",
                "Where the convex command line reaches the deployment.",
                Secret::from(self.self_hosted_url.as_str()),
            ),
        ];
        entries.extend(self.admin_key.map(|key| {
            entry(
                "CONVEX_SELF_HOSTED_ADMIN_KEY",
                "Its admin key: full control over the deployment. Keep it secret.",
                key.as_secret().clone(),
            )
        }));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convex::{DashboardOrigin, SiteOrigin};

    fn with<T>(database: Option<&str>, check: impl FnOnce(ProjectEnv<'_>) -> T) -> T {
        let origins = Origins {
            api: ApiOrigin::parse("https://convex-api--dev--ann.apps.example").unwrap(),
            site: SiteOrigin::parse("https://convex-site--dev--ann.apps.example").unwrap(),
            dashboard: DashboardOrigin::parse("https://convex--dev--ann.apps.example").unwrap(),
        };
        let self_hosted_url = ApiOrigin::parse("http://127.0.0.1:3210").unwrap();
        let admin_key = AdminKey::parse("app|01ab").unwrap();
        let database = database.map(|url| PostgresUrl::parse(url).unwrap());
        check(ProjectEnv {
            origins: &origins,
            self_hosted_url: &self_hosted_url,
            admin_key: Some(&admin_key),
            database: database.as_ref(),
        })
    }

    #[test]
    fn the_file_says_what_each_variable_is() {
        let file = with(None, |env| env.env_local()).unwrap();
        let expected = "\
# The Convex deployment of this workspace. Written anew by each build; changes here are lost.

# Where browsers reach the API.
CONVEX_CLOUD_ORIGIN=https://convex-api--dev--ann.apps.example

# Where HTTP actions answer.
CONVEX_SITE_ORIGIN=https://convex-site--dev--ann.apps.example

# The same address, as authentication code reads it.
CONVEX_SITE_URL=https://convex-site--dev--ann.apps.example

# The address of the deployment: its API.
CONVEX_DEPLOYMENT_URL=https://convex-api--dev--ann.apps.example

# The same address, as a Vite frontend reads it.
VITE_CONVEX_URL=https://convex-api--dev--ann.apps.example

# The issuer of sign-in tokens: the site origin.
JWT_ISSUER=https://convex-site--dev--ann.apps.example

# Where the convex command line reaches the deployment.
CONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210

# Its admin key: full control over the deployment. Keep it secret.
CONVEX_SELF_HOSTED_ADMIN_KEY='app|01ab'
";
        assert_eq!(file.expose(), expected);
    }

    #[test]
    fn the_database_is_there_only_if_there_is_one_and_without_its_name() {
        let url = "postgres://u:it's%20$HOME`x`\\@db:5432/app?sslmode=disable&a=b";
        let file = with(Some(url), |env| env.env_local()).unwrap();
        let variables = dotenv::decode(file.expose()).unwrap();
        assert_eq!(
            variables["POSTGRES_URL"],
            "postgres://u:it%27s%20%24HOME%60x%60%5C@db:5432?sslmode=disable&a=b"
        );
        let file = with(None, |env| env.env_local()).unwrap();
        assert!(!file.expose().contains("POSTGRES_URL"));
    }

    #[test]
    fn an_agent_gets_the_same_variables_without_the_database() {
        let url = Some("postgres://u:p@db");
        let agent = with(url, |env| env.agent_env());
        let mut file = dotenv::decode(with(url, |env| env.env_local()).unwrap().expose()).unwrap();
        file.remove("POSTGRES_URL");
        let agent: Vec<(&str, &str)> = agent
            .iter()
            .map(|(name, value)| (*name, value.expose()))
            .collect();
        let file: Vec<(&str, &str)> = file
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(agent, file);
        assert_eq!(agent.len(), 8);
    }
}
