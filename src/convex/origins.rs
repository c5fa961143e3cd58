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
fn is_local(origin: &str) -> bool {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn http_to_another_machine_is_in_the_open() {
        for (origin, is_open) in [
            ("http://api.example.com", true),
            ("http://10.0.0.1:3210", true),
            ("https://api.example.com", false),
            ("http://localhost:3210", false),
            ("http://127.0.0.1:3210", false),
            ("http://[::1]:3210", false),
        ] {
            let origin = ApiOrigin::parse(origin).unwrap();
            assert_eq!(origin.is_in_the_open(), is_open, "{origin}");
        }
    }

    #[test]
    fn a_local_origin_is_spelled_as_anybody_would_have_to() {
        for (port, text) in [(80, "http://localhost"), (4210, "http://localhost:4210")] {
            assert_eq!(ApiOrigin::local(port).as_str(), text);
            assert_eq!(ApiOrigin::parse(text), Ok(ApiOrigin::local(port)));
        }
    }

    fn origins(api: &str, site: &str, dashboard: &str) -> Origins {
        Origins {
            api: ApiOrigin::parse(api).unwrap(),
            site: SiteOrigin::parse(site).unwrap(),
            dashboard: DashboardOrigin::parse(dashboard).unwrap(),
        }
    }

    #[test]
    fn each_service_has_an_origin_of_its_own() {
        let (a, b, c) = (
            "https://a.example",
            "https://b.example",
            "https://c.example",
        );
        for (origins, conflict) in [
            (origins(a, b, c), None),
            (origins(a, "https://a.example/http", c), None),
            (origins(a, "https://c.example/http", c), None),
            (origins(a, a, c), Some(OriginConflict::SiteIsApi)),
            (origins(a, b, a), Some(OriginConflict::DashboardIsApi)),
            (origins(a, b, b), Some(OriginConflict::DashboardIsSite)),
        ] {
            assert_eq!(origins.conflict(), conflict, "{origins:?}");
        }
        assert_eq!(OriginConflict::among(None, None, None), None);
        assert_eq!(Origins::default().conflict(), None);
    }

    #[test]
    fn origins_that_cannot_work_together_are_warned_of() {
        let (public, local) = ("https://a.example", "http://localhost:3211");
        let plain = "http://a.example";
        for (origins, warnings) in [
            (
                origins(public, "https://b.example", "https://c.example"),
                vec![],
            ),
            (
                origins("http://localhost:3210", local, "https://c.example"),
                vec![],
            ),
            (
                origins(plain, "http://b.example", "https://c.example"),
                vec![OriginWarning::MixedContent],
            ),
            (
                origins(plain, "http://b.example", "http://c.example"),
                vec![],
            ),
            (
                origins(public, local, "https://c.example"),
                vec![OriginWarning::SiteIsLocal],
            ),
            (
                origins("http://127.0.0.1:1", local, "http://localhost:3"),
                vec![],
            ),
        ] {
            assert_eq!(origins.warnings(), warnings, "{origins:?}");
        }
    }

    #[test]
    fn good_origins_keep_their_spelling() {
        for text in [
            "http://localhost:3210",
            "https://convex-api--dev--ann.apps.example.com",
            "https://example.com:8443",
            "http://127.0.0.1:3210",
            "http://[::1]:3210",
            "https://xn--hros-dpa.example",
            "http://example.com:443",
        ] {
            assert_eq!(ApiOrigin::parse(text).unwrap().as_str(), text);
            assert_eq!(SiteOrigin::parse(text).unwrap().as_str(), text);
            assert_eq!(DashboardOrigin::parse(text).unwrap().to_string(), text);
        }
        let site = "https://api.example.com/http";
        assert_eq!(SiteOrigin::parse(site).unwrap().as_str(), site);
    }

    #[test]
    fn each_fault_of_an_api_origin_has_its_remedy() {
        let cases = [
            (
                "https://a.example/",
                "ends with a slash",
                "`https://a.example`",
            ),
            (
                "https://a.example//",
                "ends with a slash",
                "`https://a.example`",
            ),
            ("https://a.example?", "query", "`https://a.example`"),
            ("https://a.example/?x=1", "query", "`https://a.example`"),
            ("https://a.example#x", "fragment", "`https://a.example`"),
            (
                "https://a.example/http",
                "has a path",
                "`https://a.example`",
            ),
            (
                "https://a.example/http/",
                "has a path",
                "`https://a.example`",
            ),
            ("a.example", "no scheme", "`https://a.example`"),
            ("localhost:3210", "no scheme", "`http://localhost:3210`"),
            ("localhost:3210/", "no scheme", "`http://localhost:3210`"),
            (
                "a.example:x",
                "no scheme",
                "`http://` or `https://` in front",
            ),
            ("ws://a.example", "scheme `ws`", "`http` or `https`"),
            ("https://", "not a URL", "scheme and host"),
            ("https://a.example:99999", "not a URL", "scheme and host"),
            (" https://a.example", "blanks", "Remove"),
            ("https://a.ex\nample", "blanks", "Remove"),
            ("https://*.a.example", "contains `*`", "this one deployment"),
            (
                "https://A.example",
                "spelled otherwise",
                "`https://a.example`",
            ),
            (
                "HTTPS://a.example",
                "spelled otherwise",
                "`https://a.example`",
            ),
            (
                "https://a.example:443",
                "spelled otherwise",
                "`https://a.example`",
            ),
            (
                "http://a.example:80",
                "spelled otherwise",
                "`http://a.example`",
            ),
            (
                "https://a.example:08443",
                "spelled otherwise",
                "`https://a.example:8443`",
            ),
            (
                "https://héros.example",
                "spelled otherwise",
                "`https://xn--hros-bpa.example`",
            ),
            (
                "http://0x7f.1:3210",
                "spelled otherwise",
                "`http://127.0.0.1:3210`",
            ),
            ("", "empty", "scheme and host"),
        ];
        for (text, fault, fix) in cases {
            let message = ApiOrigin::parse(text).unwrap_err().to_string();
            assert!(
                message.contains(fault) && message.contains(fix),
                "{text:?}: {message}"
            );
        }
    }

    #[test]
    fn a_site_origin_keeps_its_path_in_the_remedy() {
        let cases = [
            ("https://a.example/http/", "https://a.example/http"),
            ("https://A.example/http", "https://a.example/http"),
            ("https://a.example/x/../http", "https://a.example/http"),
            ("https://a.example/http?x", "https://a.example/http"),
            ("a.example/http", "https://a.example/http"),
        ];
        for (text, fixed) in cases {
            let message = SiteOrigin::parse(text).unwrap_err().to_string();
            assert!(
                message.contains(&format!("`{fixed}`")),
                "{text:?}: {message}"
            );
        }
    }

    #[test]
    fn no_message_shows_user_information() {
        for text in [
            "https://ann:hunter2@a.example/x?y#z",
            "ann:hunter2@a.example",
            "https://ann:hunter2@",
            "https://hunter2@A.example/",
            "hunter2://ann@a.example:x",
        ] {
            let error = ApiOrigin::parse(text).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_default_is_this_very_host_and_would_be_taken() {
        let Origins {
            api,
            site,
            dashboard,
        } = Origins::default();
        assert_eq!(ApiOrigin::parse(api.as_str()).unwrap(), api);
        assert_eq!(SiteOrigin::parse(site.as_str()).unwrap(), site);
        assert_eq!(
            DashboardOrigin::parse(dashboard.as_str()).unwrap(),
            dashboard
        );
    }

    proptest! {
        #[test]
        fn every_suggested_spelling_would_be_taken(text in "(https?://)?[a-zA-Z0-9.]{1,8}(:[0-9]{1,5})?[/?#a-zA-Z0-9]{0,6}") {
            let Err(
                OriginError::NoScheme { fixed: Some(fixed) }
                | OriginError::Fragment { fixed }
                | OriginError::Query { fixed }
                | OriginError::TrailingSlash { fixed }
                | OriginError::OtherSpelling { fixed },
            ) = SiteOrigin::parse(&text)
            else {
                return Ok(());
            };
            prop_assert!(SiteOrigin::parse(&fixed).is_ok(), "{} {}", text, fixed);
        }

        #[test]
        fn a_taken_origin_is_what_a_browser_sends(text in "https?://[a-zA-Z0-9.:-]{1,12}") {
            if let Ok(origin) = ApiOrigin::parse(&text) {
                let url = Url::parse(origin.as_str()).unwrap();
                prop_assert_eq!(url.origin().ascii_serialization(), text);
            }
        }
    }
}
