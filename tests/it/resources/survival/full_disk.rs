//! A disk that is really full: a small file system of its own under the volume.

use std::process::Command;

use tempfile::NamedTempFile;

use super::{
    super::{config, deployment as block},
    objects,
};
use crate::support::{
    backend::Backend,
    docker::{Name, docker},
    terraform::{Core, Project},
};

/// A file system of 128 MiB in a file, as a block device.
struct Disk {
    device: String,
    _file: NamedTempFile,
}

impl Disk {
    fn new() -> Self {
        let file = NamedTempFile::with_prefix("disk-").expect("a file");
        file.as_file().set_len(128 << 20).expect("space");
        let path = file.path().to_str().expect("a path in Unicode");
        run("mkfs.ext4", &["-q", path]);
        let device = run("losetup", &["--find", "--show", path]);
        Self {
            device,
            _file: file,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
    }
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_disk_that_fills_up_is_named_and_what_was_there_is_kept() {
    let name = Name::new();
    let with = |value: &str, attributes: &str| {
        // Many, so that they do not fit on pages that the database has already.
        let env = format!(
            "resource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n variables = merge({{ A = {value:?} }}, {{ for i in range(40) : \"B${{i}}\" => join({value:?}, range(1000)) }})\n}}"
        );
        config(&format!("{}\n{env}", block(&name, attributes)))
    };
    let disk = Disk::new();
    let volume = format!("{}-data", name.as_str());
    let label = format!("io.github.coder-convex.deployment={}", name.as_str());
    let device = format!("device={}", disk.device);
    docker(&[
        "volume",
        "create",
        "--label",
        &label,
        "--opt",
        "type=ext4",
        "--opt",
        &device,
        &volume,
    ]);
    let project = Project::new(Core::Installed, &with("1", ""));
    project.apply().ok();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    let in_backend = |script: &str| {
        docker(&["exec", backend.container(), "sh", "-c", script]);
    };

    // While it runs.
    let fill = "dd if=/dev/zero of=/convex/data/filler bs=64k 2>/dev/null; dd if=/dev/zero of=/convex/data/rest bs=1k 2>/dev/null; true";
    in_backend(fill);
    project.write("main.tf", &with("2", ""));
    let outcome = project
        .apply()
        .fails_with(&["disk is full", "docker system df"]);
    assert!(!outcome.text().contains("Nothing was changed"));

    // When it is started.
    project.write("main.tf", &with("2", "backend = { memory_mb = 512 }"));
    project
        .apply()
        .fails_with(&["disk is full", "docker system df"]);

    // With space again, all is there.
    let image = &crate::support::docker::images().backend;
    let mount = format!("{volume}:/data");
    docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "rm",
        "-v",
        &mount,
        image,
        "-f",
        "/data/filler",
        "/data/rest",
    ]);
    project.apply().ok();
    project.assert_no_changes();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    assert_eq!(backend.get("A").as_deref(), Some("2"));

    // And what is full can be destroyed.
    let fill_again = ["exec", backend.container(), "sh", "-c", fill];
    docker(&fill_again);
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
}
