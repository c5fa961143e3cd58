//! What a plan says of data that stays behind, and who is planned with it.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{convex, with_secret};
use crate::{
    plugin::{
        Config, Cx, Diagnostics, Private, Provider,
        value::{Path, Value},
    },
    session::Session,
};

/// One run of Terraform.
struct Run(Arc<Session>);

impl Run {
    fn start() -> Self {
        let provider = convex();
        let empty = provider.schema().empty();
        Self(Arc::new(provider.configure(Config::new(&empty)).unwrap()))
    }

    fn plan(&self, resource: &str, prior: &Value, config: &Value) -> (Value, Diagnostics) {
        let cancel = CancellationToken::new();
        let mut cx = Cx::new(Arc::clone(&self.0), Private::default(), cancel);
        let members = convex().members();
        let parts = members.resources[resource].plan(&mut cx, prior, config);
        let parts = parts.now_or_never().unwrap();
        (parts.planned, parts.diagnostics)
    }
}

/// A new object of this configuration, once it is made: with what the plan left open.
fn made(run: &Run, resource: &str, config: &Value, found: &[(&str, Value)]) -> Value {
    let (mut state, said) = run.plan(resource, &Value::Null, config);
    assert!(!said.has_errors(), "{said:?}");
    for (path, value) in found {
        *state.at_mut(&Path::of(path)).unwrap() = value.clone();
    }
    state
}

