//! The hosts by which browsers reach what Vite serves.

use url::{Host, Url};

use super::Project;

/// The variable by which Vite hears of hosts that its configuration does not name.
pub const ALLOWED_HOSTS: &str = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS";

impl Project {
    /// What Vite must allow besides what it allows by itself: the domain that the app and its
    /// deployment have in common, with a dot in front as Vite writes a domain and all below it;
    /// each host by itself where they have none. Vite answers every other host with 403.
    ///
    /// The domain outlasts the name of a Coder workspace, which a rename or a claim changes.
    #[must_use]
    pub fn allowed_hosts(&self) -> Vec<String> {
        let origins = &self.reach.public;
        let urls = [
            origins.api.as_str(),
            origins.site.as_str(),
            origins.dashboard.as_str(),
        ];
        let mut hosts: Vec<String> = urls
            .into_iter()
            .chain(self.site_url.as_deref())
            .filter_map(public_host)
            .collect();
        if let Some(domain) = common_domain(&hosts) {
            return vec![format!(".{domain}")];
        }
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// The name of a URL's host; `None` for addresses and for this machine, which Vite allows anyway.
fn public_host(url: &str) -> Option<String> {
    match Url::parse(url).ok()?.host()? {
        Host::Domain(name) if name != "localhost" && !name.ends_with(".localhost") => {
            Some(name.to_owned())
        }
        _ => None,
    }
}

/// The longest domain that all of these are in. A single label is nobody's own.
fn common_domain(hosts: &[String]) -> Option<String> {
    let (first, others) = hosts.split_first()?;
    let labels: Vec<&str> = first.split('.').collect();
    (0..labels.len().saturating_sub(1))
        .map(|start| labels[start..].join("."))
        .find(|domain| {
            let below = format!(".{domain}");
            others
                .iter()
                .all(|host| host == domain || host.ends_with(&below))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_domain_is_allowed_and_no_top_level_one() {
        let common = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts
                .iter()
                .filter_map(|host| public_host(&format!("https://{host}:8443")))
                .collect();
            common_domain(&hosts)
        };
        let workspace = [
            "convex-api--dev--ann.apps.example.com",
            "convex-site--dev--ann.apps.example.com",
            "frontend--dev--ann.apps.example.com",
        ];
        assert_eq!(common(&workspace).as_deref(), Some("apps.example.com"));
        assert_eq!(
            common(&["api--a--b--apps.example", "site--a--b--apps.example"]),
            None
        );
        assert_eq!(
            common(&["box.example", "box.example"]).as_deref(),
            Some("box.example")
        );
        assert_eq!(
            common(&["shop.example", "api.shop.example"]).as_deref(),
            Some("shop.example")
        );
        assert_eq!(common(&["shop.example", "xshop.example"]), None);
        assert_eq!(common(&["a.example", "b.test"]), None);
        assert_eq!(
            common(&["localhost", "app.localhost", "127.0.0.1", "[::1]"]),
            None
        );
        assert_eq!(common(&["intranet"]), None);
    }
}
