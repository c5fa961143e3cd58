//! Scripts for people who do by hand what the provider does.

use super::{
    Project,
    template::{fill, shell},
};
use crate::render::files::{Body, Desired, FilePath, Mode, Policy};

/// Functions that all scripts have.
pub(super) const COMMON: &str = include_str!("templates/common.sh");

impl Project {
    pub(super) fn scripts(&self) -> Vec<Desired> {
        let script = |path, template, holes: &[(&str, &str)]| Desired {
            path: FilePath::known(path),
            policy: Policy::Managed,
            body: Body::Text(fill(
                template,
                &[&[("COMMON", COMMON.trim_end())], holes].concat(),
            )),
            mode: Mode::Program,
        };
        let site_url = self.site_url.as_ref().map_or_else(String::new, |url| {
            format!("names+=(SITE_URL)\nvalues+=({})\n", shell(url))
        });
        let mut files = self.compose().to_vec();
        files.push(script(
            "start-convex-backend.sh",
            include_str!("templates/start-convex-backend.sh"),
            &[],
        ));
        files.push(script(
            "scripts/setup-convex.sh",
            include_str!("templates/scripts/setup-convex.sh"),
            &[
                ("SLUG_API", &shell(&self.slugs.api.to_string())),
                ("SLUG_SITE", &shell(&self.slugs.site.to_string())),
                ("SLUG_DASHBOARD", &shell(&self.slugs.dashboard.to_string())),
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
