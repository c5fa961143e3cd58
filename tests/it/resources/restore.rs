//! A new deployment with data that is there: another one's, or a snapshot's.

use std::path::Path;

use super::{configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Name, docker, images},
    snapshot,
    terraform::Core,
};

#[test]
fn a_new_deployment_begins_with_the_data_of_another_and_keys_of_its_own() {
    let (first, second) = (Name::new(), Name::new());
    let one = project(Core::Installed, &first, "");
    one.apply().ok();
    let original = one.state("convex_deployment.app");
    Backend::of(&first, &original).set(&[("DATA", Some("precious"))]);

    let from = |volume: &str| format!("restore_from = {{ volume = {volume:?} }}");
    let copy = from(&first.volume());
    let two = project(Core::Installed, &second, &from("no/such"));
    two.plan()
        .fails_with(&["Invalid value for restore_from.volume"]);
    configure(&two, &deployment(&second, &from("no-such-volume")));
    two.apply()
        .fails_with(&["The data cannot be restored", "no-such-volume"]);
    configure(&two, &deployment(&second, &copy));
    two.apply().fails_with(&[
        "The data cannot be restored",
        "in use by container",
        "running = false",
    ]);
    assert_eq!(second.objects(), Vec::<String>::new());
    configure(&one, &deployment(&first, "running = false"));
    one.apply().ok();

    // One that was interrupted is not taken for a whole one.
    let label = format!("io.github.coder-convex.deployment={}", second.as_str());
    docker(&["volume", "create", "--label", &label, &second.volume()]);
    let half = format!(
        "mkdir -p /v/credentials; printf 'begun {}' > /v/credentials/restore; touch /v/db.sqlite3",
        first.volume()
    );
    let mount = format!("{}:/v", second.volume());
    docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        "-v",
        &mount,
        &images().backend,
        "-c",
        &half,
    ]);
    configure(&two, &deployment(&second, ""));
    two.apply()
        .fails_with(&["The data is half a copy", "docker volume rm"]);
    configure(&two, &deployment(&second, &copy));
    two.apply().ok();
    two.assert_no_changes();
    let made = two.state("convex_deployment.app");
    let backend = Backend::of(&second, &made);
    assert_eq!(backend.get("DATA").as_deref(), Some("precious"));
    assert_ne!(made["admin_key"], original["admin_key"]);
    assert_ne!(made["instance_secret"], original["instance_secret"]);
    assert_eq!(made["instance_name"], second.as_str());

    // Only once: what came later stays, and so does the original.
    backend.set(&[("DATA", Some("newer"))]);
    configure(&two, &deployment(&second, ""));
    two.apply().ok().says(&["0 to add, 1 to change"]);
    let ids = two.state("convex_deployment.app")["container_ids"].clone();
    assert_eq!(ids, made["container_ids"]);
    configure(&one, &deployment(&first, ""));
    one.apply().ok();
    assert_eq!(
        Backend::of(&first, &original).get("DATA").as_deref(),
        Some("precious")
    );
    assert_eq!(backend.get("DATA").as_deref(), Some("newer"));
    one.destroy().ok();
    two.destroy().ok();
}

/// The rows of the snapshots here.
const ROWS: &str = "{\"title\":\"one\"}\n{\"title\":\"two\"}\n";

fn from(place: &str) -> String {
    format!("restore_from = {{ snapshot = {place:?} }}")
}

fn of_file(file: &Path) -> String {
    from(&file.display().to_string())
}

/// What the volume of a running deployment says of its restore, and what is
/// left of it there.
fn left(name: &Name) -> String {
    let look = "cat /convex/data/credentials/restore; ls /convex/data | grep restore || true";
    docker(&["exec", &name.container("backend"), "sh", "-c", look])
}

