//! What can go wrong with Docker, by cause.

use std::io;

use bollard::errors::Error;

use super::{
    Endpoint, Source, SshProblem, TlsProblem,
    dial::{DialError, TooLong},
    transport::{ApiVersion, Lost, TooOld},
};
use crate::{
    plugin::redact::strike,
    runtime::{Conflict, Role},
};

/// A failure with its cause, as far as it can be told.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nobody listens at the endpoint.
    #[error("nothing answers at {endpoint}: {}", strike(.reason))]
    Unreachable {
        /// Where was dialled.
        endpoint: Endpoint,
        /// The system's words.
        reason: String,
    },
    /// The socket may not be used by this user.
    #[error("no permission to use {endpoint}")]
    NoPermission {
        /// Where was dialled.
        endpoint: Endpoint,
    },
    /// TLS with the daemon fails.
    #[error("no trusted connection to {endpoint}: {problem}")]
    Tls {
        /// Where was dialled.
        endpoint: Endpoint,
        /// Why.
        problem: TlsProblem,
    },
    /// SSH to the daemon's machine fails.
    #[error("no connection to {endpoint}: {problem}")]
    Ssh {
        /// Where was dialled.
        endpoint: Endpoint,
        /// Why.
        problem: SshProblem,
    },
    /// The daemon went away while it was asked for something.
    #[error("the connection to {endpoint} was lost while trying to {doing}: {}", strike(.reason))]
    Lost {
        /// The daemon.
        endpoint: Endpoint,
        /// What was tried. Whether it has come about, nobody knows.
        doing: String,
        /// The words of whoever noticed.
        reason: String,
    },
    /// The daemon is too old.
    #[error("the daemon at {endpoint} has API version {found}, and {oldest} is needed")]
    TooOld {
        /// The daemon.
        endpoint: Endpoint,
        /// Its version.
        found: ApiVersion,
        /// The version needed.
        oldest: ApiVersion,
    },
    /// The image is neither here nor to be had.
    #[error("image {image} cannot be had: {}", strike(.reason))]
    NoImage {
        /// The image.
        image: String,
        /// The daemon's or the registry's words.
        reason: String,
    },
    /// The registry does not give the image to whoever asks.
    #[error("{registry} refuses image {image}: {}", strike(.reason))]
    PullRefused {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// Where the credentials came from that it was shown.
        credentials: Box<Source>,
        /// The registry's words.
        reason: String,
    },
    /// Another resource has made the volume just now.
    #[error("the volume {volume} was made by another resource just now: {owner}")]
    Claimed {
        /// The volume.
        volume: String,
        /// Its label.
        owner: String,
    },
    /// The daemon has no range of addresses left for another network.
    #[error("the daemon has no addresses left for another network")]
    NoAddresses,
    /// A port of the host is in use.
    #[error("port {port} of the host is in use{}", holder.as_ref().map(|it| format!(" by {it}")).unwrap_or_default())]
    PortTaken {
        /// The port.
        port: u16,
        /// The container that uses it, if it is one.
        holder: Option<String>,
    },
    /// A name that is needed belongs to somebody else's object.
    #[error("the name {} is taken by a {} that is not of this deployment", .0.name, .0.kind)]
    Conflict(Conflict),
    /// The disk of the daemon is full.
    #[error("the daemon's disk is full")]
    NoSpace,
    /// What ran in a container ended when it should have gone on.
    #[error("the {role} ended with code {code}{}", if *out_of_memory { ", out of memory" } else { "" })]
    Exited {
        /// Which one.
        role: Role,
        /// With this code.
        code: i64,
        /// Because it used more memory than it may.
        out_of_memory: bool,
        /// The end of its log.
        log: String,
    },
    /// What runs in a container does not answer.
    #[error("the {role} did not answer within {seconds} s")]
    NotReady {
        /// Which one.
        role: Role,
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A program inside a container is missing.
    #[error("the image of the {role} lacks a program: {}", strike(.reason))]
    NoProgram {
        /// Which image.
        role: Role,
        /// The daemon's words.
        reason: String,
    },
    /// There is no such object.
    #[error("cannot {doing}: {}", strike(.reason))]
    Absent {
        /// What was tried.
        doing: String,
        /// The daemon's words.
        reason: String,
    },
    /// The object is not in a state for this: it does not run, is in use, or has the name that
    /// another one was to get.
    #[error("cannot {doing}: {}", strike(.reason))]
    WrongState {
        /// What was tried.
        doing: String,
        /// The daemon's words.
        reason: String,
    },
    /// The daemon did not answer in time.
    #[error("the daemon at {endpoint} did not {doing} in time")]
    TimedOut {
        /// The daemon.
        endpoint: Endpoint,
        /// What was tried.
        doing: String,
    },
    /// A network to be joined does not exist.
    #[error("there is no network {network}")]
    NoNetwork {
        /// Its name.
        network: String,
    },
    /// Terraform was told to stop.
    #[error("the operation was cancelled while trying to {doing}")]
    Cancelled {
        /// What was under way.
        doing: String,
    },
    /// A file in a container or its volumes is not what it should be: too long, or no text.
    #[error("cannot {doing}: {}", strike(.reason))]
    Unreadable {
        /// What was tried.
        doing: String,
        /// The file, and what is wrong with it.
        reason: String,
    },
    /// Anything else the daemon says.
    #[error("cannot {doing}: {}", strike(.reason))]
    Failed {
        /// What was tried.
        doing: String,
        /// The daemon's words.
        reason: String,
    },
}

