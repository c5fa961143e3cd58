//! Where a Coder deployment answers.

use std::fmt;

use url::{Host, Url};

/// Why a text is not an access URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessUrlError {
    /// Not a URL.
    #[error(
        "The access URL is not a URL: {reason}. Write one such as `https://coder.example.com`."
    )]
    NotUrl {
        /// What the URL parser says.
        reason: url::ParseError,
    },
    /// Neither `http` nor `https`.
    #[error("The access URL has the scheme `{scheme}`. Write `http` or `https`.")]
    OtherScheme {
        /// The scheme found.
        scheme: String,
    },
    /// A user, a path, a query or a fragment.
    #[error("The access URL has more than scheme, host and port. Write `{fixed}`.")]
    MoreThanOrigin {
        /// The spelling that would have been taken.
        fixed: String,
    },
}

/// Where a Coder deployment answers: `http` or `https`, a host and maybe a port.
///
/// A slash at the end is tolerated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUrl {
    https: bool,
    host: Host,
    port: Option<u16>,
}

impl AccessUrl {
    /// Takes the URL a Coder deployment says of itself.
    pub fn parse(text: &str) -> Result<Self, AccessUrlError> {
        let url = Url::parse(text).map_err(|reason| AccessUrlError::NotUrl { reason })?;
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(AccessUrlError::OtherScheme {
                    scheme: other.to_owned(),
                });
            }
        };
        let host = url
            .host()
            .ok_or(AccessUrlError::NotUrl {
                reason: url::ParseError::EmptyHost,
            })?
            .to_owned();
        let access_url = Self {
            https,
            host,
            port: url.port(),
        };
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(AccessUrlError::MoreThanOrigin {
                fixed: access_url.to_string(),
            });
        }
        Ok(access_url)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    pub(super) fn default_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Whether the host is an address instead of a name.
    pub(super) fn is_address(&self) -> bool {
        !matches!(self.host, Host::Domain(_))
    }

    /// Whether this is Coder's own tunnel, which it opens where it is given no access URL.
    ///
    /// Its certificate has one label below the name, so apps get their hosts by the pattern
    /// `*--HOST`. Source: coder/coder, `cli/server.go`; coder/wgtunnel.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(&self.host, Host::Domain(name) if name.ends_with(".try.coder.app"))
    }

    /// Whether this is the very host a browser runs on.
    pub(super) fn is_local(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for AccessUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_access_url_are_one() {
        let plain = AccessUrl::parse("https://coder.example").unwrap();
        for text in [
            "https://coder.example/",
            "https://coder.example:443",
            "HTTPS://Coder.example",
        ] {
            assert_eq!(AccessUrl::parse(text).unwrap(), plain);
        }
        assert_eq!(plain.to_string(), "https://coder.example");
        let local = AccessUrl::parse("http://[::1]:7080").unwrap();
        assert_eq!(local.to_string(), "http://[::1]:7080");
    }

    #[test]
    fn each_fault_is_named_without_showing_user_information() {
        let cases = [
            ("coder.example", "not a URL"),
            ("", "not a URL"),
            ("https://", "not a URL"),
            ("ssh://coder.example", "scheme `ssh`"),
            ("https://coder.example/x", "Write `https://coder.example`."),
            (
                "https://ann:hunter2@coder.example:1/?a#b",
                "Write `https://coder.example:1`.",
            ),
        ];
        for (text, fault) in cases {
            let error = AccessUrl::parse(text).unwrap_err();
            assert!(error.to_string().contains(fault), "{text:?}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
