//! A test on a host of its own: a network and a Docker daemon that nobody else
//! uses, so that all ports are free.

use std::{
    env, fs,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{docker::images, tools};

/// Set for the test that runs there.
const INSIDE: &str = "CONVEX_TEST_ON_A_HOST_OF_ITS_OWN";

/// Starts the daemon of the directory `$1` in the network and with the mounts of
/// this shell, and then the program that follows.
const SCRIPT: &str = r#"
set -eu
at=$1 said=$1/log
shift
ip link set lo up
dockerd --data-root "$at/data" --exec-root "$at/exec" --pidfile "$at/pid" \
    --config-file "$at/empty.json" --host "unix://$at/d.sock" >"$said" 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
until docker --host "unix://$at/d.sock" version >/dev/null 2>&1; do
    kill -0 $daemon || { cat "$said"; exit 1; }
    sleep 0.2
done
mount --bind "$at/d.sock" "$(readlink -f /var/run/docker.sock)"
docker load --quiet --input "$at/images.tar"
"$@"
"#;

/// Does `body` there, by running this test again. Takes root.
#[track_caller]
pub fn on_a_host_of_its_own(body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let directory = TempDir::with_prefix("host-").expect("a directory");
    fs::write(directory.path().join("empty.json"), "{}").expect("a file");
    let images = images();
    tools::run(
        Command::new("docker")
            .args(["save", "--output"])
            .arg(directory.path().join("images.tar"))
            .args([&images.backend, &images.dashboard]),
    );
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a name");
    let ended = Command::new("unshare")
        .args(["--net", "--mount", "--kill-child", "sh", "-c", SCRIPT, "sh"])
        .arg(directory.path())
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("CONVEX_TEST_BACKEND", &images.backend)
        .env("CONVEX_TEST_DASHBOARD", &images.dashboard)
        .stdin(Stdio::null())
        .output()
        .expect("unshare is installed: see tests/run");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "on a host of its own: {said}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
