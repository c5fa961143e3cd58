//! The compose file, and what it starts.

use super::{
    Project,
    template::{compose, fill},
};
use crate::{
    convex::{Origins, origins::is_local},
    render::{
        backend_entrypoint,
        files::{Body, Desired, FilePath, Mode, Policy},
    },
};

/// The port of an origin.
fn port(origin: &str) -> Option<u16> {
    url::Url::parse(origin).ok()?.port_or_known_default()
}

/// The ports of API, site and dashboard in their containers.
fn container_ports() -> [String; 3] {
    let Origins {
        api,
        site,
        dashboard,
    } = Origins::default();
    [api.as_str(), site.as_str(), dashboard.as_str()]
        .map(|origin| port(origin).unwrap_or_default().to_string())
}

impl Project {
    /// The name of the compose project, which may only have some characters.
    fn compose_name(&self) -> String {
        let name: String = self
            .name
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = name.trim_matches('-');
        if name.is_empty() {
            "convex".to_owned()
        } else {
            format!("convex-{name}")
        }
    }

    /// The ports of API, site and dashboard on this machine, where nothing else is set: those of
    /// their origins, if these are on this machine.
    pub(super) fn published_ports(&self) -> [String; 3] {
        let Origins {
            api,
            site,
            dashboard,
        } = &self.reach.public;
        let url = self.url.as_ref().map_or("", |it| it.as_str());
        let [own_api, own_site, own_dashboard] = container_ports();
        [
            ([api.as_str(), url], own_api),
            ([site.as_str(), ""], own_site),
            ([dashboard.as_str(), ""], own_dashboard),
        ]
        .map(|(origins, own)| {
            // What has TLS is a proxy in front.
            let is_here = |origin: &&str| is_local(origin) && origin.starts_with("http:");
            let mut here = origins.into_iter().filter(is_here);
            here.find_map(port).map_or(own, |port| port.to_string())
        })
    }

    pub(super) fn compose(&self) -> [Desired; 2] {
        let [api_port, site_port, dashboard_port] = self.published_ports();
        let [api, site, dashboard] = container_ports();
        let text = fill(
            include_str!("templates/docker-compose.convex.yml"),
            &[
                ("NAME", &self.compose_name()),
                ("BACKEND_IMAGE", &compose(&self.images.backend)),
                ("DASHBOARD_IMAGE", &compose(&self.images.dashboard)),
                ("INSTANCE_NAME", &compose(self.instance_name.as_str())),
                ("API_PORT", &api_port),
                ("SITE_PORT", &site_port),
                ("DASHBOARD_PORT", &dashboard_port),
                ("API", &api),
                ("SITE", &site),
                ("DASHBOARD", &dashboard),
            ],
        );
        [
            Desired {
                path: FilePath::known("docker-compose.convex.yml"),
                policy: Policy::Managed,
                body: Body::Text(text),
                mode: Mode::Plain,
            },
            Desired {
                path: FilePath::known("convex-backend-entrypoint.sh"),
                policy: Policy::Managed,
                body: Body::Text(backend_entrypoint::SCRIPT.to_owned()),
                mode: Mode::Program,
            },
        ]
    }
}
