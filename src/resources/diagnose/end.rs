//! Why a program ended, by how it ended and what it said.

use super::{end_of_log, program};
use crate::{backend::TransportError, plugin::value::Path, runtime::Role};

/// The cause of an end, what to do, and the attribute to do it with.
pub(super) struct End {
    pub(super) cause: &'static str,
    pub(super) remedy: &'static str,
    pub(super) attribute: Path,
}

/// What programs say at their end, in lower case: one of the texts, the cause,
/// the remedy, and the attribute, which is one of the program's where it begins
/// with a dot (upstream `crates/common/src/errors.rs`, `crates/postgres`,
/// `crates/sqlite`, `crates/keybroker`).
const SAID: &[(&[&str], &str, &str, &str)] = &[
    (
        &["already contains db name"],
        "the database URL has a database name in it",
        "Remove the path from the URL",
        ".env",
    ),
    (
        &[
            "lease lost",
            "leaselost",
            "already acquired with higher timestamp",
        ],
        "another backend has taken its database over",
        "A database belongs to one backend at a time: end the other one, or give this deployment a database of its own",
        "database",
    ),
    (
        &["database or disk is full", "no space left on device"],
        "the disk is full",
        "Free some space on the Docker host, for example with `docker system df` and `docker image prune`",
        ".",
    ),
    (
        &["address already in use", "eaddrinuse"],
        "a port that it listens on is in use in the network that it shares",
        "End the other program in that network, or give the deployment a network of its own",
        "network.container",
    ),
    (
        &["couldn't hexdecode key", "hex-decoded key was"],
        "the instance secret in its volume is damaged",
        "Set rotate_trigger to another text, which makes a new secret",
        "rotate_trigger",
    ),
    (
        &[
            "file is not a database",
            "database disk image is malformed",
            "missing _tables.by_id",
        ],
        "its database file is damaged",
        "Restore the volume from a backup, or restore a snapshot into a new deployment with restore_from",
        ".",
    ),
    (
        &["exec format error"],
        "its image is built for another kind of processor",
        "Use an image that is built for the processor of the Docker host",
        ".image",
    ),
    (
        &["failed to read ca file"],
        "the file with the authority of its database server cannot be read",
        "Correct the path of the file",
        ".env",
    ),
    (
        &[
            "cluster url username must be set",
            "invalid postgres connection url",
        ],
        "it does not understand the URL of its database",
        "Write the URL as postgres://USER:PASSWORD@HOST:PORT",
        ".env",
    ),
    (
        &["origin url should start with"],
        "an origin does not begin with http:// or https://",
        "Correct it",
        "origins",
    ),
    (
        &["not a boolean"],
        "a variable that must be true or false is neither",
        "Set it to `true` or `false`, or leave it out",
        ".env",
    ),
];

/// Signals that end a program: the number, the cause, the remedy and the attribute, as above. A
/// code of 128 and more is that of a signal.
const SIGNALS: &[(i64, &str, &str, &str)] = &[
    (
        2,
        "it was told to stop (SIGINT)",
        "Find out who stopped it",
        ".",
    ),
    (
        4,
        "the processor of the Docker host lacks an instruction that it needs (SIGILL)",
        "Use an image that is built for this processor, or a host with a newer one",
        ".image",
    ),
    (
        6,
        "it gave up (SIGABRT)",
        "See its log for the cause, and remove it",
        ".",
    ),
    (
        7,
        "it could not read or write a file in memory (SIGBUS)",
        "Check the disk of the Docker host, and its free space",
        ".",
    ),
    (
        9,
        "it was killed (SIGKILL), most often because the Docker host had no memory left",
        "Give the host more memory, or find out who killed it",
        ".",
    ),
    (
        11,
        "it crashed (SIGSEGV)",
        "Use another release of the image",
        ".image",
    ),
    (
        15,
        "it was told to stop (SIGTERM)",
        "Find out who stopped it",
        ".",
    ),
];

/// Finds the cause of an end.
pub(super) fn explain(role: Role, code: i64, out_of_memory: bool, log: &str) -> End {
    let end = |cause, remedy, attribute: &str| End {
        cause,
        remedy,
        attribute: match attribute.strip_prefix('.') {
            Some("") => program(role),
            Some(name) => program(role).attribute(name),
            None => attribute.into(),
        },
    };
    if out_of_memory {
        return end(
            "it needed more memory than it may use",
            "Raise backend.memory_mb, or give the host more memory",
            ".memory_mb",
        );
    }
    let log = log.to_ascii_lowercase();
    for (texts, cause, remedy, attribute) in SAID {
        if texts.iter().any(|text| log.contains(text)) {
            return end(cause, remedy, attribute);
        }
    }
    if code == 126 || code == 127 {
        return end(
            "its start program is missing or cannot be run",
            "Use an image of the Convex backend and dashboard that fits the host's processor",
            ".image",
        );
    }
    let signal = SIGNALS.iter().find(|(signal, ..)| code == 128 + signal);
    if let Some((_, cause, remedy, attribute)) = signal {
        return end(cause, remedy, attribute);
    }
    if code > 128 {
        return end(
            "a signal ended it",
            "See its log for the cause, and remove it",
            ".",
        );
    }
    end("its log says why", "Remove the cause", ".")
}

