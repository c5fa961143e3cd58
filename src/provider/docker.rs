//! The attribute `docker` of the provider: which hosts, and what they pull with.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    convex::Secret,
    plugin::{
        Config, Diagnostic, Diagnostics, Known, redact,
        schema::{
            Attr, Fields, Group, Leaf, Optional, boolean, invalid, map_of_objects, object, string,
        },
        value::Path,
    },
    runtime::{
        HostRef,
        docker::{Endpoint, HostConfig, RegistryAuth, SshConfig, Surroundings, TlsConfig},
    },
    session::{DockerConfig, exposed},
};

/// The attribute.
pub fn attribute() -> Attr<Optional, Group> {
    object(
        Fields::new()
            .with("host", host("Where the Docker daemon listens: `unix:///path/to/socket`, `tcp://host:port` or `ssh://user@host:port/path/to/socket`, of which user, port and path may be left out. Null or empty means the variable `DOCKER_HOST`, else the context that `DOCKER_CONTEXT` names, else the current context of the docker command line, else `unix:///var/run/docker.sock`. Nothing is dialled or read before a resource needs it."))
            .with("context", context())
            .with("tls", tls())
            .with("ssh", ssh())
            .with(
                "hosts",
                map_of_objects(
                    Fields::new()
                        .with("host", host("Where its Docker daemon listens."))
                        .with("context", context())
                        .with("tls", tls())
                        .with("ssh", ssh()),
                    "Further Docker hosts by name, for `docker.host` of a `convex_deployment`.",
                )
                .optional()
                .keys_parsed::<HostName>(),
            )
            .with("registry_auth", registry_auth()),
        "The Docker daemon that runs deployments, and how it is reached.",
    )
    .optional()
}

fn host(description: &'static str) -> Attr<Optional, Leaf> {
    string(description).optional().check(|value, path, found| {
        if let Some(host) = value.as_str().filter(|host| !host.is_empty())
            && let Err(error) = Endpoint::parse(host)
        {
            found.push(
                Diagnostic::error("Invalid Docker address", error.to_string()).at(path.clone()),
            );
        }
    })
}

fn context() -> Attr<Optional, Leaf> {
    string("A context of the docker command line, in place of `host`. It is looked for where that keeps them: in the directory that `DOCKER_CONFIG` names, else in `~/.docker`.")
        .optional()
}

fn tls() -> Attr<Optional, Group> {
    object(
        Fields::new()
            .with(
                "ca_pem",
                string("Certificates of the authority that signed the daemon's certificate, in PEM form. Default: those this system trusts.")
                    .optional(),
            )
            .with(
                "cert_pem",
                string("Certificate that is shown to the daemon, with its intermediates, in PEM form.")
                    .optional(),
            )
            .with(
                "key_pem",
                string("Key of `cert_pem`, in PEM form without a passphrase.")
                    .optional()
                    .sensitive(),
            )
            .with(
                "server_name",
                string("Name in the daemon's certificate. Default: the host of the address.")
                    .optional(),
            )
            .with(
                "verify",
                boolean("Whether the daemon's certificate is verified. When `false`, whoever stands between can act as the daemon. Default `true`.")
                    .optional(),
            ),
        "TLS for an address with `tcp://`. Default: as the variables `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` say, else none.",
    )
    .optional()
}

fn ssh() -> Attr<Optional, Group> {
    object(
        Fields::new()
            .with(
                "private_key",
                string("Private key, in the form that `ssh-keygen` writes and without a passphrase. `ssh` reads it from a file without a name, of which nothing is left when the provider ends. Default: those that `ssh` finds by itself.")
                    .optional()
                    .sensitive(),
            )
            .with(
                "known_hosts",
                string("Keys of hosts, as in a `known_hosts` file. No others are taken then. Default: those that `ssh` knows already.")
                    .optional(),
            ),
        "What `ssh` is given for an address with `ssh://`. The connection is made by the program `ssh` of this machine, with its own configuration, and `docker system dial-stdio` on the host. It never asks anybody anything: a host whose key is not known is refused.",
    )
    .optional()
}

