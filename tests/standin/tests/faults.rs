//! Failures on demand, each as a client meets it.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::http::{send, send_raw};
use crate::support::wait_for;

const UPDATE: &str = "/api/update_environment_variables";

fn queue(backend: &Backend, faults: &Value) {
    assert_eq!(backend.post("/standin/faults", faults).status, 204);
}

fn requests(backend: &Backend) -> Vec<(String, String, u64)> {
    let seen = backend.get("/standin/requests").json();
    let text = |seen: &Value, key: &str| seen[key].as_str().unwrap().to_owned();
    let seen = seen.as_array().unwrap().iter();
    seen.map(|seen| {
        (
            text(seen, "method"),
            text(seen, "path"),
            seen["bytes"].as_u64().unwrap(),
        )
    })
    .collect()
}

#[test]
fn a_status_strikes_as_often_as_asked() {
    let start = Start::new();
    let backend = start.sqlite();
    let conflict = "OptimisticConcurrencyControlFailure";
    queue(
        &backend,
        &json!({ "path": UPDATE, "kind": "status", "status": 503, "code": conflict, "times": 2 }),
    );
    queue(
        &backend,
        &json!([{ "path": "/version", "method": "GET", "kind": "status", "status": 502 }]),
    );
    assert_eq!(backend.set("A", "1").code(), conflict);
    assert_eq!(backend.set("A", "1").status, 503);
    assert_eq!(backend.variables(), json!({}));
    assert_eq!(backend.set("A", "1").status, 200);
    let empty = backend.get("/version");
    assert_eq!((empty.status, empty.body.as_str()), (502, ""));
    assert_eq!(backend.get("/version").status, 200);
}

#[test]
fn faults_that_wait_can_be_called_off() {
    let start = Start::new();
    let backend = start.sqlite();
    queue(
        &backend,
        &json!({ "path": "/version", "kind": "hang", "times": 100 }),
    );
    assert_eq!(
        send(backend.api, "DELETE", "/standin/faults", &[], None)
            .unwrap()
            .status,
        204
    );
    assert_eq!(backend.get("/version").status, 200);
    let unknown = backend.post(
        "/standin/faults",
        &json!({ "path": "/version", "kind": "explode" }),
    );
    assert_eq!(unknown.status, 422);
}

#[test]
fn a_delay_is_waited_before_the_request_is_handled() {
    let start = Start::new();
    let backend = start.sqlite();
    queue(
        &backend,
        &json!({ "path": UPDATE, "kind": "delay", "ms": 300 }),
    );
    let begin = Instant::now();
    assert_eq!(backend.set("A", "1").status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_reset_comes_before_the_request_is_handled() {
    let start = Start::new();
    let backend = start.sqlite();
    queue(&backend, &json!({ "path": UPDATE, "kind": "reset" }));
    let body = json!({ "changes": [{ "name": "A", "value": "1" }] });
    assert_eq!(
        backend.try_post(UPDATE, &body).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(backend.variables(), json!({}));
}

#[test]
fn a_lost_reply_leaves_the_change_behind() {
    let start = Start::new();
    let backend = start.sqlite();
    queue(&backend, &json!({ "path": UPDATE, "kind": "lose_reply" }));
    let body = json!({ "changes": [{ "name": "A", "value": "1" }] });
    assert_eq!(
        backend.try_post(UPDATE, &body).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(backend.variables(), json!({ "A": "1" }));
}

#[test]
fn a_hanging_request_holds_up_nobody_else_but_the_end() {
    let start = Start::new();
    let mut backend = start.sqlite();
    queue(&backend, &json!({ "path": "/version", "kind": "hang" }));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| send(backend.api, "GET", "/version", &[], None));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!hanging.is_finished());
        assert_eq!(backend.get("/version").status, 200);
        backend.signal("INT");
        std::thread::sleep(Duration::from_millis(500));
        assert!(!hanging.is_finished());
        backend.signal("INT");
        hanging.join().unwrap().unwrap_err();
    });
    assert_eq!(backend.end().code(), Some(0));
}

#[test]
fn requests_are_counted_with_the_length_of_their_bodies() {
    let start = Start::new();
    let backend = start.sqlite();
    backend.get("/version?adminKey=hidden");
    backend.set("A", "1");
    backend.get("/standin/process");
    let length = json!({ "changes": [{ "name": "A", "value": "1" }] })
        .to_string()
        .len() as u64;
    assert_eq!(
        requests(&backend),
        [
            ("GET".into(), "/version".into(), 0),
            ("POST".into(), UPDATE.into(), length)
        ]
    );
    assert_eq!(
        send(backend.api, "DELETE", "/standin/requests", &[], None)
            .unwrap()
            .status,
        204
    );
    assert_eq!(requests(&backend), []);
}

