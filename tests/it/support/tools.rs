//! Programs that come from a package registry, installed once and kept.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// Where tools are kept between runs: below the build directory.
fn shelf() -> PathBuf {
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
    fs::create_dir_all(&shelf).expect("the tools' directory can be made");
    shelf
}

/// The directory `name`, filled by `install` if no earlier run has done it.
/// Tests and processes that come at the same time wait for each other.
pub fn installed(name: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let directory = shelf().join(name);
    let lock = File::create(shelf().join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let done = directory.join(".installed");
    if !done.exists() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("the tool's directory can be made");
        install(&directory);
        File::create(done).expect("a mark");
    }
    directory
}

/// Where a program of this name is.
#[track_caller]
pub fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|it| it.join(name))
        .find(|it| it.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is installed"));
    found.canonicalize().expect("a path")
}

/// Runs a command that must succeed.
#[track_caller]
pub fn run(command: &mut Command) {
    printed(command);
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
pub fn printed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    said.trim().to_owned()
}
