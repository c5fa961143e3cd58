//! A new deployment with the data of another one.

use super::{configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Name, docker, images},
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
