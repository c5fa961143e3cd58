//! Finding the server and logging in.

use std::{net::TcpListener, sync::Arc, time::Duration};

use terraform_provider_convex::{
    convex::postgres::HostPort,
    database::{DatabaseError, Limits, Part, Presence, Server, Tcp, Version},
};
use tokio_util::sync::CancellationToken;

use super::{database, instance, limits, look, postgres, role, shared};

const PLAIN: &str = "?sslmode=disable";

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_good_server_is_described() {
    let server = shared();
    server.create_database("my_app");
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let url = format!("postgresql://convex:secret@{host}:{}/x{PLAIN}", server.port);
        let found = look(&url).await.unwrap();
        assert_eq!(found.presence, Presence::Existing);
        assert!(found.version >= Version::OLDEST);
        assert!(!found.encrypted);
        assert_eq!(found.server.to_string(), format!("{host}:{}", server.port));
    }
    server.sql("postgres", "DROP DATABASE my_app");
}

#[tokio::test]
async fn a_wrong_host_or_port_is_named() {
    let error = look("postgres://u:secret@no-such-host.invalid")
        .await
        .unwrap_err();
    assert!(
        matches!(error, DatabaseError::UnknownHost { .. }),
        "{error:?}"
    );
    assert_eq!(error.part(), Part::Host);
    assert!(error.to_string().contains("no-such-host.invalid"));

    let port = free_port();
    let error = look(&format!("postgres://u:secret@127.0.0.1:{port}"))
        .await
        .unwrap_err();
    assert!(matches!(error, DatabaseError::Refused { .. }), "{error:?}");
    assert_eq!(error.part(), Part::Port);
    assert!(error.remedy().contains(&port.to_string()));

    // An address of everybody, to which nothing can connect.
    let error = look("postgres://u:secret@255.255.255.255")
        .await
        .unwrap_err();
    let expected = matches!(error, DatabaseError::Unreachable { .. });
    assert!(expected, "{error:?}");
    assert_eq!(error.part(), Part::Host);
}

