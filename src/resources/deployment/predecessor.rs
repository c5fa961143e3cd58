//! When the deployment's own backend last started.
//!
//! A backend whose network goes before it does, as that of a workspace's
//! container, cannot take leave of its database server, which keeps its
//! connections for hours. They must not be taken for those of another backend.
//! The database says when the last backend on it started: if that is when the
//! deployment's own did, there has been no other one since.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use crate::{plugin::Private, runtime::Observed};

/// Where the private data keeps it.
const STARTED: &str = "backend_started";

/// How long after its start a backend may note it in the database.
const UNTIL_NOTED: Duration = Duration::from_mins(1);

/// How much later than the program itself Docker may take its container for
/// started, on a machine that is busy.
const DOCKER_LAGS: Duration = Duration::from_secs(10);

/// Notes when the backend that there is started.
pub fn note(private: &mut Private, observed: &Observed) {
    let started = observed.backend.as_ref().map(|it| &it.started);
    if let Some(started) = started.filter(|it| !it.is_empty()) {
        private.set(STARTED, started);
    }
}

/// Whether the backend that noted this start in its database is the deployment's
/// own, as it was last seen.
pub fn is_it(private: &Private, noted: SystemTime) -> bool {
    private
        .get::<String>(STARTED)
        .is_some_and(|started| follows(&started, noted))
}

fn follows(started: &str, noted: SystemTime) -> bool {
    let times = (
        noted.checked_sub(UNTIL_NOTED),
        noted.checked_add(DOCKER_LAGS),
    );
    let (Some(earliest), Some(latest)) = times else {
        return false;
    };
    text(earliest).as_str() <= started && started <= text(latest).as_str()
}

/// The time as Docker writes it, but for the zone.
fn text(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second, nano) = time.to_hms_nano();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nano:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_noted_soon_after_it_and_hardly_before() {
        // 2026-06-26T10:20:30Z
        let noted = SystemTime::UNIX_EPOCH + Duration::from_millis(1_782_469_230_250);
        for (started, is_it) in [
            ("2026-06-26T10:20:30.25", true),
            ("2026-06-26T10:20:30.1", true),
            ("2026-06-26T10:20:30", true),
            ("2026-06-26T10:19:31", true),
            ("2026-06-26T10:19:29", false),
            ("2026-06-26T10:20:30.3", true),
            ("2026-06-26T10:20:40.3", false),
            ("2026-06-27T10:20:30", false),
            ("", false),
        ] {
            assert_eq!(follows(started, noted), is_it, "{started}");
        }
    }
}
