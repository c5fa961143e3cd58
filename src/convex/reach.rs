//! How a deployment is reached, from outside and by itself.

use super::origins::{ApiOrigin, Origins, SiteOrigin};

/// The public origins of a deployment, and those its backend runs on.
///
/// The backend fetches the discovery document of its own token issuer, and its Node actions call
/// their own API, both over HTTP from inside the container (upstream
/// `crates/authentication/src/lib.rs`, `npm-packages/node-executor/src/syscalls.ts`). Where the
/// public origins ask for a login first, as private Coder apps do, that fails. On internal origins
/// the backend runs on the ports of its own container, which it always reaches. Its public API
/// origin is then published as the canonical URL, and the site origin stays internal: it is the
/// issuer of tokens, which to browsers is only a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where browsers reach the deployment.
    pub public: Origins,
    /// Whether the backend runs on the ports of its own container.
    pub internal: bool,
}

impl Reach {
    /// A deployment whose backend runs on its public origins.
    #[must_use]
    pub fn public(origins: Origins) -> Self {
        Self {
            public: origins,
            internal: false,
        }
    }

    /// The origins the backend is started with.
    #[must_use]
    pub fn process(&self) -> Origins {
        if self.internal {
            Origins::internal(self.public.dashboard.clone())
        } else {
            self.public.clone()
        }
    }

    /// The issuer of tokens, and where the backend's own HTTP actions answer it.
    #[must_use]
    pub fn issuer(&self) -> SiteOrigin {
        self.process().site
    }

    /// Where browsers reach the HTTP actions, when that is not the issuer.
    #[must_use]
    pub fn custom_site(&self) -> Option<&SiteOrigin> {
        self.internal.then_some(&self.public.site)
    }

    /// The API origin to publish as canonical URL, when it is not that of the start.
    #[must_use]
    pub fn canonical_api(&self) -> Option<&ApiOrigin> {
        self.internal.then_some(&self.public.api)
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiOrigin, Origins, Reach, SiteOrigin};

    #[test]
    fn on_internal_origins_only_the_api_is_published() {
        let public = Origins {
            api: ApiOrigin::parse("https://api.example").unwrap(),
            site: SiteOrigin::parse("https://site.example").unwrap(),
            ..Origins::default()
        };
        let reach = Reach {
            public: public.clone(),
            internal: true,
        };
        assert_eq!(reach.process().api.as_str(), "http://127.0.0.1:3210");
        assert_eq!(reach.issuer().as_str(), "http://127.0.0.1:3211");
        assert_eq!(reach.canonical_api(), Some(&public.api));
        assert_eq!(reach.custom_site(), Some(&public.site));
        // What is spelt here is what anybody could have given.
        assert!(ApiOrigin::parse(reach.process().api.as_str()).is_ok());
        assert!(SiteOrigin::parse(reach.issuer().as_str()).is_ok());

        let reach = Reach::public(public.clone());
        assert_eq!(reach.process(), public);
        assert_eq!((reach.canonical_api(), reach.custom_site()), (None, None));
    }
}
