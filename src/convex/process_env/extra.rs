//! What a user adds to the environment of a process, and the traps in it.
//!
//! The start script and the binary read some variables in ways nobody expects. What would not do
//! what it says is refused before anything starts. Source: upstream
//! `self-hosted/docker-build/run_backend.sh`, `crates/local_backend/src/config.rs` and
//! `crates/aws_utils/src/lib.rs`.

use std::collections::BTreeMap;
use std::fmt;

use super::DASHBOARD_KEY;
use super::problem::{DATA_DIR, ExtraEnvError, ExtraEnvWarning, S3};

/// Names that follow from the deployment's own settings, with what decides them.
const BACKEND_OWNED: [(&str, &str); 6] = [
    ("CONVEX_CLOUD_ORIGIN", "the API origin of the deployment"),
    ("CONVEX_SITE_ORIGIN", "the site origin of the deployment"),
    ("CREDENTIALS_DIR", "the data volume of the deployment"),
    ("DATA_DIR", "the data volume of the deployment"),
    ("INSTANCE_NAME", "the instance name of the deployment"),
    ("INSTANCE_SECRET", "the instance secret of the deployment"),
];

const DASHBOARD_OWNED: [(&str, &str); 1] = [(
    "NEXT_PUBLIC_DEPLOYMENT_URL",
    "the API origin of the deployment",
)];

/// Flags of the start script that any text turns on, "false" included.
const FLAGS: [&str; 2] = ["DO_NOT_REQUIRE_SSL", "REDACT_LOGS_TO_CLIENT"];

/// Variables of which only the exact text "true" counts.
const ONLY_TRUE: [&str; 5] = [
    "AWS_S3_DISABLE_CHECKSUMS",
    "AWS_S3_DISABLE_RANGE_PREFETCH",
    "AWS_S3_DISABLE_SSE",
    "AWS_S3_FORCE_PATH_STYLE",
    "DISABLE_METRICS_ENDPOINT",
];

const DATABASES: [&str; 3] = ["DATABASE_URL", "MYSQL_URL", "POSTGRES_URL"];

const FOR_FUNCTIONS: [&str; 4] = ["JWKS", "JWT_ISSUER", "JWT_PRIVATE_KEY", "SITE_URL"];

const DATA_PATHS: [&str; 2] = ["SQLITE_DB", "STORAGE_DIR"];

/// Variables a user adds to a process. `Debug` shows names only, because values can be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraEnv {
    variables: BTreeMap<String, String>,
    warnings: Vec<ExtraEnvWarning>,
}

impl ExtraEnv {
    /// Whether a variable is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// Takes variables for the backend, or gives every fault, in order of names.
    pub fn for_backend<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Vec<ExtraEnvError>> {
        let variables = collect(variables);
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        for (name, value) in &variables {
            errors.extend(shape(name, value).or_else(|| backend_trap(name, value)));
            warnings.extend(backend_warning(name, value));
        }
        errors.extend(incomplete_s3(&variables));
        if errors.is_empty() {
            Ok(Self {
                variables,
                warnings,
            })
        } else {
            Err(errors)
        }
    }

    /// Takes variables for the dashboard, or gives every fault, in order of names.
    pub fn for_dashboard<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Vec<ExtraEnvError>> {
        let variables = collect(variables);
        let trap = |name: &str| match name {
            DASHBOARD_KEY => Some(ExtraEnvError::AdminKey {
                name: name.to_owned(),
            }),
            _ => owned(name, &DASHBOARD_OWNED),
        };
        let errors: Vec<ExtraEnvError> = variables
            .iter()
            .filter_map(|(name, value)| shape(name, value).or_else(|| trap(name)))
            .collect();
        if errors.is_empty() {
            Ok(Self {
                variables,
                warnings: Vec::new(),
            })
        } else {
            Err(errors)
        }
    }

