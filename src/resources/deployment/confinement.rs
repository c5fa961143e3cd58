//! What the containers of a deployment may use, do and write, as attributes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    plugin::{
        Diagnostic,
        schema::{Attr, Draft, Element, Fields, Group, Leaf, Optional, number, object, set_of},
        value::{Number, Value},
    },
    runtime::{Confinement, Limits, LogLimit},
};

/// Billionths of a processor in one.
const NANO: f64 = 1e9;

/// The attribute `hardening`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HardeningModel {
    pub cap_drop: Option<BTreeSet<String>>,
    pub no_new_privileges: Option<bool>,
}

/// The attribute `log`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogModel {
    pub max_size_mb: Option<u64>,
    pub max_files: Option<u64>,
}

/// What the attributes of one container say of its limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitsModel {
    pub memory_mb: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<u64>,
}

impl LimitsModel {
    /// The schema of `memory_mb`.
    pub fn memory() -> Attr<Optional, Leaf> {
        number("Most memory it may use, in MiB. A change is made while it runs, but a limit that is taken away needs a new container.")
            .optional()
            .within(64..=16_777_216)
    }

    /// The schema of `cpus`.
    pub fn cpus() -> Attr<Optional, Leaf> {
        number("Most processors it may keep busy, such as `1.5`. Changed as `memory_mb` is.")
            .optional()
            .check(|value, path, found| {
                if let Value::Number(number) = value
                    && !is_cpus(number)
                {
                    found.push(
                        Diagnostic::error(
                            format!("Invalid value for {path}"),
                            format!("{} is not a number of processors from 0.01 to 1024, in steps of a thousandth.", number.as_str()),
                        )
                        .at(path.clone()),
                    );
                }
            })
    }

    /// The schema of `pids`.
    pub fn pids() -> Attr<Optional, Leaf> {
        number("Most processes and threads it may have at a time. Changed as `memory_mb` is.")
            .optional()
            .within(64..=4_194_304)
    }

    /// For Docker.
    pub fn limits(self) -> Limits {
        Limits {
            memory: self.memory_mb.map(|megabytes| megabytes << 20),
            nano_cpus: self.cpus.and_then(nano),
            processes: self.pids,
        }
    }
}

impl From<&Limits> for LimitsModel {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_mb: limits.memory.map(|bytes| bytes >> 20),
            cpus: limits.nano_cpus.map(from_nano),
            pids: limits.processes,
        }
    }
}

impl HardeningModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Group> {
        object(
            Fields::new()
                .with(
                    "cap_drop",
                    set_of(Element::String, "Capabilities that are taken from the containers' programs, such as `NET_RAW`, or `ALL`. A backend needs none, unless files of its volume belong to other users.")
                        .optional()
                        .check(check_capabilities),
                )
                .with(
                    "no_new_privileges",
                    crate::plugin::schema::boolean("Whether programs are kept from gaining rights that they were not started with. Default `true`.")
                        .optional(),
                ),
            "What the containers may do to their host.",
        )
        .optional()
    }

    /// What an import found; `None` where it is what an absent attribute means.
    pub fn of(dropped: &BTreeSet<String>, may_gain_rights: bool) -> Option<Self> {
        (may_gain_rights || !dropped.is_empty()).then(|| Self {
            cap_drop: (!dropped.is_empty()).then(|| dropped.clone()),
            no_new_privileges: may_gain_rights.then_some(false),
        })
    }
}

impl LogModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Group> {
        object(
            Fields::new()
                .with("max_size_mb", log_size().required().within(1..=100_000))
                .with("max_files", log_files().required().within(1..=1_000)),
            "How much of each container's log is kept, as Docker's `json-file` driver does it. Default: what the Docker daemon is set up for, which out of the box is everything.",
        )
        .optional()
    }
}

fn log_size() -> Draft<Leaf> {
    number("Size at which the next file is begun, in MB.")
}

fn log_files() -> Draft<Leaf> {
    number("How many files are kept.")
}

/// What all containers may do.
pub fn confinement(hardening: Option<&HardeningModel>, log: Option<LogModel>) -> Confinement {
    let hardening = hardening.cloned().unwrap_or_default();
    let limit = |log: LogModel| {
        Some(LogLimit {
            file_size: log.max_size_mb? * 1_000_000,
            files: log.max_files?,
        })
    };
    Confinement {
        dropped: hardening.cap_drop.unwrap_or_default(),
        may_gain_rights: hardening.no_new_privileges == Some(false),
        log: log.and_then(limit),
    }
}

fn check_capabilities(
    value: &Value,
    path: &crate::plugin::value::Path,
    found: &mut crate::plugin::Diagnostics,
) {
    let Value::List(names) = value else { return };
    for name in names.iter().filter_map(Value::as_str) {
        let is_upper = |c: char| c.is_ascii_uppercase() || c == '_';
        if name.is_empty() || name.starts_with("CAP_") || !name.chars().all(is_upper) {
            found.push(
                Diagnostic::error(
                    format!("Invalid value for {path}"),
                    format!("{name:?} is not the name of a capability. Write it in capitals and without CAP_, such as NET_RAW, or ALL for all of them."),
                )
                .at(path.clone()),
            );
        }
    }
}

fn is_cpus(number: &Number) -> bool {
    let cpus = number.to_f64();
    let thousandths = cpus * 1e3;
    (0.01..=1024.0).contains(&cpus) && (thousandths - thousandths.round()).abs() < 1e-6
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 1024 billions, and positive"
)]
fn nano(cpus: f64) -> Option<u64> {
    (cpus > 0.0).then(|| (cpus * NANO).round() as u64)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "at most 1024 billions, which is exact"
)]
fn from_nano(nano: u64) -> f64 {
    nano as f64 / NANO
}

#[cfg(test)]
mod tests {
    use super::{HardeningModel, LimitsModel, LogModel, confinement, is_cpus};
    use crate::plugin::value::Number;

    #[test]
    fn limits_survive_the_way_through_docker() {
        let model = LimitsModel {
            memory_mb: Some(512),
            cpus: Some(1.1),
            pids: Some(100),
        };
        let limits = model.limits();
        assert_eq!(limits.nano_cpus, Some(1_100_000_000));
        let back = LimitsModel::from(&limits);
        assert_eq!(
            (back.memory_mb, back.cpus, back.pids),
            (Some(512), Some(1.1), Some(100))
        );
    }

    #[test]
    fn a_number_of_processors_is_a_small_decimal() {
        let is = |text: &str| is_cpus(&Number::parse(text).unwrap());
        assert!(is("0.01") && is("1") && is("2.125") && is("1024"));
        assert!(!is("0") && !is("-1") && !is("1.00001") && !is("1025"));
    }

    #[test]
    fn rights_are_not_gained_unless_that_is_asked_for() {
        assert!(!confinement(None, None).may_gain_rights);
        let open = HardeningModel {
            no_new_privileges: Some(false),
            cap_drop: None,
        };
        let log = LogModel {
            max_size_mb: Some(10),
            max_files: Some(3),
        };
        let found = confinement(Some(&open), Some(log));
        assert!(found.may_gain_rights);
        assert_eq!(found.log.unwrap().file_size, 10_000_000);
        assert!(HardeningModel::of(&found.dropped, true).is_some());
        assert!(HardeningModel::of(&found.dropped, false).is_none());
    }
}
