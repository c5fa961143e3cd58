//! A store for files, modules, exports, imports and search indexes: S3, or what speaks like it.
//!
//! The start script takes it only where all six of its variables are set, and else stores on the
//! volume without a word that anybody would see. What is chosen at the first start stays for ever.
//! Sources: upstream `self-hosted/docker-build/run_backend.sh`, `crates/aws_utils/src/lib.rs` and
//! `crates/model/src/database_globals/mod.rs`.

use std::{collections::BTreeMap, fmt};

use url::Url;

use super::super::secret::Secret;
use super::ExtraEnv;
use super::problem::S3;

/// The kinds of storage a backend can keep files in. Its database remembers which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A directory of the volume.
    Local,
    /// Buckets.
    S3,
}

impl StorageKind {
    /// The kind that variables of the process choose, as the start script reads them.
    #[must_use]
    pub fn among(env: &BTreeMap<String, String>) -> Self {
        let is_set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        if S3.into_iter().all(is_set) {
            Self::S3
        } else {
            Self::Local
        }
    }

    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
        }
    }

    /// From the word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Local, Self::S3]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// Settings as a user gives them.
#[derive(Clone, Debug, Default)]
pub struct S3Settings<'a> {
    /// The region, `auto` where a store has none.
    pub region: Option<&'a str>,
    /// The bucket for exports.
    pub exports: Option<&'a str>,
    /// The bucket for files of users.
    pub files: Option<&'a str>,
    /// The bucket for modules of functions.
    pub modules: Option<&'a str>,
    /// The bucket for search indexes.
    pub search: Option<&'a str>,
    /// The bucket for snapshots on their way in.
    pub snapshot_imports: Option<&'a str>,
    /// Where the store answers, if it is not that of AWS.
    pub endpoint: Option<&'a str>,
    /// The bucket as part of the path and not of the host, as most other stores want it.
    pub path_style: bool,
    /// Whether objects are stored without asking the store to encrypt them.
    pub disable_sse: bool,
    /// Whether requests are sent without checksums.
    pub disable_checksums: bool,
    /// The ID of a key. Without one the backend looks where programs for AWS look.
    pub access_key_id: Option<&'a str>,
    /// Its secret.
    pub secret_access_key: Option<&'a Secret>,
    /// The token that goes with a temporary key.
    pub session_token: Option<&'a Secret>,
}

/// Why settings of a store cannot be used. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3Error {
    /// Some of the six but not all.
    #[error(
        "A store needs a region and five buckets, and {} is missing. The backend would silently \
         store on its volume instead, for ever. Set all six, or none.", .missing.join(", ")
    )]
    Incomplete {
        /// The variables without a value.
        missing: Vec<&'static str>,
    },
    /// A bucket that cannot exist.
    #[error(
        "{bucket:?} cannot be the name of a bucket. Names have 3 to 63 lower-case letters, digits, \
         `.` and `-`, and begin and end with a letter or digit."
    )]
    Bucket {
        /// The refused name.
        bucket: String,
    },
    /// A region that is no name.
    #[error("{region:?} cannot be a region. Write one such as `eu-west-1`, or `auto`.")]
    Region {
        /// The refused name.
        region: String,
    },
    /// An endpoint that is no address.
    #[error(
        "The endpoint is no address of a store. Write one such as `https://s3.example.com`, without \
         a user or a query."
    )]
    Endpoint,
    /// One half of a key.
    #[error("A key has an ID and a secret, and one of them is missing. Set both, or none.")]
    HalfKey,
    /// A session token without a key.
    #[error(
        "A session token goes with a temporary key, which is not given. Set ID and secret of the key too."
    )]
    TokenWithoutKey,
    /// Settings for a store that is none.
    #[error(
        "An endpoint, a switch or a key is set for a store without region and buckets. Set these six \
         too, or none of all."
    )]
    NoStore,
}

/// A store that can be used. `Debug` shows its region only.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Storage {
    region: String,
    /// In the order of [`S3`], without the region.
    buckets: [String; 5],
    endpoint: Option<String>,
    /// Variables that are `true`.
    switches: Vec<&'static str>,
    key: Option<(String, Secret)>,
    session_token: Option<Secret>,
}