fn registry_auth() -> Attr<Optional, Group> {
    map_of_objects(
        Fields::new()
            .with("username", string("The user.").optional())
            .with(
                "password",
                string("The password, or an access token.")
                    .optional()
                    .sensitive(),
            )
            .with(
                "identity_token",
                string("What the registry's login service has given, in place of user and password.")
                    .optional()
                    .sensitive(),
            ),
        "Credentials for pulling images, by registry, such as `ghcr.io`. Default: those of the docker command line's configuration, among them what its credential helpers have. They are asked for only when an image is pulled.",
    )
    .optional()
}

/// A name of a host.
struct HostName;

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if HostRef::is_name(text) {
            Ok(Self)
        } else {
            Err(format!(
                "{text:?} is no name for a Docker host. Write letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."
            ))
        }
    }
}

/// One host of the configuration. Unknown as soon as a part of it is.
fn read_host(config: Config<'_>, at: &Path) -> Known<HostConfig> {
    let text = |name: &str| config.get::<Option<String>>(at.attribute(name));
    let tls = config.get::<Option<TlsConfig>>(at.attribute("tls"));
    let ssh = config.get::<Option<SshConfig>>(at.attribute("ssh"));
    match (text("host"), text("context"), tls, ssh) {
        (Known::Known(host), Known::Known(context), Known::Known(tls), Known::Known(ssh)) => {
            Known::Known(HostConfig {
                host,
                context,
                tls,
                ssh,
            })
        }
        _ => Known::Unknown,
    }
}

/// The hosts of a configuration.
pub fn read(config: Config<'_>) -> DockerConfig {
    let docker = Path::of("docker");
    let hosts = docker.attribute("hosts");
    let named = match config.keys(hosts.clone()) {
        Known::Known(names) => Known::Known(
            names
                .into_iter()
                .map(|name| {
                    let host = read_host(config, &hosts.key(&name));
                    (name, host)
                })
                .collect(),
        ),
        Known::Unknown => Known::Unknown,
    };
    let read = DockerConfig {
        default: read_host(config, &docker),
        named,
    };
    let all = match &read.named {
        Known::Known(named) => named.values().collect(),
        Known::Unknown => Vec::new(),
    };
    for host in all.into_iter().chain([&read.default]) {
        if let Known::Known(host) = host {
            let tls = host.tls.as_ref().and_then(|tls| tls.key_pem.as_ref());
            let ssh = host.ssh.as_ref().and_then(|ssh| ssh.private_key.as_ref());
            for secret in tls.into_iter().chain(ssh) {
                redact::remember(secret.expose());
            }
        }
    }
    read
}

/// The credentials of a configuration. Those that are not known yet are left
/// out: nothing is pulled before they are.
pub fn read_registries(config: Config<'_>) -> BTreeMap<String, RegistryAuth> {
    let registries = Path::of("docker.registry_auth");
    let names = config.keys(registries.clone()).known().unwrap_or_default();
    let read = names.into_iter().filter_map(|name| {
        let auth = config.get::<RegistryAuth>(registries.key(&name)).known()?;
        Some((name, auth))
    });
    let read: BTreeMap<_, _> = read.collect();
    for auth in read.values() {
        for secret in auth.password.iter().chain(&auth.identity_token) {
            redact::remember(secret.expose());
        }
    }
    read
}

/// What is wrong with the hosts and credentials of a configuration.
pub fn check(config: Config<'_>, around: &Surroundings) -> Diagnostics {
    let mut found = Diagnostics::default();
    let docker = Path::of("docker");
    check_host(config, &docker, around, &mut found);
    let hosts = docker.attribute("hosts");
    // The address in the environment is that of the host without a name.
    let beside = Surroundings {
        host: None,
        ..around.clone()
    };
    for name in config.keys(hosts.clone()).known().unwrap_or_default() {
        let at = hosts.key(&name);
        let given = |attribute: &str| {
            let text = config.get::<Option<String>>(at.attribute(attribute));
            !matches!(&text, Known::Known(text) if text.as_deref().unwrap_or_default().is_empty())
        };
        if !given("host") && !given("context") {
            found.push(invalid(
                &at,
                "A host has an address or a context. Give one of `host` and `context`.",
            ));
        }
        check_host(config, &at, &beside, &mut found);
    }
    let registries = docker.attribute("registry_auth");
    for name in config.keys(registries.clone()).known().unwrap_or_default() {
        check_registry(config, &registries.key(&name), &mut found);
    }
    found
}

