//! The storage of a deployment for files, modules and search indexes, as an
//! attribute.

use serde::{Deserialize, Serialize};

use crate::{
    convex::{
        Secret,
        process_env::{ExtraEnv, S3Error, S3Settings, S3Storage},
    },
    plugin::{
        Config, Diagnostic, Diagnostics, Known,
        schema::{Attr, Fields, Optional, Secretive, boolean, number, object, string},
        value::Path,
    },
};

/// The attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageModel {
    pub s3: Option<S3Model>,
}

/// A store that speaks S3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Model {
    pub region: Option<String>,
    pub exports_bucket: Option<String>,
    pub files_bucket: Option<String>,
    pub modules_bucket: Option<String>,
    pub search_bucket: Option<String>,
    pub snapshot_imports_bucket: Option<String>,
    pub endpoint: Option<String>,
    pub path_style: Option<bool>,
    pub disable_sse: Option<bool>,
    pub disable_checksums: Option<bool>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub secret_access_key_wo: Option<Secret>,
    pub secret_access_key_wo_version: Option<i64>,
    pub session_token: Option<Secret>,
    pub session_token_wo: Option<Secret>,
}

/// A store, as far as it is at hand.
#[derive(Clone, Debug)]
pub struct Store {
    /// The store. Where its secret is hidden, with a stand-in for that.
    pub s3: S3Storage,
    /// Variables whose values the state does not keep: the secret of the key, or nothing.
    pub hidden: &'static [&'static str],
}

impl Store {
    /// What is secret and at hand.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        // The first is a stand-in where it is hidden.
        self.s3.secrets().skip(usize::from(!self.hidden.is_empty()))
    }
}

/// The variable with the secret of a key.
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// The variable with the session token that goes with a key.
pub(super) const TOKEN: &str = "AWS_SESSION_TOKEN";

impl StorageModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Secretive> {
        object(
            Fields::new().with("s3", S3Model::attribute()),
            "Where files, modules, search indexes, exports and imports are. Without it they are on the volume. The kind of storage cannot be changed once there is data.",
        )
        .optional()
    }

    /// The store, where it is one. An error here is that of a state edited by
    /// hand, or of a value that was not known when all others were checked.
    pub fn store(&self) -> Result<Option<Store>, Diagnostic> {
        let Some(s3) = &self.s3 else { return Ok(None) };
        let secret = s3.secret_access_key.as_ref();
        let secret = secret.or(s3.secret_access_key_wo.as_ref());
        let is_hidden = s3.access_key_id.is_some() && secret.is_none();
        let stand_in = Secret::from("-");
        let secret = secret.or(is_hidden.then_some(&stand_in));
        let hidden: &[_] = match s3.token() {
            _ if !is_hidden => &[],
            Some(_) => &[SECRET],
            None => &[SECRET, TOKEN],
        };
        match S3Storage::parse(&s3.settings(secret)) {
            Ok(s3) => Ok(s3.map(|s3| Store { s3, hidden })),
            Err(error) => Err(of_error(&error, s3)),
        }
    }
}

