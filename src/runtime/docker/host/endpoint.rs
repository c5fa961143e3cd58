//! Addresses of Docker daemons.

use std::fmt;

use url::Url;

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// On a Unix socket of this machine.
    Unix(String),
    /// On a TCP port, with or without TLS.
    Tcp {
        /// The host name or address, an IPv6 address in brackets.
        host: String,
        /// The port; `None` means the usual one, which depends on TLS.
        port: Option<u16>,
    },
    /// On a machine that is reached by SSH.
    Ssh(Box<SshAddress>),
}

/// A machine, as `ssh` is told it.
///
/// Its parts become arguments of a program and words of a remote shell, so none
/// of them can be taken for an option or for more than one word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SshAddress {
    pub(in crate::runtime::docker) user: Option<String>,
    /// Without brackets.
    pub(in crate::runtime::docker) host: String,
    pub(in crate::runtime::docker) port: Option<u16>,
    /// The daemon's socket over there, where it is not the one that the docker
    /// program takes by itself.
    pub(in crate::runtime::docker) socket: Option<String>,
}

/// A text that names no daemon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not of the form of an address.
    #[error(
        "{given:?} is no address of a Docker daemon. Write unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host."
    )]
    Malformed {
        /// What was given.
        given: String,
    },
    /// A way to a daemon that is not supported.
    #[error("{scheme}:// is not supported. Use unix://, tcp:// or ssh://.")]
    Scheme {
        /// The part before the `://`.
        scheme: String,
    },
    /// A password, which would be shown wherever the address is.
    #[error(
        "An address must not have a password in it. Use a key, as `ssh` finds it or as `ssh.private_key`."
    )]
    Password,
    /// Something in an SSH address that a shell could take for more than a word.
    #[error(
        "The {part} {given:?} has characters that are not taken. Write letters, digits, `.`, `_` and `-`; give anything else a name in the SSH configuration of this machine."
    )]
    Unsafe {
        /// Which part of the address.
        part: &'static str,
        /// What it is.
        given: String,
    },
}

/// The port of a daemon that is reached without TLS.
const PLAIN_PORT: u16 = 2375;

/// The port of a daemon that is reached with TLS.
const TLS_PORT: u16 = 2376;

impl Endpoint {
    /// The daemon of this machine.
    #[must_use]
    pub fn local() -> Self {
        Self::Unix("/var/run/docker.sock".to_owned())
    }

    /// Reads an address as `DOCKER_HOST` has it.
    pub fn parse(given: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed {
            given: without_password(given),
        };
        let (scheme, rest) = given.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.to_owned())),
            "unix" => Err(malformed()),
            "tcp" | "http" => {
                let url = Url::parse(&format!("http://{rest}")).map_err(|_| malformed())?;
                if url.password().is_some() {
                    return Err(EndpointError::Password);
                }
                let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
                match url.host_str() {
                    Some(host) if bare && url.fragment().is_none() => Ok(Self::Tcp {
                        host: host.to_owned(),
                        port: port_of(rest, &url),
                    }),
                    _ => Err(malformed()),
                }
            }
            "ssh" => {
                let url = Url::parse(given).map_err(|_| malformed())?;
                SshAddress::of(&url, malformed).map(|address| Self::Ssh(Box::new(address)))
            }
            scheme => Err(EndpointError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// The same with its port, as it is dialled.
    pub(super) fn dialled(self, tls: bool) -> Self {
        match self {
            Self::Tcp { host, port } => Self::Tcp {
                host,
                port: port.or(Some(if tls { TLS_PORT } else { PLAIN_PORT })),
            },
            other => other,
        }
    }

    /// Whether what is sent stays on this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                let host = host.trim_matches(['[', ']']);
                let address = host.parse::<std::net::IpAddr>();
                host == "localhost" || address.is_ok_and(|it| it.is_loopback())
            }
            Self::Ssh(_) => false,
        }
    }
}

/// The text as it may be shown: a slip of the pen may have a password in it too.
fn without_password(given: &str) -> String {
    let (scheme, rest) = given.split_once("://").unwrap_or(("", given));
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://…@{host}"),
        _ => given.to_owned(),
    }
}

/// The port, if one is given. A URL leaves out the one that is its scheme's
/// default, which is none of Docker's.
fn port_of(rest: &str, url: &Url) -> Option<u16> {
    let written = rest
        .trim_end_matches('/')
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    written.then(|| url.port_or_known_default()).flatten()
}

impl SshAddress {
    fn of(url: &Url, malformed: impl Fn() -> EndpointError) -> Result<Self, EndpointError> {
        if url.password().is_some() {
            return Err(EndpointError::Password);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(malformed());
        }
        let host = url.host_str().ok_or_else(&malformed)?;
        let user = (!url.username().is_empty()).then(|| url.username().to_owned());
        let path = url.path().trim_end_matches('/');
        let socket = (!path.is_empty()).then(|| path.to_owned());
        let host = host.trim_matches(['[', ']']).to_owned();
        word("host", &host, ":")?;
        if let Some(user) = &user {
            word("user", user, "+")?;
        }
        if let Some(socket) = &socket {
            word("path", &socket[1..], "/")?;
        }
        Ok(Self {
            user,
            host,
            port: url.port(),
            socket,
        })
    }
}

