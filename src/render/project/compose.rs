//! The compose file, and what it starts.

use super::{
    Project,
    template::{compose, fill},
};
use crate::render::{
    backend_entrypoint,
    files::{Body, Desired, FilePath, Mode, Policy},
};

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

    pub(super) fn compose(&self) -> [Desired; 2] {
        let text = fill(
            include_str!("templates/docker-compose.convex.yml"),
            &[
                ("NAME", &self.compose_name()),
                ("BACKEND_IMAGE", &compose(&self.images.backend)),
                ("DASHBOARD_IMAGE", &compose(&self.images.dashboard)),
                ("INSTANCE_NAME", &compose(self.instance_name.as_str())),
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