    /// The variables, in order of their names.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// What the user should know, in order of names.
    #[must_use]
    pub fn warnings(&self) -> &[ExtraEnvWarning] {
        &self.warnings
    }
}

impl fmt::Debug for ExtraEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

fn collect<N: Into<String>, V: Into<String>>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> BTreeMap<String, String> {
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn shape(name: &str, value: &str) -> Option<ExtraEnvError> {
    let good = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !good {
        return Some(ExtraEnvError::Name {
            name: name.to_owned(),
        });
    }
    value.contains('\0').then(|| ExtraEnvError::Nul {
        name: name.to_owned(),
    })
}

fn owned(name: &str, owned: &[(&str, &'static str)]) -> Option<ExtraEnvError> {
    let (_, decided_by) = owned.iter().find(|(candidate, _)| *candidate == name)?;
    Some(ExtraEnvError::Owned {
        name: name.to_owned(),
        decided_by,
    })
}

fn backend_trap(name: &str, value: &str) -> Option<ExtraEnvError> {
    let trap = |error: fn(String) -> ExtraEnvError| Some(error(name.to_owned()));
    if FLAGS.contains(&name) && !matches!(value, "true" | "1") {
        return trap(|name| ExtraEnvError::Flag { name });
    }
    if name == "DISABLE_BEACON" && value != "true" {
        return trap(|name| ExtraEnvError::Beacon { name });
    }
    if ONLY_TRUE.contains(&name) && !matches!(value, "true" | "false") {
        return trap(|name| ExtraEnvError::OnlyTrue { name });
    }
    if name == "ACTIONS_USER_TIMEOUT_SECS" {
        return trap(|name| ExtraEnvError::Removed { name });
    }
    owned(name, &BACKEND_OWNED)
}

fn backend_warning(name: &str, value: &str) -> Option<ExtraEnvWarning> {
    let owned = || name.to_owned();
    if DATABASES.contains(&name) {
        return Some(ExtraEnvWarning::Database { name: owned() });
    }
    if FOR_FUNCTIONS.contains(&name) {
        return Some(ExtraEnvWarning::ForFunctions { name: owned() });
    }
    if name == "DO_NOT_REQUIRE_SSL" {
        return Some(ExtraEnvWarning::NoTls { name: owned() });
    }
    let outside = DATA_PATHS.contains(&name) && !value.starts_with(DATA_DIR);
    outside.then(|| ExtraEnvWarning::OutsideVolume { name: owned() })
}

/// A region alone is no attempt at S3: other things of AWS read it too.
fn incomplete_s3(variables: &BTreeMap<String, String>) -> Option<ExtraEnvError> {
    let is_set = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
    let name = S3.into_iter().skip(1).find(|name| is_set(name))?;
    let missing: Vec<&str> = S3.into_iter().filter(|name| !is_set(name)).collect();
    let name = name.to_owned();
    (!missing.is_empty()).then_some(ExtraEnvError::IncompleteS3 { name, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &str, value: &str) -> Result<ExtraEnv, Vec<ExtraEnvError>> {
        ExtraEnv::for_backend([(name, value)])
    }

    fn refusal(name: &str, value: &str) -> String {
        let errors = backend(name, value).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].name(), name);
        errors[0].to_string()
    }

    #[test]
    fn names_and_values_an_environment_can_carry() {
        for name in ["A", "_a1", "lower"] {
            assert!(backend(name, "any\ntext, é").is_ok());
        }
        for name in ["", "1A", "A-B", "A=B", "A B", "é"] {
            assert!(refusal(name, "x").contains("no name"), "{name:?}");
        }
        assert!(refusal("A", "hunter2\0").contains("NUL"));
    }

    #[test]
    fn names_that_follow_from_other_settings_are_refused() {
        for (name, decided_by) in BACKEND_OWNED {
            let message = refusal(name, "x");
            assert!(message.contains(decided_by), "{message}");
        }
        let errors = ExtraEnv::for_dashboard([("NEXT_PUBLIC_DEPLOYMENT_URL", "x")]).unwrap_err();
        assert!(errors[0].to_string().contains("the API origin"));
    }

    #[test]
    fn flags_are_on_or_left_out() {
        for name in FLAGS {
            assert!(backend(name, "true").is_ok() && backend(name, "1").is_ok());
            for value in ["", "false", "0", "yes", "TRUE"] {
                assert!(
                    refusal(name, value).contains("leave it out"),
                    "{name}={value}"
                );
            }
        }
        assert!(backend("DISABLE_BEACON", "true").is_ok());
        for value in ["", "false", "1"] {
            assert!(refusal("DISABLE_BEACON", value).contains("leave the variable out"));
        }
    }

    #[test]
    fn variables_of_which_only_true_counts() {
        for name in ONLY_TRUE {
            assert!(backend(name, "true").is_ok() && backend(name, "false").is_ok());
            for value in ["", "1", "True", "yes"] {
                assert!(
                    refusal(name, value).contains("exact text"),
                    "{name}={value}"
                );
            }
        }
    }

    #[test]
    fn a_removed_time_limit_names_its_successors() {
        let message = refusal("ACTIONS_USER_TIMEOUT_SECS", "600");
        assert!(message.contains("V8_ACTION_USER_TIMEOUT_SECS"), "{message}");
    }

    #[test]
    fn s3_is_all_or_nothing() {
        let all = S3.map(|name| (name, "x"));
        assert!(ExtraEnv::for_backend(all).is_ok());
        assert!(backend("AWS_REGION", "eu-west-1").is_ok());
        let errors = ExtraEnv::for_backend(all.into_iter().skip(1)).unwrap_err();
        assert!(
            errors[0].to_string().contains("AWS_REGION is not"),
            "{}",
            errors[0]
        );
        let emptied = all.map(|(name, value)| (name, if name == S3[3] { "" } else { value }));
        let errors = ExtraEnv::for_backend(emptied).unwrap_err();
        assert_eq!(
            errors,
            [ExtraEnvError::IncompleteS3 {
                name: S3[1].to_owned(),
                missing: vec![S3[3]]
            }]
        );
    }

    #[test]
    fn what_is_taken_with_a_warning() {
        let variables = [
            ("MYSQL_URL", "mysql://u:hunter2@h"),
            ("JWT_PRIVATE_KEY", "hunter2"),
            ("STORAGE_DIR", "/tmp/hunter2"),
            ("SQLITE_DB", "/convex/data/db.sqlite3"),
        ];
        let extra = ExtraEnv::for_backend(variables).unwrap();
        let names: Vec<&str> = extra.warnings().iter().map(ExtraEnvWarning::name).collect();
        assert_eq!(names, ["JWT_PRIVATE_KEY", "MYSQL_URL", "STORAGE_DIR"]);
        for warning in extra.warnings() {
            assert!(!format!("{warning} {warning:?} {extra:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_dashboard_is_never_given_the_admin_key() {
        let errors = ExtraEnv::for_dashboard([("NEXT_PUBLIC_ADMIN_KEY", "hunter2")]).unwrap_err();
        assert!(!format!("{errors:?} {}", errors[0]).contains("hunter2"));
        assert!(errors[0].to_string().contains("prefill_admin_key"));
        assert!(
            ExtraEnv::for_dashboard([("DATABASE_URL", "x")])
                .unwrap()
                .warnings()
                .is_empty()
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let variables = [
            ("DATA_DIR", "/x"),
            ("DISABLE_BEACON", ""),
            ("RUST_LOG", "info"),
            ("1", ""),
        ];
        let errors = ExtraEnv::for_backend(variables).unwrap_err();
        let names: Vec<&str> = errors.iter().map(ExtraEnvError::name).collect();
        assert_eq!(names, ["1", "DATA_DIR", "DISABLE_BEACON"]);
    }
}