/// Demands that a text is one word to any shell, and no option.
fn word(part: &'static str, text: &str, also: &str) -> Result<(), EndpointError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || also.contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(plain) {
        return Err(EndpointError::Unsafe {
            part,
            given: text.to_owned(),
        });
    }
    Ok(())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp { host, port: None } => write!(f, "tcp://{host}"),
            Self::Tcp {
                host,
                port: Some(port),
            } => write!(f, "tcp://{host}:{port}"),
            Self::Ssh(address) => write!(f, "ssh://{address}"),
        }
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.socket.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError, SshAddress};

    #[test]
    fn addresses_are_read_as_docker_host_has_them() {
        let unix = Endpoint::parse("unix:///run/user/1000/docker.sock").unwrap();
        assert_eq!(unix, Endpoint::Unix("/run/user/1000/docker.sock".into()));
        let tcp = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(Endpoint::parse("tcp://h").unwrap(), tcp("h", None));
        assert_eq!(Endpoint::parse("tcp://h:1/").unwrap(), tcp("h", Some(1)));
        assert_eq!(Endpoint::parse("tcp://h:80").unwrap(), tcp("h", Some(80)));
        assert_eq!(
            Endpoint::parse("tcp://[::1]:1").unwrap(),
            tcp("[::1]", Some(1))
        );
        assert_eq!(Endpoint::parse("tcp://[::1]").unwrap(), tcp("[::1]", None));
        let ssh = SshAddress {
            user: Some("me".into()),
            host: "build-1.example.com".into(),
            port: Some(2222),
            socket: Some("/run/user/1000/docker.sock".into()),
        };
        assert_eq!(
            Endpoint::parse("ssh://me@build-1.example.com:2222/run/user/1000/docker.sock").unwrap(),
            Endpoint::Ssh(Box::new(ssh))
        );
    }

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for address in [
            "unix:///a.sock",
            "tcp://h",
            "tcp://h:2375",
            "tcp://[::1]:2375",
            "ssh://h",
            "ssh://me@h",
            "ssh://me@[::1]:22",
            "ssh://me@h:22/run/docker.sock",
        ] {
            assert_eq!(Endpoint::parse(address).unwrap().to_string(), address);
        }
    }

    #[test]
    fn the_usual_port_depends_on_tls() {
        let dialled = |tls| Endpoint::parse("tcp://h").unwrap().dialled(tls).to_string();
        assert_eq!(dialled(false), "tcp://h:2375");
        assert_eq!(dialled(true), "tcp://h:2376");
    }

    #[test]
    fn what_names_no_daemon_is_refused() {
        for given in [
            "",
            "docker.sock",
            "unix://docker.sock",
            "tcp://",
            "tcp://h:x",
            "tcp://h/p",
            "tcp://me@h",
            "ssh://",
            "ssh://h?x",
        ] {
            assert!(
                matches!(Endpoint::parse(given), Err(EndpointError::Malformed { .. })),
                "{given}"
            );
        }
        assert_eq!(
            Endpoint::parse("npipe:////./pipe/docker_engine"),
            Err(EndpointError::Scheme {
                scheme: "npipe".into()
            })
        );
    }

    #[test]
    fn nothing_in_an_ssh_address_can_be_an_option_or_a_second_word() {
        for given in [
            "ssh://-oProxyCommand=x",
            "ssh://-l@h",
            "ssh://me@h/run/$(x).sock",
            "ssh://me@h/run/a;b",
            "ssh://me%20x@h",
            "ssh://me@h/run/'a'",
        ] {
            match Endpoint::parse(given) {
                Err(EndpointError::Unsafe { .. } | EndpointError::Malformed { .. }) => {}
                other => panic!("{given}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for given in ["ssh://me:hunter22@h", "tcp://me:hunter22@h:1"] {
            let error = Endpoint::parse(given).unwrap_err();
            assert_eq!(error, EndpointError::Password);
        }
        let slip = Endpoint::parse("ssh://me:hunter22@h:x").unwrap_err();
        assert!(!slip.to_string().contains("hunter22"), "{slip}");
    }

    #[test]
    fn this_machine_is_told_from_others() {
        let here = |given| Endpoint::parse(given).unwrap().is_here();
        for given in [
            "unix:///a",
            "tcp://localhost",
            "tcp://127.0.0.1:1",
            "tcp://[::1]:1",
        ] {
            assert!(here(given), "{given}");
        }
        for given in ["tcp://h", "tcp://10.0.0.1:1", "ssh://localhost"] {
            assert!(!here(given), "{given}");
        }
    }
}
