//! A Postgres server of a test's own, from the machine's installation. Also used by the tests of the provider.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// A server on a free port, with a user `convex` whose password is `secret`. It is stopped when the test ends.
pub struct Server {
    folder: TempDir,
    pub port: u16,
}

impl Server {
    /// Starts one that speaks TLS with a certificate for `localhost`, of an authority of its own.
    pub fn start() -> Self {
        Self::with("ssl = on")
    }

    /// Starts one with settings of a test's own, TLS among them.
    pub fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self { folder, port };
        // The server refuses to run as root.
        if let Some((user, group)) = unprivileged() {
            chown(server.folder.path(), Some(user), Some(group)).unwrap();
        }
        let password = server.folder.path().join("password");
        fs::write(&password, "secret").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
        let data = server.data();
        let data = data.to_str().unwrap();
        must(
            server
                .command("initdb")
                .args([
                    "-D",
                    data,
                    "-U",
                    "convex",
                    "-A",
                    "scram-sha-256",
                    "--no-sync",
                ])
                .arg(format!("--pwfile={}", password.display())),
        );
        let names = vec!["localhost".to_owned()];
        server.certify(&CertificateParams::new(names).unwrap());
        let settings = format!(
            "port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = ''\nfsync = off\n{settings}\n"
        );
        fs::write(server.data().join("postgresql.auto.conf"), settings).unwrap();
        server.up();
        server
    }

    /// Starts the server again after [`Self::down`].
    pub fn up(&self) {
        let data = self.data();
        let log = self.folder.path().join("data/log");
        must(
            self.command("pg_ctl")
                .arg("start")
                .arg("-w")
                .arg("-D")
                .arg(data)
                .arg("-l")
                .arg(log),
        );
    }

    /// Stops the server, whoever is connected.
    pub fn down(&self) {
        must(
            self.command("pg_ctl")
                .args(["stop", "-w", "-m", "immediate", "-D"])
                .arg(self.data()),
        );
    }

    /// Makes the server read its rules and certificates again, and waits until it has.
    pub fn reload(&self) {
        let loaded = || self.sql("postgres", "SELECT pg_conf_load_time()");
        let before = loaded();
        must(
            self.command("pg_ctl")
                .args(["reload", "-D"])
                .arg(self.data()),
        );
        while loaded() == before {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Puts rules for logging in before those that let everybody in with a password.
    pub fn rules(&self, rules: &str) {
        let rules = format!(
            "{rules}\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
        );
        fs::write(self.data().join("pg_hba.conf"), rules).unwrap();
        self.reload();
    }

    pub fn create_database(&self, name: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
    }

    /// Runs one statement; returns its rows, unaligned.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut command = self.command("psql");
        command.args([
            "-h",
            "localhost",
            "-p",
            &self.port.to_string(),
            "-U",
            "convex",
            "-d",
            database,
            "-Atqc",
            statement,
        ]);
        must(command.env("PGPASSWORD", "secret"))
    }

    /// The server's address, with what a test adds to it.
    pub fn url(&self, rest: &str) -> String {
        format!("postgres://convex:secret@localhost:{}{rest}", self.port)
    }

    /// The certificate of the authority, in PEM.
    pub fn authority(&self) -> String {
        self.data()
            .join("authority.pem")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Gives the server a certificate of an authority made just for it.
    pub fn certify(&self, params: &CertificateParams) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        self.put_certificate(authority.der(), certificate.der(), &key.serialize_der());
    }

    /// Gives the server a certificate, its key, and the authority that tests are to trust.
    pub fn put_certificate(&self, authority: &[u8], certificate: &[u8], key: &[u8]) {
        for (name, text) in [
            ("authority.pem", pem("CERTIFICATE", authority)),
            ("server.crt", pem("CERTIFICATE", certificate)),
            ("server.key", pem("PRIVATE KEY", key)),
        ] {
            let path = self.data().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = unprivileged() {
                chown(&path, Some(user), Some(group)).unwrap();
            }
        }
    }

    /// A program of the installation, run by whoever may run the server.
    fn command(&self, program: &str) -> Command {
        let program = installation().join(program);
        assert!(
            program.exists(),
            "Postgres is not installed: there is no {}",
            program.display()
        );
        let mut command = match unprivileged() {
            Some(_) => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
                    .arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(run(self
            .command("pg_ctl")
            .args(["stop", "-m", "immediate", "-D"])
            .arg(self.data())));
    }
}

/// The newest installation, where Debian has it, else where `PATH` has it.
fn installation() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| {
        let found = must(Command::new("sh").args(["-c", "command -v initdb"]));
        Path::new(found.trim_end()).parent().unwrap().to_owned()
    })
}

/// Whom to run the server as, where this test is run by root.
fn unprivileged() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| {
        must(Command::new("id").args(arguments))
            .trim_end()
            .parse::<u32>()
            .unwrap()
    };
    (number(&["-u"]) == 0).then(|| (number(&["-u", "nobody"]), number(&["-g", "nobody"])))
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a program that must succeed; returns what it printed on standard output.
fn must(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
