//! A directory of this machine.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{MAX_FILE, MadeDirectory, Surrounding, Target, TargetError};
use crate::{
    local_file::{self, Directory, Unfit, Untrusted},
    render::files::{Edit, Existing, FilePath},
};

/// A directory of this machine. It is made when it is first written to.
#[derive(Debug, Clone)]
pub struct LocalDirectory {
    root: PathBuf,
}

/// How many directories above are looked at for a monorepo.
const MAX_ABOVE: usize = 8;

impl LocalDirectory {
    /// The directory at a path.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Runs work that waits for the disk where it holds up nobody.
    async fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, TargetError> + Send + 'static,
    ) -> Result<T, TargetError> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || work(&own))
            .await
            .unwrap_or_else(|_| {
                Err(TargetError::Failed {
                    path: self.root.display().to_string(),
                    reason: "the work on it was cut off".to_owned(),
                    remedy: "Apply again",
                })
            })
    }

    /// `None` when there is none.
    fn open(&self) -> Result<Option<Directory>, TargetError> {
        Directory::open(&self.root).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> TargetError {
        if error.kind() == ErrorKind::NotADirectory {
            return TargetError::NotDirectory {
                path: self.root.display().to_string(),
            };
        }
        failed(&self.root, "", error)
    }

    fn look_at(&self, root: &Directory, path: &FilePath) -> Result<Existing, TargetError> {
        let failed = |error: io::Error| failed(&self.root, path.as_str(), &error);
        let Some(entry) = root.entry(Path::new(path.as_str()), None).map_err(failed)? else {
            return Ok(Existing::Absent);
        };
        if entry.is_directory() {
            return Err(failed(ErrorKind::IsADirectory.into()));
        }
        Ok(match entry.read(MAX_FILE).map_err(failed)? {
            Some((content, bits)) => Existing::File { content, bits },
            None => Existing::Absent,
        })
    }
}

