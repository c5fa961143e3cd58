//! Failed requests to a backend.

use super::{end::of_loop, silent};
use crate::{
    backend::{BackendError, TransportError},
    plugin::{Cx, Diagnostic, redact::Foreign},
    runtime::Role,
};

/// Warns of a backend that is down, unless it was stopped, where the operation
/// goes on without it.
pub(crate) fn warn_down<S>(cx: &mut Cx<S>, object: &str, doing: &str, error: &BackendError) {
    if *error != BackendError::Transport(TransportError::NotRunning) {
        let problem = backend_error(object, doing, error);
        cx.warn(Diagnostic::warning(problem.summary(), problem.detail()));
    }
}

/// Warns of a container that Docker starts again and again.
pub(crate) fn warn_of_loop<S>(cx: &mut Cx<S>, object: &str, role: Role, ended: &TransportError) {
    if let Some((summary, detail, attribute)) = of_loop(object, role, ended) {
        cx.warn(Diagnostic::warning(summary, detail).at(attribute));
    }
}

/// The diagnostic of a failed request to the backend of an `object`.
pub(crate) fn backend_error(object: &str, doing: &str, error: &BackendError) -> Diagnostic {
    if let BackendError::Transport(problem) = error
        && let Some((summary, detail, _)) = of_loop(object, Role::Backend, problem)
    {
        return Diagnostic::error(summary, detail);
    }
    let (summary, detail) = match error {
        BackendError::Transport(TransportError::NotRunning) => (
            "The backend does not run",
            format!("Start {object}: set `running = true` on its deployment, and apply again."),
        ),
        BackendError::Transport(TransportError::Silent { seconds, log }) => {
            return silent(object, Role::Backend, *seconds, log);
        }
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
            format!("The key is for another instance, or was made with another instance secret than {object} runs with. Use the key of this very deployment. A key that begins with `preview:` or `project:` is for Convex Cloud, and a self-hosted backend always refuses it. If the secret in its volume was changed by hand, set rotate_trigger of the convex_deployment to another text, and apply that resource first (`terraform apply -target=…`): it gets a new secret, and the state knows it."),
        ),
        BackendError::NotAllowed => (
            "The admin key may not do this",
            "It allows reading only. Use a full admin key.".to_owned(),
        ),
        BackendError::Contended => (
            "Others change the variables at the same time",
            "The backend refused the change several times, because other changes came first. Apply again when they are done.".to_owned(),
        ),
        BackendError::Busy { code, message } => (
            "The backend is overloaded",
            format!("The backend refused the request several times: {message} ({code}). Apply again when it has less to do, or raise backend.cpus of its deployment."),
        ),
        BackendError::Failed { code, message } => (
            "The backend failed",
            format!("{message} ({code}). Whether the backend made a change is unknown; the next plan shows it. The backend's log says more. Remove the cause and apply again."),
        ),
        BackendError::DiskFull => (
            "The backend's disk is full",
            "There is no space left for the backend's data, according to its log. Whether the backend made a change is unknown; the next plan shows it. Free some space on the Docker host, for example with `docker system df` and `docker image prune`, and apply again. If the backend still refuses changes then, restart its container.".to_owned(),
        ),
        BackendError::Query { message } => (
            "A query of the backend failed",
            format!("The backend answered: {}. If a time limit was exceeded, the machine is too busy: apply again when it has less to do, or raise backend.cpus of its deployment.", Foreign::from(message.as_str().trim_end_matches('.'))),
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
