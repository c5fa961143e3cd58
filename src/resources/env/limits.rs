//! What is said of more variables than a backend holds by default.
//!
//! Both limits are settings of the backend's process, and nothing tells what they are. So a plan
//! only warns, and the backend itself refuses.

use std::collections::BTreeMap;

use super::{
    declared::Declared,
    plan::{declared_names, declared_value},
};
use crate::{
    backend::BackendError,
    convex::{
        Secret,
        env_var::{Changes, LimitError, check_limits},
    },
    plugin::{Config, Diagnostic, value::Path},
};

/// The setting of the backend behind a limit, and what a refusal is called.
struct Limit {
    setting: &'static str,
    exceeded: &'static str,
}

const COUNT: Limit = Limit {
    setting: "ENV_VAR_LIMIT",
    exceeded: "Too many variables",
};

const TOTAL_SIZE: Limit = Limit {
    setting: "ENV_VAR_TOTAL_SIZE_LIMIT",
    exceeded: "Variables too large",
};

impl Limit {
    fn remedy(&self) -> String {
        format!(
            "Remove some, or raise {} in the environment of the backend's process: backend.env of its convex_deployment.",
            self.setting
        )
    }
}

/// Looks at all that a backend would hold after `changes`: also what nobody declares here counts. A
/// backend that holds more than by default already has other limits.
pub fn after(
    live: &BTreeMap<String, Secret>,
    changes: &Changes,
    declared: &BTreeMap<String, Declared>,
) -> Option<Diagnostic> {
    changes.sets().next()?;
    check_limits(sizes(live)).ok()?;
    let error = check_limits(sizes(&changes.result(live))).err()?;
    let path = declared.get(first_beyond(&error)).map(|it| &it.path);
    Some(warning(&error, path.cloned()))
}

/// Looks at what a configuration declares, where nothing is known of the backend. A value that is
/// not known yet has no size.
pub fn of_config(config: Config<'_>) -> Option<Diagnostic> {
    let declared: BTreeMap<_, _> = declared_names(config).into_iter().collect();
    let values = declared.iter().map(|(name, path)| {
        let value = declared_value(config, path).map(|(value, _)| value);
        (name.clone(), value.unwrap_or_default())
    });
    let error = check_limits(sizes(&values.collect())).err()?;
    let path = declared.get(first_beyond(&error));
    Some(warning(&error, path.cloned()))
}

/// The refusal of a backend whose limit is met, at the end of its words; nothing for any other.
pub fn refusal(object: &str, error: &BackendError) -> Option<Diagnostic> {
    let BackendError::Refused { code, message } = error else {
        return None;
    };
    let limit = match code.as_str() {
        "EnvVarLimitMet" => COUNT,
        "EnvVarTotalSizeLimitMet" => TOTAL_SIZE,
        _ => return None,
    };
    Some(Diagnostic::error(
        limit.exceeded,
        format!(
            "The backend of {object} refuses the variables: {message} Nothing was changed. {}",
            limit.remedy()
        ),
    ))
}

fn sizes(variables: &BTreeMap<String, Secret>) -> impl Iterator<Item = (&str, &str)> {
    let variables = variables.iter();
    variables.map(|(name, value)| (name.as_str(), value.expose()))
}

fn first_beyond(error: &LimitError) -> &str {
    match error {
        LimitError::Count { first_beyond, .. } | LimitError::TotalSize { first_beyond, .. } => {
            first_beyond
        }
    }
}

fn warning(error: &LimitError, path: Option<Path>) -> Diagnostic {
    let (summary, limit) = match error {
        LimitError::Count { .. } => ("More variables than by default", COUNT),
        LimitError::TotalSize { .. } => ("Larger variables than by default", TOTAL_SIZE),
    };
    let detail = format!(
        "{error} The backend refuses them all unless its limit is higher. {}",
        limit.remedy()
    );
    let warning = Diagnostic::warning(summary, detail);
    match path {
        Some(path) => warning.at(path),
        None => warning,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{after, refusal};
    use crate::{
        backend::BackendError,
        convex::{
            Secret,
            env_var::{Changes, VarName, VarValue, Variables},
        },
    };

    fn live(count: usize) -> BTreeMap<String, Secret> {
        let names = (0..count).map(|n| format!("V{n:04}"));
        names.map(|name| (name, Secret::from("x"))).collect()
    }

    fn adds_one(live: &BTreeMap<String, Secret>) -> Changes {
        let name = VarName::parse("ZZ").unwrap();
        let value = VarValue::parse(Secret::from("x")).unwrap();
        let desired = Variables::from([(name, value)]);
        Changes::between(live, &desired, &[].into())
    }

    #[test]
    fn the_first_variable_beyond_the_default_is_warned_of() {
        for (count, warns) in [(511, false), (512, true), (513, false)] {
            let live = live(count);
            let said = after(&live, &adds_one(&live), &BTreeMap::new());
            assert_eq!(said.is_some(), warns, "{count}: {said:?}");
            if let Some(said) = said {
                assert!(said.detail().contains("ENV_VAR_LIMIT"), "{said:?}");
            }
        }
        assert!(after(&live(512), &Changes::default(), &BTreeMap::new()).is_none());
    }

    #[test]
    fn a_limit_that_is_met_names_its_setting() {
        for (code, setting) in [
            ("EnvVarLimitMet", Some("ENV_VAR_LIMIT")),
            ("EnvVarTotalSizeLimitMet", Some("ENV_VAR_TOTAL_SIZE_LIMIT")),
            ("EnvVarNameForbidden", None),
        ] {
            let error = BackendError::Refused {
                code: code.to_owned(),
                message: "Met.".into(),
            };
            let said = refusal("it", &error).map(|it| it.detail().to_owned());
            assert_eq!(said.is_some(), setting.is_some());
            assert!(
                said.unwrap_or_default()
                    .contains(setting.unwrap_or_default())
            );
        }
    }
}
