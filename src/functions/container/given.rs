//! The arguments of both functions, and what they come to.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize;

use super::{
    made::{Host, Made, Mount},
    refused,
    variables::{GivenEnv, Variables},
    wrong,
};
use crate::{
    convex::{
        AdminKey, ApiOrigin, DashboardOrigin, Database, InstanceName, InstanceSecret,
        OriginConflict, Origins, Reach, Secret, SiteOrigin,
        database::{DatabaseSettings, DatabaseValueError, Setting},
        process_env::{BackendEnv, ExtraEnv, S3Error, S3Settings, S3Storage, dashboard_env},
    },
    plugin::FunctionError,
    resources::deployment::{
        BackendImage, DashboardImage, default_backend_image, default_dashboard_image, tag,
    },
    runtime::{
        BACKEND_PORT, BACKEND_READY, BACKEND_USER, DASHBOARD_PORT, DASHBOARD_READY, DASHBOARD_USER,
        DATA_DIRECTORY, HostAddress, HostName, SITE_PORT,
    },
};

/// What a backend is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenBackend {
    instance_name: String,
    #[serde(default)]
    instance_secret: Option<Secret>,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    origins: Option<GivenOrigins>,
    #[serde(default)]
    internal_origins: Option<bool>,
    #[serde(default)]
    database: Option<GivenDatabase>,
    #[serde(default)]
    storage: Option<GivenStorage>,
    #[serde(default)]
    extra_hosts: Option<BTreeMap<String, String>>,
    #[serde(default)]
    env: Option<GivenEnv>,
    #[serde(default)]
    secret_env: Option<GivenEnv>,
}

