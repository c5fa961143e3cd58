//! The operations, each with the keys that it takes.

use super::{
    Failure, Outcome, Wrong,
    query::{Query, shown},
};
use crate::{
    convex::{
        Access, AdminKey, ApiOrigin, AuthKeys, DashboardOrigin, InstanceName, InstanceSecret,
        Origins, PostgresUrl, Reach, Secret, SiteOrigin,
        coder::{AppUrlError, Place, Port, Slug, Slugs, Workspace},
    },
    render::{env_deployment, env_local::ProjectEnv},
};

/// Something that can be asked for.
#[derive(Debug)]
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// The keys that a query must have.
    pub required: &'static [&'static str],
    /// The keys that it may have.
    pub optional: &'static [&'static str],
    run: fn(&Query) -> Result<Outcome, Wrong>,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self {
            name: "origins",
            required: &["access_url", "workspace", "owner"],
            optional: &[
                "wildcard",
                "wildcard_from_access_url",
                "agent",
                "slug_api",
                "slug_site",
                "slug_dashboard",
            ],
            run: origins,
        },
        Self {
            name: "app_url",
            required: &["access_url", "workspace", "owner"],
            optional: &[
                "wildcard",
                "wildcard_from_access_url",
                "agent",
                "slug",
                "port",
            ],
            run: app_url,
        },
        Self {
            name: "postgres_url",
            required: &["url"],
            optional: &[],
            run: postgres_url,
        },
        Self {
            name: "jwks",
            required: &["private_key"],
            optional: &[],
            run: jwks,
        },
        Self {
            name: "admin_key",
            required: &["instance_name", "instance_secret"],
            optional: &["access"],
            run: admin_key,
        },
        Self {
            name: "env_files",
            required: &["api", "site"],
            optional: &[
                "dashboard",
                "internal_origins",
                "url",
                "admin_key",
                "database_url",
                "private_key",
            ],
            run: env_files,
        },
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: &[Operation] = &Operation::ALL;
        ALL.iter().find(|it| it.name == name)
    }

    /// Refuses keys that mean nothing here, and misses those that do.
    pub(super) fn check_keys(&self, query: &Query) -> Result<(), Failure> {
        let name = self.name;
        let known = || self.required.iter().chain(self.optional);
        if let Some(unknown) = query.keys().find(|key| known().all(|it| it != key)) {
            let known: Vec<&str> = known().copied().collect();
            return Err(Failure(format!(
                "{name}: {}: There is no such key. Remove it, or write one of {}.",
                shown(unknown),
                known.join(", ")
            )));
        }
        match self.required.iter().find(|key| query.get(key).is_none()) {
            Some(missing) => Err(Failure(format!(
                "{name}: {missing}: The key is missing or empty. Give it in the query; {name} needs {}.",
                self.required.join(", ")
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn run(&self, query: &Query) -> Result<Outcome, Wrong> {
        (self.run)(query)
    }
}

/// A value that is sure to be there: see [`Operation::check_keys`].
fn required<'a>(query: &'a Query, key: &str) -> &'a str {
    query.get(key).unwrap_or_default()
}

/// Reads a value that must be there.
fn read<T, E: std::fmt::Display>(
    query: &Query,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Wrong> {
    parse(required(query, key)).map_err(|error| Wrong::new(key, error))
}

/// Reads a value that may be there.
fn read_optional<T, E: std::fmt::Display>(
    query: &Query,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Wrong> {
    let value = query.get(key);
    value
        .map(parse)
        .transpose()
        .map_err(|error| Wrong::new(key, error))
}

fn workspace(query: &Query) -> Result<Workspace, Wrong> {
    let place = Place {
        access_url: required(query, "access_url"),
        wildcard: query.get("wildcard"),
        wildcard_from_access_url: read_optional(query, "wildcard_from_access_url", truth)?
            .unwrap_or(false),
        workspace: required(query, "workspace"),
        owner: required(query, "owner"),
        agent: query.get("agent"),
        transition: query.transition,
    };
    place
        .workspace()
        .map_err(|error| Wrong::new(error.part, error.problem))
}

/// Names the key that can be changed where no single one is wrong.
fn no_address(error: &AppUrlError) -> Wrong {
    let key = match error {
        AppUrlError::LabelTooLong { .. } => "workspace",
        AppUrlError::LocalAccessUrl { .. }
        | AppUrlError::AddressWithoutWildcard { .. }
        | AppUrlError::NoWildcard { .. }
        | AppUrlError::Origin(_) => "wildcard",
        AppUrlError::PortWithoutAgent => "agent",
    };
    Wrong::new(key, error)
}

fn origins(query: &Query) -> Result<Outcome, Wrong> {
    let slugs = Slugs::given(
        query.get("slug_api"),
        query.get("slug_site"),
        query.get("slug_dashboard"),
    )
    .map_err(|(part, error)| Wrong::new(format!("slug_{part}"), error))?;
    let origins = workspace(query)?
        .origins(&slugs)
        .map_err(|error| no_address(&error))?;
    Ok([
        ("api", origins.api.as_str().into()),
        ("site", origins.site.as_str().into()),
        ("dashboard", origins.dashboard.as_str().into()),
    ]
    .into())
}

fn app_url(query: &Query) -> Result<Outcome, Wrong> {
    let slug = read_optional(query, "slug", Slug::parse)?;
    let port = read_optional(query, "port", Port::parse)?;
    let url = match (slug, port) {
        (Some(slug), None) => workspace(query)?.app_url(&slug),
        (None, Some(port)) => workspace(query)?.port_url(port),
        (None, None) => {
            let problem =
                "The key is missing. Give the slug of the app, or `port` for a port without one.";
            return Err(Wrong::new("slug", problem));
        }
        (Some(_), Some(_)) => {
            let problem = "There is `slug`, too. Give one of them.";
            return Err(Wrong::new("port", problem));
        }
    };
    let url = url.map_err(|error| no_address(&error))?;
    Ok([("app_url", url.into())].into())
}

fn postgres_url(query: &Query) -> Result<Outcome, Wrong> {
    let url = read(query, "url", PostgresUrl::parse)?;
    Ok([("postgres_url", url.cluster_url())].into())
}

fn jwks(query: &Query) -> Result<Outcome, Wrong> {
    let keys = read(query, "private_key", AuthKeys::parse)?;
    Ok([("jwks", keys.jwks().into())].into())
}

fn admin_key(query: &Query) -> Result<Outcome, Wrong> {
    let name = read(query, "instance_name", InstanceName::parse)?;
    let secret = read(query, "instance_secret", InstanceSecret::parse)?;
    let access = read_optional(query, "access", str::parse)?.unwrap_or(Access::Full);
    let key = AdminKey::issue(&name, &secret, access)
        .map_err(|error| Wrong::new("instance_secret", error))?;
    Ok([("admin_key", key.as_secret().clone())].into())
}

fn truth(text: &str) -> Result<bool, &'static str> {
    text.parse()
        .map_err(|_| "The value must be `true` or `false`.")
}

fn env_files(query: &Query) -> Result<Outcome, Wrong> {
    let internal = Origins::internal(
        read_optional(query, "dashboard", DashboardOrigin::parse)?
            .unwrap_or(Origins::default().dashboard),
    );
    let reach = Reach {
        public: Origins {
            api: read(query, "api", ApiOrigin::parse)?,
            site: read(query, "site", SiteOrigin::parse)?,
            dashboard: internal.dashboard,
        },
        internal: read_optional(query, "internal_origins", truth)?.unwrap_or(true),
    };
    let url = read_optional(query, "url", ApiOrigin::parse)?.unwrap_or(internal.api);
    let admin_key = read_optional(query, "admin_key", AdminKey::parse)?;
    let database = read_optional(query, "database_url", PostgresUrl::parse)?;
    let keys = read_optional(query, "private_key", AuthKeys::parse)?;
    let project = ProjectEnv {
        reach: &reach,
        self_hosted_url: &url,
        admin_key: admin_key.as_ref(),
        database: database.as_ref(),
    };
    let env_local = project
        .env_local()
        .map_err(|error| Wrong::new("api, site, url, admin_key, database_url", error))?;
    let mut files = Outcome::from([("env_local", env_local)]);
    if let Some(keys) = keys {
        let entries = env_deployment::entries(&keys, &reach.issuer());
        let file: Secret = env_deployment::render(&entries, &std::collections::BTreeMap::new())
            .map_err(|error| Wrong::new("site, private_key", error))?;
        files.insert("env_deployment", file);
    }
    Ok(files)
}