/// What is said of a program that Docker starts again and again: title, detail and attribute.
/// Nothing of any other problem.
pub(super) fn of_loop(
    object: &str,
    role: Role,
    problem: &TransportError,
) -> Option<(String, String, Path)> {
    let TransportError::Ended {
        code,
        out_of_memory,
        restarts,
        log,
    } = problem
    else {
        return None;
    };
    let end = explain(role, *code, *out_of_memory, log);
    let times = match restarts {
        0 | 1 => "once".to_owned(),
        many => format!("{many} times"),
    };
    let detail = format!(
        "Docker has restarted the {role} of {object} {times}. It last ended with code {code}: {}. {}\n\n{}, and apply again. Its data is kept.",
        end.cause,
        end_of_log(log),
        end.remedy
    );
    Some((
        format!("The {role} keeps restarting"),
        detail,
        end.attribute,
    ))
}

#[cfg(test)]
mod tests {
    use super::{TransportError, explain, of_loop};
    use crate::runtime::Role;

    fn cause(code: i64, out_of_memory: bool, log: &str) -> (&'static str, String) {
        let end = explain(Role::Backend, code, out_of_memory, log);
        (end.cause, end.attribute.to_string())
    }

    #[test]
    fn an_end_has_a_cause_and_an_attribute() {
        let memory = "it needed more memory than it may use";
        assert_eq!(cause(1, true, ""), (memory, "backend.memory_mb".into()));
        for (code, part, attribute) in [
            (126, "cannot be run", "backend.image"),
            (128 + 4, "lacks an instruction", "backend.image"),
            (128 + 9, "killed", "backend"),
            (128 + 11, "crashed", "backend.image"),
            (128 + 15, "told to stop", "backend"),
            (128 + 31, "a signal ended it", "backend"),
            (128, "its log says why", "backend"),
        ] {
            let (cause, at) = cause(code, false, "");
            assert!(cause.contains(part), "{code}: {cause}");
            assert_eq!(at, attribute, "{code}");
        }
        for (log, part, attribute) in [
            (
                "Caught error: Lease Lost",
                "has taken its database",
                "database",
            ),
            (
                "Error: failed to acquire lease: Already acquired with higher timestamp",
                "has taken its database",
                "database",
            ),
            (
                "Error: database or disk is full",
                "the disk is full",
                "backend",
            ),
            ("No space left on device", "the disk is full", "backend"),
            (
                "Error: Address already in use (os error 98)",
                "in use in the network",
                "network.container",
            ),
            (
                "Error: Hex-decoded key was 1 bytes, not 32",
                "secret in its volume is damaged",
                "rotate_trigger",
            ),
            (
                "exec /usr/local/bin/run: exec format error",
                "another kind of processor",
                "backend.image",
            ),
            (
                "Error: file is not a database",
                "database file is damaged",
                "backend",
            ),
            (
                "Error: missing _tables.by_id global",
                "database file is damaged",
                "backend",
            ),
        ] {
            for code in [0, 1] {
                let (cause, at) = cause(code, false, log);
                assert!(cause.contains(part), "{log}: {cause}");
                assert_eq!(at, attribute, "{log}");
            }
        }
        assert_eq!(cause(3, false, "boom").0, "its log says why");
    }

    #[test]
    fn a_loop_is_told_with_its_restarts_and_the_last_cause() {
        let loops = |role, restarts, log: &str| {
            let log = log.to_owned();
            let ended = TransportError::Ended {
                code: 1,
                out_of_memory: false,
                restarts,
                log,
            };
            of_loop("deployment \"a\"", role, &ended).unwrap()
        };
        let (title, detail, at) = loops(Role::Backend, 12, "Error: file is not a database");
        assert_eq!(
            (title.as_str(), at.to_string().as_str()),
            ("The backend keeps restarting", "backend")
        );
        for part in [
            "backend of deployment \"a\" 12 times",
            "code 1: its database file is damaged",
        ] {
            assert!(detail.contains(part), "{detail}");
        }
        let (title, detail, _) = loops(Role::Dashboard, 1, "");
        assert!(
            title.contains("dashboard") && detail.contains("\"a\" once."),
            "{detail}"
        );
        assert!(of_loop("a", Role::Backend, &TransportError::NotRunning).is_none());
    }

    /// Every log on `PostgreSQL` has the word, and every fatal end that code.
    #[test]
    fn a_lease_is_lost_only_where_the_log_says_so() {
        let log = "attempting to acquire lease\nlease acquired with ts 1795\nReceived a fatal error. Shutting down immediately";
        assert_eq!(cause(0, false, log).0, "its log says why");
    }
}
