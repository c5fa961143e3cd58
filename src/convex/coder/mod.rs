//! The addresses Coder gives to the apps of a workspace.
//!
//! An app with the slug `convex-api` in the workspace `dev` of `ann` answers at
//! `convex-api--dev--ann` followed by the deployment's wildcard. Coder versions from before the
//! middle of 2025 put the agent's name between slug and workspace. Source: coder/coder,
//! `coderd/workspaceapps/appurl/appurl.go`.

mod access_url;
mod names;
mod place;
mod transition;
mod wildcard;

pub use access_url::{AccessUrl, AccessUrlError};
pub use names::{CoderName, CoderNameError, Port, PortError, Slug, SlugError};
pub use place::{Place, PlaceError};
pub use transition::Transition;
pub use wildcard::{Wildcard, WildcardError};

use super::origins::{ApiOrigin, DashboardOrigin, OriginError, Origins, SiteOrigin};

/// The longest label of a host name, in bytes (RFC 1035). Beyond it the name does not resolve, and
/// Coder says nothing.
pub const MAX_LABEL_LENGTH: usize = 63;

/// A workspace whose apps have addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Where Coder itself answers. Scheme and default port of the apps come from here.
    pub access_url: AccessUrl,
    /// The host pattern of apps.
    pub wildcard: Option<Wildcard>,
    /// Whether the pattern is `*.HOST` of the access URL where none is given.
    pub wildcard_from_access_url: bool,
    /// The workspace's name.
    pub name: CoderName,
    /// The owner's user name.
    pub owner: CoderName,
    /// The agent's name, for Coder versions that put it into the addresses of slugs.
    pub agent: Option<CoderName>,
    /// What the build under way makes of it.
    pub transition: Transition,
}

/// The slugs of the three apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slugs {
    /// API and sync.
    pub api: Slug,
    /// HTTP actions and token issuer.
    pub site: Slug,
    /// Dashboard.
    pub dashboard: Slug,
}

/// Why an app has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppUrlError {
    /// The first label of the host is too long.
    #[error(
        "The host name of the app would begin with `{label}`, which is {} characters long; DNS \
         allows {MAX_LABEL_LENGTH}. Rename the workspace, or use a slug that is {} characters \
         shorter.",
        .label.len(), .label.len() - MAX_LABEL_LENGTH
    )]
    LabelTooLong {
        /// The label.
        label: String,
    },
    /// Apps of an access URL that is this very host, without a wildcard and without a port.
    #[error(
        "Apps have no host names of their own at the access URL `{access_url}`. Give the wildcard \
         of the Coder deployment, or use the app's port on localhost."
    )]
    LocalAccessUrl {
        /// The access URL.
        access_url: String,
    },
    /// Apps of an access URL that is an address, without a wildcard.
    #[error(
        "No host name can be derived from the access URL `{access_url}`, whose host is an address. \
         Give the wildcard of the Coder deployment, such as `*.apps.example.com`."
    )]
    AddressWithoutWildcard {
        /// The access URL.
        access_url: String,
    },
    /// Apps of an access URL that is a name, without a wildcard.
    #[error(
        "Apps have no host names at the access URL `{access_url}` unless Coder has a wildcard. Give \
         `wildcard`, the value of the server's CODER_WILDCARD_ACCESS_URL, such as \
         `*.apps.example.com`. If it is `*` below the host of the access URL, \
         `wildcard_from_access_url` set to `true` says so. If the server has none, ask its \
         administrator to set it: Convex cannot be served below a path."
    )]
    NoWildcard {
        /// The access URL.
        access_url: String,
    },
    /// A port, and no agent that has it.
    #[error(
        "The address of a port has the agent's name in it. Give the name of the `coder_agent`, \
         such as `main`."
    )]
    PortWithoutAgent,
    /// The address is no origin.
    #[error("The address of the app is not usable. {0}")]
    Origin(#[from] OriginError),
}

impl Default for Slugs {
    /// `convex-api`, `convex-site` and `convex`.
    fn default() -> Self {
        Self {
            api: Slug::known("convex-api"),
            site: Slug::known("convex-site"),
            dashboard: Slug::known("convex"),
        }
    }
}

