//! Reading what the checks look at.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{SeenFile, Snapshot, cloud::FRAMEWORK_FILES, keeper::START};
use crate::{
    convex::Secret,
    local_file,
    render::project::{ENV_DEPLOYMENT, PRIVATE_KEY},
};

/// Where sources of a frontend are.
const SOURCES: [&str; 6] = ["src", "app", "pages", "components", "lib", "routes"];

/// Files that are looked at by name, beside [`FRAMEWORK_FILES`].
const NAMED: [&str; 6] = [
    ENV_DEPLOYMENT,
    PRIVATE_KEY,
    ".gitignore",
    "package.json",
    "convex.json",
    START,
];

/// Most files that are looked at, and how deep.
const MAX_FILES: usize = 2000;
const MAX_DEPTH: usize = 12;

/// Longest file that is read, and most that is read of all together, in bytes.
const MAX_FILE: u64 = 1 << 20;
const MAX_ALL: u64 = 16 << 20;

/// Reads the directory of a project, and nothing outside it. What cannot be read is left out: the
/// checks say then that it is missing.
pub async fn snapshot(root: PathBuf) -> io::Result<Snapshot> {
    let read = tokio::task::spawn_blocking(move || Reader::read_all(&root));
    read.await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

struct Reader {
    /// The directory without links.
    root: PathBuf,
    found: Snapshot,
    left: u64,
}

impl Reader {
    fn read_all(root: &Path) -> io::Result<Snapshot> {
        if !root.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is no directory", root.display()),
            ));
        }
        let mut reader = Self {
            root: fs::canonicalize(root)?,
            found: Snapshot::default(),
            left: MAX_ALL,
        };
        for path in FRAMEWORK_FILES.into_iter().chain(NAMED) {
            reader.read(Path::new(path));
        }
        if let Ok(functions) = reader.found.functions() {
            let functions = Path::new(&functions);
            let is_there = reader.root.join(functions).exists();
            reader.found.functions_lead_out = is_there && reader.inside(functions).is_none();
            reader.walk(functions, 1);
            reader.walk(&functions.join("_generated"), 1);
        }
        for directory in SOURCES {
            reader.walk(Path::new(directory), MAX_DEPTH);
        }
        Ok(reader.found)
    }

    /// Where a path of the project is, if links do not lead out of it.
    fn inside(&self, relative: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(self.root.join(relative)).ok()?;
        real.starts_with(&self.root).then_some(real)
    }

    fn walk(&mut self, relative: &Path, depth: usize) {
        let Some(entries) = self.inside(relative).and_then(|it| fs::read_dir(it).ok()) else {
            return;
        };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .take(MAX_FILES)
            .map(|entry| relative.join(entry.file_name()))
            .collect();
        paths.sort();
        for path in paths {
            if self.found.files.len() >= MAX_FILES {
                return;
            }
            match fs::symlink_metadata(self.root.join(&path)) {
                Ok(it) if it.is_dir() && depth > 1 && !path.ends_with("node_modules") => {
                    self.walk(&path, depth - 1);
                }
                Ok(it) if it.is_file() => self.read(&path),
                _ => {}
            }
        }
    }

    fn read(&mut self, relative: &Path) {
        if let Some(seen) = self.seen(relative)
            && let Some(path) = relative.to_str()
        {
            self.left -= seen.text.expose().len() as u64;
            self.found.files.insert(path.to_owned(), seen);
        }
    }

    fn seen(&self, relative: &Path) -> Option<SeenFile> {
        let file = local_file::open(&self.inside(relative)?).ok()?;
        let metadata = file.metadata().ok()?;
        // What replacements for what is no UTF-8 add is at most twice as much again.
        let limit = MAX_FILE.min(self.left / 3);
        if metadata.len() > limit {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(SeenFile {
            text: Secret::from(String::from_utf8_lossy(&bytes).into_owned()),
            bits: metadata.mode() & 0o7777,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.files.keys().map(String::as_str).collect()
    }

    #[tokio::test]
    async fn nothing_outside_is_read_whoever_points_there() {
        let parent = tempfile::tempdir().unwrap();
        let (root, outside) = (parent.path().join("app"), parent.path().join("outside"));
        fs::create_dir_all(root.join("src")).unwrap();
        fs::create_dir_all(outside.join("_generated")).unwrap();
        fs::write(outside.join("schema.ts"), "theirs").unwrap();
        fs::write(root.join("src/App.tsx"), "ours").unwrap();
        symlink(outside.join("schema.ts"), root.join(".env.local")).unwrap();
        symlink(&outside, root.join("convex")).unwrap();
        for functions in ["convex", "../outside", "/etc", "src/../../outside"] {
            fs::write(
                root.join("convex.json"),
                format!("{{\"functions\":\"{functions}\"}}"),
            )
            .unwrap();
            let seen = snapshot(root.clone()).await.unwrap();
            assert_eq!(paths(&seen), ["convex.json", "src/App.tsx"], "{functions}");
            assert!(seen.functions().is_err(), "{functions}");
        }
        // Links within the project are its own affair.
        fs::remove_file(root.join("convex")).unwrap();
        symlink("src", root.join("convex")).unwrap();
        fs::remove_file(root.join("convex.json")).unwrap();
        let seen = snapshot(root).await.unwrap();
        assert_eq!(paths(&seen), ["convex/App.tsx", "src/App.tsx"]);
    }

    #[tokio::test]
    async fn neither_pipes_nor_great_files_hold_it_up() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join(".env.convex.local");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        fs::create_dir(root.path().join("src")).unwrap();
        for name in 0..40 {
            let file = fs::File::create(root.path().join(format!("src/{name:02}.ts"))).unwrap();
            file.set_len(if name == 0 { 1 << 40 } else { MAX_FILE })
                .unwrap();
        }
        let seen = snapshot(root.path().to_owned()).await.unwrap();
        let all: usize = seen.files.values().map(|it| it.text.expose().len()).sum();
        assert!(!seen.files.contains_key(".env.convex.local"));
        assert!(!seen.files.contains_key("src/00.ts") && seen.files.contains_key("src/01.ts"));
        assert!(all as u64 <= MAX_ALL, "{all}");
    }
}
