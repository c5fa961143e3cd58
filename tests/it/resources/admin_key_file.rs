//! A key in a file that only its owner may read.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, docker, images},
    on_each_core,
    terraform::Project,
};

/// A container that stands for a workspace, and the promise to remove it.
struct Workspace(String);

impl Workspace {
    fn start(name: &Name) -> Self {
        let container = format!("{}-workspace", name.as_str());
        let image = images().backend.as_str();
        docker(&[
            "run",
            "-d",
            "--name",
            &container,
            "--entrypoint",
            "sleep",
            image,
            "1000",
        ]);
        Self(container)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// What the deployment's backend answers to a key.
fn status(name: &Name, key: &str, method: &str, path: &str) -> String {
    let header = format!("Authorization: Convex {}", key.trim_end());
    let url = format!("http://127.0.0.1:3210{path}");
    docker(&[
        "exec",
        &name.container("backend"),
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        method,
        "-H",
        &header,
        "--json",
        r#"{"changes":[]}"#,
        &url,
    ])
}

on_each_core! {
    fn it_is_written_repaired_and_removed_and_never_in_the_state(core) {
        let name = Name::new();
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("below/admin_key");
        let all = |attributes: &str, more: &str| format!(
            "{}\nresource \"convex_admin_key_file\" \"app\" {{\n deployment = convex_deployment.app.id\n path = {:?}\n {more}\n}}",
            deployment(&name, &format!("secrets_in_state = false\n {attributes}")), path.display().to_string()
        );
        let project = Project::new(core, &config(&all("", "")));
        project.apply().ok();
        project.assert_no_changes();
        let key = || fs::read_to_string(&path).expect("the file");
        let first = key();
        let mode = fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(status(&name, &first, "GET", "/api/check_admin_key"), "200");
        assert!(!project.read("terraform.tfstate").contains(first.trim_end()));

        // Changed, opened to others, removed: brought in order.
        fs::write(&path, "mine").expect("written");
        project.plan().ok().says(&["fresh = false -> (known after apply)"]);
        project.apply().ok();
        assert_eq!(key(), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        project.apply().ok();
        let mode = fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        fs::remove_file(&path).expect("removed");
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(key(), first);

        // A stop changes nothing; a rotation does, in the same apply.
        configure(&project, &all("running = false", ""));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &all("rotate_trigger = \"1\"", ""));
        project.apply().ok();
        project.assert_no_changes();
        assert_ne!(key(), first);
        assert_eq!(status(&name, &key(), "GET", "/api/check_admin_key"), "200");

        // One that may only read.
        configure(&project, &all("rotate_trigger = \"1\"", "read_only = true"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(status(&name, &key(), "GET", "/api/list_environment_variables"), "200");
        assert_eq!(status(&name, &key(), "POST", "/api/update_environment_variables"), "403");
        project.destroy().ok();
        assert!(!path.exists());
    }
}

on_each_core! {
    fn it_follows_the_container_it_is_in(core) {
        let name = Name::new();
        let workspace = Workspace::start(&name);
        let all = |id: &str| format!(
            r#"{}
            resource "convex_admin_key_file" "app" {{
              deployment = convex_deployment.app.id
              path       = "/home/coder/.convex/admin_key"
              container  = {{ id = {id}, user = "1000:1000" }}
            }}"#,
            deployment(&name, "secrets_in_state = false")
        );
        let id = format!("{:?}", workspace.0);
        let project = Project::new(core, &config(&all(&id)));
        project.apply().ok();
        project.assert_no_changes();
        let inside = |command: &[&str]| docker(&[&["exec", &workspace.0], command].concat());
        let file = "/home/coder/.convex/admin_key";
        assert_eq!(inside(&["stat", "-c", "%a %u:%g", file]), "600 1000:1000");
        let key = inside(&["cat", file]);

        // Not there for now, and then another one.
        configure(&project, &all("null"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_admin_key_file.app")["pending"], true);
        docker(&["rm", "-f", "-v", &workspace.0]);
        let again = Workspace::start(&name);
        configure(&project, &all(&id));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(inside(&["cat", file]), key);
        drop(again);
        std::mem::forget(workspace);
        project.destroy().ok();
    }
}

#[test]
fn a_path_that_is_none_is_refused() {
    let project = Project::new(crate::support::terraform::Core::Installed, &config(""));
    for path in ["admin_key", "/a/../b", "/"] {
        configure(
            &project,
            &format!(
                "resource \"convex_admin_key_file\" \"app\" {{\n deployment = \"a\"\n path = {path:?}\n}}"
            ),
        );
        project
            .validate()
            .fails_with(&["Invalid value for path", "/home/coder"]);
    }
}
