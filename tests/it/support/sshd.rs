//! An SSH server on this machine, with keys of its own.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{docker::port, tools};

/// The server; it ends when this is dropped.
pub struct Sshd {
    process: Child,
    directory: TempDir,
    port: u16,
    user: String,
}

impl Sshd {
    /// Starts it for the user who runs the tests. Commands get what is on the
    /// path of this process.
    pub fn start() -> Self {
        Self::with_path(&std::env::var("PATH").expect("PATH"))
    }

    /// Starts it, with this path for commands.
    pub fn with_path(path: &str) -> Self {
        let directory = TempDir::with_prefix("sshd-").expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        for name in ["host", "client", "stranger"] {
            keygen(&directory.path().join(name));
        }
        fs::copy(at("client.pub"), at("authorized")).expect("a file");
        let port = port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\nSetEnv PATH={path}\n",
            at("host"),
            at("authorized"),
        );
        fs::write(at("config"), config).expect("a file");
        // As root, it wants an empty directory of this name.
        let _ = fs::DirBuilder::new().mode(0o755).create("/run/sshd");
        // It insists on being called by its whole path.
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(at("log")).expect("a log"))
            .spawn()
            .expect("openssh-server is installed: see tests/run");
        let user = Command::new("id").arg("-un").output().expect("id runs");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        let mut server = Self {
            process,
            directory,
            port,
            user,
        };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().expect("a process");
            assert!(
                ended.is_none() && begin.elapsed() < Duration::from_secs(20),
                "sshd does not run: {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of the Docker daemon behind it.
    pub fn address(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}", self.user, self.port)
    }

    /// The private key that it lets in.
    pub fn key(&self) -> String {
        self.read("client")
    }

    /// A private key that it does not let in.
    pub fn strange_key(&self) -> String {
        self.read("stranger")
    }

    /// Its own key, as a line of a file of known hosts.
    pub fn known_hosts(&self) -> String {
        self.known_as("host")
    }

    /// Another key than its own, as a line of a file of known hosts.
    pub fn changed_hosts(&self) -> String {
        self.known_as("stranger")
    }

    fn known_as(&self, key: &str) -> String {
        let key = self.read(&format!("{key}.pub"));
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// How many connections it has let in.
    pub fn let_in(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).expect("a file")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keygen(path: &Path) {
    tools::run(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(path),
    );
}

/// A directory with a program of this name and text.
pub fn program(directory: &Path, name: &str, script: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, script).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}
