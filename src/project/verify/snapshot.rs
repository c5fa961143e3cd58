//! Reading what the checks look at.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{SeenFile, Snapshot};
use crate::{
    convex::Secret,
    project::target::MAX_FILE,
    render::project::{ENV_DEPLOYMENT, ENV_LOCAL, PRIVATE_KEY},
};

/// Where sources of a frontend are.
const SOURCES: [&str; 6] = ["src", "app", "pages", "components", "lib", "routes"];

/// Most files that are looked at for an import, and how deep.
const MAX_SOURCES: usize = 2000;
const MAX_DEPTH: usize = 12;

/// Reads the directory of a project. What cannot be read is left out: the checks say then that it
/// is missing.
pub fn snapshot(root: &Path) -> io::Result<Snapshot> {
    if !root.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no directory", root.display()),
        ));
    }
    let mut found = Snapshot::default();
    for path in [
        ENV_LOCAL,
        ENV_DEPLOYMENT,
        PRIVATE_KEY,
        ".gitignore",
        "package.json",
        "convex.json",
    ] {
        read(root, Path::new(path), &mut found);
    }
    let functions = PathBuf::from(found.functions());
    walk(root, &functions, 1, &mut found);
    walk(root, &functions.join("_generated"), 1, &mut found);
    for directory in SOURCES {
        walk(root, Path::new(directory), MAX_DEPTH, &mut found);
    }
    Ok(found)
}

fn walk(root: &Path, relative: &Path, depth: usize, found: &mut Snapshot) {
    let Ok(entries) = fs::read_dir(root.join(relative)) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| relative.join(entry.file_name()))
        .collect();
    paths.sort();
    for path in paths {
        if found.files.len() >= MAX_SOURCES {
            return;
        }
        match fs::symlink_metadata(root.join(&path)) {
            Ok(it) if it.is_dir() && depth > 1 && !path.ends_with("node_modules") => {
                walk(root, &path, depth - 1, found);
            }
            Ok(it) if it.is_file() => read(root, &path, found),
            _ => {}
        }
    }
}

fn read(root: &Path, path: &Path, found: &mut Snapshot) {
    let file = root.join(path);
    let Ok(metadata) = fs::metadata(&file) else {
        return;
    };
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return;
    }
    if let (Ok(bytes), Some(path)) = (fs::read(&file), path.to_str()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let seen = SeenFile {
            text: Secret::from(text),
            bits: metadata.mode() & 0o7777,
        };
        found.files.insert(path.to_owned(), seen);
    }
}