#[tokio::test]
async fn a_wrong_user_or_password_is_named_and_the_password_is_not_shown() {
    let server = shared();
    let port = server.port;
    for (login, expected) in [
        ("convex:hunter2", "does not accept this password"),
        ("nobody:hunter2", "does not accept this password"),
        ("convex", "asks for a password"),
    ] {
        let url = format!("postgres://{login}@localhost:{port}{PLAIN}");
        let error = look(&url).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.part(), Part::Password);
        let shown = format!("{error} {error:?} {}", error.remedy());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn each_proof_by_a_password_is_known_and_others_are_named() {
    let server = postgres::Server::with("ssl = off\npassword_encryption = md5");
    server.create_database("my_app");
    let url = |user: &str| format!("postgres://{user}:secret@127.0.0.1:{}{PLAIN}", server.port);
    for user in ["md", "plain", "trusted", "proven", "asleep", "barred"] {
        let login = if user == "asleep" { "NOLOGIN" } else { "LOGIN" };
        let sql = format!("CREATE ROLE {user} {login} SUPERUSER PASSWORD 'secret'");
        server.sql("postgres", &sql);
    }
    server.rules(
        "host all md 127.0.0.1/32 md5\n\
         host all plain 127.0.0.1/32 password\n\
         host all trusted,unknown,asleep 127.0.0.1/32 trust\n\
         host all proven 127.0.0.1/32 ident\n\
         host all barred 127.0.0.1/32 reject\n\
         host postgres tight 127.0.0.1/32 trust\n\
         host all tight 127.0.0.1/32 reject",
    );
    for user in ["md", "plain", "trusted"] {
        look(&url(user)).await.unwrap();
    }
    let refusal = async |user: &str| look(&url(user)).await.unwrap_err();
    let error = refusal("unknown").await;
    assert!(matches!(error, DatabaseError::NoUser { .. }), "{error:?}");
    assert!(error.remedy().contains("CREATE ROLE \"unknown\""));
    let error = refusal("asleep").await;
    assert!(matches!(error, DatabaseError::NoLogin { .. }), "{error:?}");
    let error = refusal("barred").await;
    assert!(matches!(error, DatabaseError::NoRule { .. }), "{error:?}");
    assert!(error.remedy().contains("pg_hba.conf"), "{}", error.remedy());
    // A proof that the server asks somebody else for.
    let error = refusal("proven").await;
    let expected = matches!(error, DatabaseError::OtherProof { .. });
    assert!(expected, "{error:?}");
}

#[tokio::test]
async fn a_user_without_a_connection_left_is_told() {
    let server = shared();
    server.create_database("of_few");
    let url = role(&server, "few", "CONNECTION LIMIT 0");
    let error = super::look_as(&database(&url, |_| ()), "of-few")
        .await
        .unwrap_err();
    assert!(
        matches!(error, DatabaseError::TooManyConnections { .. }),
        "{error:?}"
    );
    assert!(error.remedy().contains("max_connections"));

    server.sql("postgres", "ALTER ROLE few CONNECTION LIMIT 7");
    let found = super::look_as(&database(&url, |_| ()), "of-few").await;
    // It owns nothing there, so it may not make tables; as an owner it may.
    assert!(
        matches!(found, Err(DatabaseError::MayNotCreateTables { .. })),
        "{found:?}"
    );
    server.sql("postgres", "ALTER DATABASE of_few OWNER TO few");
    let found = super::look_as(&database(&url, |_| ()), "of-few")
        .await
        .unwrap();
    assert_eq!(found.connections, Some(7));
    server.sql("postgres", "ALTER DATABASE of_few CONNECTION LIMIT 5");
    let found = super::look_as(&database(&url, |_| ()), "of-few")
        .await
        .unwrap();
    assert_eq!(found.connections, Some(5));
}

#[tokio::test]
async fn of_several_hosts_the_first_good_one_is_taken() {
    let server = shared();
    server.create_database("of_hosts");
    let port = server.port;
    // Nobody listens at the port of its own that the first one has.
    let url = format!("postgres://convex:secret@no-such-host.invalid,localhost:{port}{PLAIN}");
    let found = super::look_as(&database(&url, |_| ()), "of-hosts")
        .await
        .unwrap();
    assert_eq!(found.server.host(), "localhost");
    // The one that answers says more than the one that is not known.
    let url = format!("postgres://convex:hunter2@no-such-host.invalid,localhost:{port}{PLAIN}");
    let error = super::look_as(&database(&url, |_| ()), "of-hosts")
        .await
        .unwrap_err();
    assert!(
        matches!(error, DatabaseError::WrongPassword { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_refused() {
    let server = shared();
    server.create_database("frozen_app");
    server.sql(
        "postgres",
        "ALTER DATABASE frozen_app SET default_transaction_read_only = on",
    );
    let url = server.url(PLAIN);
    let error = super::look_as(&database(&url, |_| ()), "frozen-app")
        .await
        .unwrap_err();
    assert!(matches!(error, DatabaseError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_just_being_started_is_waited_for() {
    let server = Arc::new(postgres::Server::with("ssl = off"));
    server.create_database("my_app");
    server.down();
    let url = server.url(PLAIN);
    let error = look(&url).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Refused { .. }), "{error:?}");
    let database = database(&url, |_| ());
    let dialled = Server::new(&database, Tcp).unwrap().unwrap();
    let patient = limits().waiting_for_server(Duration::from_secs(25));
    let my_app = instance("my-app");
    let (found, ()) = tokio::join!(dialled.look(&my_app, &patient), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || server.up())
            .await
            .unwrap();
    });
    assert_eq!(found.unwrap().presence, Presence::Existing);
}

#[tokio::test]
async fn being_called_off_ends_it_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://u:p@127.0.0.1:{port}");
    let database = database(&url, |_| ());
    let server = Server::new(&database, Tcp).unwrap().unwrap();
    let cancel = CancellationToken::new();
    let limits = Limits::new(Duration::from_mins(1), cancel.clone());
    let my_app = instance("my-app");
    let (found, ()) = tokio::join!(server.look(&my_app, &limits), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    let error = found.unwrap_err();
    assert!(
        matches!(error, DatabaseError::Cancelled { .. }),
        "{error:?}"
    );

    // And one that says nothing ends at the time limit.
    let short = Limits::new(Duration::from_millis(300), CancellationToken::new());
    let error = server.look(&my_app, &short).await.unwrap_err();
    let DatabaseError::TimedOut { server, .. } = error else {
        panic!("{error:?}");
    };
    let same = |it: &HostPort| it.port() == port;
    assert!(same(&server));
}
