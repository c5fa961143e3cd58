//! The backend as a process: how it starts, what it keeps, how it ends.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::backend::Start;
use crate::support::{SECRET, wait_for};

#[test]
fn what_was_set_survives_a_restart() {
    let start = Start::new();
    let mut backend = start.sqlite();
    assert_eq!(backend.variables(), json!({}));
    assert_eq!(backend.set("KEPT", "line one\nline \"two\" é").status, 200);
    let url = json!({ "requestDestination": "convexSite", "url": "https://site.example" });
    assert_eq!(
        backend.post("/api/v1/update_canonical_url", &url).status,
        200
    );
    backend.stop();

    let backend = start.sqlite();
    assert_eq!(
        backend.variables(),
        json!({ "KEPT": "line one\nline \"two\" é" })
    );
    assert_eq!(
        backend.get_with_key("/api/v1/get_canonical_urls").json()["convexSiteUrl"],
        "https://site.example"
    );
}

#[test]
fn a_crash_loses_nothing_that_was_answered() {
    let start = Start::new();
    let mut backend = start.sqlite();
    assert_eq!(backend.set("KEPT", "yes").status, 200);
    backend.signal("KILL");
    backend.end();
    assert_eq!(start.sqlite().variables(), json!({ "KEPT": "yes" }));
}

#[test]
fn sigint_ends_it_soon_and_with_code_0() {
    let start = Start::new();
    let mut backend = start.sqlite();
    assert_eq!(backend.get("/version").body, "unknown");
    let begin = Instant::now();
    backend.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "took {:?}",
        begin.elapsed()
    );
    let log = backend.log();
    for line in ["Received Ctrl-C signal!", "Server successfully shut down."] {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn a_request_in_progress_is_finished_first() {
    let start = Start::new();
    let mut backend = start.sqlite();
    let delay = json!({ "path": "/version", "kind": "delay", "ms": 400 });
    assert_eq!(backend.post("/standin/faults", &delay).status, 204);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| backend.get("/version"));
        std::thread::sleep(Duration::from_millis(150));
        backend.signal("INT");
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(backend.end().code(), Some(0));
}

#[test]
fn it_says_that_it_is_a_stand_in_and_never_its_secret() {
    let start = Start::new();
    let backend = start.sqlite();
    backend.get_with_key("/api/check_admin_key");
    backend.get(&format!(
        "/api/check_admin_key?adminKey={}",
        backend.key.replace("Convex ", "")
    ));
    backend.set("TOKEN", "do-not-log-this");
    let log = backend.log();
    assert!(log.contains("this is the stand-in for tests"));
    assert!(log.contains("\"POST /api/update_environment_variables HTTP/1.1\" 200"));
    // As the real one words them.
    assert!(
        log.contains("keybroker::broker: Admin key accepted from MemberId(0) at "),
        "{log}"
    );
    assert!(log.contains("convex-cloud-http: [] 127.0.0.1:"), "{log}");
    assert!(
        log.contains("\"GET /api/check_admin_key HTTP/1.1\" 200 \"-\" \"-\" application/json "),
        "{log}"
    );
    let sealed = backend.key.split_once('|').unwrap().1;
    for hidden in [SECRET, sealed, "do-not-log-this"] {
        assert!(!log.contains(hidden), "{hidden} is in the log:\n{log}");
    }
}

#[test]
fn a_refused_secret_spoils_a_new_database_for_ever() {
    let start = Start::new();
    let database = start.database();
    let database = database.to_str().unwrap();
    let (code, said) = Start::new().secret(Some("not-hex")).ends_on(database);
    assert_eq!(code, Some(1));
    assert!(said.ends_with("Error: Couldn't hexdecode key\n"), "{said}");

    let (code, said) = start.ends_on(database);
    assert_eq!(code, Some(1));
    assert!(
        said.ends_with("Error: missing _tables.by_id global\n"),
        "{said}"
    );
}

#[test]
fn a_refused_secret_does_no_harm_to_a_database_in_use() {
    let start = Start::new();
    let mut backend = start.sqlite();
    backend.set("KEPT", "yes");
    backend.stop();
    let (code, _) = Start::new()
        .secret(Some("beef"))
        .ends_on(start.database().to_str().unwrap());
    assert_eq!(code, Some(1));
    assert_eq!(start.sqlite().variables(), json!({ "KEPT": "yes" }));
}

