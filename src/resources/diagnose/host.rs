//! Errors on the way to a Docker host, and on its way to a registry.

use crate::{
    plugin::{Diagnostic, redact::Foreign},
    runtime::docker::{Endpoint, Source, SshProblem, TlsProblem},
};

/// The diagnostic of a TLS connection that did not come about.
pub(super) fn tls(object: &str, endpoint: &Endpoint, problem: &TlsProblem) -> Diagnostic {
    let own = "docker.tls.cert_pem and docker.tls.key_pem (or cert.pem and key.pem in DOCKER_CERT_PATH or of the Docker context)";
    let (summary, cause, remedy) = match problem {
        TlsProblem::Untrusted => (
            "The Docker daemon's certificate is not trusted",
            "its certificate is signed by none of the authorities that are trusted here, so it may be somebody else's daemon".to_owned(),
            "Give the certificate of the authority that signed it in docker.tls.ca_pem (or ca.pem in DOCKER_CERT_PATH or of the Docker context)".to_owned(),
        ),
        TlsProblem::WrongName(why) => (
            "The Docker daemon's certificate is for another name",
            why.clone(),
            "Write a name that is in the certificate into the address, or set docker.tls.server_name to it".to_owned(),
        ),
        TlsProblem::OutOfTime(why) => (
            "The Docker daemon's certificate is out of its time",
            why.clone(),
            "Renew the daemon's certificate and restart it, or correct the clock of this machine".to_owned(),
        ),
        TlsProblem::Certificate(why) => (
            "The Docker daemon's certificate cannot be used",
            why.clone(),
            "Give the daemon another certificate (tlscert and tlskey of dockerd)".to_owned(),
        ),
        TlsProblem::NoneShown => (
            "The Docker daemon wants a client certificate",
            "it only talks to clients with a certificate, and none is configured".to_owned(),
            format!("Give one, with its key, in {own}"),
        ),
        TlsProblem::OursOutOfTime(days) => (
            "The client certificate for Docker is out of its time",
            format!("it refuses the client certificate, which is only valid {days}"),
            format!("Give a new one in {own}"),
        ),
        TlsProblem::Refused(why) => (
            "The Docker daemon refuses the client certificate",
            format!("it refuses the client certificate: {why}"),
            format!("Give one that is signed by the authority the daemon was started with (tlscacert) and is for authentication of clients, in {own}"),
        ),
        TlsProblem::NotTls => (
            "The Docker daemon does not speak TLS",
            "what listens there answers without encryption".to_owned(),
            "Check the port, usually 2376 with TLS and 2375 without. Where the daemon is meant to be reached without TLS, leave out docker.tls and unset DOCKER_TLS_VERIFY".to_owned(),
        ),
        TlsProblem::NeedsTls => (
            "The Docker daemon speaks TLS only",
            "it was asked without encryption".to_owned(),
            "Give docker.tls, or set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or name a Docker context with certificates".to_owned(),
        ),
        TlsProblem::Other(why) => (
            "No TLS with the Docker daemon",
            why.clone(),
            "Check the address and docker.tls, and the daemon's log".to_owned(),
        ),
    };
    Diagnostic::error(
        summary,
        format!(
            "The daemon at {endpoint} is needed for {object}, but no trusted connection to it came about: {cause}. Nothing was sent to it. {remedy}."
        ),
    )
}

