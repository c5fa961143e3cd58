//! The addresses and the key of a deployment, as a project's tools look for them.

use std::collections::BTreeMap;

use super::dotenv::{EncodeError, Entry};
use crate::convex::{AdminKey, ApiOrigin, PostgresUrl, Reach, Secret};

/// What a project needs to know of its deployment.
#[derive(Debug, Clone, Copy)]
pub struct ProjectEnv<'a> {
    /// Where the deployment answers browsers, and who issues its tokens.
    pub reach: &'a Reach,
    /// Where it answers tools that run beside it, such as the `convex` command line.
    pub self_hosted_url: &'a ApiOrigin,
    /// Its admin key, where it may be told.
    pub admin_key: Option<&'a AdminKey>,
    /// Its database server, where it has one.
    pub database: Option<&'a PostgresUrl>,
}

impl ProjectEnv<'_> {
    /// The file `.env.convex.local`: each variable below a comment of one line.
    ///
    /// It holds the admin key and maybe the password of the database, so it is a secret as a whole.
    pub fn env_local(&self) -> Result<Secret, EncodeError> {
        let mut file = String::from(
            "# The Convex deployment of this workspace. Written anew by each build; changes here are lost.\n",
        );
        for entry in self.entries() {
            file.push('\n');
            file.push_str(&entry.lines()?);
        }
        Ok(Secret::from(file))
    }

    /// The same variables for the environment of an agent, without the database.
    #[must_use]
    pub fn agent_env(&self) -> BTreeMap<&'static str, Secret> {
        NAMES
            .into_iter()
            .filter_map(|name| {
                let entry = self.entries().into_iter().find(|it| it.name == name)?;
                Some((name, entry.value))
            })
            .collect()
    }

    fn entries(&self) -> Vec<Entry> {
        entries(
            self.reach,
            Some(self.self_hosted_url),
            self.admin_key,
            self.database,
        )
    }
}

/// The names of the variables that are not about the database.
const NAMES: [&str; 9] = [
    "CONVEX_CLOUD_ORIGIN",
    "CONVEX_SITE_ORIGIN",
    "CONVEX_SITE_URL",
    "CONVEX_DEPLOYMENT_URL",
    "VITE_CONVEX_URL",
    "VITE_CONVEX_SITE_URL",
    "JWT_ISSUER",
    SELF_HOSTED_URL,
    ADMIN_KEY,
];

/// The variable with the address for the `convex` command line.
pub const SELF_HOSTED_URL: &str = "CONVEX_SELF_HOSTED_URL";

/// The variable with the admin key for the `convex` command line.
pub const ADMIN_KEY: &str = "CONVEX_SELF_HOSTED_ADMIN_KEY";