#[test]
fn a_start_without_what_it_needs_is_refused() {
    let refused = |start: Start| {
        let database = start.database();
        start.ends_on(database.to_str().unwrap())
    };
    let (code, said) = refused(Start::new().secret(None));
    assert_eq!(code, Some(1));
    assert!(said.contains("no --instance-secret was given"), "{said}");

    let origins = ["--convex-origin", "app.example", "--convex-site", ""];
    let (code, said) = refused(Start::new().args(&origins));
    assert_eq!(code, Some(1));
    assert!(
        said.ends_with(
            "Error: Origin url should start with https:// or http:// but got 'app.example'\n"
        ),
        "{said}"
    );

    let (code, said) = refused(Start::new().args(&["--convex-origin", "http://app.example"]));
    assert_eq!(code, Some(2));
    assert!(said.contains("--convex-site"), "{said}");

    let (code, said) = refused(Start::new().args(&["--db", "mysql-v5"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("no MySQL"), "{said}");
}

#[test]
fn an_empty_disable_beacon_is_an_error_and_any_other_word_is_read() {
    let database = |start: &Start| start.database().to_str().unwrap().to_owned();
    let start = Start::new().env("DISABLE_BEACON", "");
    let (code, said) = start.ends_on(&database(&start));
    assert_eq!(code, Some(2));
    assert!(said.contains("value was not a boolean"), "{said}");
    for word in ["true", "false", "1", "no"] {
        Start::new().env("DISABLE_BEACON", word).sqlite();
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let start = Start::new();
    let mut command = crate::support::backend::binary();
    command.args([
        "--instance-name",
        "app",
        "--instance-secret",
        SECRET,
        "--interface",
        "127.0.0.1",
    ]);
    command
        .args(["--port", &port, "--site-proxy-port", "0"])
        .arg("--local-storage")
        .arg(start.storage())
        .arg(start.database());
    let output = crate::support::run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    // Which address it was is not told.
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "Error: Address already in use (os error 98)\n"
    );
}

#[test]
fn the_kind_of_file_storage_cannot_change() {
    let start = Start::new();
    start.sqlite().stop();
    let (code, said) = Start::new()
        .args(&["--s3-storage"])
        .ends_on(start.database().to_str().unwrap());
    assert_eq!(code, Some(1));
    assert!(said.contains("initialized with Local storage"), "{said}");
    // Another directory is no other kind.
    Start::new()
        .args(&[
            "--local-storage",
            start.folder.path().join("elsewhere").to_str().unwrap(),
        ])
        .on(start.database().to_str().unwrap());
}

#[test]
fn the_environment_sets_version_limits_and_metrics() {
    let start = Start::new()
        .env("CONVEX_RELEASE_VERSION_DEV", "0123abcd")
        .env("ENV_VAR_LIMIT", "1")
        .env("ENV_VAR_TOTAL_SIZE_LIMIT", "nonsense")
        .env("DISABLE_METRICS_ENDPOINT", "true");
    let backend = start.sqlite();
    assert_eq!(backend.get("/version").body, "0123abcd");
    assert_eq!(backend.get("/instance_version").body, "0123abcd");
    assert_eq!(backend.set("A", "1").status, 200);
    assert_eq!(backend.set("B", "1").code(), "EnvVarLimitMet");
    assert!(
        backend
            .log()
            .contains("ENV_VAR_TOTAL_SIZE_LIMIT is not understood; 524288 applies")
    );
    let metrics = backend.get("/metrics");
    assert_eq!(
        (metrics.status, metrics.code().as_str()),
        (404, "MetricsDisabled")
    );
    assert_eq!(Start::new().sqlite().get("/metrics").status, 200);
}

#[test]
fn it_takes_its_time_to_listen_and_is_deaf_until_then() {
    let start = Start::new().env("STANDIN_FAULTS", "");
    let begin = Instant::now();
    let mut backend = start.sqlite();
    assert!(begin.elapsed() >= Duration::from_millis(400));
    backend.stop();

    // A signal ends the process before it serves, and the code is not that of a stop.
    let start = Start::new().env("STANDIN_FAULTS", "start_delay_ms=60000");
    let mut process = start.begin(start.database().to_str().unwrap());
    wait_for("the database is opened", || {
        start.database().exists().then_some(())
    });
    process.signal("INT");
    let status = wait_for("the process ends", || process.ended());
    assert_eq!(status.signal(), Some(2));
}

#[test]
fn a_stop_waits_for_a_request_until_it_is_told_again() {
    let start = Start::new();
    let mut backend = start.sqlite();
    let head = format!(
        "POST /api/update_environment_variables HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n",
        backend.key
    );
    let mut slow = TcpStream::connect(backend.api).unwrap();
    slow.write_all(head.as_bytes()).unwrap();
    wait_for("the request arrives", || {
        let requests = backend.get("/standin/requests").body;
        requests
            .contains("update_environment_variables")
            .then_some(())
    });
    backend.signal("INT");
    std::thread::sleep(Duration::from_secs(4));
    assert!(backend.ended().is_none());
    backend.signal("INT");
    assert_eq!(backend.end().code(), Some(0));
    assert!(backend.log().contains("Forcibly shutting down!"));
}

#[test]
fn a_file_that_is_no_database_ends_the_start_in_the_words_of_the_library() {
    let start = Start::new();
    std::fs::write(
        start.database(),
        "no database, but long enough to be looked into ".repeat(99),
    )
    .unwrap();
    let (code, said) = start.ends_on(start.database().to_str().unwrap());
    assert_eq!(code, Some(1));
    assert!(said.ends_with("Error: file is not a database\n"), "{said}");
}

#[test]
fn the_directory_of_files_looks_like_the_real_one() {
    let start = Start::new();
    let _backend = start.sqlite();
    for name in ["exports", "files", "modules", "search", "snapshot_imports"] {
        assert!(start.storage().join(name).is_dir(), "{name}");
    }
}
