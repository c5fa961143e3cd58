//! The import of a template, for which there is no Docker, no backend and no
//! workspace.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{provisioner::changes, template};

/// A socket that answers nobody and counts who calls.
struct Silent {
    directory: TempDir,
    calls: Arc<AtomicUsize>,
}

impl Silent {
    fn listen() -> Self {
        let directory = TempDir::with_prefix("silent-").expect("a directory");
        let listener = UnixListener::bind(directory.path().join("socket")).expect("a socket");
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for call in listener.incoming() {
                counter.fetch_add(1, Ordering::Relaxed);
                drop(call);
            }
        });
        Self { directory, calls }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.directory.path().join("socket").display())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// The planned attributes of a resource.
fn planned<'a>(plan: &'a Json, address: &str) -> &'a Json {
    let resources = plan["planned_values"]["root_module"]["resources"].as_array();
    let resources = resources.expect("resources");
    let found = resources.iter().find(|it| it["address"] == address);
    &found.unwrap_or_else(|| panic!("{address} is not planned"))["values"]
}

/// The API's origin that is planned.
fn origin(plan: &Json) -> &str {
    let origins = &planned(plan, "convex_deployment.app")["origins"];
    origins["api"].as_str().expect("known")
}

fn import(name: &str) {
    let socket = Silent::listen();
    let by_variable = template(name).with("docker_socket", &socket.address());
    let plans = by_variable.import(&[]);
    for plan in &plans {
        let creates = changes(plan).into_values().all(|action| action == "create");
        assert!(creates, "{:?}", changes(plan));
        assert_eq!(
            origin(plan),
            "http://convex-api--default--default.apps.example.com:7080"
        );
    }
    let [start, stop] = &plans;
    assert!(changes(start).contains_key("docker_container.workspace[0]"));
    assert!(!changes(stop).contains_key("docker_container.workspace[0]"));
    assert!(changes(stop).contains_key("convex_deployment.app"));

    // By the provisioner's own environment, and where there is no socket at all.
    let nowhere = "unix:///nowhere/docker.sock";
    assert!(!Path::new("/nowhere").exists());
    let older = template(name)
        .with("agent_in_hosts", "true")
        .with("wildcard", "")
        .with("wildcard_from_access_url", "true");
    let [start, _] = older.import(&[("DOCKER_HOST", &socket.address())]);
    assert_eq!(
        origin(&start),
        "http://convex-api--main--default--default.coder.invalid:7080"
    );
    // A Coder server for a try, which has no hosts for apps.
    let local = [
        ("DOCKER_HOST", nowhere),
        ("CODER_AGENT_URL", "http://localhost:3000"),
    ];
    let [start, _] = template(name).with("wildcard", "").import(&local);
    assert_eq!(origin(&start), "http://localhost:3210");
    let auth = &planned(&start, "convex_env.app")["auth"];
    assert_eq!(auth["site_url"], "http://localhost:5173");
    assert_eq!(
        socket.calls(),
        0,
        "calls of Docker while a template is imported"
    );
    // It would have counted them.
    UnixStream::connect(socket.directory.path().join("socket")).expect("it listens");
    while socket.calls() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn the_docker_template_is_imported_without_docker_and_nothing_is_dialled() {
    import("docker");
}

#[test]
fn so_is_the_template_with_postgresql() {
    import("docker-postgres");
}