impl DockerError {
    /// Whether the object asked for does not exist. For a removal only this is success.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Whether nothing can be run in a container because it does not exist or does not run.
    #[must_use]
    pub fn is_of_state(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::WrongState { .. })
    }
}

/// Finds the cause of `error`, which came of trying to `doing`.
pub(super) fn classify(endpoint: &Endpoint, doing: &str, error: Error) -> DockerError {
    let doing = doing.to_owned();
    let too_long = match &error {
        Error::IOError { err } => TooLong::of(err),
        Error::HyperResponseError { err } => TooLong::of(err),
        _ => None,
    };
    if let Some(too_long) = too_long {
        let reason = too_long.to_string();
        return DockerError::Failed { doing, reason };
    }
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => of_reply(endpoint, doing, status_code, message),
        Error::RequestTimeoutError => DockerError::TimedOut {
            endpoint: endpoint.clone(),
            doing,
        },
        Error::IOError { err } => of_connection(endpoint, doing, &err),
        Error::DockerStreamError { error } => of_reply(endpoint, doing, 500, error),
        // The body of a reply broke off.
        Error::HyperResponseError { err } => lost(endpoint, doing, err.to_string()),
        other => DockerError::Failed {
            doing,
            reason: other.to_string(),
        },
    }
}

fn of_reply(endpoint: &Endpoint, doing: String, status: u16, message: String) -> DockerError {
    // The daemon has no codes for these, only words, which have been the same
    // for many years (moby: `daemon/`, libnetwork: `portallocator`).
    if ["no space left on device", "disk quota exceeded"]
        .iter()
        .any(|text| message.contains(text))
    {
        return DockerError::NoSpace;
    }
    if message.contains("HTTP request to an HTTPS server") {
        return DockerError::Tls {
            endpoint: endpoint.clone(),
            problem: TlsProblem::NeedsTls,
        };
    }
    if message.contains("fully subnetted") || message.contains("non-overlapping") {
        return DockerError::NoAddresses;
    }
    if let Some(port) = taken_port(&message) {
        return DockerError::PortTaken { port, holder: None };
    }
    if let Some(found) = message
        .split_once("Maximum supported API version is ")
        .and_then(|(_, version)| ApiVersion::parse(version.trim()))
    {
        return DockerError::TooOld {
            endpoint: endpoint.clone(),
            found,
            oldest: ApiVersion::OLDEST,
        };
    }
    let reason = message;
    match status {
        404 => DockerError::Absent { doing, reason },
        409 => DockerError::WrongState { doing, reason },
        _ if STATES.iter().any(|words| reason.contains(words)) => {
            DockerError::WrongState { doing, reason }
        }
        _ => DockerError::Failed { doing, reason },
    }
}

/// What daemons say with other statuses than 409 of an object that is not in a state for something.
const STATES: [&str; 4] = [
    // Docker (moby, `daemon/`), of a container that ended between two calls.
    "is not running",
    // Docker, of one that ended by itself while it was being killed.
    "did not receive an exit event",
    // Podman (`libpod/define/errors.go`), of the same, and of a name that is taken.
    "container state improper",
    "is already in use",
];

