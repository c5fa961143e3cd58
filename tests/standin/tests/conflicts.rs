//! What becomes of updates sent at the same time.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};

/// Sets as many variables at the same time; returns the statuses.
fn set_at_once(backend: &Backend, names: &[String]) -> Vec<u16> {
    let barrier = Barrier::new(names.len());
    thread::scope(|scope| {
        let sent: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(|| {
                    barrier.wait();
                    let reply = backend.set(name, "1");
                    if reply.status != 200 {
                        assert_eq!(reply.status, 503);
                        assert_eq!(reply.code(), "OptimisticConcurrencyControlFailure");
                    }
                    reply.status
                })
            })
            .collect();
        sent.into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn parallel_updates_conflict_and_only_those_that_succeed_count() {
    let start = Start::new();
    let backend = start.sqlite();
    let (mut expected, mut conflicts) = (json!({}), 0);
    for round in 0..10 {
        let names = [format!("A{round}"), format!("B{round}")];
        let statuses = set_at_once(&backend, &names);
        assert!(statuses.contains(&200), "nobody got through: {statuses:?}");
        for (name, status) in names.iter().zip(statuses) {
            if status == 200 {
                expected[name] = json!("1");
            } else {
                conflicts += 1;
            }
        }
    }
    assert_eq!(backend.variables(), expected);
    // About one in each of the ten rounds; a busy machine may send some of them apart.
    assert!((5..=10).contains(&conflicts), "{conflicts} conflicts");
}

#[test]
fn trying_again_after_a_moment_gets_through() {
    let start = Start::new();
    let backend = start.sqlite();
    let names: Vec<String> = (0..10).map(|number| format!("N{number}")).collect();
    let statuses = set_at_once(&backend, &names);
    assert!(
        statuses.iter().filter(|&&status| status == 503).count() >= 5,
        "{statuses:?}"
    );
    for name in &names {
        thread::sleep(Duration::from_millis(15));
        assert_eq!(backend.set(name, "2").status, 200);
    }
    let all: Value = names
        .iter()
        .map(|name| (name.clone(), json!("2")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(backend.variables(), all);
}

#[test]
fn what_writes_nothing_never_conflicts() {
    let start = Start::new();
    let backend = start.sqlite();
    let nothing = json!({ "changes": [{ "name": "NOT_THERE", "value": null }] });
    thread::scope(|scope| {
        for number in 0..8 {
            let (backend, nothing) = (&backend, &nothing);
            scope.spawn(move || {
                let path = "/api/update_environment_variables";
                let body = if number % 2 == 0 {
                    nothing
                } else {
                    &json!({ "changes": [] })
                };
                assert_eq!(backend.post(path, body).status, 200);
            });
        }
    });
}
