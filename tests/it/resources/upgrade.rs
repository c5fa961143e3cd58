//! Other images for a deployment that has data.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use super::{config, configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Name, docker, images},
    snapshot, standin,
    terraform::{Core, Project},
};

/// Images like the backend's under tags of their own, which go at the end.
struct Tags {
    repository: String,
    tags: Vec<&'static str>,
}

impl Tags {
    fn new(name: &Name, tags: &[&'static str]) -> Self {
        // What is made from an image inherits its revision, and then is of the same release.
        Self::labelled(name, tags, |tag| {
            format!("org.opencontainers.image.revision={tag}")
        })
    }

    fn labelled(
        name: &Name,
        tags: &[&'static str],
        labels: impl Fn(&'static str) -> String,
    ) -> Self {
        let all = Self {
            repository: format!("convex-upgrade-{}", name.as_str()),
            tags: tags.to_vec(),
        };
        let made = docker(&["create", &images().backend]);
        for tag in tags {
            let label = format!("LABEL {}", labels(tag));
            docker(&["commit", "--change", &label, &made, &all.of(tag)]);
        }
        docker(&["rm", "-v", &made]);
        all
    }

    fn of(&self, tag: &str) -> String {
        format!("{}:{tag}", self.repository)
    }

    /// A deployment from the image with this tag.
    fn deployment(&self, name: &Name, tag: &str, attributes: &str) -> String {
        let image = format!("backend = {{ image = {:?} }}", self.of(tag));
        deployment(name, &format!("{image}\n{attributes}"))
    }
}

impl Drop for Tags {
    fn drop(&mut self) {
        for tag in &self.tags {
            let arguments = ["rmi", "-f", &self.of(tag)];
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}

fn image(name: &Name) -> String {
    docker(&[
        "inspect",
        "-f",
        "{{.Config.Image}}",
        &name.container("backend"),
    ])
}

fn last_snapshot(project: &Project) -> String {
    let state = project.state("convex_deployment.app");
    state["last_snapshot"].as_str().expect("a place").to_owned()
}

/// Demands a whole ZIP file that only its owner reads.
#[track_caller]
fn assert_snapshot(file: &Path) {
    let mode = file.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    let tested = Command::new("python3")
        .args(["-m", "zipfile", "-t"])
        .arg(file)
        .output();
    let tested = tested.expect("Python");
    assert!(
        tested.status.success(),
        "{}",
        String::from_utf8_lossy(&tested.stderr)
    );
}

#[test]
fn a_snapshot_comes_first_and_an_older_backend_never() {
    let name = Name::new();
    let tags = Tags::new(&name, &["1.0.0", "1.1.0", "blue", "green"]);
    let on_volume = "upgrade = { snapshot = true }";
    let project = Project::new(
        Core::Installed,
        &config(&tags.deployment(&name, "1.0.0", on_volume)),
    );
    project.apply().ok();
    assert!(project.state("convex_deployment.app")["last_snapshot"].is_null());

    configure(&project, &tags.deployment(&name, "1.1.0", on_volume));
    project
        .apply()
        .ok()
        .says(&["+ last_snapshot = (known after apply)"]);
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("1.1.0"));
    let place = last_snapshot(&project);
    let file = place
        .strip_prefix(&format!("{}:", name.volume()))
        .expect("on the volume");
    assert!(
        file.starts_with("/convex/data/snapshots/") && file.contains("-1.0.0-"),
        "{file}"
    );
    let copy = project.path().join("copy.zip");
    let from = format!("{}:{file}", name.container("backend"));
    docker(&["cp", &from, &copy.display().to_string()]);
    assert_snapshot(&copy);

    // By the tags, which are numbers.
    configure(&project, &tags.deployment(&name, "1.0.0", on_volume));
    project.plan().fails_with(&[
        "The backend cannot be downgraded",
        "1.1.0",
        "allow_data_loss",
    ]);

    // To the machine that runs Terraform.
    let directory = project.path().join("snapshots");
    std::fs::create_dir(&directory).expect("a directory");
    let here = format!(
        "upgrade = {{ snapshot = true, path = {:?} }}",
        directory.display().to_string()
    );
    configure(&project, &tags.deployment(&name, "blue", &here));
    project.apply().ok();
    let place = last_snapshot(&project);
    assert!(Path::new(&place).starts_with(&directory), "{place}");
    assert_snapshot(Path::new(&place));
    let left = docker(&[
        "exec",
        &name.container("backend"),
        "ls",
        "-A",
        "/convex/data/snapshots",
    ]);
    assert_eq!(left.lines().count(), 1, "{left}");

    // Another name of what runs is no other release.
    docker(&["tag", &tags.of("blue"), &tags.of("azure")]);
    for tag in ["azure", "blue"] {
        configure(&project, &tags.deployment(&name, tag, ""));
        project.apply().ok();
        assert_eq!(image(&name), tags.of(tag));
    }
    docker(&["rmi", &tags.of("azure")]);

    // By what has run, where the tags do not tell.
    configure(&project, &tags.deployment(&name, "1.1.0", &here));
    project
        .apply()
        .fails_with(&["The backend cannot be downgraded", "blue"]);
    assert_eq!(image(&name), tags.of("blue"));
    let nowhere = "upgrade = { snapshot = true, path = \"/nowhere\" }";
    configure(&project, &tags.deployment(&name, "green", nowhere));
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    backend.requests();
    project
        .apply()
        .fails_with(&["No snapshot, so no upgrade", "/nowhere"]);
    assert_eq!(exports(&backend), 0);
    configure(
        &project,
        &tags.deployment(&name, "1.1.0", "allow_data_loss = true"),
    );
    project
        .apply()
        .ok()
        .says(&["An older backend on newer data", "blue"]);
    assert_eq!(image(&name), tags.of("1.1.0"));
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}

#[test]
fn an_older_image_is_refused_where_only_its_date_tells() {
    const OCTOBER: &str = "1111111111111111111111111111111111111111";
    const JUNE: &str = "ffffffffffffffffffffffffffffffffffffffff";
    let name = Name::new();
    let tags = Tags::labelled(&name, &[OCTOBER, JUNE], |tag| {
        let month = if tag == OCTOBER { 10 } else { 6 };
        let label = "org.opencontainers.image";
        format!("{label}.revision={tag} {label}.created=2026-{month:02}-07T10:00:00Z")
    });
    let project = Project::new(
        Core::Installed,
        &config(&tags.deployment(&name, OCTOBER, "dashboard = { enabled = false }")),
    );
    project.apply().ok();
    configure(
        &project,
        &tags.deployment(&name, JUNE, "dashboard = { enabled = false }"),
    );
    project
        .plan()
        .ok()
        .says(&["The order of two images is open", JUNE]);
    project
        .apply()
        .fails_with(&["The backend cannot be downgraded", OCTOBER]);
    assert_eq!(image(&name), tags.of(OCTOBER));
    // A list that cannot be read is not an empty one.
    let list = "echo '[{' > /convex/data/credentials/releases.json";
    docker(&["exec", &name.container("backend"), "sh", "-c", list]);
    project
        .apply()
        .fails_with(&["The list of past releases is unreadable", "allow_data_loss"]);
    // Neither can a snapshot be had then, of data that is stopped.
    let stopped = "dashboard = { enabled = false }\nrunning = false";
    configure(&project, &tags.deployment(&name, OCTOBER, stopped));
    project.apply().ok();
    let snapshot = "dashboard = { enabled = false }\nupgrade = { snapshot = true }";
    configure(&project, &tags.deployment(&name, OCTOBER, snapshot));
    project
        .apply()
        .fails_with(&["The list of past releases is unreadable", "allow_data_loss"]);
    let lossy = format!("{snapshot}\nallow_data_loss = true");
    configure(&project, &tags.deployment(&name, OCTOBER, &lossy));
    project.apply().ok().says(&[
        "The list of past releases is unreadable",
        "No snapshot before the backend starts",
    ]);
    configure(&project, &tags.deployment(&name, JUNE, snapshot));
    project
        .apply()
        .fails_with(&["The backend cannot be downgraded", OCTOBER]);
    project.destroy().ok();
}

/// How many snapshots a backend was asked for since the last look.
fn exports(backend: &Backend) -> usize {
    let asked = backend.requests();
    let exports = asked.iter().filter(|it| it.contains("/api/export/request"));
    exports.count()
}

/// What can fail comes before anything is ended: images, networks, the database.
#[test]
fn an_image_that_cannot_be_had_takes_nothing_down() {
    let name = Name::new();
    let tags = Tags::new(&name, &["1", "2"]);
    let upgrade = "upgrade = { snapshot = true }";
    let running = tags.deployment(&name, "1", upgrade);
    let project = Project::new(Core::Installed, &config(&running));
    project.apply().ok();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    let ids = || {
        ["backend", "dashboard"].map(|role| {
            let format = "{{.Id}} {{.State.StartedAt}}";
            docker(&["inspect", "-f", format, &name.container(role)])
        })
    };
    let before = ids();
    backend.requests();
    let missing = "localhost:1/no/such/image:1";
    let dashboard = format!("{upgrade}\ndashboard = {{ image = {missing:?} }}");
    let network = format!("{upgrade}\nnetwork = {{ networks = [\"no-such-network\"] }}");
    let no_database = format!(
        "{upgrade}\nallow_data_loss = true\ndatabase = {{ url = \"postgres://u:p@127.0.0.1:1\" }}"
    );
    for (blocks, texts) in [
        (
            running.replace(&tags.of("1"), missing),
            &["Image cannot be had", missing][..],
        ),
        (
            tags.deployment(&name, "2", &dashboard),
            &["Image cannot be had", missing],
        ),
        (
            tags.deployment(&name, "2", &network),
            &["No such network", "no-such-network"],
        ),
        (
            tags.deployment(&name, "2", &no_database),
            &["No database server at this port"],
        ),
    ] {
        configure(&project, &blocks);
        project.apply().fails_with(texts);
        assert_eq!(ids(), before, "{texts:?}");
        assert_eq!(exports(&backend), 0, "{texts:?}");
    }
    configure(&project, &running);
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(ids(), before);
    project.destroy().ok();
}

#[test]
fn the_version_is_that_of_what_runs() {
    let name = Name::new();
    let tags = Tags::new(&name, &["7", "8"]);
    let version = |project: &Project| project.state("convex_deployment.app")["version"].clone();
    let project = Project::new(Core::Installed, &config(&tags.deployment(&name, "7", "")));
    project.apply().ok();
    assert_eq!(version(&project), "7");

    // Another image while it is stopped.
    configure(&project, &tags.deployment(&name, "7", "running = false"));
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "8", "running = false"));
    project.plan().ok().says(&["- version = \"7\" -> null"]);
    project.apply().ok();
    project.assert_no_changes();
    configure(&project, &tags.deployment(&name, "8", ""));
    project
        .plan()
        .ok()
        .says(&["+ version = (known after apply)"]);
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(version(&project), "8");

    // Told by a variable.
    let told = format!(
        "backend = {{ image = {:?}, env = {{ CONVEX_RELEASE_VERSION_DEV = \"9\" }} }}",
        tags.of("8")
    );
    configure(&project, &deployment(&name, &told));
    project
        .plan()
        .ok()
        .says(&["~ version = \"8\" -> (known after apply)"]);
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(version(&project), "9");

    // A state that has another one, as earlier versions of the provider left it.
    let state = project.read("terraform.tfstate");
    project.write(
        "terraform.tfstate",
        &state.replace("\"version\": \"9\"", "\"version\": \"7\""),
    );
    assert_eq!(version(&project), "7");
    project
        .run(&["apply", "-refresh-only", "-auto-approve", "-no-color"])
        .ok();
    assert_eq!(version(&project), "9");
    project.destroy().ok();
}

#[test]
fn an_upgrade_whose_snapshot_fails_changes_nothing_on_the_standin() {
    let name = Name::new();
    let tags = Tags::new(&name, &["1", "2"]);
    let upgrade = "upgrade = { snapshot = true }";
    let project = Project::new(
        Core::Installed,
        &config(&tags.deployment(&name, "1", upgrade)),
    );
    project.apply().ok();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    backend.fail(&serde_json::json!({
        "path": "/api/export/request/zip", "kind": "status", "status": 500,
        "code": "InternalServerError",
    }));
    configure(&project, &tags.deployment(&name, "2", upgrade));
    project.apply().fails_with(&["export a snapshot"]);
    assert_eq!(image(&name), tags.of("1"));
    project.destroy().ok();
}

#[test]
fn data_that_is_stopped_is_exported_by_the_backend_that_ran_last() {
    let name = Name::new();
    let tags = Tags::new(&name, &["1", "2", "3", "4", "5", "6"]);
    let upgrade = "upgrade = { snapshot = true }\nvolume = { on_destroy = \"retain\" }";
    let stopped = format!("{upgrade}\nrunning = false");
    let project = Project::new(
        Core::Installed,
        &config(&tags.deployment(&name, "1", upgrade)),
    );
    let snapshot = project.path().join("snapshot.zip");
    let rows = "{\"title\":\"precious\"}\n";
    snapshot::make(&snapshot, "tasks", rows, 0);
    let restored = format!(
        "{upgrade}\nrestore_from = {{ snapshot = {:?} }}",
        snapshot.display().to_string()
    );
    configure(&project, &tags.deployment(&name, "1", &restored));
    project.apply().ok();
    let taken_of = |tag: &str| {
        let place = last_snapshot(&project);
        let file = place.strip_prefix(&format!("{}:", name.volume()));
        let file = file.expect("on the volume");
        assert!(file.contains(&format!("-{tag}-")), "{file}");
        let copy = project.path().join("copy.zip");
        let from = format!("{}:{file}", name.container("backend"));
        docker(&["cp", &from, &copy.display().to_string()]);
        assert_eq!(snapshot::rows(&copy, "tasks"), rows);
    };

    // As a new version of a template: stopped with the old one, started with the new one.
    configure(&project, &tags.deployment(&name, "1", &stopped));
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "2", upgrade));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("2"));
    taken_of("1");

    // The same image again needs none.
    let before = last_snapshot(&project);
    configure(&project, &tags.deployment(&name, "2", &stopped));
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "2", upgrade));
    project.apply().ok();
    assert_eq!(last_snapshot(&project), before);

    // The image changes while it is stopped.
    configure(&project, &tags.deployment(&name, "2", &stopped));
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "3", &stopped));
    project.apply().ok();
    assert_eq!(last_snapshot(&project), before);
    configure(&project, &tags.deployment(&name, "3", upgrade));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("3"));
    taken_of("2");

    // Stopped by the same apply that changes the image: it is exported once, by
    // the next start, which is when another image gets the data.
    let before = last_snapshot(&project);
    configure(&project, &tags.deployment(&name, "4", &stopped));
    project.apply().ok();
    assert_eq!(last_snapshot(&project), before);
    configure(&project, &tags.deployment(&name, "4", upgrade));
    project.apply().ok();
    assert_ne!(last_snapshot(&project), before);
    taken_of("3");

    // Removed and made again on the data that stayed. Without a snapshot there is no upgrade.
    project.destroy().ok();
    let gone = tags.of("4");
    docker(&["tag", &gone, &format!("{gone}-aside")]);
    docker(&["rmi", &gone]);
    configure(&project, &tags.deployment(&name, "5", upgrade));
    project
        .apply()
        .fails_with(&["No snapshot, so no upgrade", &gone]);
    docker(&["tag", &format!("{gone}-aside"), &gone]);
    docker(&["rmi", &format!("{gone}-aside")]);
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("5"));
    taken_of("4");

    // Data that is left behind cannot be exported by then.
    configure(&project, &tags.deployment(&name, "5", &stopped));
    project.apply().ok();
    let elsewhere = format!("{upgrade}\nallow_data_loss = true\ninstance_name = \"elsewhere\"");
    configure(&project, &tags.deployment(&name, "6", &elsewhere));
    project
        .apply()
        .fails_with(&["No snapshot, so no upgrade", "Change the image first"]);
    assert!(!name.objects().iter().any(|it| it.starts_with("container")));
    project.destroy().ok();
    docker(&["volume", "rm", &name.volume()]);
}

