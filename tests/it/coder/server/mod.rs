//! Coder's own server, with the templates pushed and used as their READMEs say.

mod apps;
mod broken_off;
mod life;
mod log;
mod many;
mod module;
mod postgres;
mod readme;
pub mod running;
mod sign_in;
pub mod user;
pub mod workspace;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use running::Server;
use workspace::{Running, Workspace};

use super::other_images;
use crate::support::docker::images;

/// Gives a test a running workspace of the Docker template, with the default of each parameter, and
/// deletes it afterwards.
fn in_a_workspace(owner: &str, test: impl FnOnce(&Running<'_>)) {
    let server = Server::shared();
    let template = docker_template(&server);
    let owner = server.admin().create(owner);
    let workspace = Workspace::create(&owner, "shop", template);
    test(&life::works(&workspace));
    workspace.build("delete");
    assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
}

/// A copy of one of this repository's templates, for edits.
fn template(name: &str) -> TempDir {
    let copy = TempDir::with_prefix("template-").expect("a directory");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/templates");
    for file in ["main.tf", "README.md"] {
        fs::copy(from.join(name).join(file), copy.path().join(file)).expect("the template");
    }
    copy
}

/// The variables that name images, with those that are there.
fn image_variables() -> [(&'static str, &'static str); 3] {
    [
        ("workspace_image", &other_images().workspace),
        ("convex_backend_image", &images().backend),
        ("convex_dashboard_image", &images().dashboard),
    ]
}

/// The name of a person whom no other run of the tests has on this Docker host, where the names of
/// workspaces' containers begin with their owners'.
pub fn person(name: &str) -> String {
    format!("{name}{}", std::process::id())
}

/// The template "docker", pushed once to a server for all scenarios that do not change it.
fn docker_template(server: &Arc<Server>) -> &'static str {
    static PUSHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut pushed = PUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    if pushed.insert(server.url()) {
        let copy = template("docker");
        log::assert_worth_reading(
            &server
                .admin()
                .push("docker", copy.path(), &image_variables()),
        );
    }
    "docker"
}
