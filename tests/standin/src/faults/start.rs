//! Faults that last from the start on: the words of `STANDIN_FAULTS`, separated by commas or spaces.

use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::variable::Limits;

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `start_delay_ms=N`: open the ports so long after the database, in place of the usual time.
    StartDelay(Duration),
    /// `exit_at_start=CODE`: end with this code instead of serving.
    ExitAtStart(u8),
    /// `hang_at_start`: stay, and never listen.
    HangAtStart,
    /// `stuck_migration`: say that a migration is under way, and never listen.
    StuckMigration,
    /// `disk_full`: end as on a disk without space.
    DiskFull,
    /// `never_healthy`: listen, and answer 503 to everything.
    NeverHealthy,
    /// `exit_after_ms=CODE:N`: end with this code so long after the start.
    ExitAfter(u8, Duration),
    /// `no_list`: be a backend from before August 2025, without the list of variables, the canonical URLs and `/api/v1`.
    NoList,
    /// `old_names`: be a backend from before May 2026, with names of at most 40 bytes.
    OldNames,
}

/// All words of one `STANDIN_FAULTS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartFaults(Vec<Fault>);

/// A word that is none of the known ones.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("STANDIN_FAULTS: `{0}` is not a fault this program knows")]
pub struct UnknownFault(String);

impl FromStr for StartFaults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words
            .map(|word| fault(word).ok_or_else(|| UnknownFault(word.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn fault(word: &str) -> Option<Fault> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    match (name, value) {
        ("start_delay_ms", value) => milliseconds(value).map(Fault::StartDelay),
        ("exit_at_start", value) => value.parse().ok().map(Fault::ExitAtStart),
        ("exit_after_ms", value) => {
            let (code, after) = value.split_once(':')?;
            Some(Fault::ExitAfter(code.parse().ok()?, milliseconds(after)?))
        }
        ("hang_at_start", "") => Some(Fault::HangAtStart),
        ("stuck_migration", "") => Some(Fault::StuckMigration),
        ("disk_full", "") => Some(Fault::DiskFull),
        ("never_healthy", "") => Some(Fault::NeverHealthy),
        ("no_list", "") => Some(Fault::NoList),
        ("old_names", "") => Some(Fault::OldNames),
        _ => None,
    }
}

impl StartFaults {
    fn find<T>(&self, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(wanted)
    }

    /// Time from the database to the ports, where one was asked for.
    #[must_use]
    pub fn start_delay(&self) -> Option<Duration> {
        self.find(|fault| {
            if let Fault::StartDelay(delay) = fault {
                Some(*delay)
            } else {
                None
            }
        })
    }

    /// Whether the disk is full from the start.
    #[must_use]
    pub fn fills_disk(&self) -> bool {
        self.0.contains(&Fault::DiskFull)
    }

    /// The code to end with instead of serving, if any. May never return.
    pub async fn strike_start(&self) -> Option<u8> {
        if self.0.contains(&Fault::StuckMigration) {
            tracing::info!(
                target: "migrations_model",
                "Executing Migration 3/128. MigrationComplete(2)"
            );
            std::future::pending::<()>().await;
        }
        if self.0.contains(&Fault::HangAtStart) {
            std::future::pending::<()>().await;
        }
        self.find(|fault| {
            if let Fault::ExitAtStart(code) = fault {
                Some(*code)
            } else {
                None
            }
        })
    }

    /// Returns a code once it is time to end with it, which may be never.
    pub async fn strike_later(&self) -> u8 {
        match self.find(|fault| {
            if let Fault::ExitAfter(code, after) = fault {
                Some((*code, *after))
            } else {
                None
            }
        }) {
            Some((code, after)) => {
                tokio::time::sleep(after).await;
                code
            }
            None => std::future::pending().await,
        }
    }

    /// The limits of a backend with these faults.
    #[must_use]
    pub fn limits(&self, limits: Limits) -> Limits {
        if self.0.contains(&Fault::OldNames) {
            Limits { name: 40, ..limits }
        } else {
            limits
        }
    }

    /// The answer to a request that is not to be handled.
    #[must_use]
    pub fn answer(&self, path: &str) -> Option<Response> {
        let newer = path.starts_with("/api/v1/")
            || matches!(
                path,
                "/api/list_environment_variables" | "/api/update_canonical_url"
            );
        if self.0.contains(&Fault::NeverHealthy) {
            Some(StatusCode::SERVICE_UNAVAILABLE.into_response())
        } else if newer && self.0.contains(&Fault::NoList) {
            Some(StatusCode::NOT_FOUND.into_response())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_understood_together() {
        let faults: StartFaults =
            "start_delay_ms=20,exit_at_start=3 hang_at_start never_healthy,stuck_migration,exit_after_ms=7:500,no_list,old_names,disk_full"
                .parse()
                .unwrap();
        assert_eq!(faults.0[0], Fault::StartDelay(Duration::from_millis(20)));
        assert_eq!(faults.0[5], Fault::ExitAfter(7, Duration::from_millis(500)));
        assert_eq!(faults.0.len(), 9);
        assert_eq!("".parse(), Ok(StartFaults::default()));
    }

    #[test]
    fn a_misspelt_word_is_refused() {
        for word in [
            "no_lists",
            "exit_at_start=",
            "exit_after_ms=500",
            "never_healthy=1",
            "start_delay_ms=soon",
        ] {
            assert_eq!(word.parse::<StartFaults>(), Err(UnknownFault(word.into())));
        }
    }
}