/// The variables of `.env.convex.local` in their order. What is not given is left out.
#[must_use]
pub fn entries(
    reach: &Reach,
    self_hosted_url: Option<&ApiOrigin>,
    admin_key: Option<&AdminKey>,
    database: Option<&PostgresUrl>,
) -> Vec<Entry> {
    let database = database.map(|database| {
        Entry::new(
            "POSTGRES_URL",
            "The database server, without a database name: Convex appends its own.",
            database.cluster_url(),
        )
    });
    let issuer = reach.issuer();
    let issuer = issuer.as_str();
    let api = reach.public.api.as_str();
    let addresses = [
        ("CONVEX_CLOUD_ORIGIN", "Where browsers reach the API.", api),
        (
            "CONVEX_SITE_ORIGIN",
            "The site origin that the backend runs on.",
            issuer,
        ),
        (
            "CONVEX_SITE_URL",
            "The same address, as functions read it.",
            issuer,
        ),
        (
            "CONVEX_DEPLOYMENT_URL",
            "The address of the deployment: its API.",
            api,
        ),
        (
            "VITE_CONVEX_URL",
            "The same address, as a Vite frontend reads it.",
            api,
        ),
        (
            "VITE_CONVEX_SITE_URL",
            "Where browsers reach HTTP actions.",
            reach.public.site.as_str(),
        ),
        (
            "JWT_ISSUER",
            "The issuer of sign-in tokens: CONVEX_SITE_ORIGIN.",
            issuer,
        ),
    ]
    .map(|(name, comment, value)| Entry::new(name, comment, value));
    let url = self_hosted_url.map(|url| {
        Entry::new(
            SELF_HOSTED_URL,
            "Where the convex command line reaches the deployment.",
            url.as_str(),
        )
    });
    let key = admin_key.map(|key| {
        Entry::new(
            ADMIN_KEY,
            "Its admin key: full control over the deployment. Keep it secret.",
            key.as_secret().clone(),
        )
    });
    database
        .into_iter()
        .chain(addresses)
        .chain(url)
        .chain(key)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        convex::{DashboardOrigin, Origins, SiteOrigin},
        render::dotenv,
    };

    fn reach(internal: bool) -> Reach {
        let origins = Origins {
            api: ApiOrigin::parse("https://convex-api--dev--ann.apps.example").unwrap(),
            site: SiteOrigin::parse("https://convex-site--dev--ann.apps.example").unwrap(),
            dashboard: DashboardOrigin::parse("https://convex--dev--ann.apps.example").unwrap(),
        };
        Reach {
            internal,
            ..Reach::public(origins)
        }
    }

    fn with<T>(database: Option<&str>, check: impl FnOnce(ProjectEnv<'_>) -> T) -> T {
        let reach = reach(true);
        let self_hosted_url = ApiOrigin::parse("http://127.0.0.1:3210").unwrap();
        let admin_key = AdminKey::parse("app|01ab").unwrap();
        let database = database.map(|url| PostgresUrl::parse(url).unwrap());
        check(ProjectEnv {
            reach: &reach,
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

# The site origin that the backend runs on.
CONVEX_SITE_ORIGIN=http://127.0.0.1:3211

# The same address, as functions read it.
CONVEX_SITE_URL=http://127.0.0.1:3211

# The address of the deployment: its API.
CONVEX_DEPLOYMENT_URL=https://convex-api--dev--ann.apps.example

# The same address, as a Vite frontend reads it.
VITE_CONVEX_URL=https://convex-api--dev--ann.apps.example

# Where browsers reach HTTP actions.
VITE_CONVEX_SITE_URL=https://convex-site--dev--ann.apps.example

# The issuer of sign-in tokens: CONVEX_SITE_ORIGIN.
JWT_ISSUER=http://127.0.0.1:3211

# Where the convex command line reaches the deployment.
CONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210

# Its admin key: full control over the deployment. Keep it secret.
CONVEX_SELF_HOSTED_ADMIN_KEY='app|01ab'
";
        assert_eq!(file.expose(), expected);
    }

    #[test]
    fn on_public_origins_the_issuer_is_what_browsers_see() {
        let reach = reach(false);
        let entries = entries(&reach, None, None, None);
        let site = reach.public.site.as_str();
        for name in ["CONVEX_SITE_ORIGIN", "JWT_ISSUER", "VITE_CONVEX_SITE_URL"] {
            let entry = entries.iter().find(|it| it.name == name).unwrap();
            assert_eq!(entry.value.expose(), site, "{name}");
        }
    }

    #[test]
    fn the_database_is_there_only_if_there_is_one_and_without_its_name() {
        let url = "postgres://u:it's%20$HOME`x`\\@db:5432/app?sslmode=disable";
        let file = with(Some(url), |env| env.env_local()).unwrap();
        let variables = dotenv::decode(file.expose()).unwrap();
        assert_eq!(
            variables["POSTGRES_URL"],
            "postgres://u:it%27s%20%24HOME%60x%60%5C@db:5432?sslmode=disable"
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
        assert_eq!(agent.len(), 9);
    }
}