impl S3Storage {
    /// Takes all six settings, or none. An empty text is no setting.
    pub fn parse(settings: &S3Settings<'_>) -> Result<Option<Self>, S3Error> {
        let six = [
            settings.region,
            settings.exports,
            settings.files,
            settings.modules,
            settings.search,
            settings.snapshot_imports,
        ]
        .map(|setting| setting.filter(|text| !text.is_empty()));
        let missing: Vec<&str> = S3
            .into_iter()
            .zip(six)
            .filter(|(_, setting)| setting.is_none())
            .map(|(name, _)| name)
            .collect();
        let key_id = settings.access_key_id.filter(|id| !id.is_empty());
        let key_secret = settings.secret_access_key.filter(|it| !it.is_empty());
        let session_token = settings.session_token.filter(|it| !it.is_empty());
        let switches: Vec<_> = [
            (settings.path_style, "AWS_S3_FORCE_PATH_STYLE"),
            (settings.disable_sse, "AWS_S3_DISABLE_SSE"),
            (settings.disable_checksums, "AWS_S3_DISABLE_CHECKSUMS"),
        ]
        .into_iter()
        .filter_map(|(on, name)| on.then_some(name))
        .collect();
        let [
            Some(region),
            Some(exports),
            Some(files),
            Some(modules),
            Some(search),
            Some(imports),
        ] = six
        else {
            let has_more = settings.endpoint.is_some()
                || !switches.is_empty()
                || key_id.is_some()
                || key_secret.is_some()
                || session_token.is_some();
            return match missing.len() {
                6 if has_more => Err(S3Error::NoStore),
                6 => Ok(None),
                _ => Err(S3Error::Incomplete { missing }),
            };
        };
        let key = match (key_id, key_secret) {
            (Some(id), Some(secret)) => Some((id.to_owned(), secret.clone())),
            (None, None) if session_token.is_some() => return Err(S3Error::TokenWithoutKey),
            (None, None) => None,
            _ => return Err(S3Error::HalfKey),
        };
        let buckets = [exports, files, modules, search, imports];
        for bucket in buckets {
            check_bucket(bucket)?;
        }
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !region.chars().all(is_region) {
            let region = region.to_owned();
            return Err(S3Error::Region { region });
        }
        Ok(Some(Self {
            region: region.to_owned(),
            buckets: buckets.map(str::to_owned),
            endpoint: settings.endpoint.map(parse_endpoint).transpose()?,
            switches,
            key,
            session_token: session_token.cloned(),
        }))
    }

    /// Where what lasts is: what it is, and its bucket. Exports and imports come and go.
    #[must_use]
    pub fn places(&self) -> [(&'static str, String); 3] {
        let [_, files, modules, search, _] = &self.buckets;
        let place = |bucket: &String| match &self.endpoint {
            Some(endpoint) => format!("{bucket:?} at {endpoint}"),
            None => format!("{bucket:?} of AWS"),
        };
        [
            ("files", place(files)),
            ("modules", place(modules)),
            ("search indexes", place(search)),
        ]
    }

    /// The secret and the session token of the key, where there is one.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let key = self.key.iter().map(|(_, secret)| secret);
        key.chain(&self.session_token)
    }

    /// Names among those a user adds that this store decides.
    #[must_use]
    pub fn conflicts(&self, extra: &ExtraEnv) -> Vec<String> {
        let decided = self.variables().into_iter().map(|(name, _)| name);
        decided
            .filter(|name| extra.as_map().contains_key(name))
            .collect()
    }

    /// The variables for the backend.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![(S3[0], self.region.clone())];
        variables.extend(S3.into_iter().skip(1).zip(self.buckets.clone()));
        variables.extend(self.endpoint.clone().map(|it| ("S3_ENDPOINT_URL", it)));
        // Only the exact text counts, so the variable is there or not at all.
        let switches = self.switches.iter();
        variables.extend(switches.map(|name| (*name, "true".to_owned())));
        if let Some((id, secret)) = &self.key {
            variables.push(("AWS_ACCESS_KEY_ID", id.clone()));
            variables.push(("AWS_SECRET_ACCESS_KEY", secret.expose().to_owned()));
        }
        if let Some(token) = &self.session_token {
            variables.push(("AWS_SESSION_TOKEN", token.expose().to_owned()));
        }
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

fn check_bucket(bucket: &str) -> Result<(), S3Error> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| inner(c) || c == '.' || c == '-')
        && bucket.starts_with(inner)
        && bucket.ends_with(inner)
        && !bucket.contains("..");
    good.then_some(()).ok_or_else(|| S3Error::Bucket {
        bucket: bucket.to_owned(),
    })
}

