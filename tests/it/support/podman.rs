//! Podman's socket, which speaks Docker's API.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::tools;

/// The service, with files of its own; it ends when this is dropped.
pub struct Podman {
    process: Child,
    directory: TempDir,
}

impl Podman {
    /// Starts it with nothing in it.
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("podman-").expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        // By itself it asks for more open files and processes than a machine may allow.
        let config =
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(directory.path().join("containers.conf"), config).expect("a file");
        let socket = directory.path().join("podman.sock");
        let process = command(directory.path())
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("podman is installed: see tests/run");
        let mut podman = Self { process, directory };
        let begin = Instant::now();
        while !socket.exists() {
            let ended = podman.process.try_wait().expect("a process");
            assert!(
                ended.is_none() && begin.elapsed() < Duration::from_mins(1),
                "podman does not run: {}",
                fs::read_to_string(podman.directory.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
        podman
    }

    /// Its address.
    pub fn address(&self) -> String {
        let socket = self.directory.path().join("podman.sock");
        format!("unix://{}", socket.display())
    }

    /// Copies images of Docker to it.
    pub fn load(&self, images: &[&str]) {
        let archive = self.directory.path().join("images.tar");
        tools::run(
            Command::new("docker")
                .args(["save", "--output"])
                .arg(&archive)
                .args(images),
        );
        tools::run(
            command(self.directory.path())
                .args(["load", "--input"])
                .arg(&archive),
        );
    }

    /// Runs its command line, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = command(self.directory.path())
            .args(arguments)
            .output()
            .expect("podman runs");
        assert!(
            output.status.success(),
            "podman {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Podman with its files in a directory of the test, and its networks too.
fn command(directory: &Path) -> Command {
    let at = |name: &str| directory.join(name).display().to_string();
    let mut command = Command::new("podman");
    command
        .args(["--root", &at("root"), "--runroot", &at("run")])
        .args(["--network-config-dir", &at("networks")])
        .args(["--cgroup-manager", "cgroupfs"])
        .env("CONTAINERS_CONF", at("containers.conf"));
    command
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = command(self.directory.path())
            .args(["rm", "--all", "--force", "--volumes", "--time", "0"])
            .output();
        let _ = command(self.directory.path())
            .args(["network", "prune", "--force"])
            .output();
        // It leaves a mount, without which the directory can go.
        let mount = self.directory.path().join("root/overlay");
        let _ = Command::new("umount").arg(mount).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