impl S3Model {
    fn attribute() -> Attr<Optional, Secretive> {
        let bucket = |description: &'static str| string(description).required();
        object(
            Fields::new()
                .with(
                    "region",
                    string("Region, such as `eu-west-1`; `auto` where a store has none.").required(),
                )
                .with("exports_bucket", bucket("Bucket for exports."))
                .with("files_bucket", bucket("Bucket for files of users."))
                .with("modules_bucket", bucket("Bucket for the modules of functions."))
                .with("search_bucket", bucket("Bucket for search indexes."))
                .with(
                    "snapshot_imports_bucket",
                    bucket("Bucket for snapshots on their way in."),
                )
                .with(
                    "endpoint",
                    string("Address of the store as containers see it, such as `http://minio:9000` or, with a path, `https://x.storage.supabase.co/storage/v1/s3`. Default: that of AWS.")
                        .optional(),
                )
                .with(
                    "path_style",
                    boolean("Whether a bucket is part of the path and not of the host, as MinIO and most other stores want it. Default `false`.")
                        .optional(),
                )
                .with(
                    "disable_sse",
                    boolean("Whether to store objects without asking for server-side encryption, for a store that does not offer it, such as MinIO without a key server. Default `false`.")
                        .optional(),
                )
                .with(
                    "disable_checksums",
                    boolean("Whether to send requests without checksums, for a store that refuses them. Default `false`.")
                        .optional(),
                )
                .with(
                    "access_key_id",
                    string("ID of the key. Without one the backend looks where programs for AWS look: in its environment (`backend.env`) and at the role of the machine.")
                        .optional(),
                )
                .with(
                    "secret_access_key",
                    string("Secret of the key. It is in the state, and in the environment of the backend's process.")
                        .optional()
                        .sensitive(),
                )
                .with(
                    "secret_access_key_wo",
                    string("The same as `secret_access_key`, but never in plan or state. It is used whenever the backend's container is made.")
                        .optional()
                        .sensitive()
                        .write_only(),
                )
                .with(
                    "secret_access_key_wo_version",
                    number("Any number. When it changes, the backend is recreated with the current `secret_access_key_wo` and `session_token_wo`.")
                        .optional()
                        .within(i64::MIN..=i64::MAX),
                )
                .with(
                    "session_token",
                    string("Session token of a temporary key. It is in the state, and in the environment of the backend's process. Once the key expires, the backend no longer reaches the store, so prefer a permanent key.")
                        .optional()
                        .sensitive(),
                )
                .with(
                    "session_token_wo",
                    string("The same as `session_token`, but never in plan or state. Goes with `secret_access_key_wo`.")
                        .optional()
                        .sensitive()
                        .write_only(),
                ),
            "Buckets of S3 or an S3-compatible service, such as MinIO or R2. Region and all five buckets are needed: a backend without one of them silently stores on its volume.",
        )
        .optional()
    }

    /// The session token, where it is at hand.
    fn token(&self) -> Option<&Secret> {
        self.session_token
            .as_ref()
            .or(self.session_token_wo.as_ref())
    }

    fn settings<'a>(&'a self, secret: Option<&'a Secret>) -> S3Settings<'a> {
        S3Settings {
            region: self.region.as_deref(),
            exports: self.exports_bucket.as_deref(),
            files: self.files_bucket.as_deref(),
            modules: self.modules_bucket.as_deref(),
            search: self.search_bucket.as_deref(),
            snapshot_imports: self.snapshot_imports_bucket.as_deref(),
            endpoint: self.endpoint.as_deref(),
            path_style: self.path_style == Some(true),
            disable_sse: self.disable_sse == Some(true),
            disable_checksums: self.disable_checksums == Some(true),
            access_key_id: self.access_key_id.as_deref(),
            secret_access_key: secret,
            session_token: self.token(),
        }
    }

    /// The store that the environment of a process has, with the names of its
    /// variables that are no part of it.
    pub fn among(env: &std::collections::BTreeMap<String, String>) -> Option<Self> {
        let get = |name: &str| env.get(name).filter(|it| !it.is_empty()).cloned();
        Some(Self {
            region: Some(get("AWS_REGION")?),
            exports_bucket: Some(get("S3_STORAGE_EXPORTS_BUCKET")?),
            files_bucket: Some(get("S3_STORAGE_FILES_BUCKET")?),
            modules_bucket: Some(get("S3_STORAGE_MODULES_BUCKET")?),
            search_bucket: Some(get("S3_STORAGE_SEARCH_BUCKET")?),
            snapshot_imports_bucket: Some(get("S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET")?),
            endpoint: get("S3_ENDPOINT_URL"),
            path_style: get("AWS_S3_FORCE_PATH_STYLE").map(|it| it == "true"),
            disable_sse: get("AWS_S3_DISABLE_SSE").map(|it| it == "true"),
            disable_checksums: get("AWS_S3_DISABLE_CHECKSUMS").map(|it| it == "true"),
            access_key_id: get("AWS_ACCESS_KEY_ID"),
            secret_access_key: get(SECRET).map(Secret::from),
            session_token: get("AWS_ACCESS_KEY_ID")
                .and_then(|_| get(TOKEN))
                .map(Secret::from),
            ..Self::default()
        })
    }
}

