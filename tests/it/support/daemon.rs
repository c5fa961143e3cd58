//! A second Docker daemon on this machine, which only talks to clients with a
//! certificate.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    certificates::{Authority, Time},
    docker::port,
    tools,
};

/// A bridge of the daemon's own. Told to do without one, it would remove the
/// first daemon's.
struct Bridge(String);

impl Bridge {
    fn make(port: u16) -> Self {
        let bridge = Self(format!("convex{port}"));
        let (name, address) = (bridge.0.as_str(), format!("10.212.{}.1/24", port % 256));
        for arguments in [
            &["link", "add", name, "type", "bridge"][..],
            &["addr", "add", &address, "dev", name],
            &["link", "set", name, "up"],
        ] {
            tools::run(Command::new("ip").args(arguments));
        }
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).output();
    }
}

/// The daemon; it ends, and its containers with it, when this is dropped.
pub struct Daemon {
    process: Child,
    directory: TempDir,
    port: u16,
    _bridge: Bridge,
}

impl Daemon {
    /// Starts it with nothing of the first one's: neither its files nor its
    /// bridge, nor its rules for packets. Its certificate is for `localhost`.
    pub fn start(authority: &Authority) -> Self {
        let directory = TempDir::with_prefix("dockerd-").expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        authority
            .server(&["localhost"], Time::Now)
            .write(authority, directory.path());
        // What the first one is configured with is not for this one.
        fs::write(at("empty.json"), "{}").expect("a file");
        let port = port();
        let bridge = Bridge::make(port);
        let log = File::create(at("log")).expect("a log");
        let process = Command::new("dockerd")
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("pid"), "--config-file", &at("empty.json")])
            .args(["--host", &format!("unix://{}", at("d.sock"))])
            .args(["--host", &format!("tcp://127.0.0.1:{port}"), "--tlsverify"])
            .args(["--tlscacert", &at("ca.pem"), "--tlscert", &at("cert.pem")])
            .args(["--tlskey", &at("key.pem"), "--bridge", &bridge.0])
            .args(["--iptables=false", "--ip-masq=false"])
            .args(["--default-address-pool", "base=10.213.0.0/16,size=24"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("dockerd is installed: see tests/run");
        let mut daemon = Self {
            process,
            directory,
            port,
            _bridge: bridge,
        };
        daemon.wait();
        daemon
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        loop {
            let answers = Command::new("docker")
                .args(["--host", &self.socket(), "version"])
                .output()
                .is_ok_and(|output| output.status.success());
            if answers {
                return;
            }
            let ended = self.process.try_wait().expect("a process");
            assert!(
                ended.is_none() && begin.elapsed() < Duration::from_mins(1),
                "the second dockerd does not run (it takes root): {}",
                fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Its address with TLS.
    pub fn address(&self) -> String {
        format!("tcp://localhost:{}", self.port)
    }

    /// Its address on a socket, without TLS, for the test itself.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.directory.path().join("d.sock").display())
    }

    /// Copies images of the first daemon to this one.
    pub fn load(&self, images: &[&str]) {
        let archive = self.directory.path().join("images.tar");
        tools::run(
            Command::new("docker")
                .args(["save", "--output"])
                .arg(&archive)
                .args(images),
        );
        tools::run(
            Command::new("docker")
                .args(["--host", &self.socket(), "load", "--input"])
                .arg(&archive),
        );
    }

    /// Runs Docker's command line with it.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        super::docker::docker(&[&["--host", &self.socket()], arguments].concat())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked to end, it ends its containers too.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
