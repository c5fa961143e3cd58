//! A server of Coder, as its operator runs it: on PostgreSQL, with hosts for apps, and with the
//! providers of templates in a mirror.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::user::User;
use crate::coder::provisioner::{children, send};
use crate::support::{
    docker::{Bridge, Name},
    postgres,
    terraform::cli_config_with_peers,
    tools,
};

/// The domain below which each app has a host. No browser treats it as this machine by itself, as
/// browsers do with names that end in `.localhost`.
pub const DOMAIN: &str = "coder.test";

/// The password of everybody.
pub const PASSWORD: &str = "Correct-horse-7";

/// A running server. It ends with its last user.
pub struct Server {
    process: Mutex<Child>,
    directory: TempDir,
    postgres: postgres::Server,
    /// Where containers reach it. It listens on the same port of this machine's loopback.
    address: SocketAddr,
    _bridge: Bridge,
}

impl Server {
    /// The server that scenarios share, none of which stops it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A new server with an administrator.
    pub fn start() -> Self {
        let postgres = postgres::Server::with("ssl = off");
        postgres.create_database("coder");
        let directory = TempDir::with_prefix("coder-server-").expect("a directory");
        // Coder hands this program to workspaces, for their agents.
        let agents = directory.path().join("cache/site/orig/bin");
        fs::create_dir_all(&agents).expect("the agents' directory");
        symlink(program(), agents.join("coder-linux-amd64")).expect("the agent");

        let bridge = Bridge::beside(&Name::new());
        let address = forwarded(&bridge.host());
        let server = Self {
            process: Mutex::new(spawn(directory.path(), &postgres, address)),
            directory,
            postgres,
            address,
            _bridge: bridge,
        };
        server.wait();
        let mut login = server.cli();
        login
            .args(["login", &server.url()])
            .args(["--first-user-username=admin", "--first-user-trial=false"])
            .arg("--first-user-email=admin@example.com")
            .arg(format!("--first-user-password={PASSWORD}"));
        tools::run(&mut login);
        server
    }

    /// Its access URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its wildcard access URL.
    pub fn wildcard() -> String {
        format!("*.{DOMAIN}")
    }

    /// The address of an app by the name of its host.
    pub fn app_url(&self, host: &str) -> String {
        format!("http://{host}.{DOMAIN}:{}", self.address.port())
    }

    /// Where this machine connects to, whatever host of the server's a URL names.
    pub fn loopback(&self) -> String {
        format!("127.0.0.1:{}", self.address.port())
    }

    /// The administrator.
    pub fn admin(self: &Arc<Self>) -> User {
        User::log_in(self, "admin")
    }

    /// Coder's command line, with the first user logged in.
    pub fn cli(&self) -> Command {
        let mut command = Command::new(program());
        forget_environment(&mut command);
        command
            .env("HOME", self.directory.path())
            .env("CODER_CONFIG_DIR", self.directory.path().join("cli"))
            .stdin(Stdio::null());
        command
    }

    /// Kills it with all that it has started, as a machine does that loses power.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut doomed = vec![process.id()];
        let mut next = 0;
        while let Some(parent) = doomed.get(next) {
            doomed.extend(children(*parent));
            next += 1;
        }
        for id in doomed {
            send("KILL", id);
        }
        process.wait().expect("an end");
    }

    /// Starts it again after [`Self::kill`]. It gives up the builds that were in progress.
    pub fn start_again(&self) {
        let process = spawn(self.directory.path(), &self.postgres, self.address);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
        self.wait();
        // Coder waits five minutes for a sign of life. They pass here.
        let pass = "UPDATE provisioner_jobs SET updated_at = now() - interval '1 hour' WHERE completed_at IS NULL";
        self.postgres.sql("coder", pass);
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = process.try_wait().expect("a process");
            drop(process);
            assert!(ended.is_none(), "Coder ends: {}", self.log());
            assert!(Instant::now() < deadline, "Coder starts: {}", self.log());
            let ask = ["-sf", "-m", "5", &format!("{}/healthz", self.url())];
            let answer = Command::new("curl").args(ask).output();
            if answer.expect("curl").stdout == b"OK" {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Coder's program, for its server, agents and command line.
pub fn program() -> PathBuf {
    let program = std::env::var_os("CONVEX_TEST_CODER").map(PathBuf::from);
    program.unwrap_or_else(|| {
        panic!("CONVEX_TEST_CODER names no program of Coder. Run: export CONVEX_TEST_CODER=$(.ci/coder)")
    })
}

fn spawn(directory: &Path, postgres: &postgres::Server, address: SocketAddr) -> Child {
    let log = File::create(directory.join("log")).expect("a log");
    let mut command = Command::new(program());
    forget_environment(&mut command);
    command
        .arg("server")
        .env("HOME", directory)
        .env("CODER_CONFIG_DIR", directory.join("server"))
        .env("CODER_CACHE_DIRECTORY", directory.join("cache"))
        .env(
            "CODER_PG_CONNECTION_URL",
            postgres.url("/coder?sslmode=disable"),
        )
        .env(
            "CODER_HTTP_ADDRESS",
            format!("127.0.0.1:{}", address.port()),
        )
        .env("CODER_ACCESS_URL", format!("http://{address}"))
        .env("CODER_WILDCARD_ACCESS_URL", Server::wildcard())
        .env("CODER_ALLOW_WORKSPACE_RENAMES", "true")
        .env("CODER_DANGEROUS_DISABLE_RATE_LIMITS", "true")
        .env("CODER_JOB_HANG_DETECTOR_INTERVAL", "1s")
        // What asks the internet.
        .env("CODER_TELEMETRY_ENABLE", "false")
        .env("CODER_UPDATE_CHECK", "false")
        .env("CODER_DERP_SERVER_STUN_ADDRESSES", "disable")
        .env("CODER_OAUTH2_GITHUB_DEFAULT_PROVIDER_ENABLE", "false")
        .env("TF_CLI_CONFIG_FILE", cli_config_with_peers())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("Coder")
}

/// Leaves out what this test's own environment says about Coder, Terraform and Docker.
fn forget_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CODER_") || text.starts_with("TF_") || text == "DOCKER_HOST" {
            command.env_remove(&name);
        }
    }
}

/// Forwards connections to a port of this host to the same port of the loopback.
fn forwarded(host: &str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).expect("an address for containers");
    let address = listener.local_addr().expect("an address");
    let behind = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                // Nobody is there before the server listens.
                let Ok(server) = TcpStream::connect(behind) else {
                    return;
                };
                let (to, from) = (server.try_clone(), client.try_clone());
                thread::spawn(move || pass(&client, &to.expect("a connection")));
                pass(&server, &from.expect("a connection"));
            });
        }
    });
    address
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