/// The port that the daemon could not take for a container.
fn taken_port(message: &str) -> Option<u16> {
    let taken = message.contains("port is already allocated")
        || message.contains("address already in use")
        || message.contains("ports are not available");
    if !taken {
        return None;
    }
    // "… Bind for 127.0.0.1:3210 failed: …", "… listen tcp4 127.0.0.1:3210: …"
    // and "… failed to bind host port 127.0.0.1:3210/tcp: …".
    message
        .split_whitespace()
        .map(|word| {
            word.trim_end_matches([':', ',', ')'])
                .trim_end_matches("/tcp")
        })
        .find_map(|word| word.rsplit_once(':')?.1.parse().ok())
}

fn of_connection(endpoint: &Endpoint, doing: String, error: &io::Error) -> DockerError {
    if let Some(too_old) = error.get_ref().and_then(|it| it.downcast_ref::<TooOld>()) {
        return DockerError::TooOld {
            endpoint: endpoint.clone(),
            found: too_old.found,
            oldest: too_old.oldest,
        };
    }
    if let Some(Lost(reason)) = error.get_ref().and_then(|it| it.downcast_ref()) {
        return lost(endpoint, doing, reason.clone());
    }
    let endpoint = endpoint.clone();
    match DialError::of(error) {
        Some(DialError::Tls(problem)) => return DockerError::Tls { endpoint, problem },
        Some(DialError::Ssh(problem)) => return DockerError::Ssh { endpoint, problem },
        None => {}
    }
    let unreachable = |reason: String| DockerError::Unreachable {
        endpoint: endpoint.clone(),
        reason,
    };
    match error.kind() {
        io::ErrorKind::PermissionDenied => DockerError::NoPermission { endpoint },
        io::ErrorKind::TimedOut => unreachable("no connection came about in time".to_owned()),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => {
            unreachable("the connection was closed without an answer".to_owned())
        }
        _ => unreachable(error.to_string()),
    }
}

fn lost(endpoint: &Endpoint, doing: String, reason: String) -> DockerError {
    DockerError::Lost {
        endpoint: endpoint.clone(),
        doing,
        reason,
    }
}

#[cfg(test)]
mod tests {

    use bollard::errors::Error;

    use super::{DockerError, classify};
    use crate::runtime::docker::Endpoint;

    fn reply(status_code: u16, message: &str) -> DockerError {
        let error = Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        classify(&Endpoint::local(), "start it", error)
    }

    #[test]
    fn a_port_in_use_is_named_in_every_wording() {
        for message in [
            "driver failed programming external connectivity on endpoint a (b): Bind for 127.0.0.1:3210 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint a (b): Error starting userland proxy: listen tcp4 127.0.0.1:3210: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint a (b): failed to bind host port 127.0.0.1:3210/tcp: address already in use",
        ] {
            match reply(500, message) {
                DockerError::PortTaken { port: 3210, .. } => {}
                other => panic!("{other:?} of {message}"),
            }
        }
    }

    #[test]
    fn replies_have_their_own_errors() {
        assert!(matches!(
            reply(500, "write /x: no space left on device"),
            DockerError::NoSpace
        ));
        for message in [
            "all predefined address pools have been fully subnetted",
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        ] {
            assert!(matches!(reply(500, message), DockerError::NoAddresses));
        }
        for (status, message) in [
            (404, "No such container: x"),
            (404, "network x not found"),
            (404, ""),
        ] {
            assert!(reply(status, message).is_absent(), "{message}");
        }
        for (status, message) in [
            (500, "Container 84 is not running: Exited (7) 1 second ago"),
            (
                500,
                "cannot stop container: a: tried to kill container, but did not receive an exit event",
            ),
            (409, "remove a: volume is in use - [0f]"),
            (
                409,
                "volume a cannot be removed for a reason of its driver's",
            ),
            (409, ""),
            // Podman's.
            (
                500,
                "can only create exec sessions on running containers: container state improper",
            ),
            (
                500,
                "container name \"a\" is already in use by 0f: that name is already in use",
            ),
            (
                409,
                "volume a is being used by the following container(s): 0f: volume is being used",
            ),
        ] {
            let error = reply(status, message);
            assert!(matches!(error, DockerError::WrongState { .. }), "{error:?}");
            assert!(!error.is_absent(), "{message}");
        }
        assert!(matches!(
            reply(
                400,
                "client version 1.53 is too new. Maximum supported API version is 1.24"
            ),
            DockerError::TooOld { .. }
        ));
        assert!(matches!(reply(500, "boom"), DockerError::Failed { .. }));
        assert!(matches!(
            reply(400, "Client sent an HTTP request to an HTTPS server.\n"),
            DockerError::Tls { .. }
        ));
    }
}
