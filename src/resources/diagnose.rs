//! Errors of the domain as diagnostics: the attribute, the cause, the remedy.

mod host;

use crate::{
    backend::{BackendError, TransportError},
    plugin::{Diagnostic, value::Path},
    runtime::{Kind, Role, docker::DockerError},
};

/// The diagnostic of a failure with Docker while an `object`, for example
/// `deployment "app"`, was dealt with.
pub(crate) fn docker_error(object: &str, error: DockerError) -> Diagnostic {
    let said = error.to_string();
    match error {
        DockerError::Unreachable { endpoint, reason } => Diagnostic::error(
            "Docker cannot be reached",
            format!(
                "Nothing answers at {endpoint} ({reason}), so {object} could not be handled. Start the Docker daemon, or set the provider's docker.host (or DOCKER_HOST) to where it listens."
            ),
        ),
        DockerError::NoPermission { endpoint } => Diagnostic::error(
            "No permission to use Docker",
            format!(
                "The user that runs Terraform may not use {endpoint}, so {object} could not be handled. Add the user to the group that owns the socket (usually `docker`), or set docker.host to a daemon it may use."
            ),
        ),
        DockerError::Tls { endpoint, problem } => host::tls(object, &endpoint, &problem),
        DockerError::Ssh { endpoint, problem } => host::ssh(object, &endpoint, &problem),
        DockerError::Lost {
            endpoint,
            doing,
            reason,
        } => host::lost(object, &endpoint, &doing, &reason),
        DockerError::PullRefused {
            image,
            registry,
            credentials,
            reason,
        } => host::refused_pull(&image, &registry, &credentials, &reason),
        DockerError::NoAddresses => Diagnostic::error(
            "Docker has no addresses left for networks",
            format!(
                "The Docker host has no addresses left for the network of {object}: its default ranges suffice for about 30 networks. Remove networks that nobody uses with `docker network prune`, give the daemon more ranges (`default-address-pools` in its daemon.json), or share the network of a container with network.container, and apply again."
            ),
        )
        .at("network"),
        DockerError::TooOld {
            endpoint,
            found,
            oldest,
        } => Diagnostic::error(
            "Docker is too old",
            format!(
                "The daemon at {endpoint} has API version {found}, and {oldest} (Docker 20.10) or newer is needed. Upgrade Docker, or set docker.host to a newer daemon."
            ),
        ),
        DockerError::NoImage { image, reason } => Diagnostic::error(
            "Image cannot be had",
            format!(
                "The image {image} is not on the Docker host and could not be pulled: {reason}\n\nCheck its name and tag and that the host reaches the registry, or load it with `docker pull` or `docker load`, and apply again."
            ),
        ),
        DockerError::PortTaken { port, holder } => Diagnostic::error(
            "Port is taken",
            format!(
                "Port {port} of the Docker host, which {object} is to be published on, is in use{}. Free it, or publish on another port, and apply again.",
                holder.map_or_else(
                    || " by a program outside Docker or not known to it".to_owned(),
                    |holder| format!(" by {holder}")
                )
            ),
        )
        .at("network.publish"),
        DockerError::Conflict(conflict) => {
            let owner = conflict.owner.map_or_else(
                || "not made by this provider".to_owned(),
                |owner| format!("part of deployment {owner:?}"),
            );
            let remedy = match conflict.kind {
                Kind::Volume => "Choose another name for the deployment. Only if the data in the volume is not needed, remove it with `docker volume rm`",
                Kind::Container => "Choose another name for the deployment, or rename or remove that container",
                Kind::Network => "Choose another name for the deployment, or remove that network",
            };
            Diagnostic::error(
                format!("The {} {} belongs to somebody else", conflict.kind, conflict.name),
                format!(
                    "The Docker host has a {} named {} that is {owner}. It was left as it is. {remedy}, and apply again.",
                    conflict.kind, conflict.name
                ),
            )
            .at("name")
        }
        DockerError::NoNetwork { network } => Diagnostic::error(
            "No such network",
            format!("The Docker host has no network {network:?}, which {object} is to join. Correct its name, or make it first: refer to the resource that makes it rather than to its name, and Terraform knows the order."),
        )
        .at("network.networks"),
        DockerError::NoSpace => Diagnostic::error(
            "The Docker host's disk is full",
            format!("There is no space left for {object}. Free some, for example with `docker system df` and `docker image prune`, and apply again. Its data volume is untouched."),
        ),
        DockerError::Exited {
            role,
            code,
            out_of_memory,
            log,
        } => exited(object, role, code, out_of_memory, &log),
        DockerError::NotReady { role, seconds, log } => Diagnostic::error(
            format!("The {role} does not answer"),
            format!(
                "The {role} of {object} runs, but did not answer within {seconds} s. {}{}\n\nIf it was only slow, apply again or raise `timeouts`; its data is kept.",
                progress(&log),
                end_of_log(&log)
            ),
        )
        .at(program(role)),
        DockerError::NoProgram { role, reason } => Diagnostic::error(
            format!("Not an image of the Convex {role}"),
            format!(
                "A program that such images have could not be started in the container of {object}: {reason}\n\nUse an image of the Convex {role}, with `sh` and `curl` in it."
            ),
        )
        .at(program(role).attribute("image")),
        DockerError::TimedOut { endpoint, doing } => Diagnostic::error(
            "Docker took too long",
            format!(
                "The daemon at {endpoint} did not {doing} in time for {object}. What was done so far is kept, and the next apply goes on from there. If the daemon is only slow, raise `timeouts`."
            ),
        ),
        DockerError::Cancelled { doing } => Diagnostic::error(
            "Cancelled",
            format!(
                "Terraform was interrupted while {object} was handled (at: {doing}). What was done so far is kept, and the next apply goes on from there."
            ),
        ),
        DockerError::Absent { .. } | DockerError::Failed { .. } => Diagnostic::error(
            "Docker refused",
            format!(
                "While {object} was handled: {said}. What was done so far is kept; remove the cause and apply again."
            ),
        ),
    }
}

