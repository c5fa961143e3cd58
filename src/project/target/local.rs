//! A directory of this machine.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use super::{MAX_FILE, MadeDirectory, Surrounding, Target, TargetError};
use crate::{
    local_file,
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

    /// The directory without links; `None` when there is none.
    fn real_root(&self) -> Result<Option<PathBuf>, TargetError> {
        match fs::canonicalize(&self.root) {
            Ok(root) if root.is_dir() => Ok(Some(root)),
            Ok(root) => Err(TargetError::NotDirectory {
                path: root.display().to_string(),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.root, &error)),
        }
    }

    /// Where a path really is: all links on the way and at the end are followed, and must not lead
    /// out. Names beyond what exists are left as they are.
    fn real(root: &Path, path: &FilePath) -> Result<PathBuf, TargetError> {
        let leads_out = || TargetError::LeadsOut {
            path: path.to_string(),
        };
        let mut real = root.to_owned();
        for name in path.names() {
            let next = real.join(name);
            match fs::symlink_metadata(&next) {
                Ok(found) if found.is_symlink() => {
                    // One that leads nowhere could lead anywhere by the time of writing.
                    real = fs::canonicalize(&next).map_err(|_| leads_out())?;
                    if !real.starts_with(root) {
                        return Err(leads_out());
                    }
                }
                Ok(_) => real = next,
                Err(error) if error.kind() == ErrorKind::NotFound => real = next,
                Err(error) => return Err(failed(&next, &error)),
            }
        }
        Ok(real)
    }

    fn look_at(root: &Path, path: &FilePath) -> Result<Existing, TargetError> {
        let real = Self::real(root, path)?;
        let found = match fs::symlink_metadata(&real) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Existing::Absent),
            Err(error) => return Err(failed(&real, &error)),
        };
        // Opening a pipe would wait for its other end.
        if !found.is_file() {
            let what = if found.is_dir() {
                "a directory"
            } else {
                "something special"
            };
            return Err(TargetError::NotFile {
                path: path.to_string(),
                what,
            });
        }
        if found.len() > MAX_FILE {
            return Err(TargetError::TooLarge {
                path: path.to_string(),
            });
        }
        // It may be another one by now.
        let content = local_file::read(&real, MAX_FILE).map_err(|error| failed(&real, &error))?;
        Ok(Existing::File {
            content,
            bits: found.mode() & 0o7777,
        })
    }

    /// Makes the directories on the way to a file, for the owner of the one they are in, and
    /// returns those that were missing.
    fn make_parents(real: &Path) -> Result<Vec<PathBuf>, TargetError> {
        let Some(parent) = real.parent() else {
            return Ok(Vec::new());
        };
        let missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|it| fs::symlink_metadata(it).is_err())
            .collect();
        let mut made = Vec::new();
        for directory in missing.into_iter().rev() {
            match fs::create_dir(directory) {
                Ok(()) => {
                    if let Some(above) = directory.parent() {
                        give_to_owner_of(above, directory);
                    }
                    made.push(directory.to_owned());
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(directory, &error)),
            }
        }
        Ok(made)
    }

    /// Removes a directory that was made here, if it is empty. One that has become a link by now,
    /// or is reached by one, is somebody else's.
    fn remove_empty(root: &Path, below: &str) {
        let path = root.join(below);
        if fs::canonicalize(&path).is_ok_and(|real| real == path) {
            // Nobody misses an empty one that stays.
            let _ = fs::remove_dir(&path);
        }
    }

    /// Writes beside the file and renames, so that it is never half there.
    fn write(real: &Path, content: &[u8], bits: u32) -> Result<(), TargetError> {
        let directory = real.parent().unwrap_or(Path::new("/"));
        let mut prefix = OsString::from(".");
        prefix.push(real.file_name().unwrap_or_default());
        let written = || -> io::Result<()> {
            let mut beside = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(".convex-new")
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(directory)?;
            beside.write_all(content)?;
            // The owner first: a change of it takes some bits away.
            let like = if real.exists() { real } else { directory };
            give_to_owner_of(like, beside.path());
            beside
                .as_file()
                .set_permissions(Permissions::from_mode(bits))?;
            beside.as_file().sync_all()?;
            beside.persist(real)?;
            File::open(directory)?.sync_all()
        };
        written().map_err(|error| failed(real, &error))
    }
}

/// Only root can give a file away, and only then it is needed.
fn give_to_owner_of(like: &Path, path: &Path) {
    if let Ok(owner) = fs::metadata(like) {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

fn failed(path: &Path, error: &io::Error) -> TargetError {
    let path = path.display().to_string();
    let remedy = match error.kind() {
        ErrorKind::IsADirectory => {
            return TargetError::NotFile {
                path,
                what: "a directory",
            };
        }
        ErrorKind::PermissionDenied => "Give the user that runs Terraform the right to it",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "Free some space",
        ErrorKind::ReadOnlyFilesystem => "Choose a path on a file system that can be written to",
        ErrorKind::NotADirectory => "Part of the path is a file. Choose another path",
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
            let root = own.real_root()?;
            paths
                .into_iter()
                .map(|path| {
                    let existing = match &root {
                        Some(root) => Self::look_at(root, &path)?,
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
            let mut made = Vec::new();
            if edits.is_empty() {
                return Ok(made);
            }
            if Self::make_parents(&own.root.join("x"))?.contains(&own.root) {
                made.push(MadeDirectory(String::new()));
            }
            let root = own.real_root()?.ok_or_else(|| TargetError::NotDirectory {
                path: own.root.display().to_string(),
            })?;
            for edit in edits {
                match edit {
                    Edit::Write {
                        path,
                        content,
                        bits,
                    } => {
                        let real = Self::real(&root, &path)?;
                        let below = |it: PathBuf| {
                            let below = it.strip_prefix(&root).ok()?.to_str()?;
                            Some(MadeDirectory(below.to_owned()))
                        };
                        let parents = Self::make_parents(&real)?;
                        made.extend(parents.into_iter().filter_map(below));
                        Self::write(&real, &content, bits)?;
                    }
                    Edit::Permit { path, bits } => {
                        let real = Self::real(&root, &path)?;
                        fs::set_permissions(&real, Permissions::from_mode(bits))
                            .map_err(|error| failed(&real, &error))?;
                    }
                }
            }
            Ok(made)
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
            let Some(root) = own.real_root()? else {
                return Ok(());
            };
            for path in files {
                let real = Self::real(&root, &path)?;
                match fs::remove_file(&real) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(failed(&real, &error));
                    }
                    _ => {}
                }
            }
            for MadeDirectory(below) in directories {
                Self::remove_empty(&root, &below);
            }
            Ok(())
        })
        .await
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        self.off(move |own| {
            let Some(root) = own.real_root()? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for directory in root.ancestors().take(MAX_ABOVE) {
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