fn check_host(config: Config<'_>, at: &Path, around: &Surroundings, found: &mut Diagnostics) {
    let text = |name: &str| {
        let text = config.get::<Option<String>>(at.attribute(name)).known();
        text.flatten().filter(|text| !text.is_empty())
    };
    let endpoint = text("host").and_then(|host| Endpoint::parse(&host).ok());
    if text("host").is_some() && text("context").is_some() {
        found.push(invalid(
            &at.attribute("context"),
            "A context has an address of its own. Give either `host` or `context`.",
        ));
    }
    if let Known::Known(Some(tls)) = config.get::<Option<TlsConfig>>(at.attribute("tls")) {
        let at = at.attribute("tls");
        if let Err(error) = tls.check() {
            found.push(invalid(&at.attribute(error.attribute()), &error));
        }
        if tls.verify == Some(false) {
            found.push(
                Diagnostic::warning(
                    "The Docker daemon is not verified",
                    "Whoever stands between this machine and the Docker host can act as its daemon, read all secrets and so take over what it runs. Give ca_pem, and server_name if the certificate is for another name, and leave out verify.",
                )
                .at(at.attribute("verify")),
            );
        }
        if endpoint
            .as_ref()
            .is_some_and(|it| !matches!(it, Endpoint::Tcp { .. }))
        {
            found.push(invalid(
                &at,
                "TLS is for an address with tcp://. Leave it out, or give such an address.",
            ));
        }
    }
    if let Known::Known(Some(ssh)) = config.get::<Option<SshConfig>>(at.attribute("ssh")) {
        let at = at.attribute("ssh");
        if let Err(error) = ssh.check() {
            found.push(invalid(&at.attribute(error.attribute()), &error));
        }
        if endpoint.is_some_and(|it| !matches!(it, Endpoint::Ssh(_))) {
            found.push(invalid(
                &at,
                "It is for an address with ssh://. Leave it out, or give such an address.",
            ));
        }
    }
    if let Known::Known(host) = read_host(config, at)
        && let Some(endpoint) = exposed(&host, around)
    {
        found.push(exposure(&endpoint.to_string()).at(at.attribute("host")));
    }
}

/// The warning about an address to which everything goes in the open.
fn exposure(address: &str) -> Diagnostic {
    Diagnostic::warning(
        "Docker without encryption",
        format!(
            "Everything that is sent to {address} can be read and changed on the way, secrets too, and whoever reaches that port owns the host. Use TLS (docker.tls) or ssh://."
        ),
    )
}

fn check_registry(config: Config<'_>, at: &Path, found: &mut Diagnostics) {
    let given = |name: &str| config.given(at.attribute(name));
    let wrong = match (
        given("username"),
        given("password"),
        given("identity_token"),
    ) {
        (_, Known::YES, Known::YES) => true,
        (username, password, Known::NO) => username == Known::NO || password == Known::NO,
        (_, _, _) => false,
    };
    if wrong {
        found.push(invalid(
            at,
            "Credentials are either username and password, or identity_token.",
        ));
    }
    let empty = |name: &str| {
        matches!(
            config.get::<Option<Secret>>(at.attribute(name)),
            Known::Known(Some(secret)) if secret.is_empty()
        )
    };
    for name in ["username", "password", "identity_token"] {
        if empty(name) {
            found.push(invalid(
                &at.attribute(name),
                "It is empty. Give it, or leave out the registry.",
            ));
        }
    }
}
