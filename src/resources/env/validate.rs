//! What can be said of a configuration before anything is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::declared_names;
use crate::plugin::{Config, Diagnostic, Diagnostics, Known, value::Path};

/// Checks beyond those of single attributes.
pub fn check(config: Config<'_>) -> Diagnostics {
    let mut found = Diagnostics::default();
    check_target(config, &mut found);
    let declared = declared_names(config);
    check_secrets(config, &mut found);
    check_duplicates(&declared, &mut found);
    check_unmanaged(config, &declared, &mut found);
    found
}

fn check_target(config: Config<'_>, found: &mut Diagnostics) {
    let (deployment, url) = (config.given("deployment"), config.given("url"));
    match (deployment, url) {
        (Known::YES, Known::YES) => found.push(
            Diagnostic::error(
                "Which deployment?",
                "Both deployment and url are given. Keep deployment for one that this provider runs, or url with admin_key for any other.",
            )
            .at("url"),
        ),
        (Known::NO, Known::NO) => found.push(
            Diagnostic::error(
                "Which deployment?",
                "Give deployment = convex_deployment.….id for one that this provider runs, or url and admin_key for any other.",
            )
            .at("deployment"),
        ),
        (Known::YES, Known::NO) => {
            for attribute in ["admin_key", "admin_key_wo", "ca_pem"] {
                if config.given(attribute) == Known::YES {
                    found.push(
                        Diagnostic::error(
                            "Attribute without a use",
                            format!("{attribute} goes with url. A deployment that this provider runs needs no key and no certificate. Remove it."),
                        )
                        .at(attribute),
                    );
                }
            }
        }
        _ => {}
    }
    match (config.given("admin_key"), config.given("admin_key_wo")) {
        (Known::YES, Known::YES) => found.push(
            Diagnostic::error(
                "Which key?",
                "Both admin_key and admin_key_wo are given. Keep admin_key_wo, which is never stored, or admin_key.",
            )
            .at("admin_key"),
        ),
        (Known::NO, Known::NO) if deployment == Known::NO && url != Known::NO => found.push(
            Diagnostic::error(
                "Key missing",
                "The deployment at url needs its admin key. Give admin_key_wo, which is never stored, or admin_key.",
            )
            .at("admin_key"),
        ),
        _ => {}
    }
    let own = ["auth.private_key", "auth.private_key_wo"].map(|path| config.given(path));
    if own == [Known::YES, Known::YES] {
        found.push(
            Diagnostic::error(
                "Which key?",
                "Both private_key and private_key_wo are given. Keep one of them.",
            )
            .at("auth.private_key"),
        );
    }
}

/// Each secret has one value.
fn check_secrets(config: Config<'_>, found: &mut Diagnostics) {
    for name in config.keys("secrets").known().unwrap_or_default() {
        let element = Path::of("secrets").key(&name);
        let has = |attribute| config.given(element.attribute(attribute));
        let problem = match (has("value"), has("value_wo"), has("value_wo_version")) {
            (Known::YES, Known::YES, _) => "Both value and value_wo are given. Keep one of them.",
            (Known::NO, Known::NO, _) => "Neither value nor value_wo is given. Give one of them.",
            (Known::YES, Known::NO, Known::YES) => {
                "value_wo_version pins value_wo, and there is none. Remove it, or give value_wo."
            }
            _ => continue,
        };
        found.push(Diagnostic::error(format!("Which value of {name}?"), problem).at(element));
    }
}

fn check_duplicates(declared: &[(String, Path)], found: &mut Diagnostics) {
    let mut first: BTreeMap<&str, &Path> = BTreeMap::new();
    for (name, path) in declared {
        let Some(earlier) = first.insert(name, path) else {
            continue;
        };
        // Of the two, the one a person wrote by name is the one to remove.
        let (culprit, other) = if *path == Path::of("auth") {
            (earlier, path)
        } else {
            (path, earlier)
        };
        found.push(
            Diagnostic::error(
                format!("Variable {name} is declared twice"),
                format!("{culprit} declares it, and so does {other}. Remove one of them."),
            )
            .at(culprit.clone()),
        );
    }
}

/// What something else sets must not be set here.
fn check_unmanaged(config: Config<'_>, declared: &[(String, Path)], found: &mut Diagnostics) {
    let unmanaged = config.get::<Option<BTreeSet<String>>>("unmanaged");
    let unmanaged = unmanaged.known().flatten().unwrap_or_default();
    for (name, path) in declared.iter().filter(|(name, _)| unmanaged.contains(name)) {
        found.push(
            Diagnostic::error(
                format!("Variable {name} is declared and unmanaged"),
                format!("{path} declares {name}, and unmanaged says that something else sets it. Remove it from one of them."),
            )
            .at(path.clone()),
        );
    }
}