/// The address of a store may have a path, as that of Supabase has. The backend passes it on as it
/// is.
fn parse_endpoint(text: &str) -> Result<String, S3Error> {
    let url = Url::parse(text).map_err(|_| S3Error::Endpoint)?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let origin = url.as_str().trim_end_matches('/').to_owned();
    bare.then_some(origin).ok_or(S3Error::Endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> S3Settings<'static> {
        S3Settings {
            region: Some("eu-west-1"),
            exports: Some("app-exports"),
            files: Some("app-files"),
            modules: Some("app-modules"),
            search: Some("app-search"),
            snapshot_imports: Some("app-imports"),
            ..S3Settings::default()
        }
    }

    fn refusal(settings: &S3Settings<'_>) -> S3Error {
        S3Storage::parse(settings).unwrap_err()
    }

    #[test]
    fn all_six_or_none() {
        assert_eq!(S3Storage::parse(&S3Settings::default()), Ok(None));
        assert!(S3Storage::parse(&full()).unwrap().is_some());
        for files in [None, Some("")] {
            let missing = vec!["S3_STORAGE_FILES_BUCKET"];
            let settings = S3Settings { files, ..full() };
            assert_eq!(refusal(&settings), S3Error::Incomplete { missing });
        }
        let only_region = S3Settings {
            region: Some("auto"),
            ..S3Settings::default()
        };
        let S3Error::Incomplete { missing } = refusal(&only_region) else {
            panic!("a region is no store");
        };
        assert_eq!(missing.len(), 5);
    }

    #[test]
    fn the_variables_pass_the_check_of_what_users_add() {
        let secret = Secret::from("hunter2");
        let storage = S3Storage::parse(&S3Settings {
            endpoint: Some("http://minio:9000/"),
            path_style: true,
            disable_sse: true,
            disable_checksums: true,
            access_key_id: Some("id"),
            secret_access_key: Some(&secret),
            session_token: Some(&secret),
            ..full()
        });
        let storage = storage.unwrap().unwrap();
        let extra = ExtraEnv::for_backend(storage.variables()).unwrap();
        assert_eq!(extra.as_map().len(), 13);
        for switch in ["AWS_S3_DISABLE_SSE", "AWS_S3_DISABLE_CHECKSUMS"] {
            assert_eq!(extra.as_map()[switch], "true");
        }
        assert_eq!(extra.as_map()["AWS_SESSION_TOKEN"], "hunter2");
        assert_eq!(storage.secrets().count(), 2);
        assert_eq!(
            extra.as_map()["S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET"],
            "app-imports"
        );
        assert_eq!(extra.as_map()["S3_STORAGE_MODULES_BUCKET"], "app-modules");
        assert_eq!(extra.as_map()["S3_ENDPOINT_URL"], "http://minio:9000");
        assert!(!format!("{storage:?}").contains("hunter2"));
        let plain = S3Storage::parse(&full()).unwrap().unwrap();
        assert_eq!(plain.variables().len(), 6);
    }

    #[test]
    fn an_endpoint_may_have_a_path() {
        let supabase = "https://x.storage.supabase.co/storage/v1/s3";
        for (given, kept) in [
            (supabase.to_owned(), supabase),
            (format!("{supabase}/"), supabase),
        ] {
            let settings = S3Settings {
                endpoint: Some(&given),
                ..full()
            };
            let storage = S3Storage::parse(&settings).unwrap().unwrap();
            let variables: BTreeMap<_, _> = storage.variables().into_iter().collect();
            assert_eq!(variables["S3_ENDPOINT_URL"], kept);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let secret = Secret::from("hunter2");
        for bucket in ["ab", "Upper", "-a-", "a..b", "a_b", &"a".repeat(64)] {
            let settings = S3Settings {
                search: Some(bucket),
                ..full()
            };
            let bucket = bucket.to_owned();
            assert_eq!(refusal(&settings), S3Error::Bucket { bucket });
        }
        for endpoint in [
            "minio:9000",
            "s3://x",
            "https://u:hunter2@h",
            "http://h/?x=1",
        ] {
            let settings = S3Settings {
                endpoint: Some(endpoint),
                ..full()
            };
            assert_eq!(refusal(&settings), S3Error::Endpoint);
        }
        let half = S3Settings {
            secret_access_key: Some(&secret),
            ..full()
        };
        assert_eq!(refusal(&half), S3Error::HalfKey);
        let no_store = S3Settings {
            disable_sse: true,
            ..S3Settings::default()
        };
        assert_eq!(refusal(&no_store), S3Error::NoStore);
        let token = S3Settings {
            session_token: Some(&secret),
            ..full()
        };
        assert_eq!(refusal(&token), S3Error::TokenWithoutKey);
        let region = S3Settings {
            region: Some("EU West"),
            ..full()
        };
        assert!(matches!(refusal(&region), S3Error::Region { .. }));
    }
}
