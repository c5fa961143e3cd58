//! The three addresses of a deployment, as browsers and the backend compare them.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Why a text is not an origin. `fixed` is the spelling that would have been taken.
///
/// No message contains user information, which could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// There is nothing.
    #[error("The origin is empty. Write scheme and host, such as `https://api.example.com`.")]
    Empty,
    /// Blanks, line breaks or control characters.
    #[error("The origin contains blanks, line breaks or control characters. Remove them.")]
    Blank,
    /// No `://`.
    #[error("The origin has no scheme. Write {}.", with_remedy(.fixed.as_deref()))]
    NoScheme {
        /// The text with the likely scheme, where the text holds no user information.
        fixed: Option<String>,
    },
    /// Neither `http` nor `https`.
    #[error("The origin has the scheme `{scheme}`. Write `http` or `https`.")]
    OtherScheme {
        /// The scheme found.
        scheme: String,
    },
    /// Not a URL at all.
    #[error(
        "The origin is not a URL: {reason}. Write scheme and host, such as `https://api.example.com`."
    )]
    NotUrl {
        /// What the URL parser says.
        reason: url::ParseError,
    },
    /// A user name or a password before the host.
    #[error("The origin contains a user name or a password. Write `{fixed}`.")]
    UserInformation {
        /// The spelling that would have been taken.
        fixed: String,
    },
    /// A part from `#` on.
    #[error("The origin has a fragment, a part from `#` on. Write `{fixed}`.")]
    Fragment {
        /// The spelling that would have been taken.
        fixed: String,
    },
    /// A part from `?` on.
    #[error("The origin has a query, a part from `?` on. Write `{fixed}`.")]
    Query {
        /// The spelling that would have been taken.
        fixed: String,
    },
    /// A path where none may be.
    #[error(
        "The origin has a path, which clients would drop. Write `{fixed}`, and serve the deployment \
         from a host name of its own."
    )]
    Path {
        /// The spelling that would have been taken.
        fixed: String,
    },
    /// A slash at the end.
    #[error(
        "The origin ends with a slash. Write `{fixed}`: the backend compares origins byte for byte."
    )]
    TrailingSlash {
        /// The spelling that would have been taken.
        fixed: String,
    },
    /// An asterisk in the host.
    #[error("The host of the origin contains `*`. Write the host of this one deployment.")]
    Wildcard,
    /// A different spelling of the same origin: upper case, a default port, an unusual address.
    #[error(
        "The origin is spelled otherwise than browsers spell it. Write `{fixed}`: the backend \
         compares origins byte for byte."
    )]
    OtherSpelling {
        /// The spelling that would have been taken.
        fixed: String,
    },
}

fn with_remedy(fixed: Option<&str>) -> String {
    fixed.map_or("`http://` or `https://` in front".to_owned(), |fixed| {
        format!("`{fixed}`")
    })
}

fn check(text: &str, path_allowed: bool) -> Result<(), OriginError> {
    if text.is_empty() {
        return Err(OriginError::Empty);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(OriginError::Blank);
    }
    if !text.contains("://") {
        let fixed = with_scheme(text).filter(|fixed| check(fixed, path_allowed).is_ok());
        return Err(OriginError::NoScheme { fixed });
    }
    let url = Url::parse(text).map_err(|reason| OriginError::NotUrl { reason })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OriginError::OtherScheme {
            scheme: url.scheme().to_owned(),
        });
    }
    let path = url.path().trim_end_matches('/');
    let fixed = spell(&url, if path_allowed { path } else { "" });
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::UserInformation { fixed });
    }
    if url.fragment().is_some() {
        return Err(OriginError::Fragment { fixed });
    }
    if url.query().is_some() {
        return Err(OriginError::Query { fixed });
    }
    if !path_allowed && !path.is_empty() {
        return Err(OriginError::Path { fixed });
    }
    if text.ends_with('/') {
        return Err(OriginError::TrailingSlash { fixed });
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err(OriginError::Wildcard);
    }
    if text != fixed {
        return Err(OriginError::OtherSpelling { fixed });
    }
    Ok(())
}

fn spell(url: &Url, path: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{path}", url.scheme())
}

/// The text with the scheme a person who left it out has probably meant.
fn with_scheme(text: &str) -> Option<String> {
    let local = ["localhost", "127.", "[::1]"]
        .iter()
        .any(|host| text.starts_with(host));
    let scheme = if local { "http" } else { "https" };
    (!text.contains('@')).then(|| format!("{scheme}://{}", text.trim_matches('/')))
}

