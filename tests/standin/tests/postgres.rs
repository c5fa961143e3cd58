//! The backend on a Postgres server.

use serde_json::json;

use crate::support::backend::Start;
use crate::support::postgres::Server;

/// A start that keeps its data on a server.
fn start() -> Start {
    Start::new().args(&["--db", "postgres-v5"])
}

fn without_tls() -> Start {
    start().args(&["--do-not-require-ssl"])
}

#[test]
fn data_is_kept_in_the_database_that_is_named_after_the_instance() {
    let server = Server::start();
    server.create_database("my_app");
    let url = server.url("?sslmode=disable");
    let start = without_tls().name("my-app");
    let mut backend = start.on(&url);
    assert_eq!(backend.set("KEPT", "in Postgres").status, 200);
    let site = json!({ "requestDestination": "convexSite", "url": "https://site.example" });
    assert_eq!(
        backend.post("/api/v1/update_canonical_url", &site).status,
        200
    );
    assert!(backend.log().contains("lease acquired"));
    backend.stop();

    let tables = server.sql("my_app", "SELECT count(*) FROM leases");
    assert_eq!(tables, "1\n");
    let backend = start.on(&url);
    assert_eq!(backend.variables(), json!({ "KEPT": "in Postgres" }));
    assert_eq!(
        backend.get_with_key("/api/v1/get_canonical_urls").json()["convexSiteUrl"],
        "https://site.example"
    );
}

#[test]
fn the_newest_backend_takes_the_database_and_the_older_one_ends() {
    let server = Server::start();
    server.create_database("carnitas");
    let url = server.url("?sslmode=disable");
    let (first, second) = (without_tls(), without_tls());
    let mut older = first.on(&url);
    assert_eq!(older.set("A", "older").status, 200);
    let newer = second.on(&url);
    // Nothing happens to the older one until it writes.
    assert_eq!(older.variables(), json!({ "A": "older" }));
    let lost = older.set("A", "too late");
    assert_eq!(
        (lost.status, lost.code().as_str()),
        (500, "InternalServerError")
    );
    assert_eq!(older.end().code(), Some(0));
    let log = older.log();
    for line in [
        "Lease Lost",
        "Received a fatal error. Shutting down immediately",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert_eq!(newer.set("B", "newer").status, 200);
    assert_eq!(newer.variables(), json!({ "A": "older", "B": "newer" }));
}

#[test]
fn while_the_server_is_down_reads_answer_and_writes_do_not() {
    let server = Server::start();
    server.create_database("carnitas");
    let start = without_tls();
    let backend = start.on(&server.url("?sslmode=disable"));
    assert_eq!(backend.set("A", "1").status, 200);
    server.down();
    assert_eq!(backend.variables(), json!({ "A": "1" }));
    assert_eq!(backend.set("A", "2").code(), "InternalServerError");
    assert_eq!(backend.variables(), json!({ "A": "1" }));
    server.up();
    assert_eq!(backend.set("A", "3").status, 200);
    assert_eq!(backend.variables(), json!({ "A": "3" }));
    // A server that restarts between two writes is not noticed at all.
    server.down();
    server.up();
    assert_eq!(backend.set("A", "4").status, 200);
}

#[test]
fn tls_is_required_and_verified_unless_told_otherwise() {
    let server = Server::start();
    server.create_database("carnitas");
    let url = server.url("");
    let trusting = || start().env("PG_CA_FILE", &server.authority());
    let mut backend = trusting().on(&url);
    assert_eq!(backend.set("A", "over TLS").status, 200);
    let tls = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE usename = 'convex' AND pid <> pg_backend_pid()";
    assert_eq!(server.sql("carnitas", tls), "t\n");
    backend.stop();

    // An authority that nobody knows is refused, whether TLS is required or only preferred.
    for refused in [start(), without_tls()] {
        let (code, said) = refused.ends_on(&url);
        assert_eq!(code, Some(1));
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
    // Only both together do without.
    let (code, _) = start().ends_on(&server.url("?sslmode=disable"));
    assert_eq!(code, Some(1));
    without_tls().on(&server.url("?sslmode=disable"));
}

#[test]
fn a_database_that_cannot_be_used_ends_the_start_with_code_1() {
    let server = Server::start();
    let refused = |url: &str| {
        let (code, said) = without_tls().ends_on(url);
        assert_eq!(code, Some(1));
        assert!(!said.contains("secret@"), "{said}");
        assert!(said.contains("ERROR"), "{said}");
        said
    };
    assert!(
        refused(&server.url("?sslmode=disable")).contains("database \"carnitas\" does not exist")
    );
    assert!(
        refused(&server.url("/carnitas?sslmode=disable"))
            .contains("already contains db name: /carnitas")
    );
    assert!(
        refused("postgres://localhost:5432").ends_with("Error: cluster url username must be set\n")
    );
    let (code, said) = start()
        .env("PG_CA_FILE", "/no/such/file")
        .ends_on(&server.url(""));
    assert_eq!(code, Some(1));
    assert!(
        said.ends_with("Error: Failed to read CA file: /no/such/file\n"),
        "{said}"
    );
    server.down();
    assert!(refused(&server.url("?sslmode=disable")).contains("Connection refused"));
}
