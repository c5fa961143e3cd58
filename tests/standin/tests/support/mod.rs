//! What the tests share.

pub mod backend;
pub mod http;
#[expect(
    dead_code,
    reason = "shared with the tests of the provider, which use other parts of it"
)]
pub mod postgres;
pub mod push;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The instance of the recorded exchanges, whose secret is that of the first admin key vector.
pub const NAME: &str = "carnitas";
pub const SECRET: &str = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";

/// The folder of this crate.
pub fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `tests/data`.
pub fn data(name: &str) -> String {
    std::fs::read_to_string(crate_folder().join("tests/data").join(name)).unwrap()
}

/// A folder that outlives the tests, for what is expensive to make.
pub fn cache_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standin");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Waits for something, a quarter of a minute at most.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a program that must succeed; returns what it printed on standard output.
pub fn must(command: &mut Command) -> String {
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
