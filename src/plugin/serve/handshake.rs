//! What go-plugin agrees on before the first call.

use std::{ffi::OsString, fmt, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::{listener::Address, log::LogLevel, tls::Identity};

/// Says that Terraform, and not a person, started the process. It is no secret.
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// Version of go-plugin's own protocol.
const CORE_PROTOCOL: u8 = 1;

/// Major version of Terraform's plugin protocol.
const PROTOCOL: u8 = 6;

/// What the environment says about how to serve.
#[derive(Debug)]
pub struct Launch {
    pub(super) client_certificate: Option<String>,
    pub(super) socket_directory: Option<PathBuf>,
    pub(super) temporary_directory: PathBuf,
    pub(super) ports: (u16, u16),
    pub(super) tcp: bool,
    /// How much to log.
    pub log_level: LogLevel,
}

/// Why this process does not serve.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Terraform did not start it.
    NotStartedByTerraform,
    /// The versions of the plugin protocol that Terraform speaks.
    ProtocolMismatch(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStartedByTerraform => f.write_str(
                "This is a plugin for Terraform and is not meant to be started by hand.",
            ),
            Self::ProtocolMismatch(versions) => write!(
                f,
                "This provider speaks version {PROTOCOL} of the plugin protocol, and Terraform offers {versions}. Use Terraform 1.0 or newer."
            ),
        }
    }
}

impl Launch {
    /// Reads the environment through `var`. Sources: go-plugin's `server.go`
    /// and Terraform's `internal/plugin/serve.go`.
    pub fn from_environment(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Refusal> {
        let text = |name: &str| {
            var(name)
                .and_then(|value| value.into_string().ok())
                .filter(|value| !value.is_empty())
        };
        if text(COOKIE.0).as_deref() != Some(COOKIE.1) {
            return Err(Refusal::NotStartedByTerraform);
        }
        // A very old host says nothing; then the version we have is tried.
        if let Some(versions) = text("PLUGIN_PROTOCOL_VERSIONS")
            && !versions
                .split(',')
                .any(|version| version.trim().parse() == Ok(PROTOCOL))
        {
            return Err(Refusal::ProtocolMismatch(versions));
        }
        Ok(Self::unchecked(&text))
    }

    /// The same for a person who debugs the provider and sets no cookie.
    pub fn for_debugging(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
        Self {
            client_certificate: None,
            tcp: false,
            ..Self::unchecked(&text)
        }
    }

    fn unchecked(text: &impl Fn(&str) -> Option<String>) -> Self {
        let port = |name: &str, default| {
            text(name)
                .and_then(|port| port.parse().ok())
                .unwrap_or(default)
        };
        let client_certificate = text("PLUGIN_CLIENT_CERT");
        Self {
            socket_directory: text("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            temporary_directory: text("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from),
            ports: (
                port("PLUGIN_MIN_PORT", 10_000),
                port("PLUGIN_MAX_PORT", 25_000),
            ),
            // A port is open to every user of the machine, and without a certificate it is
            // neither encrypted nor closed to any of them.
            tcp: text("TF_PLUGIN_NETWORK").as_deref() == Some("tcp")
                && client_certificate.is_some(),
            client_certificate,
            log_level: LogLevel::from_environment(text),
        }
    }
}

/// The line by which go-plugin finds and trusts the server.
pub(super) fn line(address: &Address, identity: Option<&Identity>) -> String {
    let certificate = identity
        .map(|identity| STANDARD_NO_PAD.encode(&identity.certificate))
        .unwrap_or_default();
    let (network, address) = address.parts();
    format!("{CORE_PROTOCOL}|{PROTOCOL}|{network}|{address}|grpc|{certificate}")
}

/// The variable by which any Terraform can be pointed at a running server.
pub(super) fn reattach(provider: &str, address: &Address) -> String {
    let (network, address) = address.parts();
    let value = serde_json::json!({ provider: {
        "Protocol": "grpc",
        "ProtocolVersion": PROTOCOL,
        "Pid": std::process::id(),
        "Test": true,
        "Addr": { "Network": network, "String": address },
    }});
    format!("TF_REATTACH_PROVIDERS='{value}'")
}

#[cfg(test)]
mod tests {
    use super::{COOKIE, Launch, Refusal};

    fn launch(vars: &[(&str, &str)]) -> Result<Launch, Refusal> {
        Launch::from_environment(|name| {
            vars.iter()
                .find(|(given, _)| *given == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn without_the_cookie_nobody_is_served() {
        assert_eq!(launch(&[]).unwrap_err(), Refusal::NotStartedByTerraform);
        let wrong = launch(&[(COOKIE.0, "wrong")]);
        assert_eq!(wrong.unwrap_err(), Refusal::NotStartedByTerraform);
    }

    #[test]
    fn versions_come_in_any_order() {
        for versions in ["5,6", "6,5", "6", "5, 6 ,7"] {
            assert!(launch(&[COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", versions)]).is_ok());
        }
        let old = launch(&[COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", "4,5")]);
        assert_eq!(old.unwrap_err(), Refusal::ProtocolMismatch("4,5".into()));
    }
}