/// Why a path below the project's directory cannot be looked at or changed; of an empty path, why
/// that directory cannot.
fn failed(root: &Path, below: &str, error: &io::Error) -> TargetError {
    let path = match below {
        "" => root.display().to_string(),
        below => root.join(below).display().to_string(),
    };
    let below = below.to_owned();
    match (Untrusted::of(error), Unfit::of(error), error.kind()) {
        (Some(Untrusted::LeadsOut), _, _) => return TargetError::LeadsOut { path: below },
        (_, Some(Unfit::TooLarge(_)), _) => return TargetError::TooLarge { path: below },
        (_, Some(Unfit::NotAFile), _) => {
            return TargetError::NotFile {
                path: below,
                what: "something special",
            };
        }
        (_, _, ErrorKind::IsADirectory) => {
            return TargetError::NotFile {
                path,
                what: "a directory",
            };
        }
        _ => {}
    }
    let remedy = match (Untrusted::of(error), error.kind()) {
        (Some(Untrusted::OfStranger(_)), _) => {
            "Remove it, or give it to the owner of the directory with chown"
        }
        (Some(Untrusted::LinkOfStranger(_)), _) => "Name the directory without that link",
        (_, ErrorKind::PermissionDenied) => "Give the user that runs Terraform the right to it",
        (_, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => "Free some space",
        (_, ErrorKind::ReadOnlyFilesystem) => {
            "Choose a path on a file system that can be written to"
        }
        (_, ErrorKind::NotADirectory) => "Part of the path is a file. Choose another path",
        _ => "Remove the cause, and apply again",
    };
    TargetError::Failed {
        path,
        reason: error.to_string(),
        remedy,
    }
}

impl Target for LocalDirectory {
    async fn look(&self, paths: &[FilePath]) -> Result<BTreeMap<FilePath, Existing>, TargetError> {
        let paths = paths.to_vec();
        self.off(move |own| {
            let root = own.open()?;
            paths
                .into_iter()
                .map(|path| {
                    let existing = match &root {
                        Some(root) => own.look_at(root, &path)?,
                        None => Existing::Absent,
                    };
                    Ok((path, existing))
                })
                .collect()
        })
        .await
    }

    async fn change(&self, edits: &[Edit]) -> Result<Vec<MadeDirectory>, TargetError> {
        let edits = edits.to_vec();
        self.off(move |own| {
            if edits.is_empty() {
                return Ok(Vec::new());
            }
            let made = Directory::make(&own.root);
            let (root, is_made) = made.map_err(|error| own.failed(&error))?;
            let mut made = Vec::new();
            if is_made {
                made.push(PathBuf::new());
            }
            for edit in &edits {
                let (Edit::Write { path, .. } | Edit::Permit { path, .. }) = edit;
                let mut done = || {
                    let entry = root.entry(Path::new(path.as_str()), Some(&mut made))?;
                    let entry = entry.ok_or(ErrorKind::NotFound)?;
                    match edit {
                        Edit::Write { content, bits, .. } => entry.write(content, *bits),
                        Edit::Permit { bits, .. } => entry.permit(*bits),
                    }
                };
                done().map_err(|error| failed(&own.root, path.as_str(), &error))?;
            }
            let made = made.iter().filter_map(|it| it.to_str());
            Ok(made.map(|it| MadeDirectory(it.to_owned())).collect())
        })
        .await
    }

    async fn remove(
        &self,
        files: &[FilePath],
        directories: &[MadeDirectory],
    ) -> Result<(), TargetError> {
        let (files, mut directories) = (files.to_vec(), directories.to_vec());
        // What is below another one is longer.
        directories.sort_by_key(|MadeDirectory(below)| Reverse(below.len()));
        self.off(move |own| {
            let Some(root) = own.open()? else {
                return Ok(());
            };
            for path in &files {
                let entry = root.entry(Path::new(path.as_str()), None);
                let removed = entry.and_then(|it| it.map_or(Ok(()), |it| it.remove()));
                removed.map_err(|error| failed(&own.root, path.as_str(), &error))?;
            }
            for MadeDirectory(below) in &directories {
                // Nobody misses an empty one that stays.
                let _ = root.remove_empty(Path::new(below));
            }
            Ok(())
        })
        .await
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        self.off(move |own| {
            let Some(root) = own.open()? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for directory in root.real().ancestors().take(MAX_ABOVE) {
                let names: Vec<String> = fs::read_dir(directory)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect();
                let is_repository = names.iter().any(|name| name == ".git");
                let package = directory.join("package.json");
                let text = local_file::read_text(&package, MAX_FILE).ok();
                found.push(Surrounding {
                    package_json: text,
                    names,
                });
                // What is above the repository is somebody else's.
                if is_repository {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::render::gitignore;

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    fn write(to: &str, content: &str, bits: u32) -> Edit {
        Edit::Write {
            path: path(to),
            content: content.as_bytes().to_vec(),
            bits,
        }
    }

    async fn existing(target: &LocalDirectory, at: &str) -> Result<Existing, TargetError> {
        let found = target.look(&[path(at)]).await?;
        Ok(found[&path(at)].clone())
    }

    #[tokio::test]
    async fn files_and_directories_are_made_with_their_bits() {
        let parent = tempfile::tempdir().unwrap();
        let target = LocalDirectory::new(parent.path().join("new/app"));
        assert_eq!(existing(&target, "a/b").await, Ok(Existing::Absent));
        let edits = [write("a/b", "x", 0o600), write("run", "y", 0o755)];
        target.change(&edits).await.unwrap();
        let is = |content: &str, bits| {
            Ok(Existing::File {
                content: content.as_bytes().to_vec(),
                bits,
            })
        };
        assert_eq!(existing(&target, "a/b").await, is("x", 0o600));
        assert_eq!(existing(&target, "run").await, is("y", 0o755));
        let permit = Edit::Permit {
            path: path("run"),
            bits: 0o700,
        };
        target
            .change(&[permit, write("a/b", "z", 0o600)])
            .await
            .unwrap();
        assert_eq!(existing(&target, "run").await, is("y", 0o700));
        assert_eq!(existing(&target, "a/b").await, is("z", 0o600));
        // Nothing of the writing is left behind.
        let names = fs::read_dir(parent.path().join("new/app/a"))
            .unwrap()
            .count();
        assert_eq!(names, 1);
        target.remove(&[path("run")], &[]).await.unwrap();
        target.remove(&[path("run")], &[]).await.unwrap();
        assert_eq!(existing(&target, "run").await, Ok(Existing::Absent));
    }

    #[test]
    fn git_ignores_what_an_interrupted_write_leaves() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        let _unfinished = directory.begin("key".as_ref()).unwrap();
        let hidden = fs::read_dir(root.path()).unwrap().next().unwrap().unwrap();
        let hidden = hidden.file_name().into_string().unwrap();
        let covers = |line: &&str| {
            let parts: Vec<&str> = line.split('*').collect();
            matches!(parts[..], ["", part, ""] if hidden.contains(part))
        };
        assert!(gitignore::LINES.iter().any(covers), "{hidden}");
    }

    #[tokio::test]
    async fn no_link_leads_out() {
        let parent = tempfile::tempdir().unwrap();
        let (root, outside) = (parent.path().join("app"), parent.path().join("outside"));
        fs::create_dir_all(root.join("inside")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "theirs").unwrap();
        symlink(&outside, root.join("directory")).unwrap();
        symlink(outside.join("f"), root.join("file")).unwrap();
        symlink(outside.join("new"), root.join("dangling")).unwrap();
        symlink("inside", root.join("good")).unwrap();
        let target = LocalDirectory::new(&root);
        for bad in ["directory/f", "directory/new", "file", "dangling"] {
            let leads_out = TargetError::LeadsOut {
                path: bad.to_owned(),
            };
            assert_eq!(existing(&target, bad).await, Err(leads_out.clone()));
            let error = target.change(&[write(bad, "x", 0o644)]).await;
            assert_eq!(error, Err(leads_out.clone()));
            assert_eq!(target.remove(&[path(bad)], &[]).await, Err(leads_out));
        }
        assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        target.change(&[write("good/f", "x", 0o644)]).await.unwrap();
        assert_eq!(fs::read_to_string(root.join("inside/f")).unwrap(), "x");
        // The project's own directory may be reached by a link.
        symlink(&root, parent.path().join("link")).unwrap();
        let by_link = LocalDirectory::new(parent.path().join("link"));
        by_link.change(&[write("g", "x", 0o644)]).await.unwrap();
        assert!(root.join("g").exists());
    }

    #[tokio::test]
    async fn only_directories_that_were_made_and_are_empty_go() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("app");
        fs::create_dir_all(root.join("theirs")).unwrap();
        let target = LocalDirectory::new(&root);
        let files = ["theirs/f", "a/b/f", "c/f", "d/f"];
        let made = target.change(&files.map(|it| write(it, "x", 0o644))).await;
        let made = made.unwrap();
        let names: Vec<&str> = made.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["a", "a/b", "c", "d"]);
        fs::write(root.join("c/mine"), "").unwrap();
        // By now it leads to a directory of somebody else's.
        fs::remove_dir_all(root.join("d")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        symlink("empty", root.join("d")).unwrap();
        target.remove(&files.map(path), &made).await.unwrap();
        for (stays, is) in [("a", false), ("theirs", true), ("c", true), ("empty", true)] {
            assert_eq!(root.join(stays).exists(), is, "{stays}");
        }
        let whole = LocalDirectory::new(parent.path().join("new"));
        let made = whole.change(&[write("f", "x", 0o644)]).await.unwrap();
        whole.remove(&[path("f")], &made).await.unwrap();
        assert!(!parent.path().join("new").exists());
    }

    #[tokio::test]
    async fn what_is_no_file_is_told() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let target = LocalDirectory::new(root.path());
        let error = existing(&target, "a").await.unwrap_err();
        assert!(
            error.to_string().contains("a directory and no file"),
            "{error}"
        );
        let error = target.change(&[write("a", "x", 0o600)]).await.unwrap_err();
        assert_eq!(
            error,
            TargetError::NotFile {
                path: root.path().join("a").display().to_string(),
                what: "a directory"
            }
        );
        fs::write(root.path().join("f"), "").unwrap();
        let file = LocalDirectory::new(root.path().join("f"));
        let error = existing(&file, "a").await.unwrap_err();
        assert!(matches!(error, TargetError::NotDirectory { .. }), "{error}");
        let error = target
            .change(&[write("f/g", "x", 0o644)])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("Part of the path is a file"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_monorepo_is_seen_up_to_its_repository() {
        let root = tempfile::tempdir().unwrap();
        let app = root.path().join("repo/apps/web");
        fs::create_dir_all(&app).unwrap();
        fs::create_dir(root.path().join("repo/.git")).unwrap();
        fs::write(root.path().join("yarn.lock"), "").unwrap();
        fs::write(root.path().join("repo/pnpm-lock.yaml"), "").unwrap();
        fs::write(app.join("package.json"), "{}").unwrap();
        let found = LocalDirectory::new(&app).surroundings().await.unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].package_json.as_deref(), Some("{}"));
        assert_eq!(found[0].names, ["package.json"]);
        assert!(found[2].names.contains(&"pnpm-lock.yaml".to_owned()));
    }
}
