//! Errors of the domain as diagnostics: the attribute, the cause, the remedy.

mod backend;
mod end;
mod host;

pub(crate) use self::backend::{backend_error, warn_down, warn_of_loop};
use self::end::{End, explain};
use crate::{
    plugin::{Diagnostic, redact::Foreign, value::Path},
    runtime::{Kind, Role, STOP_GRACE_S, docker::DockerError},
};

/// Most characters of a log line that are shown.
const LOG_LINE: usize = 400;

/// The diagnostic of a failure with Docker while an `object`, for example
/// `deployment "app"`, was dealt with.
pub(crate) fn docker_error(object: &str, error: DockerError) -> Diagnostic {
    let said = error.to_string();
    match error {
        DockerError::Unreachable { endpoint, reason } => Diagnostic::error(
            "Docker cannot be reached",
            format!(
                "Nothing answers at {endpoint} ({}), so {object} could not be handled. Start the Docker daemon, or set the provider's docker.host (or DOCKER_HOST) to where it listens.",
                Foreign::from(reason)
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
        } => host::lost(object, &endpoint, &doing, &reason.into()),
        DockerError::PullRefused {
            image,
            registry,
            credentials,
            reason,
        } => host::refused_pull(&image, &registry, &credentials, &reason.into()),
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
                "The image {image} is not on the Docker host and could not be pulled: {}\n\nCheck its name and tag and that the host reaches the registry, or load it with `docker pull` or `docker load`, and apply again.",
                Foreign::from(reason)
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
        DockerError::Claimed { volume, owner } => {
            let place = owner.split_once(' ').map_or(owner.as_str(), |(_, place)| place);
            Diagnostic::error(
                "The deployment is being made twice",
                format!(
                    "The configuration in {place} made the volume {volume} at the same time, so {object} is made from there. Nothing was changed. Give one of the two another name."
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
        DockerError::NotReady { role, seconds, log } => silent(object, role, seconds, &log),
        DockerError::NoProgram { role, reason } => Diagnostic::error(
            format!("Not an image of the Convex {role}"),
            format!(
                "A program that such images have could not be started in the container of {object}: {}\n\nUse an image of the Convex {role}, with `sh` and `curl` in it.",
                Foreign::from(reason)
            ),
        )
        .at(program(role).attribute("image")),
        DockerError::TimedOut { endpoint, doing } => {
            let also = if doing.starts_with("stop ") {
                format!(" A backend that has just been started, or is answering a request, may take {STOP_GRACE_S} s to stop.")
            } else {
                String::new()
            };
            Diagnostic::error(
                "Docker took too long",
                format!(
                    "The daemon at {endpoint} did not {doing} in time for {object}. What was done so far is kept, and the next apply goes on from there. If the daemon is only slow, raise `timeouts`.{also}"
                ),
            )
        }
        DockerError::Cancelled { doing } => Diagnostic::error(
            "Cancelled",
            format!(
                "Terraform was interrupted while {object} was handled (at: {doing}). What was done so far is kept, and the next apply goes on from there."
            ),
        ),
        DockerError::Unreadable { .. } => Diagnostic::error(
            "A file in a container cannot be read",
            format!(
                "While {object} was handled: {said}. Put that file right, and apply again. The rest of the data is untouched."
            ),
        ),
        DockerError::Absent { .. }
        | DockerError::WrongState { .. }
        | DockerError::Failed { .. } => Diagnostic::error(
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
    let End {
        cause,
        remedy,
        attribute,
    } = explain(role, code, out_of_memory, log);
    Diagnostic::error(
        format!("The {role} ended as soon as it was started"),
        format!(
            "The {role} of {object} ended with code {code}: {cause}. {}\n\n{remedy}, and apply again. Its data is kept.",
            end_of_log(log)
        ),
    )
    .at(attribute)
}

fn silent(object: &str, role: Role, seconds: u64, log: &str) -> Diagnostic {
    Diagnostic::error(
        format!("The {role} does not answer"),
        format!(
            "The {role} of {object} runs, but did not answer within {seconds} s. {}{}\n\nIf it was only slow, apply again or raise `timeouts`; its data is kept.",
            progress(log),
            end_of_log(log)
        ),
    )
    .at(program(role))
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
        return "Its log is empty.".to_owned();
    }
    // What is left of a secret that was cut is not known as one, so lines are cut last.
    let log = Foreign::from(log).to_string();
    let lines: Vec<_> = log.lines().map(shorten_line).collect();
    format!("The end of its log:\n\n{}", lines.join("\n"))
}

/// Cut if it is very long.
fn shorten_line(line: &str) -> String {
    match line.char_indices().nth(LOG_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{docker_error, end_of_log};
    use crate::plugin::redact;
    use crate::runtime::docker::{DockerError, Endpoint};

    #[test]
    fn colours_and_endless_lines_are_kept_out_of_diagnostics() {
        let log = format!("\u{1b}[31mred\u{1b}[0m\tplain\n{}", "é".repeat(500));
        let told = end_of_log(&log);
        let mut lines = told.lines().skip(2);
        assert_eq!(lines.next(), Some("red\tplain"));
        assert_eq!(lines.next().map(|it| it.chars().count()), Some(401));
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_line_is_cut() {
        let secret = "7c".repeat(32);
        redact::remember(&secret);
        let told = end_of_log(&format!("{}{secret} and more", "x".repeat(337)));
        assert!(!told.contains("7c7c"), "{told}");
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
                    endpoint: endpoint.clone(),
                    doing: "x".into(),
                },
                "raise `timeouts`",
            ),
            (
                DockerError::TimedOut {
                    endpoint,
                    doing: "stop a-backend".into(),
                },
                "may take 10 s to stop",
            ),
        ] {
            let said = format!("{:?}", docker_error("deployment \"a\"", error));
            assert!(said.contains("/var/run/docker.sock"), "{said}");
            assert!(said.contains(remedy), "{said}");
        }
    }
}