impl Workspace {
    /// The address of an app, without a slash at the end.
    ///
    /// Names are written in lower case, because browsers do so in the origins they send. While the
    /// workspace stops or is deleted, the address may have a label that is too long, or no pattern
    /// that is known: nobody opens the app, and a refusal would keep the workspace from being
    /// renamed, stopped and deleted.
    pub fn app_url(&self, slug: &Slug) -> Result<String, AppUrlError> {
        self.url(&slug.to_string())
    }

    /// The address of a port without an app. It has the agent's name in it in all versions of
    /// Coder.
    pub fn port_url(&self, port: Port) -> Result<String, AppUrlError> {
        if self.agent.is_none() {
            return Err(AppUrlError::PortWithoutAgent);
        }
        self.url(&port.to_string())
    }

    fn url(&self, what: &str) -> Result<String, AppUrlError> {
        let access = &self.access_url;
        let (prefix, suffix, port) = match &self.wildcard {
            Some(wildcard) => (
                wildcard.prefix(),
                wildcard.suffix().to_owned(),
                wildcard.port(),
            ),
            None if access.is_local() => {
                return Err(AppUrlError::LocalAccessUrl {
                    access_url: access.to_string(),
                });
            }
            None if access.is_address() => {
                return Err(AppUrlError::AddressWithoutWildcard {
                    access_url: access.to_string(),
                });
            }
            None if access.is_tunnel() => ("", format!("--{}", access.host()), None),
            // An end must not fail for want of an address that nobody opens any more.
            None if self.wildcard_from_access_url || self.transition != Transition::Start => {
                ("", format!(".{}", access.host()), None)
            }
            None => {
                return Err(AppUrlError::NoWildcard {
                    access_url: access.to_string(),
                });
            }
        };
        let agent = self
            .agent
            .as_ref()
            .map(|agent| format!("--{agent}"))
            .unwrap_or_default();
        let host = format!(
            "{prefix}{what}{agent}--{}--{}{suffix}",
            self.name, self.owner
        );
        let host = host.to_ascii_lowercase();
        let label = host.split('.').next().unwrap_or_default();
        if label.len() > MAX_LABEL_LENGTH && self.transition == Transition::Start {
            return Err(AppUrlError::LabelTooLong {
                label: label.to_owned(),
            });
        }
        let port = port
            .or(access.port())
            .filter(|port| *port != access.default_port());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(format!("{}://{host}{port}", access.scheme()))
    }