#[test]
fn a_body_without_an_announced_length_is_counted_as_it_comes() {
    let start = Start::new();
    let backend = start.sqlite();
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked";
    let reply = send_raw(
        backend.api,
        &format!("{head}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    )
    .unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
    assert_eq!(requests(&backend), [("POST".into(), "/echo".into(), 5)]);
}

#[test]
fn the_process_shows_names_of_its_environment_and_no_values() {
    let start = Start::new().env("CONVEX_RELEASE_VERSION_DEV", "a-value-to-find");
    let backend = start.sqlite();
    let reply = backend.get("/standin/process");
    let names = reply.json()["environment"].as_array().unwrap().clone();
    assert!(names.contains(&json!("CONVEX_RELEASE_VERSION_DEV")));
    assert!(!reply.body.contains("a-value-to-find"));
}

#[test]
fn an_older_backend_has_no_list() {
    let start = Start::new().env("STANDIN_FAULTS", "no_list,old_names");
    let backend = start.sqlite();
    for path in [
        "/api/list_environment_variables",
        "/api/v1/list_environment_variables",
        "/api/v1/get_canonical_urls",
        "/api/v1/deployment_info",
    ] {
        let reply = backend.get_with_key(path);
        assert_eq!((reply.status, reply.body.as_str()), (404, ""));
    }
    assert_eq!(backend.set(&"A".repeat(40), "1").status, 200);
    assert_eq!(
        backend.set(&"A".repeat(41), "1").code(),
        "EnvironmentVariableNameTooLong"
    );
    let query = json!({ "path": "_system/cli/queryEnvironmentVariables", "args": {} });
    assert_eq!(
        backend.post("/api/query", &query).json()["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_backend_may_never_become_healthy() {
    let start = Start::new().env("STANDIN_FAULTS", "never_healthy");
    let backend = start.sqlite();
    assert_eq!(backend.get("/version").status, 503);
    assert_eq!(backend.get("/instance_name").status, 503);
    assert_eq!(backend.get("/standin/requests").status, 200);
}

#[test]
fn a_backend_may_end_at_the_start_or_later() {
    let ends = |faults: &str| {
        let start = Start::new().env("STANDIN_FAULTS", faults);
        let begin = Instant::now();
        let (code, said) = start.ends_on(start.database().to_str().unwrap());
        (code, said, begin.elapsed())
    };
    let (code, said, _) = ends("exit_at_start=3");
    assert_eq!(code, Some(3));
    assert!(!said.contains("listening"), "{said}");
    let (code, said, took) = ends("start_delay_ms=200 exit_after_ms=7:300");
    assert_eq!(code, Some(7));
    assert!(said.contains("listening"), "{said}");
    assert!(took >= Duration::from_millis(500));
    let (code, said, _) = ends("disk_full");
    assert_eq!(code, Some(1));
    assert!(
        said.ends_with("Error: database or disk is full\n"),
        "{said}"
    );
    let (code, said, _) = ends("no_such_fault");
    assert_eq!(code, Some(1));
    assert!(said.contains("`no_such_fault` is not a fault"), "{said}");
}

#[test]
fn a_backend_may_hang_at_the_start() {
    let start = Start::new().env("STANDIN_FAULTS", "hang_at_start");
    let mut process = start.begin(start.database().to_str().unwrap());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(process.ended(), None);
    assert!(!start.database().exists());
}

#[test]
fn a_migration_that_is_stuck_keeps_the_ports_closed() {
    let start = Start::new().env("STANDIN_FAULTS", "stuck_migration");
    let mut process = start.begin(start.database().to_str().unwrap());
    wait_for("the migration is told", || {
        process
            .log()
            .contains("Executing Migration 3/128")
            .then_some(())
    });
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(process.ended(), None);
    assert!(!process.log().contains("listening"), "{}", process.log());
}

#[test]
fn a_query_may_take_too_long() {
    let start = Start::new();
    let backend = start.sqlite();
    queue(
        &backend,
        &json!({ "path": "/api/query", "kind": "time_out" }),
    );
    let query = json!({ "path": "_system/cli/exports:getLatest", "args": {}, "format": "json" });
    let reply = backend.post("/api/query", &query);
    assert_eq!(
        (reply.status, &reply.json()["status"]),
        (200, &json!("error"))
    );
    let message = reply.json()["errorMessage"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with("Function execution timed out (maximum duration: 1s)\n"),
        "{message}"
    );
    let again = backend.post("/api/query", &query).json();
    assert_eq!(again, json!({ "status": "success", "value": null }));
}

#[test]
fn a_write_to_a_full_disk_ends_the_backend_with_code_0() {
    let start = Start::new();
    let mut backend = start.sqlite();
    assert_eq!(backend.set("A", "1").status, 200);
    queue(&backend, &json!({ "path": UPDATE, "kind": "disk_full" }));
    let lost = backend.set("A", "2");
    assert_eq!(
        (lost.status, lost.code().as_str()),
        (500, "InternalServerError")
    );
    assert_eq!(backend.end().code(), Some(0));
    let log = backend.log();
    let written =
        "Write failed. Unsure if transaction committed to disk.: database or disk is full";
    for line in [written, "Received a fatal error. Shutting down immediately"] {
        assert!(log.contains(line), "{log}");
    }
    // Where there is space again, nothing of it is left.
    assert_eq!(start.sqlite().variables(), json!({ "A": "1" }));
}

#[test]
fn a_disk_that_was_full_before_looks_like_conflicts_until_the_end() {
    let start = Start::new();
    let mut backend = start.sqlite();
    assert_eq!(backend.set("A", "1").status, 200);
    queue(
        &backend,
        &json!({ "path": "/version", "kind": "disk_full" }),
    );
    backend.get("/version");
    wait_for("the backend notices", || {
        backend
            .log()
            .contains("database or disk is full")
            .then_some(())
    });
    // Until somebody writes, nothing of it shows.
    assert_eq!(backend.variables(), json!({ "A": "1" }));
    assert_eq!(backend.get("/version").status, 200);
    assert_eq!(backend.set("A", "2").code(), "InternalServerError");
    // Space does not help any more.
    send(backend.api, "DELETE", "/standin/faults", &[], None).unwrap();
    for _ in 0..3 {
        let refused = backend.set("A", "2");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "OptimisticConcurrencyControlFailure")
        );
    }
    assert_eq!(backend.variables(), json!({ "A": "1" }));
    assert_eq!(backend.end().code(), Some(0));
}