/// The attribute about a program.
fn program(role: Role) -> Path {
    Path::of(match role {
        Role::Dashboard => "dashboard",
        Role::Backend | Role::Probe => "backend",
    })
}

fn exited(object: &str, role: Role, code: i64, out_of_memory: bool, log: &str) -> Diagnostic {
    let (cause, remedy, attribute) = explain(role, code, out_of_memory, log);
    Diagnostic::error(
        format!("The {role} ended as soon as it was started"),
        format!(
            "The {role} of {object} ended with code {code}: {cause}. {}\n\n{remedy}, and apply again. Its data is kept.",
            end_of_log(log)
        ),
    )
    .at(attribute)
}

/// The cause of an end, what to do, and the attribute to do it with.
fn explain(
    role: Role,
    code: i64,
    out_of_memory: bool,
    log: &str,
) -> (&'static str, &'static str, Path) {
    let program = program(role);
    let has = |text: &str| log.to_ascii_lowercase().contains(text);
    if out_of_memory || code == 137 {
        (
            "it needed more memory than it may use",
            "Raise backend.memory_mb, or give the host more memory",
            program.attribute("memory_mb"),
        )
    } else if has("already contains db name") {
        (
            "the database URL has a database name in it",
            "Remove the path from the URL",
            program.attribute("env"),
        )
    } else if has("lease") && (has("lost") || code == 0) {
        (
            "another backend has taken its database over",
            "A database belongs to one backend at a time: end the other one, or give this deployment a database of its own",
            Path::of("database"),
        )
    } else if has("no space left on device") {
        (
            "the disk is full",
            "Free some space on the Docker host, for example with `docker system df` and `docker image prune`",
            program,
        )
    } else if has("not a boolean") {
        (
            "a variable that must be true or false is neither",
            "Set it to `true` or `false`, or leave it out",
            program.attribute("env"),
        )
    } else if code == 126 || code == 127 {
        (
            "its start program is missing or cannot be run",
            "Use an image of the Convex backend and dashboard that fits the host's processor",
            program.attribute("image"),
        )
    } else {
        ("its log says why", "Remove the cause", program)
    }
}

/// How far a migration of the data has come, should one be under way.
fn progress(log: &str) -> String {
    let last = log.lines().rev().find_map(|line| {
        let (_, step) = line.split_once("Executing Migration ")?;
        step.split(['.', ' ']).next()
    });
    last.map_or_else(String::new, |step| {
        format!("It was migrating its data, at step {step}: let it finish, with a longer limit in `timeouts`. ")
    })
}

fn end_of_log(log: &str) -> String {
    if log.trim().is_empty() {
        "Its log is empty.".to_owned()
    } else {
        format!("The end of its log:\n\n{log}")
    }
}