#[test]
fn a_new_deployment_begins_with_a_snapshot() {
    let name = Name::new();
    let project = project(Core::Installed, &name, "restore_from = {}");
    project.plan().fails_with(&["Which data?", "Neither"]);
    let both = "restore_from = { snapshot = \"a.zip\", volume = \"other\" }";
    configure(&project, &deployment(&name, both));
    project.plan().fails_with(&["Which data?", "Both"]);

    let file = project.path().join("snapshot.zip");
    configure(&project, &deployment(&name, &of_file(&file)));
    let refused = "The data cannot be restored";
    let gone = ["snapshot.zip", "No such file"];
    project
        .apply()
        .fails_with(&[&[refused], &gone[..]].concat());
    std::fs::write(&file, "no ZIP file").expect("a file");
    project.apply().fails_with(&[refused, "is no ZIP file"]);
    let stopped = format!("{}\nrunning = false", of_file(&file));
    snapshot::make(&file, "tasks", ROWS, 0);
    configure(&project, &deployment(&name, &stopped));
    project.apply().fails_with(&[refused, "running = true"]);
    configure(&project, &deployment(&name, &from("no-such-volume:/a.zip")));
    project.apply().fails_with(&[refused, "no-such-volume"]);
    assert_eq!(name.objects(), Vec::<String>::new());

    // What the backend refuses is not there at all, and the next file is.
    std::fs::write(&file, "PK but no more").expect("a file");
    configure(&project, &deployment(&name, &of_file(&file)));
    project.apply().fails_with(&[
        "The snapshot cannot be imported",
        "nothing of it is in the data",
        "invalid zip file",
    ]);
    // Nor is a volume taken for data that an earlier run has only just made.
    project.destroy().ok();
    let label = format!("io.github.coder-convex.deployment={}", name.as_str());
    docker(&["volume", "create", "--label", &label, &name.volume()]);
    // Longer than one part.
    snapshot::make(&file, "tasks", ROWS, 17 << 20);
    project.apply().ok();
    project.assert_no_changes();
    let made = project.state("convex_deployment.app");
    let backend = Backend::of(&name, &made);
    assert_eq!(backend.rows("tasks"), ROWS);
    assert_eq!(left(&name), "imported");

    // Only once, and whether the file is there makes no difference.
    std::fs::remove_file(&file).expect("the file");
    project.assert_no_changes();
    configure(&project, &deployment(&name, ""));
    project.apply().ok().says(&["0 to add, 1 to change"]);
    let ids = project.state("convex_deployment.app")["container_ids"].clone();
    assert_eq!(ids, made["container_ids"]);
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}

#[test]
fn a_snapshot_that_an_upgrade_left_is_one_to_begin_with() {
    let (first, second) = (Name::new(), Name::new());
    let one = project(Core::Installed, &first, "");
    let file = one.path().join("snapshot.zip");
    snapshot::make(&file, "tasks", ROWS, 0);
    configure(&one, &deployment(&first, &of_file(&file)));
    one.apply().ok();
    let other = format!("convex-restore-{}:other", first.as_str());
    docker(&["tag", &images().backend, &other]);
    let upgraded = format!("backend = {{ image = {other:?} }}\nupgrade = {{ snapshot = true }}");
    configure(&one, &deployment(&first, &upgraded));
    one.apply().ok();
    let place = one.state("convex_deployment.app")["last_snapshot"].clone();
    let place = place.as_str().expect("a place");

    let two = project(Core::Installed, &second, &from(place));
    two.apply().ok();
    two.assert_no_changes();
    let made = two.state("convex_deployment.app");
    assert_eq!(Backend::of(&second, &made).rows("tasks"), ROWS);
    assert_eq!(left(&second), "imported");

    // A table that has documents is never replaced, also where nobody knows
    // any more that the data was restored.
    let forget = ["exec", &second.container("backend"), "sh", "-c"];
    let mark = ["printf importing > /convex/data/credentials/restore"];
    docker(&[&forget[..], &mark].concat());
    two.run(&["state", "rm", "convex_deployment.app"]);
    two.apply().fails_with(&[
        "The snapshot cannot be imported",
        "Table tasks already exists",
    ]);
    one.destroy().ok();
    two.destroy().ok();
    docker(&["rmi", &other]);
}