    /// The origins of a deployment whose services are three apps of the workspace.
    ///
    /// Where Coder itself answers on this very host and there is no wildcard, no app has a host
    /// name; the origins are then those of the services' own ports, [`Origins::default`].
    pub fn origins(&self, slugs: &Slugs) -> Result<Origins, AppUrlError> {
        if self.wildcard.is_none() && self.access_url.is_local() {
            return Ok(Origins::default());
        }
        Ok(Origins {
            api: ApiOrigin::parse(&self.app_url(&slugs.api)?)?,
            site: SiteOrigin::parse(&self.app_url(&slugs.site)?)?,
            dashboard: DashboardOrigin::parse(&self.app_url(&slugs.dashboard)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn workspace(access_url: &str, wildcard: &str) -> Workspace {
        Workspace {
            access_url: AccessUrl::parse(access_url).unwrap(),
            wildcard: Wildcard::parse_setting(wildcard).unwrap(),
            wildcard_from_access_url: false,
            name: CoderName::parse("dev").unwrap(),
            owner: CoderName::parse("ann").unwrap(),
            agent: None,
            transition: Transition::Start,
        }
    }

    fn api(access_url: &str, wildcard: &str) -> String {
        workspace(access_url, wildcard)
            .app_url(&Slugs::default().api)
            .unwrap()
    }

    #[test]
    fn the_wildcard_gives_the_host_and_the_access_url_the_scheme() {
        let host = "convex-api--dev--ann";
        let cases = [
            (
                "https://coder.example",
                "*.apps.example",
                format!("https://{host}.apps.example"),
            ),
            (
                "https://coder.example",
                "*-apps.example",
                format!("https://{host}-apps.example"),
            ),
            (
                "https://coder.example",
                "*--x.example",
                format!("https://{host}--x.example"),
            ),
            (
                "http://coder.example",
                "*.Apps.Example",
                format!("http://{host}.apps.example"),
            ),
            (
                "https://coder.example",
                "*.a.example:8443",
                format!("https://{host}.a.example:8443"),
            ),
            (
                "https://coder.example:7443",
                "*.a.example",
                format!("https://{host}.a.example:7443"),
            ),
            (
                "https://coder.example:7443",
                "*.a.example:80",
                format!("https://{host}.a.example:80"),
            ),
            (
                "https://coder.example:7443",
                "*.a.example:443",
                format!("https://{host}.a.example"),
            ),
            (
                "https://coder.example",
                "x---*.a.example",
                format!("https://x---{host}.a.example"),
            ),
            (
                "http://localhost:7080",
                "*.localhost",
                format!("http://{host}.localhost:7080"),
            ),
            (
                "https://10.0.0.1",
                "*.a.example",
                format!("https://{host}.a.example"),
            ),
        ];
        for (access_url, wildcard, expected) in cases {
            assert_eq!(
                api(access_url, wildcard),
                expected,
                "{access_url} {wildcard}"
            );
        }
    }

    #[test]
    fn without_a_wildcard_only_those_who_ask_get_hosts_below_the_access_url() {
        for (access_url, expected) in [
            (
                "https://coder.example",
                "https://convex-api--dev--ann.coder.example",
            ),
            (
                "http://coder.example:7080/",
                "http://convex-api--dev--ann.coder.example:7080",
            ),
        ] {
            let silent = workspace(access_url, "");
            let slugs = Slugs::default();
            let error = silent.origins(&slugs).unwrap_err();
            assert!(
                matches!(error, AppUrlError::NoWildcard { .. }),
                "{access_url}: {error}"
            );
            for remedy in [
                "`wildcard`",
                "CODER_WILDCARD_ACCESS_URL",
                "`wildcard_from_access_url`",
            ] {
                assert!(error.to_string().contains(remedy), "{error}");
            }
            let asking = Workspace {
                wildcard_from_access_url: true,
                ..silent.clone()
            };
            assert_eq!(asking.app_url(&slugs.api).unwrap(), expected);
            for word in ["stop", "destroy"] {
                let ends = Workspace {
                    transition: Transition::read(Some(word)),
                    ..silent.clone()
                };
                assert_eq!(ends.app_url(&slugs.api).unwrap(), expected, "{word}");
            }
        }
    }

    #[test]
    fn coders_own_tunnel_has_its_own_pattern() {
        let tunnel = "https://a1b2c3.pit-1.try.coder.app";
        let expected = "https://convex-api--dev--ann--a1b2c3.pit-1.try.coder.app";
        assert_eq!(api(tunnel, ""), expected);
        let asking = Workspace {
            wildcard_from_access_url: true,
            ..workspace(tunnel, "")
        };
        assert_eq!(asking.app_url(&Slugs::default().api).unwrap(), expected);
        // A wildcard that is given counts also there.
        assert_eq!(
            api(tunnel, "*.apps.example"),
            "https://convex-api--dev--ann.apps.example"
        );
    }

    #[test]
    fn the_agent_stands_between_slug_and_workspace() {
        let agent = Some(CoderName::parse("Main").unwrap());
        let workspace = Workspace {
            agent,
            ..workspace("https://coder.example", "*.a.example")
        };
        assert_eq!(
            workspace.app_url(&Slugs::default().dashboard).unwrap(),
            "https://convex--main--dev--ann.a.example"
        );
    }

    #[test]
    fn a_port_has_the_agent_in_its_address() {
        let agent = Some(CoderName::parse("main").unwrap());
        let without = workspace("https://coder.example", "t---*.a.example");
        let port = Port::parse("7443s").unwrap();
        assert_eq!(
            without.port_url(port).unwrap_err(),
            AppUrlError::PortWithoutAgent
        );
        let with = Workspace { agent, ..without };
        assert_eq!(
            with.port_url(port).unwrap(),
            "https://t---7443s--main--dev--ann.a.example"
        );
    }

    #[test]
    fn a_local_coder_without_a_wildcard_means_the_ports_of_the_services() {
        for access_url in [
            "http://localhost:7080",
            "http://127.0.0.1:7080",
            "https://[::1]:7443",
        ] {
            let workspace = workspace(access_url, "");
            assert_eq!(
                workspace.origins(&Slugs::default()).unwrap(),
                Origins::default()
            );
            let error = workspace.app_url(&Slugs::default().api).unwrap_err();
            assert!(
                matches!(error, AppUrlError::LocalAccessUrl { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn an_address_needs_a_wildcard() {
        let error = workspace("http://10.0.0.1:7080", "")
            .origins(&Slugs::default())
            .unwrap_err();
        assert!(
            error.to_string().contains("`http://10.0.0.1:7080`"),
            "{error}"
        );
        assert!(error.to_string().contains("Give the wildcard"), "{error}");
    }

    #[test]
    fn a_label_too_long_is_shown_with_its_length() {
        // 10 + 2 + 44 + 2 + 3 characters, and the rest of the wildcard's own label.
        let name = CoderName::parse(&"w".repeat(44)).unwrap();
        let fits = Workspace {
            name,
            ..workspace("https://c.example", "*.a.example")
        };
        assert!(fits.app_url(&Slugs::default().api).is_ok());
        let longer = Wildcard::parse_setting("*-apps.example").unwrap();
        let error = Workspace {
            wildcard: longer,
            ..fits
        }
        .app_url(&Slugs::default().api);
        let message = error.unwrap_err().to_string();
        let label = format!("convex-api--{}--ann-apps", "w".repeat(44));
        assert!(
            message.contains(&format!("`{label}`, which is 66 characters long")),
            "{message}"
        );
        assert!(message.contains("3 characters shorter"), "{message}");
    }

    #[test]
    fn a_workspace_that_stops_or_is_deleted_has_addresses_of_any_length() {
        let long = Workspace {
            name: CoderName::parse(&"w".repeat(60)).unwrap(),
            ..workspace("https://c.example", "*.a.example")
        };
        assert!(long.origins(&Slugs::default()).is_err());
        for word in ["stop", "destroy"] {
            let ends = Workspace {
                transition: Transition::read(Some(word)),
                ..long.clone()
            };
            let origins = ends.origins(&Slugs::default()).unwrap();
            let api = format!("https://convex-api--{}--ann.a.example", "w".repeat(60));
            assert_eq!(origins.api.as_str(), api);
        }
    }

    #[test]
    fn the_three_origins_of_a_workspace() {
        let origins = workspace("https://c.example", "*.a.example").origins(&Slugs::default());
        let origins = origins.unwrap();
        assert_eq!(
            origins.api.as_str(),
            "https://convex-api--dev--ann.a.example"
        );
        assert_eq!(
            origins.site.as_str(),
            "https://convex-site--dev--ann.a.example"
        );
        assert_eq!(
            origins.dashboard.as_str(),
            "https://convex--dev--ann.a.example"
        );
    }

    proptest! {
        #[test]
        fn what_coder_would_parse_comes_out(
            slug in "[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4}){0,2}",
            name in "[a-zA-Z0-9]{1,8}(-[a-zA-Z0-9]{1,4}){0,1}",
            owner in "[a-zA-Z0-9]{1,8}(-[a-zA-Z0-9]{1,4}){0,1}",
        ) {
            prop_assume!(slug != "xn");
            let workspace = Workspace {
                name: CoderName::parse(&name).unwrap(),
                owner: CoderName::parse(&owner).unwrap(),
                ..workspace("https://c.example", "*.a.example")
            };
            let url = workspace.app_url(&Slug::parse(&slug).unwrap()).unwrap();
            prop_assert!(ApiOrigin::parse(&url).is_ok());
            let label = url.strip_prefix("https://").unwrap().split_once('.').unwrap().0;
            let parts: Vec<&str> = label.split("--").collect();
            prop_assert_eq!(parts, [slug, name.to_lowercase(), owner.to_lowercase()]);
        }
    }
}