/// The diagnostic of a failed request to the backend of an `object`.
pub(crate) fn backend_error(object: &str, doing: &str, error: &BackendError) -> Diagnostic {
    let (summary, detail) = match error {
        BackendError::Transport(TransportError::NotRunning) => (
            "The backend does not run",
            format!("Start {object}: set `running = true` on its deployment, and apply again."),
        ),
        BackendError::Transport(TransportError::Tls(reason)) => (
            "No trusted connection to the backend",
            format!("TLS failed: {reason}. Check the URL and the server's certificate; a private authority is given in `ca_pem`."),
        ),
        BackendError::Transport(TransportError::Interrupted) => (
            "Cancelled",
            "Terraform was interrupted. A change that was on its way is made whole or not at all; the next apply finds out which.".to_owned(),
        ),
        BackendError::Transport(TransportError::Carrier(reason)) => (
            "The backend cannot be reached through Docker",
            format!("{reason}. Check that the Docker daemon runs, or set the provider's docker.host (or DOCKER_HOST) to where it listens, and apply again."),
        ),
        BackendError::Transport(error) => (
            "The backend cannot be reached",
            format!("{error}. Check that {object} runs and that its address is right, and apply again."),
        ),
        BackendError::KeyRefused => (
            "The backend does not accept the admin key",
            format!("The key is for another instance, or was made with another instance secret than {object} runs with. Use the key of this very deployment. If the secret in its volume was changed by hand, set rotate_trigger of the convex_deployment to another text, and apply that resource first (`terraform apply -target=…`): it gets a new secret, and the state knows it."),
        ),
        BackendError::NotAllowed => (
            "The admin key may not do this",
            "It allows reading only. Use a full admin key.".to_owned(),
        ),
        BackendError::Contended => (
            "Others change the variables at the same time",
            "The backend refused the change several times because of others. Nothing was changed. Apply again when they are done.".to_owned(),
        ),
        BackendError::Refused { code, message } => (
            "The backend refused",
            format!("{message} ({code}). Nothing was changed."),
        ),
        BackendError::Redirected { status } => (
            "Not a Convex backend",
            format!("The address answers with a redirect (status {status}), as a login page does. Give the address of the backend's API itself."),
        ),
        BackendError::NotFound => (
            "Not a Convex backend",
            "The address has no such endpoint (status 404). Give the address of the backend's API (port 3210), not of the site or the dashboard, and use a release from 2025 or newer.".to_owned(),
        ),
        BackendError::Unexpected { status } => (
            "Not an answer of a Convex backend",
            format!("The address answered with status {status} and something no Convex backend says. Check that it is the address of the backend's API."),
        ),
    };
    Diagnostic::error(
        summary,
        format!("While trying to {doing} of {object}: {detail}"),
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{docker_error, explain};
    use crate::runtime::{
        Role,
        docker::{DockerError, Endpoint},
    };

    fn cause(code: i64, out_of_memory: bool, log: &str) -> (&'static str, String) {
        let (cause, _, attribute) = explain(Role::Backend, code, out_of_memory, log);
        (cause, attribute.to_string())
    }

    #[test]
    fn an_end_has_a_cause_and_an_attribute() {
        let memory = "it needed more memory than it may use";
        assert_eq!(cause(1, true, ""), (memory, "backend.memory_mb".into()));
        assert_eq!(cause(137, false, ""), (memory, "backend.memory_mb".into()));
        for (code, log) in [(0, "Attempting to acquire lease"), (1, "LeaseLost: lost")] {
            let (cause, attribute) = cause(code, false, log);
            assert_eq!(cause, "another backend has taken its database over");
            assert_eq!(attribute, "database");
        }
        assert_eq!(
            cause(1, false, "No space left on device").0,
            "the disk is full"
        );
        assert_eq!(cause(3, false, "boom").0, "its log says why");
    }

    #[test]
    fn what_is_wrong_with_the_way_to_docker_names_the_daemon_and_the_way_out() {
        let endpoint = Endpoint::local();
        let reason = io::Error::from(io::ErrorKind::UnexpectedEof).to_string();
        for (error, remedy) in [
            (
                DockerError::NoPermission {
                    endpoint: endpoint.clone(),
                },
                "Add the user to the group",
            ),
            (
                DockerError::Unreachable {
                    endpoint: endpoint.clone(),
                    reason: reason.clone(),
                },
                "Start the Docker daemon",
            ),
            (
                DockerError::Lost {
                    endpoint: endpoint.clone(),
                    doing: "x".into(),
                    reason,
                },
                "See that the daemon runs",
            ),
            (
                DockerError::TimedOut {
                    endpoint,
                    doing: "x".into(),
                },
                "raise `timeouts`",
            ),
        ] {
            let said = format!("{:?}", docker_error("deployment \"a\"", error));
            assert!(said.contains("/var/run/docker.sock"), "{said}");
            assert!(said.contains(remedy), "{said}");
        }
    }
}
