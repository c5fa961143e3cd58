//! What is found good beforehand starts a backend, and what is not does not.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use terraform_provider_convex::{
    convex::{
        Database, Origins,
        database::DatabaseSettings,
        process_env::{BackendEnv, ExtraEnv},
    },
    database::Presence,
};

use super::{instance, look_as, postgres, prepare};
use crate::support::binaries;

/// A backend with the environment that follows from its settings, taken apart as the start script
/// of the image does.
struct Backend {
    child: Child,
    port: u16,
}

impl Backend {
    fn start(database: &Database, folder: &Path) -> Self {
        let env = BackendEnv {
            instance_name: &instance("my-app"),
            origins: &Origins::default(),
            release: None,
            database: Some(database),
            extra: &ExtraEnv::default(),
        };
        let env = env.render().into_map();
        let ports: Vec<u16> = [0, 1]
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        let mut command = Command::new(binaries::backend());
        command
            .current_dir(folder)
            .args(["--db", "postgres-v5", "--instance-name", "my-app"])
            .args(["--instance-secret", &"0a".repeat(32)])
            .args(["--port", &ports[0].to_string()])
            .args(["--site-proxy-port", &ports[1].to_string()]);
        if env.contains_key("DO_NOT_REQUIRE_SSL") {
            command.arg("--do-not-require-ssl");
        }
        command.env_remove("PG_CA_FILE");
        if let Some(ca) = database.ca() {
            assert_eq!(env["PG_CA_FILE"], ca.path());
            let path = folder.join("ca.pem");
            fs::write(&path, ca.pem()).unwrap();
            command.env("PG_CA_FILE", path);
        }
        let child = command
            .arg(&env["POSTGRES_URL"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port: ports[0],
        }
    }

    /// Waits until it serves, or has ended.
    fn serves(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the backend neither serves nor ends");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_backend_agrees_with_what_was_found_beforehand() {
    let server = postgres::Server::start();
    let folder = tempfile::tempdir().unwrap();
    let pem = fs::read_to_string(server.authority()).unwrap();
    let settings = |url, ca_pem, ssl_mode| {
        Database::parse(&DatabaseSettings {
            url,
            ca_pem,
            ssl_mode,
            create: Some(true),
            ..DatabaseSettings::default()
        })
        .unwrap()
    };
    let url = server.url("/convex?schema=public&connect_timeout=5");
    let wrong = url.replace("secret", "wrong");
    let trusted = settings(&url, Some(&pem), None);

    assert!(!Backend::start(&trusted, folder.path()).serves());
    let found = prepare(&trusted, "my-app").await.unwrap();
    assert_eq!(found.presence, Presence::Created);

    for (database, good) in [
        (settings(&url, Some(&pem), Some("verify-full")), true),
        (settings(&url, Some(&pem), Some("prefer")), true),
        (settings(&url, None, Some("disable")), true),
        (settings(&url, None, None), false),
        (settings(&url, None, Some("prefer")), false),
        (settings(&wrong, Some(&pem), None), false),
    ] {
        let found = look_as(&database, "my-app").await;
        assert_eq!(found.is_ok(), good, "{database:?}: {found:?}");
        let mut backend = Backend::start(&database, folder.path());
        assert_eq!(backend.serves(), good, "{database:?}");
    }

    let mut backend = Backend::start(&trusted, folder.path());
    assert!(backend.serves());
    let contents = look_as(&trusted, "my-app").await.unwrap().contents.unwrap();
    let holder = contents.holder().unwrap();
    assert_eq!(holder.addresses, ["127.0.0.1"]);
    let age = holder.since.elapsed().unwrap();
    assert!(age < Duration::from_mins(1), "{age:?}");
    drop(backend);
    let ended = Instant::now();
    loop {
        let found = look_as(&trusted, "my-app").await.unwrap();
        if found.contents.unwrap().holder().is_none() {
            break;
        }
        assert!(ended.elapsed() < Duration::from_secs(10), "still held");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
