//! Scripts for people who do by hand what the provider does.

use super::{
    Project,
    template::{fill, shell},
};
use crate::{
    convex::{DashboardOrigin, Origins},
    render::files::{Body, Desired, FilePath, Mode, Policy},
};

/// Functions that all scripts have.
pub(super) const COMMON: &str = include_str!("templates/common.sh");

/// The function that adds to an env file.
pub(super) const ADD_MISSING: &str = include_str!("templates/add-missing.sh");

/// The script that sets everything up.
pub const SETUP: &str = "scripts/setup-convex.sh";

/// An origin that was named, and is not the one that stands for none.
fn given(dashboard: &DashboardOrigin) -> &str {
    let default = Origins::default().dashboard;
    if *dashboard == default {
        ""
    } else {
        dashboard.as_str()
    }
}

impl Project {
    pub(super) fn scripts(&self) -> Vec<Desired> {
        let common = format!("{COMMON}\n{}", ADD_MISSING.trim_end());
        let script = |path, template, holes: &[(&str, &str)]| Desired {
            path: FilePath::known(path),
            policy: Policy::Managed,
            body: Body::Text(fill(
                template,
                &[&[("COMMON", common.as_str())], holes].concat(),
            )),
            mode: Mode::Program,
        };
        let site_url = self
            .site_url
            .as_ref()
            .map_or_else(String::new, |url| format!("want SITE_URL {}\n", shell(url)));
        let [api, site, dashboard] = self.published_ports();
        let ports = fill(
            include_str!("templates/ports.sh").trim_end(),
            &[
                ("API_PORT", &api),
                ("SITE_PORT", &site),
                ("DASHBOARD_PORT", &dashboard),
            ],
        );
        let internal = Origins::internal(self.reach.public.dashboard.clone());
        let mut files = self.compose().to_vec();
        files.push(script(
            "start-convex-backend.sh",
            include_str!("templates/start-convex-backend.sh"),
            &[("PORTS", &ports)],
        ));
        files.push(script(
            SETUP,
            include_str!("templates/scripts/setup-convex.sh"),
            &[
                ("PORTS", &ports),
                ("ISSUER", internal.site.as_str()),
                ("SLUG_API", &shell(&self.slugs.api.to_string())),
                ("SLUG_SITE", &shell(&self.slugs.site.to_string())),
                ("SLUG_DASHBOARD", &shell(&self.slugs.dashboard.to_string())),
                ("DASHBOARD", &shell(given(&self.reach.public.dashboard))),
            ],
        ));
        files.push(script(
            "scripts/init-convex-env.sh",
            include_str!("templates/scripts/init-convex-env.sh"),
            &[("SITE_URL", site_url.trim_end())],
        ));
        files
    }
}
