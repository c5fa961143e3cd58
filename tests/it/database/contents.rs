//! What is in a database, and who may use it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use terraform_provider_convex::database::{Contents, DatabaseError, Part, Storage};

use super::{database, look_as, postgres, role, shared};

/// Tables as a backend makes them (upstream `crates/postgres/src/sql.rs`).
const TABLES: &str = "
    CREATE TABLE documents (id BYTEA NOT NULL, ts BIGINT NOT NULL, table_id BYTEA NOT NULL,
        json_value BYTEA NOT NULL, deleted BOOLEAN DEFAULT false, prev_ts BIGINT,
        PRIMARY KEY (ts, table_id, id));
    CREATE TABLE indexes (index_id BYTEA NOT NULL, ts BIGINT NOT NULL, key_prefix BYTEA NOT NULL,
        key_suffix BYTEA NULL, key_sha256 BYTEA NOT NULL, deleted BOOLEAN, table_id BYTEA,
        document_id BYTEA, PRIMARY KEY (index_id, key_sha256, ts));
    CREATE TABLE leases (id BIGINT NOT NULL, ts BIGINT NOT NULL, PRIMARY KEY (id));
    CREATE TABLE read_only (id BIGINT NOT NULL, PRIMARY KEY (id));
    CREATE TABLE persistence_globals (key TEXT NOT NULL, json_value BYTEA NOT NULL, PRIMARY KEY (key));
    INSERT INTO leases (id, ts) VALUES (1, 0)";

async fn look(server: &postgres::Server, name: &str) -> Result<Contents, DatabaseError> {
    let url = server.url("?sslmode=disable");
    let found = look_as(&database(&url, |_| ()), name).await?;
    Ok(found.contents.unwrap())
}

/// The table of all tables, that of the deployment's own document, and one of the app's.
const TABLE_OF_TABLES: &str = "00112233445566778899aabbccddeeff";
const OWN_TABLE: &str = "0123456789abcdef0123456789abcdef";
const APP_TABLE: &str = "fedcba9876543210fedcba9876543210";

fn document(table: &str, id: &str, json: &str, ts: i64) -> String {
    format!(
        "INSERT INTO documents (id, ts, table_id, json_value) VALUES
            (decode('{id}', 'hex'), {ts}, decode('{table}', 'hex'), convert_to('{json}', 'UTF8'))"
    )
}

