//! Several runs of Terraform on one backend at the same time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{config, configure, lean};
use crate::support::{
    backend::Backend,
    docker::{Name, port},
    http::{Fate, Server},
    terraform::{Core, Project},
};

const RUNS: usize = 6;
const EACH: usize = 25;

/// The variables of one run.
fn declared(run: usize, value: &str) -> BTreeMap<String, String> {
    (0..EACH)
        .map(|n| (format!("RUN_{run}_{n}"), format!("{value} of {run}")))
        .collect()
}

struct Run {
    project: Project,
    target: String,
}

impl Run {
    fn declare(&self, run: usize, value: &str) {
        let lines: String = declared(run, value)
            .iter()
            .map(|(name, value)| format!("{name} = {value:?}\n"))
            .collect();
        let env = format!(
            "resource \"convex_env\" \"app\" {{\n {}\n variables = {{\n {lines}}}\n secrets = {{ HIDDEN_{run} = {{ value_wo = {value:?} }} }}\n}}\n",
            self.target
        );
        configure(&self.project, &env);
    }
}

/// Lets all runs go at once.
fn all_at_once(runs: &[Run], go: impl Fn(&Project) + Sync) {
    thread::scope(|scope| {
        for run in runs {
            scope.spawn(|| go(&run.project));
        }
    });
}

/// Conflicts, broken connections and lost replies, for reads and for changes.
fn trouble() -> serde_json::Value {
    let changes = "/api/update_environment_variables";
    let reads = "/api/list_environment_variables";
    let conflict = |times: u32| {
        serde_json::json!({
            "path": changes, "kind": "status", "status": 503,
            "code": "OptimisticConcurrencyControlFailure", "times": times,
        })
    };
    let broken = |path: &str, kind: &str| serde_json::json!({ "path": path, "kind": kind });
    serde_json::json!([
        conflict(2),
        broken(changes, "lose_reply"),
        broken(changes, "reset"),
        conflict(3),
        broken(changes, "lose_reply"),
        broken(reads, "reset"),
        broken(reads, "lose_reply"),
    ])
}

#[test]
fn runs_that_meet_end_with_what_each_of_them_declares_on_the_standin() {
    let (name, port) = (Name::new(), port());
    let owner = Project::new(
        Core::Installed,
        &config(&lean(
            &name,
            &format!("network = {{ publish = {{ api = {port} }} }}"),
        )),
    );
    owner.apply().ok();
    let backend = Backend::of(&name, &owner.state("convex_deployment.app"));
    let foreign = ("FOREIGN", "untouched");
    backend.set(&[(foreign.0, Some(foreign.1))]);

    // Half of the runs speak through the container, half by a URL behind which
    // now and then a connection breaks, before or after a request was handled.
    let server = Server::before(&format!("http://127.0.0.1:{port}"));
    let struck = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&struck);
    server.judge(
        move |_, _| match count.fetch_add(1, Ordering::Relaxed) % 5 {
            1 => Fate::LoseReply,
            3 => Fate::Close,
            _ => Fate::Pass,
        },
    );
    let runs: Vec<_> = (0..RUNS)
        .map(|run| {
            let core = if run % 3 == 2 {
                Core::V1_15
            } else {
                Core::Installed
            };
            let target = if run % 2 == 0 {
                format!("deployment = {:?}", name.as_str())
            } else {
                format!("url = {:?}\n admin_key = {:?}", server.url(), backend.key())
            };
            Run {
                project: Project::new(core, &config("")),
                target,
            }
        })
        .collect();

    for value in ["first", "second"] {
        for (number, run) in runs.iter().enumerate() {
            run.declare(number, value);
        }
        backend.fail(&trouble());
        all_at_once(&runs, |project| {
            project.apply().ok();
        });
        let mut expected: BTreeMap<_, _> = (0..RUNS).flat_map(|run| declared(run, value)).collect();
        for run in 0..RUNS {
            expected.insert(format!("HIDDEN_{run}"), value.to_owned());
        }
        expected.insert(foreign.0.to_owned(), foreign.1.to_owned());
        assert_eq!(backend.variables(), expected);
        backend.heal();
        all_at_once(&runs, Project::assert_no_changes);
    }
    backend.fail(&trouble());
    all_at_once(&runs, |project| {
        project.destroy().ok();
    });
    backend.heal();
    let left: Vec<_> = backend.variables().into_keys().collect();
    assert_eq!(left, [foreign.0]);
    owner.destroy().ok();
    println!(
        "measured: {RUNS} runs at once, {} requests by URL of which two in five were struck",
        struck.load(Ordering::Relaxed)
    );
}

/// More trouble than is borne ends with an error, and changes nothing by half.
#[test]
fn patience_with_conflicts_ends_with_what_to_do_on_the_standin() {
    let backend = Backend::start();
    let blocks = format!(
        "resource \"convex_env\" \"app\" {{\n url = {:?}\n admin_key = {:?}\n variables = {{ A = \"1\", B = \"1\" }}\n}}\n",
        backend.url(),
        backend.key()
    );
    let project = Project::new(Core::Installed, &config(&blocks));
    backend.fail(&serde_json::json!({
        "path": "/api/update_environment_variables", "kind": "status", "status": 503,
        "code": "OptimisticConcurrencyControlFailure", "times": 1000,
    }));
    project.apply().fails_with(&[
        "Others change the variables at the same time",
        "Apply again",
    ]);
    assert!(backend.variables().is_empty());
    backend.heal();
    project.apply().ok();
    project.assert_no_changes();
    project.destroy().ok();
}
