//! What a change must not do to data that is there.

use super::{config, configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Name, docker},
    terraform::{Core, Project},
};

const BUCKETS: &str = r#"
    region                  = "eu-west-1"
    exports_bucket          = "app-exports"
    files_bucket            = "app-files"
    modules_bucket          = "app-modules"
    search_bucket           = "app-search"
    snapshot_imports_bucket = "app-imports"
"#;

/// A store whose key has a secret that is kept nowhere.
fn store(more: &str) -> String {
    format!(
        "storage = {{ s3 = {{\n{BUCKETS}\n endpoint = \"http://minio:9000\"\n path_style = true\n access_key_id = \"id\"\n{more}\n}} }}"
    )
}

fn hidden_store() -> String {
    store("secret_access_key_wo = \"hunter2\"")
}

fn environment(name: &Name) -> String {
    let container = name.container("backend");
    docker(&["inspect", "-f", "{{json .Config.Env}}", &container])
}

fn backend(project: &Project, name: &Name) -> Backend {
    Backend::of(name, &project.state("convex_deployment.app"))
}

fn volume(name: &Name) -> String {
    docker(&["exec", &name.container("backend"), "ls", "/convex/data"])
}

#[test]
fn a_store_is_given_whole_or_not_at_all() {
    let project = Project::new(Core::Installed, &config(""));
    let half = |gone: &str| {
        let kept = BUCKETS.lines().filter(|line| !line.contains(gone));
        kept.collect::<Vec<_>>().join("\n")
    };
    let s3 = |settings: &str| format!("storage = {{ s3 = {{\n{settings}\n}} }}");
    for (attributes, texts) in [
        (
            s3(&half("files_bucket")),
            ["\"files_bucket\" is required", "storage"],
        ),
        (
            s3(&BUCKETS.replace("app-files", "")),
            [
                "Invalid value for storage.s3",
                "S3_STORAGE_FILES_BUCKET is missing",
            ],
        ),
        (
            s3(&BUCKETS.replace("app-files", "No")),
            [
                "Invalid value for storage.s3.files_bucket",
                "cannot be the name of a bucket",
            ],
        ),
        (
            s3(&format!("{BUCKETS}\n endpoint = \"minio:9000\"")),
            ["Invalid value for storage.s3.endpoint", "https://"],
        ),
        (
            store(""),
            [
                "Invalid value for storage.s3.access_key_id",
                "one of them is missing",
            ],
        ),
        (
            store("secret_access_key = \"hunter2\"\n secret_access_key_wo = \"hunter2\""),
            ["Which secret?", "secret_access_key_wo"],
        ),
        (
            format!(
                "{}\nbackend = {{ env = {{ AWS_REGION = \"x\" }} }}",
                hidden_store()
            ),
            ["backend.env[\"AWS_REGION\"]", "storage.s3"],
        ),
    ] {
        let block =
            format!("resource \"convex_deployment\" \"app\" {{\n name = \"a\"\n{attributes}\n}}");
        configure(&project, &block);
        project.validate().fails_with(&texts);
    }
}

/// From the volume to S3, on purpose, and with the secret of the key nowhere.
#[test]
fn files_stay_where_they_are_unless_their_loss_is_allowed() {
    let name = Name::new();
    let keep = "volume = {}";
    let project = project(Core::Installed, &name, keep);
    project.apply().ok();
    let made = project.state("convex_deployment.app");
    assert_eq!(
        (&made["database_kind"], &made["storage_kind"]),
        (&"sqlite".into(), &"local".into())
    );
    backend(&project, &name).set(&[("DATA", Some("precious"))]);

    let to_s3 = format!("{keep}\n{}", hidden_store());
    configure(&project, &deployment(&name, &to_s3));
    project.plan().fails_with(&[
        "The kind of storage cannot be changed",
        "npx convex import --replace-all",
        "allow_data_loss",
    ]);
    assert_eq!(
        backend(&project, &name).get("DATA").as_deref(),
        Some("precious")
    );

    // While it is stopped, because that is when nobody would notice.
    let on_purpose = format!("{to_s3}\nallow_data_loss = true\nsecrets_in_state = false");
    configure(
        &project,
        &deployment(&name, &format!("{on_purpose}\nrunning = false")),
    );
    project.apply().ok().says(&[
        "Files are left behind",
        &format!("in the directory storage of the volume {}", name.volume()),
        "db.sqlite3.aside",
        r#"~ storage_kind = "local" -> "s3""#,
    ]);
    configure(
        &project,
        &deployment(&name, &format!("{to_s3}\nsecrets_in_state = false")),
    );
    project.apply().ok();
    project.assert_no_changes();
    let listed = volume(&name);
    assert!(
        listed.contains("db.sqlite3.aside.") && listed.contains("db.sqlite3\n"),
        "{listed}"
    );
    let env = environment(&name);
    for variable in [
        "S3_STORAGE_FILES_BUCKET=app-files",
        "AWS_SECRET_ACCESS_KEY=hunter2",
    ] {
        assert!(env.contains(variable), "{env}");
    }
    assert!(!project.read("terraform.tfstate").contains("hunter2"));

    // What is found on import, and by a create, is bound to S3 all the same.
    project.run(&["state", "rm", "convex_deployment.app"]).ok();
    let arguments = [
        "import",
        "-no-color",
        "convex_deployment.app",
        name.as_str(),
    ];
    project.run(&arguments).ok();
    assert_eq!(project.state("convex_deployment.app")["storage_kind"], "s3");
    configure(&project, &deployment(&name, keep));
    project
        .plan()
        .fails_with(&["The kind of storage cannot be changed"]);
    configure(&project, &deployment(&name, &to_s3));
    project.destroy().ok();
    configure(&project, &deployment(&name, keep));
    project.apply().fails_with(&[
        "The kind of storage cannot be changed",
        "in the buckets of S3",
    ]);
    assert_eq!(name.objects(), [format!("volume {}", name.volume())]);
    configure(
        &project,
        &deployment(&name, "instance_name = \"other\"\nallow_data_loss = true"),
    );
    project.apply().ok().says(&[
        "Existing data taken over",
        "Files are left behind",
        "The old instance is left behind",
        "becomes \"other\"",
    ]);
    project.assert_no_changes();
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}
