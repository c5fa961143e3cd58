//! What is no PostgreSQL, or none that can be used; and ways to a server other than TCP.

use std::sync::{Arc, Mutex};

use terraform_provider_convex::{
    convex::postgres::HostPort,
    database::{DatabaseError, Dial, Part, Presence, Server},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional, duplex};

use super::{database, instance, limits, shared};

/// What a program does as soon as somebody connects.
#[derive(Clone)]
enum Act {
    /// Says this before it is asked.
    Greet(&'static [u8]),
    /// Waits for the first bytes, says this, and ends.
    Answer(&'static [u8]),
    /// Refuses TLS in PostgreSQL's way, waits for the log-in, and says this.
    LogIn(Vec<u8>),
    /// Ends at once.
    Hang,
}

/// A way to a program that acts.
struct Stage(Act);

impl Dial for Stage {
    type Stream = DuplexStream;

    async fn dial(&self, _: &HostPort) -> Result<DuplexStream, DatabaseError> {
        let (ours, mut theirs) = duplex(1024);
        let act = self.0.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            match act {
                Act::Greet(text) => {
                    theirs.write_all(text).await.unwrap();
                    while theirs.read(&mut buffer).await.is_ok_and(|it| it > 0) {}
                }
                Act::Answer(text) => {
                    let _ = theirs.read(&mut buffer).await;
                    let _ = theirs.write_all(text).await;
                }
                Act::LogIn(text) => {
                    let asked = theirs.read(&mut buffer).await.unwrap();
                    if asked == 8 {
                        theirs.write_all(b"N").await.unwrap();
                        let _ = theirs.read(&mut buffer).await;
                    }
                    theirs.write_all(&text).await.unwrap();
                    while theirs.read(&mut buffer).await.is_ok_and(|it| it > 0) {}
                }
                Act::Hang => {}
            }
        });
        Ok(ours)
    }
}

/// A message as servers send them.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

async fn meet(act: Act, mode: &str) -> DatabaseError {
    let url = format!("postgres://u:hunter2@db:1?sslmode={mode}");
    let database = database(&url, |_| ());
    let server = Server::new(&database, Stage(act)).unwrap().unwrap();
    let found = server.look(&instance("my-app"), &limits()).await;
    let error = found.unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.remedy()).contains("hunter2"));
    error
}

#[tokio::test]
async fn other_programs_are_told_from_postgresql_by_what_they_say() {
    let http = Act::Answer(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let ssh = Act::Greet(b"SSH-2.0-OpenSSH_9.6\r\n");
    let redis = Act::Answer(b"-ERR unknown command\r\n");
    let mysql = Act::Greet(b"J\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0");
    let unlucky = Act::Greet(b"N\0\0\0\x0a5.7.44-log\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0");
    for (act, word) in [
        (http, "HTTP/1.1 400"),
        (ssh, "SSH-2.0"),
        (redis, "-ERR unknown"),
        (mysql, "8.0.36"),
        (unlucky, "5.7.44-log"),
    ] {
        for mode in ["disable", "prefer", "require"] {
            let error = meet(act.clone(), mode).await;
            let DatabaseError::NotPostgres { said, .. } = &error else {
                panic!("{word} {mode}: {error:?}");
            };
            assert!(said.as_str().contains(word), "{mode}: {said}");
            assert_eq!(error.part(), Part::Port);
        }
    }
}

#[tokio::test]
async fn a_server_that_says_yes_to_tls_and_speaks_something_else_is_a_stranger() {
    let error = meet(Act::Answer(b"S"), "require").await;
    assert_eq!(error.part(), Part::Tls, "{error:?}");
    let error = meet(Act::Greet(b"SS"), "require").await;
    assert!(
        matches!(error, DatabaseError::NotPostgres { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_hangs_up_at_once_is_mute() {
    for mode in ["disable", "prefer", "require"] {
        let error = meet(Act::Hang, mode).await;
        assert!(
            matches!(error, DatabaseError::Mute { .. }),
            "{mode}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_by_its_version() {
    let old = [
        message(b'R', b"\0\0\0\0"),
        message(b'S', b"server_version\x009.6.24\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let error = meet(Act::LogIn(old), "disable").await;
    assert!(matches!(error, DatabaseError::TooOld { .. }), "{error:?}");
    assert!(error.to_string().contains("PostgreSQL 9.6"), "{error}");
    assert!(error.remedy().contains("13 or newer"), "{}", error.remedy());
}

#[tokio::test]
async fn a_proof_that_is_no_password_is_named() {
    // GSSAPI.
    let gss = message(b'R', b"\0\0\0\x07");
    let error = meet(Act::LogIn(gss), "prefer").await;
    assert!(
        matches!(error, DatabaseError::OtherProof { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_starting_says_so() {
    let starting = message(b'E', b"SFATAL\0C57P03\0Mthe system is starting up\0\0");
    let error = meet(Act::LogIn(starting), "prefer").await;
    let DatabaseError::NotReady { said, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(said.as_str(), "the system is starting up");
    assert!(error.is_passing());
    let german = message(b'E', b"SFATAL\0C53300\0Mtut mir leid, schon zu viele\0\0");
    let error = meet(Act::LogIn(german), "prefer").await;
    assert!(
        matches!(error, DatabaseError::TooManyConnections { .. }),
        "{error:?}"
    );
}

/// A way through a pipe of this process to wherever a server listens.
struct Tunnel {
    port: u16,
    asked_for: Arc<Mutex<Vec<String>>>,
}

impl Dial for Tunnel {
    type Stream = DuplexStream;

    async fn dial(&self, server: &HostPort) -> Result<DuplexStream, DatabaseError> {
        self.asked_for.lock().unwrap().push(server.to_string());
        let (ours, mut theirs) = duplex(64);
        let port = self.port;
        tokio::spawn(async move {
            let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            let _ = copy_bidirectional(&mut theirs, &mut tcp).await;
        });
        Ok(ours)
    }
}

#[tokio::test]
async fn any_stream_of_bytes_is_a_way_to_a_server() {
    let server = shared();
    let asked_for = Arc::new(Mutex::new(Vec::new()));
    let tunnel = Tunnel {
        port: server.port,
        asked_for: Arc::clone(&asked_for),
    };
    // A name that only the other end of the tunnel knows.
    let url = "postgres://convex:secret@db.internal?sslmode=disable";
    let database = database(url, |settings| settings.create = Some(true));
    let tunnelled = Server::new(&database, tunnel).unwrap().unwrap();
    let found = tunnelled
        .prepare(&instance("far-app"), &limits())
        .await
        .unwrap();
    assert_eq!(found.presence, Presence::Created);
    let asked_for = asked_for.lock().unwrap();
    assert!(
        asked_for.iter().all(|it| it == "db.internal:5432"),
        "{asked_for:?}"
    );
}