/// Checks what a configuration says of storage.
pub fn check(config: Config<'_>) -> Diagnostics {
    let mut found = Diagnostics::default();
    let s3 = Path::of("storage").attribute("s3");
    let given = |name: &'static str| config.given(s3.attribute(name));
    let hidden = given("secret_access_key_wo");
    if hidden == Known::YES && given("secret_access_key") == Known::YES {
        found.push(
            Diagnostic::error(
                "Which secret?",
                "Both secret_access_key and secret_access_key_wo are given. Keep secret_access_key_wo, which is never stored, or secret_access_key.",
            )
            .at(s3.attribute("secret_access_key")),
        );
    }
    if given("secret_access_key_wo_version") == Known::YES && hidden == Known::NO {
        found.push(
            Diagnostic::error(
                "Nothing to pin",
                "secret_access_key_wo_version goes with secret_access_key_wo, and there is none. Remove it, or give secret_access_key_wo.",
            )
            .at(s3.attribute("secret_access_key_wo_version")),
        );
    }
    if given("session_token_wo") == Known::YES {
        let problem = if given("session_token") == Known::YES {
            "Both session_token and session_token_wo are given. Keep session_token_wo, which is never stored, or session_token."
        } else if hidden == Known::NO {
            "session_token_wo goes with secret_access_key_wo, which is not given. Give both write-only, or use session_token."
        } else {
            ""
        };
        if !problem.is_empty() {
            found.push(
                Diagnostic::error("Conflicting session token settings", problem)
                    .at(s3.attribute("session_token_wo")),
            );
        }
    }
    // What is not known yet is looked at when it is.
    let Known::Known(Some(model)) = config.get::<Option<S3Model>>(s3) else {
        return found;
    };
    let secret = model.secret_access_key.as_ref();
    let secret = secret.or(model.secret_access_key_wo.as_ref());
    match S3Storage::parse(&model.settings(secret)) {
        Err(error) => found.push(of_error(&error, &model)),
        Ok(None) => {}
        Ok(Some(store)) => {
            let env =
                config.get::<Option<std::collections::BTreeMap<String, String>>>("backend.env");
            let Known::Known(Some(env)) = env else {
                return found;
            };
            let Ok(extra) = ExtraEnv::for_backend(env) else {
                return found;
            };
            for name in store.conflicts(&extra) {
                let path = Path::of("backend.env").key(&name);
                found.push(
                    Diagnostic::error(
                        format!("Invalid value for {path}"),
                        format!("{name} follows from storage.s3. Leave the variable out."),
                    )
                    .at(path),
                );
            }
        }
    }
    found
}

fn of_error(error: &S3Error, model: &S3Model) -> Diagnostic {
    let s3 = Path::of("storage").attribute("s3");
    let is = |given: &Option<String>, bucket: &str| given.as_deref() == Some(bucket);
    let path = match error {
        S3Error::Incomplete { .. } | S3Error::NoStore => s3,
        S3Error::Region { .. } => s3.attribute("region"),
        S3Error::Endpoint => s3.attribute("endpoint"),
        S3Error::TokenWithoutKey => s3.attribute("session_token"),
        S3Error::HalfKey if model.access_key_id.is_some() => s3.attribute("access_key_id"),
        S3Error::HalfKey => s3.attribute("secret_access_key"),
        S3Error::Bucket { bucket } => s3.attribute(match () {
            () if is(&model.exports_bucket, bucket) => "exports_bucket",
            () if is(&model.files_bucket, bucket) => "files_bucket",
            () if is(&model.modules_bucket, bucket) => "modules_bucket",
            () if is(&model.search_bucket, bucket) => "search_bucket",
            () => "snapshot_imports_bucket",
        }),
    };
    Diagnostic::error(format!("Invalid value for {path}"), error.to_string()).at(path)
}