type Given = Vec<(&'static str, Value)>;

fn deployment(given: &Given) -> Value {
    let id = || Value::from("id");
    let found = [
        ("container_ids.backend", id()),
        ("container_ids.dashboard", id()),
        ("image_digests.backend", id()),
        ("image_digests.dashboard", id()),
        ("owner_id", id()),
        ("version", id()),
    ];
    made(
        &Run::start(),
        "convex_deployment",
        &with_secret(given),
        &found,
    )
}

fn database(url: &str) -> Given {
    vec![("database.url", Value::from(url))]
}

fn hidden(version: i64) -> Given {
    vec![
        ("database.url_wo", Value::from("postgres://u:p@db")),
        ("database.url_wo_version", Value::from(version)),
    ]
}

fn store(endpoint: &str, files: &str) -> Given {
    let text = |text: &str| Value::from(text);
    vec![
        ("storage.s3.region", text("auto")),
        ("storage.s3.exports_bucket", text("exports")),
        ("storage.s3.files_bucket", text(files)),
        ("storage.s3.modules_bucket", text("modules")),
        ("storage.s3.search_bucket", text("search")),
        ("storage.s3.snapshot_imports_bucket", text("imports")),
        ("storage.s3.endpoint", text(endpoint)),
    ]
}

/// The same store by variables of the process.
fn store_by_variables(files: &str) -> Given {
    let text = |text: &str| Value::from(text);
    vec![
        ("backend.env.AWS_REGION", text("auto")),
        ("backend.env.S3_STORAGE_EXPORTS_BUCKET", text("exports")),
        ("backend.env.S3_STORAGE_FILES_BUCKET", text(files)),
        ("backend.env.S3_STORAGE_MODULES_BUCKET", text("modules")),
        ("backend.env.S3_STORAGE_SEARCH_BUCKET", text("search")),
        (
            "backend.env.S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET",
            text("imports"),
        ),
    ]
}

fn with(mut given: Given, more: &[(&'static str, Value)]) -> Given {
    given.extend(more.iter().cloned());
    given
}

fn lossy(given: Given) -> Given {
    with(given, &[("allow_data_loss", Value::from(true))])
}

/// Changes after which a backend may find other documents.
fn changes_of_documents() -> Vec<(Given, Given)> {
    let (a, b) = ("postgres://u:p@a", "postgres://u:p@b");
    let renamed = ("instance_name", Value::from("other"));
    let by_variable = |url: &str| vec![("backend.env.POSTGRES_URL", Value::from(url))];
    vec![
        (Given::new(), lossy(database(a))),
        (database(a), lossy(Given::new())),
        (database(a), database(b)),
        (database(a), lossy(with(database(a), &[renamed]))),
        (database(a), vec![("database.url", Value::Unknown)]),
        (database(a), hidden(1)),
        (hidden(1), hidden(2)),
        (by_variable(a), by_variable(b)),
        (Given::new(), lossy(store("http://a", "files"))),
        (store("http://a", "files"), lossy(Given::new())),
    ]
}

/// Changes after which it finds the same ones.
fn other_changes() -> Vec<(Given, Given)> {
    let a = "postgres://u:p@a";
    let label = ("labels.a", Value::from("1"));
    vec![
        (Given::new(), vec![label.clone()]),
        (database(a), with(database(a), std::slice::from_ref(&label))),
        (database(a), database("postgres://u:another@a")),
        (hidden(1), with(hidden(1), &[label])),
        (
            Given::new(),
            lossy(vec![("instance_name", Value::from("other"))]),
        ),
        (store("http://a", "files"), store("http://b", "files")),
        (Given::new(), vec![("backend.env.A", Value::Unknown)]),
    ]
}

/// Whether variables are planned to be sent where the deployment changes so, by its ID and by its
/// URL.
fn sends(was: &Given, now: &Given) -> [bool; 2] {
    let prior = deployment(was);
    let variable = Value::from([("A", Value::from("1"))]);
    let text = |path: &str| prior.at(&Path::of(path)).clone();
    let targets = [
        vec![("deployment", text("id"))],
        vec![("url", text("urls.api")), ("admin_key", text("admin_key"))],
    ];
    let (before, run) = (Run::start(), Run::start());
    before.plan("convex_deployment", &Value::Null, &with_secret(was));
    let (_, said) = run.plan("convex_deployment", &prior, &with_secret(now));
    assert!(!said.has_errors(), "{now:?}: {said:?}");
    targets.map(|target| {
        let mut config = convex().members().resources["convex_env"].schema().empty();
        for (path, value) in target.into_iter().chain([("variables", variable.clone())]) {
            *config.at_mut(&Path::of(path)).unwrap() = value;
        }
        let found = [
            ("revision", Value::from(1)),
            ("pending", Value::from(false)),
            ("secrets_in_state", Value::from(true)),
            ("drifted", Value::List(Vec::new())),
            ("undeclared", Value::List(Vec::new())),
        ];
        let prior = made(&before, "convex_env", &config, &found);
        let (planned, said) = run.plan("convex_env", &prior, &config);
        assert!(!said.has_errors(), "{said:?}");
        planned.at(&Path::of("revision")).is_unknown()
    })
}

#[test]
fn whoever_may_find_other_data_is_sent_its_variables_in_the_same_apply() {
    for (was, now) in changes_of_documents() {
        assert_eq!(sends(&was, &now), [true; 2], "{was:?} -> {now:?}");
    }
    for (was, now) in other_changes() {
        assert_eq!(sends(&was, &now), [false; 2], "{was:?} -> {now:?}");
    }
}

fn said(was: &Given, now: &Given) -> String {
    let plan = Run::start().plan("convex_deployment", &deployment(was), &with_secret(now));
    let texts = plan.1.iter();
    let texts = texts.map(|it| format!("{}: {}\n", it.summary(), it.detail()));
    texts.collect()
}

#[test]
fn another_deployment_can_begin_with_an_older_backend() {
    let image = |tag: &str| {
        let image = Value::from(format!("registry.example.com/a:{tag}"));
        vec![("backend.image", image)]
    };
    let refusal = "The backend cannot be downgraded";
    assert!(said(&image("2"), &image("1")).contains(refusal));
    for another in [
        ("docker.host", Value::from("tcp://127.0.0.1:2375")),
        ("name", Value::from("other")),
    ] {
        let text = said(&image("2"), &with(image("1"), &[another]));
        assert!(!text.contains(refusal), "{text}");
        assert!(!text.contains("The order of two images"), "{text}");
    }
}

/// What is only true of data that stays.
const STAYS: [&str; 5] = [
    "The data stays",
    "data stays where it is",
    "Data, variables and the sessions",
    "Users stay signed in",
    "This plan has none",
];

#[test]
fn no_warning_contradicts_another() {
    let everything_else = [
        ("backend.image", Value::from("registry.example.com/a:2")),
        ("rotate_trigger", Value::from("x")),
        ("internal_origins", Value::from(true)),
    ];
    let stores = [
        (store("http://a", "files"), store("http://b", "files")),
        (store("http://a", "files"), store("http://a", "other")),
        (store_by_variables("files"), store_by_variables("other")),
        (store_by_variables("files"), store("http://a", "files")),
    ];
    for (was, now) in changes_of_documents().into_iter().chain(stores) {
        let text = said(&was, &with(now.clone(), &everything_else));
        let wrong = STAYS.iter().find(|it| text.contains(*it));
        // Those who sign in are documents.
        let wrong = wrong.filter(|it| !text.contains("Another file store") || **it != STAYS[3]);
        assert_eq!(wrong, None, "{was:?} -> {now:?}: {text}");
    }
}

#[test]
fn what_stays_is_said_with_all_its_places() {
    let label = [("labels.a", Value::from("1"))];
    for (given, places) in [
        (Given::new(), "stays in the volume my-app-data."),
        (
            store("http://a", "files"),
            "stays in the buckets and in the volume my-app-data.",
        ),
        (
            with(database("postgres://u:p@a"), &store("http://a", "files")),
            "stays in the database \"my_app\" at a:5432, in the buckets and in the volume my-app-data.",
        ),
        (
            hidden(1),
            "stays in the database \"my_app\" and in the volume my-app-data.",
        ),
    ] {
        let text = said(&given, &with(given.clone(), &label));
        assert!(text.contains(&format!("The data {places}")), "{text}");
    }
}

#[test]
fn other_buckets_are_named() {
    let was = store("http://a", "files");
    let text = said(&was, &store("http://a", "other"));
    let files = "- files: from \"files\" at http://a to \"other\" at http://a\n";
    assert!(
        text.contains("Another file store") && text.contains(files),
        "{text}"
    );
    assert!(!text.contains("- modules"), "{text}");
    let text = said(&was, &store("http://b", "files"));
    for what in ["files", "modules", "search"] {
        assert!(text.contains(&format!("{what:?} at http://b")), "{text}");
    }
    let (was, now) = (store_by_variables("files"), store_by_variables("other"));
    assert!(said(&was, &now).contains("\"files\" of AWS to \"other\" of AWS"));
    // Another key, and another bucket for what comes and goes.
    let exports = [("storage.s3.exports_bucket", Value::from("other"))];
    let text = said(
        &store("http://a", "files"),
        &with(store("http://a", "files"), &exports),
    );
    assert!(!text.contains("Another file store"), "{text}");
}