#[tokio::test]
async fn the_data_of_a_backend_is_seen() {
    let server = shared();
    server.create_database("seen_app");
    assert_eq!(
        look(&server, "seen-app").await.unwrap(),
        Contents::default()
    );

    server.sql("seen_app", TABLES);
    assert_eq!(
        look(&server, "seen-app").await.unwrap(),
        Contents::default()
    );

    server.sql("seen_app", "UPDATE leases SET ts = 1782000000123456789");
    let globals = |storage: &str| {
        format!(r#"{{"awsPrefixSecret":"s3cr3t","storageType":{storage},"version":"$x"}}"#)
    };
    let s3 = |instance: &str| {
        globals(&format!(
            r#"{{"s3Prefix":"{instance}-s3cr3t/","tag":"s3"}}"#
        ))
    };
    // The app's own users write whatever they like.
    let theirs = |ts| document(APP_TABLE, APP_TABLE, &s3("other"), ts);
    server.sql("seen_app", &theirs(1));
    let contents = look(&server, "seen-app").await.unwrap();
    assert!(contents.has_data);
    assert_eq!(contents.storage, None);
    let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_782_000_000_123_456_789);
    assert_eq!(contents.last_start, Some(started));
    assert_eq!(contents.holder(), None);

    // As a backend makes them (upstream `crates/database/src/database.rs`).
    let table = |id: &str, rest: &str, ts| {
        let json = format!(r#"{{"name":"_db","number":2,"state":"active"{rest}}}"#);
        document(TABLE_OF_TABLES, id, &json, ts)
    };
    server.sql(
        "seen_app",
        "INSERT INTO persistence_globals VALUES ('tables_table_id',
            convert_to('\"ABEiM0RVZneImaq7zN3u_w\"', 'UTF8'))",
    );
    assert_eq!(look(&server, "seen-app").await.unwrap().storage, None);
    let component = r#","namespace":{"id":"c","kind":"ByComponent"}"#;
    server.sql("seen_app", &table(APP_TABLE, component, 2));
    server.sql("seen_app", &table(OWN_TABLE, "", 3));
    let own = |json: &str, ts| document(OWN_TABLE, "aa", json, ts);
    server.sql("seen_app", &own(&globals("null"), 4));
    server.sql("seen_app", &theirs(5));
    assert_eq!(look(&server, "seen-app").await.unwrap().storage, None);
    let local = globals(r#"{"dir":"/convex/data/storage","tag":"local"}"#);
    server.sql("seen_app", &own(&local, 6));
    server.sql("seen_app", &theirs(7));
    let contents = look(&server, "seen-app").await.unwrap();
    assert_eq!(contents.storage, Some(Storage::Volume));

    server.sql("seen_app", &own(&s3("seen-app"), 8));
    let contents = look(&server, "seen-app").await.unwrap();
    assert_eq!(contents.storage, Some(Storage::S3));
    server.sql("seen_app", &own(&s3("seen_app"), 9));
    let error = look(&server, "seen-app").await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::OtherInstance { .. }),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn a_backend_that_runs_is_seen_by_its_lease_and_its_connection() {
    let server = shared();
    server.create_database("held_app");
    server.sql("held_app", TABLES);
    server.sql("held_app", "UPDATE leases SET ts = 1782000000123456789");

    let program = |name: &str| {
        let mut child = Command::new("psql")
            .args(["-h", "127.0.0.1", "-U", "convex", "-d", "held_app", "-Atq"])
            .args(["-p", &server.port.to_string()])
            .env("PGPASSWORD", "secret")
            .env("PGAPPNAME", name)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"SET lock_timeout = 0;\n")
            .unwrap();
        let seen = format!(
            "SELECT 1 FROM pg_stat_activity WHERE datname = 'held_app' AND application_name = '{name}'"
        );
        while server.sql("postgres", &seen).is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    };
    let mut stranger = program("pg_dump");
    let contents = look(&server, "held-app").await.unwrap();
    assert_eq!(contents.clients.len(), 1);
    assert_eq!(contents.holder(), None);

    let mut backend = program("");
    let contents = look(&server, "held-app").await.unwrap();
    let holder = contents.holder().unwrap();
    assert_eq!(holder.addresses, ["127.0.0.1"]);
    assert_eq!(holder.to_string(), "a backend at 127.0.0.1");
    for child in [&mut stranger, &mut backend] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_not_taken() {
    let server = shared();
    server.create_database("other_app");
    for (make, drop) in [
        (
            "CREATE TABLE documents (id int, title text)",
            "DROP TABLE documents",
        ),
        (
            "CREATE VIEW leases AS SELECT 1 AS id, 2 AS ts",
            "DROP VIEW leases",
        ),
        (
            "CREATE TABLE read_only (id int, instance_name text)",
            "DROP TABLE read_only",
        ),
    ] {
        server.sql("other_app", make);
        let error = look(&server, "other-app").await.unwrap_err();
        assert!(
            matches!(error, DatabaseError::Occupied { .. }),
            "{make}: {error:?}"
        );
        assert_eq!(error.part(), Part::Database);
        server.sql("other_app", drop);
    }
    server.sql("other_app", "CREATE TABLE users (id int)");
    look(&server, "other-app").await.unwrap();
}

#[tokio::test]
async fn data_that_is_marked_read_only_is_refused() {
    let server = shared();
    server.create_database("marked_app");
    server.sql("marked_app", TABLES);
    server.sql("marked_app", "INSERT INTO read_only VALUES (1)");
    let error = look(&server, "marked-app").await.unwrap_err();
    assert!(matches!(error, DatabaseError::Frozen { .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_user_may_not_do_is_named_with_the_grant_that_helps() {
    let server = shared();
    server.create_database("tight_app");
    let url = role(&server, "tenant", "");
    let settings = database(&url, |_| ());
    let look = async || look_as(&settings, "tight-app").await;
    let sql = |text: &str| server.sql("tight_app", text);

    sql("REVOKE CONNECT ON DATABASE tight_app FROM PUBLIC");
    let error = look().await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::MayNotConnect { .. }),
        "{error:?}"
    );
    sql("GRANT CONNECT ON DATABASE \"tight_app\" TO \"tenant\"");

    // Where older servers let everybody make tables, newer ones do not.
    sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let error = look().await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::MayNotCreateTables { .. }),
        "{error:?}"
    );
    let grant = "GRANT CREATE ON SCHEMA \"public\" TO \"tenant\"";
    assert!(error.remedy().contains(grant), "{}", error.remedy());
    sql(grant);
    look().await.unwrap();

    sql("ALTER ROLE tenant SET search_path = nowhere");
    let error = look().await.unwrap_err();
    assert!(matches!(error, DatabaseError::NoSchema { .. }), "{error:?}");
    sql("ALTER ROLE tenant RESET search_path");

    sql(TABLES);
    let error = look().await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::MayNotUseTable { .. }),
        "{error:?}"
    );
    sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO tenant");
    look().await.unwrap();

    server.sql(
        "postgres",
        "ALTER DATABASE tight_app ALLOW_CONNECTIONS false",
    );
    let error = look().await.unwrap_err();
    assert!(matches!(error, DatabaseError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn options_of_the_url_choose_the_schema_as_for_the_backend() {
    let server = shared();
    server.create_database("of_schema");
    server.sql(
        "of_schema",
        "CREATE SCHEMA mine; CREATE TABLE documents (title text)",
    );
    let url = server.url("?sslmode=disable&options=-csearch_path%3Dmine");
    look_as(&database(&url, |_| ()), "of-schema").await.unwrap();
    let error = look(&server, "of-schema").await.unwrap_err();
    assert!(matches!(error, DatabaseError::Occupied { .. }), "{error:?}");
}