macro_rules! origin {
    ($(#[$documentation:meta])* $name:ident, path_allowed = $path_allowed:literal) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is such an origin, and keeps its spelling.
            pub fn parse(text: &str) -> Result<Self, OriginError> {
                check(text, $path_allowed)?;
                Ok(Self(text.to_owned()))
            }

            /// The one at this port of the browser's own machine.
            #[must_use]
            pub fn local(port: u16) -> Self {
                Self(match port {
                    // Browsers leave it out.
                    80 => "http://localhost".to_owned(),
                    port => format!("http://localhost:{port}"),
                })
            }

            /// The origin as it was spelled.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = OriginError;

            fn from_str(text: &str) -> Result<Self, OriginError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

origin!(
    /// Where the API and the sync protocol answer (port 3210 of the backend), without a path.
    ///
    /// Clients join `/api/…` to it and drop a path (upstream `npm-packages/convex`), so it must be
    /// scheme, host and port alone.
    ApiOrigin,
    path_allowed = false
);

origin!(
    /// Where HTTP actions answer (port 3211 of the backend, or `/http` below its API).
    ///
    /// It is the issuer of the application's tokens and is compared byte for byte with the issuer
    /// of the discovery document, so its spelling is kept and must be the one browsers use. A path
    /// such as `/http` is allowed.
    SiteOrigin,
    path_allowed = true
);

origin!(
    /// Where the dashboard answers (port 6791), without a path: it has no setting for one.
    DashboardOrigin,
    path_allowed = false
);

impl ApiOrigin {
    /// Whether what is sent there can be read on the way: HTTP without TLS to another machine.
    #[must_use]
    pub fn is_in_the_open(&self) -> bool {
        let url = Url::parse(&self.0);
        url.is_ok_and(|url| {
            url.scheme() == "http" && !url.host_str().is_some_and(super::postgres::is_loopback)
        })
    }
}

/// The three origins of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// API and sync.
    pub api: ApiOrigin,
    /// HTTP actions and token issuer.
    pub site: SiteOrigin,
    /// Dashboard.
    pub dashboard: DashboardOrigin,
}

/// Why three origins cannot be those of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginConflict {
    /// API and HTTP actions at one address.
    #[error(
        "The site origin is the API origin, but HTTP actions answer on a port of their own. Give the \
         site a host or port of its own, or the path `/http`, at which the API serves HTTP actions."
    )]
    SiteIsApi,
    /// API and dashboard at one address.
    #[error(
        "The dashboard origin is the API origin, but the dashboard is a program of its own. Give it \
         a host or port of its own."
    )]
    DashboardIsApi,
    /// HTTP actions and dashboard at one address.
    #[error(
        "The dashboard origin is the site origin, but the dashboard is a program of its own. Give it \
         a host or port of its own."
    )]
    DashboardIsSite,
}

impl OriginConflict {
    /// The origin to change: `site` or `dashboard`.
    #[must_use]
    pub fn part(self) -> &'static str {
        match self {
            Self::SiteIsApi => "site",
            Self::DashboardIsApi | Self::DashboardIsSite => "dashboard",
        }
    }

    /// The first of the conflicts between those that are given.
    #[must_use]
    pub fn among(
        api: Option<&ApiOrigin>,
        site: Option<&SiteOrigin>,
        dashboard: Option<&DashboardOrigin>,
    ) -> Option<Self> {
        let api = api.map(ApiOrigin::as_str);
        let site = site.map(SiteOrigin::as_str);
        let dashboard = dashboard.map(DashboardOrigin::as_str);
        let same = |one: Option<&str>, other| one.is_some() && one == other;
        if same(site, api) {
            Some(Self::SiteIsApi)
        } else if same(dashboard, api) {
            Some(Self::DashboardIsApi)
        } else {
            same(dashboard, site).then_some(Self::DashboardIsSite)
        }
    }
}

/// What a user should know of origins that are taken all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginWarning {
    /// A page with TLS that calls an API without.
    #[error(
        "The dashboard is served over HTTPS and calls the API over HTTP, which browsers block as \
         mixed content. Give the API an https origin."
    )]
    MixedContent,
    /// HTTP actions that only this very host reaches, of an API that others reach.
    #[error(
        "The API has a public origin, and HTTP actions have one on localhost, so webhooks and sign-in \
         callbacks from elsewhere do not arrive. Give the site a public origin, too."
    )]
    SiteIsLocal,
}

impl OriginWarning {
    /// The origin to change.
    #[must_use]
    pub fn part(self) -> &'static str {
        match self {
            Self::MixedContent => "api",
            Self::SiteIsLocal => "site",
        }
    }
}

/// Whether a browser finds its own machine there.
pub(crate) fn is_local(origin: &str) -> bool {
    let url = Url::parse(origin);
    url.is_ok_and(|url| url.host_str().is_some_and(super::postgres::is_loopback))
}

impl Origins {
    /// Why these cannot be those of one deployment.
    #[must_use]
    pub fn conflict(&self) -> Option<OriginConflict> {
        OriginConflict::among(Some(&self.api), Some(&self.site), Some(&self.dashboard))
    }

    /// What a user should know.
    #[must_use]
    pub fn warnings(&self) -> Vec<OriginWarning> {
        let is_mixed = self.dashboard.as_str().starts_with("https:") && self.api.is_in_the_open();
        let only_site = !is_local(self.api.as_str()) && is_local(self.site.as_str());
        [
            is_mixed.then_some(OriginWarning::MixedContent),
            only_site.then_some(OriginWarning::SiteIsLocal),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The ports the backend listens on, as it reaches them itself.
    #[must_use]
    pub fn internal(dashboard: DashboardOrigin) -> Self {
        Self {
            api: ApiOrigin("http://127.0.0.1:3210".to_owned()),
            site: SiteOrigin("http://127.0.0.1:3211".to_owned()),
            dashboard,
        }
    }
}

impl Default for Origins {
    /// The ports the images listen on, on this very host.
    fn default() -> Self {
        Self {
            api: ApiOrigin::local(3210),
            site: SiteOrigin::local(3211),
            dashboard: DashboardOrigin::local(6791),
        }
    }
}

#[cfg(test)]
mod tests;