#[test]
fn a_running_backend_keeps_its_image_where_that_is_the_policy() {
    let name = Name::new();
    let tags = Tags::new(&name, &["1", "2"]);
    let keep = "upgrade = { policy = \"keep\" }";
    let project = Project::new(Core::Installed, &config(&tags.deployment(&name, "1", keep)));
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "2", keep));
    let warning = "The running backend keeps its image";
    project
        .apply()
        .ok()
        .says(&[warning, "until it is stopped and started"]);
    project.assert_no_changes();
    let kept = |project: &Project| {
        project.state("convex_deployment.app")["kept_images"]["backend"].clone()
    };
    assert_eq!(
        (image(&name), kept(&project)),
        (tags.of("1"), tags.of("1").into())
    );

    // Made anew for another reason, it is the same image.
    let labelled = format!("{keep}\nlabels = {{ a = \"1\" }}");
    configure(&project, &tags.deployment(&name, "2", &labelled));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("1"));

    configure(
        &project,
        &tags.deployment(&name, "2", &format!("{labelled}\nrunning = false")),
    );
    project.apply().ok();
    configure(&project, &tags.deployment(&name, "2", &labelled));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(image(&name), tags.of("2"));
    assert!(kept(&project).is_null());
    project.destroy().ok();
}

#[test]
fn releases_that_differ_are_refused() {
    let name = Name::new();
    let differ = r#"
        backend   = { image = "ghcr.io/get-convex/convex-backend:903b8b96c4bc" }
        dashboard = { image = "ghcr.io/get-convex/convex-dashboard:94a42c3db8d7" }
    "#;
    let project = project(Core::Installed, &name, differ);
    project
        .plan()
        .fails_with(&["Backend and dashboard are of different releases"]);
    let moving = r#"
        backend   = { image = "ghcr.io/get-convex/convex-backend:latest" }
        dashboard = { image = "ghcr.io/get-convex/convex-dashboard:latest" }
    "#;
    configure(&project, &deployment(&name, moving));
    project.plan().ok().says(&[
        "Which release of the backend is that?",
        "A reviewer should ask",
    ]);
}

#[test]
fn a_migration_that_lasts_is_told_on_the_standin() {
    let name = Name::new();
    let stuck = format!(
        "{}\n timeouts = {{ create = \"12s\" }}",
        standin::faulty("stuck_migration")
    );
    let project = project(Core::Installed, &name, &stuck);
    project.apply().fails_with(&[
        "The backend does not answer",
        "migrating its data, at step 3/128",
    ]);
    project.destroy().ok();
}