/// What a dashboard is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenDashboard {
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    admin_key: Option<Secret>,
    #[serde(default)]
    origins: Option<GivenOrigins>,
    #[serde(default)]
    env: Option<GivenEnv>,
    #[serde(default)]
    secret_env: Option<GivenEnv>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenOrigins {
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    site: Option<String>,
    #[serde(default)]
    dashboard: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenDatabase {
    url: Secret,
    #[serde(default)]
    ssl_mode: Option<String>,
    #[serde(default)]
    ca_pem: Option<String>,
    #[serde(default)]
    max_connections: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenStorage {
    #[serde(default)]
    s3: Option<GivenS3>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenS3 {
    region: String,
    exports_bucket: String,
    files_bucket: String,
    modules_bucket: String,
    search_bucket: String,
    snapshot_imports_bucket: String,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    path_style: Option<bool>,
    #[serde(default)]
    disable_sse: Option<bool>,
    #[serde(default)]
    disable_checksums: Option<bool>,
    #[serde(default)]
    access_key_id: Option<String>,
    #[serde(default)]
    secret_access_key: Option<Secret>,
    #[serde(default)]
    session_token: Option<Secret>,
}

impl GivenBackend {
    /// The container.
    pub fn made(self) -> Result<Made, FunctionError> {
        let instance_name = InstanceName::parse(&self.instance_name)
            .map_err(|error| wrong("instance_name", &error))?;
        let secret = self.instance_secret.as_ref();
        let secret = secret
            .map(|it| InstanceSecret::parse(it.expose()))
            .transpose()
            .map_err(|error| wrong("instance_secret", &error))?;
        let image = image::<BackendImage>(self.image, default_backend_image)?;
        let reach = Reach {
            public: self.origins.unwrap_or_default().origins()?,
            internal: self.internal_origins != Some(false),
        };
        // The API's stays public: nothing publishes another one afterwards.
        let origins = Origins {
            site: reach.issuer(),
            ..reach.public
        };
        let own = Variables::of(self.env, self.secret_env)?;
        let extra = ExtraEnv::for_backend(own.all()).map_err(|errors| own.wrong(&errors))?;
        let database = self.database.map(|it| it.database()).transpose()?;
        if let Some(database) = &database {
            database
                .check_name(&instance_name)
                .map_err(|error| wrong(&attribute(&error), &error))?;
            if let Some(error) = database.conflicts(&extra).first() {
                return Err(own.refuse(variable(error), error));
            }
        }
        let store = self.storage.and_then(|it| it.s3);
        let store = store.map(|it| it.store()).transpose()?.flatten();
        if let Some(store) = &store
            && let Some(name) = store.conflicts(&extra).first()
        {
            let problem = format!("{name} follows from storage.s3. Leave the variable out.");
            return Err(own.refuse(name, &problem));
        }
        let backend = BackendEnv {
            instance_name: &instance_name,
            origins: &origins,
            release: tag(&image),
            database: database.as_ref(),
            extra: &extra,
        };
        let mut env = backend.render();
        if let Some(store) = &store {
            env = env.with_storage(store);
        }
        if let Some(secret) = &secret {
            env = env.with_instance_secret(secret);
        }
        let ports = [("api", BACKEND_PORT), ("site", SITE_PORT)];
        let purpose = match (&database, &store) {
            (None, None) => "Documents, files, modules, search indexes and credentials.",
            (None, Some(_)) => "Documents and credentials.",
            (Some(_), None) => "Files, modules, search indexes and credentials.",
            (Some(_), Some(_)) => "Credentials, and files on their way.",
        };
        let path = DATA_DIRECTORY;
        let made = Made::new(
            image,
            env,
            own.secret_names(),
            &ports,
            BACKEND_READY,
            BACKEND_USER,
        )
        .mount("data", Mount { path, purpose })
        .hosts(hosts(self.extra_hosts)?);
        Ok(match database.as_ref().and_then(Database::ca) {
            Some(ca) => made.file(ca.path(), ca.pem()),
            None => made,
        })
    }
}

impl GivenDashboard {
    /// The container.
    pub fn made(self) -> Result<Made, FunctionError> {
        let image = image::<DashboardImage>(self.image, default_dashboard_image)?;
        let origins = self.origins.unwrap_or_default().origins()?;
        let own = Variables::of(self.env, self.secret_env)?;
        let extra = ExtraEnv::for_dashboard(own.all()).map_err(|errors| own.wrong(&errors))?;
        let mut env = dashboard_env(&origins.api, &extra);
        if let Some(key) = &self.admin_key {
            let key = AdminKey::parse(key.expose()).map_err(|error| wrong("admin_key", &error))?;
            env = env.with_admin_key(&key);
        }
        Ok(Made::new(
            image,
            env,
            own.secret_names(),
            &[("dashboard", DASHBOARD_PORT)],
            DASHBOARD_READY,
            DASHBOARD_USER,
        ))
    }
}

/// Further hosts, each with an address.
fn hosts(given: Option<BTreeMap<String, String>>) -> Result<Vec<Host>, FunctionError> {
    let hosts = given.unwrap_or_default().into_iter();
    hosts
        .map(|(host, ip)| {
            let problem = host.parse::<HostName>().err();
            let problem = problem.or_else(|| ip.parse::<HostAddress>().err());
            match problem {
                Some(problem) => Err(wrong(&format!("extra_hosts[{host:?}]"), &problem)),
                None => Ok(Host { host, ip }),
            }
        })
        .collect()
}

fn image<I: FromStr<Err = String>>(
    given: Option<String>,
    default: fn() -> String,
) -> Result<String, FunctionError> {
    let image = given.unwrap_or_else(default);
    match image.parse::<I>() {
        Ok(_) => Ok(image),
        Err(problem) => Err(wrong("image", &problem)),
    }
}

impl GivenOrigins {
    fn origins(&self) -> Result<Origins, FunctionError> {
        let api = origin("api", self.api.as_deref(), ApiOrigin::parse)?;
        let site = origin("site", self.site.as_deref(), SiteOrigin::parse)?;
        let dashboard = self.dashboard.as_deref();
        let dashboard = origin("dashboard", dashboard, DashboardOrigin::parse)?;
        let conflict = OriginConflict::among(api.as_ref(), site.as_ref(), dashboard.as_ref());
        if let Some(conflict) = conflict {
            return Err(wrong(&format!("origins.{}", conflict.part()), &conflict));
        }
        let default = Origins::default();
        Ok(Origins {
            api: api.unwrap_or(default.api),
            site: site.unwrap_or(default.site),
            dashboard: dashboard.unwrap_or(default.dashboard),
        })
    }
}

fn origin<T, E: fmt::Display>(
    name: &str,
    given: Option<&str>,
    parse: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, FunctionError> {
    let parsed = given.map(parse).transpose();
    parsed.map_err(|error| wrong(&format!("origins.{name}"), &error))
}

impl GivenDatabase {
    fn database(&self) -> Result<Database, FunctionError> {
        let settings = DatabaseSettings {
            url: self.url.expose(),
            create: None,
            ssl_mode: self.ssl_mode.as_deref(),
            ca_pem: self.ca_pem.as_deref(),
            max_connections: self.max_connections,
        };
        Database::parse(&settings).map_err(|errors| {
            let errors = errors.iter();
            let lines = errors.map(|error| format!("{}: {error}", attribute(error)));
            refused(lines.collect::<Vec<_>>().join("\n"))
        })
    }
}

/// The attribute of a setting.
fn attribute(error: &DatabaseValueError) -> String {
    let of_database = |name: &str| format!("database.{name}");
    match error.setting() {
        Setting::Url => of_database("url"),
        Setting::Create => of_database("create"),
        Setting::SslMode => of_database("ssl_mode"),
        Setting::Ca => of_database("ca_pem"),
        Setting::MaxConnections => of_database("max_connections"),
        Setting::InstanceName => "instance_name".to_owned(),
        Setting::Environment => "env".to_owned(),
    }
}

/// The variable at fault, where it is one.
fn variable(error: &DatabaseValueError) -> &str {
    match error {
        DatabaseValueError::Variable { name, .. } => name,
        _ => "",
    }
}

impl GivenS3 {
    fn store(&self) -> Result<Option<S3Storage>, FunctionError> {
        let settings = S3Settings {
            region: Some(&self.region),
            exports: Some(&self.exports_bucket),
            files: Some(&self.files_bucket),
            modules: Some(&self.modules_bucket),
            search: Some(&self.search_bucket),
            snapshot_imports: Some(&self.snapshot_imports_bucket),
            endpoint: self.endpoint.as_deref(),
            path_style: self.path_style == Some(true),
            disable_sse: self.disable_sse == Some(true),
            disable_checksums: self.disable_checksums == Some(true),
            access_key_id: self.access_key_id.as_deref(),
            secret_access_key: self.secret_access_key.as_ref(),
            session_token: self.session_token.as_ref(),
        };
        S3Storage::parse(&settings).map_err(|error| {
            let buckets = [
                ("exports_bucket", &self.exports_bucket),
                ("files_bucket", &self.files_bucket),
                ("modules_bucket", &self.modules_bucket),
                ("search_bucket", &self.search_bucket),
                ("snapshot_imports_bucket", &self.snapshot_imports_bucket),
            ];
            let part = match &error {
                S3Error::Incomplete { .. } | S3Error::NoStore => None,
                S3Error::Region { .. } => Some("region"),
                S3Error::Endpoint => Some("endpoint"),
                S3Error::TokenWithoutKey => Some("session_token"),
                S3Error::HalfKey if self.access_key_id.is_some() => Some("access_key_id"),
                S3Error::HalfKey => Some("secret_access_key"),
                S3Error::Bucket { bucket } => {
                    let mut buckets = buckets.iter();
                    buckets.find(|(_, it)| *it == bucket).map(|(name, _)| *name)
                }
            };
            let part = part.map(|it| format!(".{it}")).unwrap_or_default();
            wrong(&format!("storage.s3{part}"), &error)
        })
    }
}