/// The diagnostic of an SSH connection that did not come about.
pub(super) fn ssh(object: &str, endpoint: &Endpoint, problem: &SshProblem) -> Diagnostic {
    let (summary, cause, remedy) = match problem {
        SshProblem::NoProgram => (
            "There is no program ssh",
            "the program `ssh` is not on this machine".to_owned(),
            "Install it where Terraform runs (Debian: `openssh-client`), or reach the daemon by tcp:// with TLS",
        ),
        SshProblem::UnknownHost => (
            "The host key of the Docker host is not known",
            "nobody has said yet which key that host has, so it may be another machine".to_owned(),
            "Add its key to docker.ssh.known_hosts, or to the file ~/.ssh/known_hosts of the user that runs Terraform. `ssh-keyscan` prints it; compare it with the one on the host before you trust it",
        ),
        SshProblem::ChangedHost => (
            "The host key of the Docker host has changed",
            "the host shows another key than the one that is known. Either it was set up anew, or somebody stands between".to_owned(),
            "Find out which, and only then put the new key in the place of the old one in docker.ssh.known_hosts or ~/.ssh/known_hosts",
        ),
        SshProblem::Denied => (
            "The Docker host lets nobody in with this key",
            "the host takes none of the keys that it was offered for this user".to_owned(),
            "Check the user in the address, add the public key to ~/.ssh/authorized_keys of that user on the host, or give another key in docker.ssh.private_key",
        ),
        SshProblem::Unreachable(why) => (
            "The Docker host cannot be reached by SSH",
            Foreign::from(why.as_str()).to_string(),
            "Check host and port of the address, and that the host is up",
        ),
        SshProblem::NoDocker => (
            "There is no program docker on the Docker host",
            "the connection stands, but the user on the host has no program `docker` on its path".to_owned(),
            "Install Docker's command line there (Debian: `docker.io`, 18.09 or newer), or put it on the path that a command without a terminal gets",
        ),
        SshProblem::NotDocker(why) => (
            "The program docker on the Docker host cannot be used",
            format!("the program `docker` on the host does not know `docker system dial-stdio`: {}", Foreign::from(why.as_str())),
            "Install Docker's command line there in version 18.09 or newer",
        ),
        SshProblem::NoPermission => (
            "No permission to use Docker on the Docker host",
            "the connection stands, but the user on the host may not use the daemon's socket".to_owned(),
            "Add that user to the group that owns the socket there (usually `docker`), or log in as another",
        ),
        SshProblem::NoDaemon(why) => (
            "No Docker daemon answers on the Docker host",
            format!("the connection stands, but nothing answers at its end: {}", Foreign::from(why.as_str())),
            "Start the daemon there, or write the path of its socket behind the host: ssh://user@host/run/user/1000/docker.sock",
        ),
        SshProblem::Other(why) => (
            "The Docker daemon cannot be reached by SSH",
            Foreign::from(why.as_str()).to_string(),
            "Try `ssh USER@HOST docker system dial-stdio` as the user that runs Terraform; it should wait for input without a word",
        ),
    };
    Diagnostic::error(
        summary,
        format!(
            "The daemon at {endpoint} is needed for {object}, but it could not be asked: {cause}. Nothing was changed there. {remedy}."
        ),
    )
}

/// The diagnostic of a connection that broke in the middle of something.
pub(super) fn lost(object: &str, endpoint: &Endpoint, doing: &str, reason: &Foreign) -> Diagnostic {
    Diagnostic::error(
        "The connection to Docker was lost",
        format!(
            "The daemon at {endpoint} went away while {object} was handled (at: {doing}; {reason}). Whether that was still done cannot be told from here. What is known to exist is kept in the state, and the next apply finds out the rest and goes on from there. See that the daemon runs and stays reachable, or set the provider's docker.host (or DOCKER_HOST) to where it listens now, and apply again."
        ),
    )
}

/// The diagnostic of a registry that refuses an image.
pub(super) fn refused_pull(
    image: &str,
    registry: &str,
    credentials: &Source,
    reason: &Foreign,
) -> Diagnostic {
    let (shown, remedy) = match credentials {
        Source::Nowhere => (
            "It was asked without credentials, because there are none for it".to_owned(),
            "Give some in the provider's docker.registry_auth, or run `docker login`".to_owned(),
        ),
        Source::Configuration => (
            format!("It was shown those of docker.registry_auth[{registry:?}]"),
            "Correct them, and see that they may read the image".to_owned(),
        ),
        Source::DockerConfig => (
            "It was shown those in Docker's config.json".to_owned(),
            "Run `docker login` again, or give others in the provider's docker.registry_auth"
                .to_owned(),
        ),
        Source::Helper(helper) => (
            format!("It was shown those that docker-credential-{helper} has"),
            "Run `docker login` again, or give others in the provider's docker.registry_auth"
                .to_owned(),
        ),
        Source::BrokenHelper(problem) => (
            format!("It was asked without credentials, because {problem}"),
            "Repair the helper or take it out of Docker's config.json, or give credentials in the provider's docker.registry_auth"
                .to_owned(),
        ),
        Source::BrokenConfig(problem) => (
            format!("It was asked without credentials, because {problem}"),
            "Correct that file, or give credentials in the provider's docker.registry_auth"
                .to_owned(),
        ),
    };
    Diagnostic::error(
        "The registry refuses the image",
        format!(
            "The registry {registry} did not give the image {image}: {reason}\n\n{shown}. {remedy}. Registries also say this of an image that does not exist, so check its name too."
        ),
    )
}
