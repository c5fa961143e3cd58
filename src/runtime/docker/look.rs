//! Many paths of somebody else's container at once.
//!
//! Docker's API gives one path with each request, and packs each by itself, which takes a daemon
//! some tenths of a second. A program in the container looks at all of them in one go. Where none
//! runs, or the image lacks it, each path is asked for by itself.

use std::{collections::BTreeMap, io::Read};

use bollard::exec::CreateExecOptions;
use futures_util::{StreamExt, TryStreamExt, stream};
use tar::{Archive, EntryType};

use super::{Docker, DockerError, InContainer, Owner, Patience, output::Output};

/// How many paths are asked for at the same time.
const AT_ONCE: usize = 8;

/// What tar says of a path that leads nowhere, in the language of `LC_ALL=C`.
const ABSENT: &str = ": No such file or directory";

/// Removes as many files as the first argument says, looks whether they are gone, and then removes
/// those directories that are empty.
const REMOVE: &str = r#"n=$1
shift
while [ "$n" -gt 0 ]; do
    rm -f -- "$1" || exit 1
    if [ -e "$1" ] || [ -L "$1" ]; then
        echo "$1 is still there" >&2
        exit 1
    fi
    shift
    n=$((n - 1))
done
for directory do
    rmdir -- "$directory" 2>/dev/null || :
done"#;

impl Docker {
    /// What there is at each of these absolute paths, in their order; `None` for nothing. Content
    /// of at most `limit` bytes.
    pub async fn look_at_all(
        &self,
        patience: &Patience,
        (container, runs): (&str, bool),
        paths: &[String],
        limit: u64,
    ) -> Result<Vec<Option<InContainer>>, DockerError> {
        if runs && let Some(found) = self.packed(patience, container, paths, limit).await {
            return Ok(found);
        }
        self.look_at_each(patience, container, paths, limit).await
    }

    /// Which of these absolute paths lead to something, in their order.
    pub async fn exist(
        &self,
        patience: &Patience,
        (container, runs): (&str, bool),
        paths: &[String],
    ) -> Result<Vec<bool>, DockerError> {
        let mut command = vec!["ls", "-1", "-d", "--", "/"];
        command.extend(paths.iter().map(String::as_str));
        if runs && let Ok(output) = self.as_root(patience, container, command).await {
            let listed = String::from_utf8_lossy(&output.stdout);
            let listed: Vec<&str> = listed.lines().collect();
            // Only a program that has run knows the root.
            if listed.contains(&"/") {
                return Ok(paths
                    .iter()
                    .map(|it| listed.contains(&it.as_str()))
                    .collect());
            }
        }
        let found = self.look_at_each(patience, container, paths, 0).await?;
        Ok(found.iter().map(Option::is_some).collect())
    }

    /// Removes files of a container that runs, whoever they belong to, and those directories that
    /// are empty then, the deepest first. What is not there is no failure, and what stays is one.
    pub async fn remove_all(
        &self,
        patience: &Patience,
        container: &str,
        files: &[String],
        directories: &[String],
    ) -> Result<(), DockerError> {
        let count = files.len().to_string();
        let mut command = vec!["sh", "-c", REMOVE, "sh", &count];
        command.extend(files.iter().chain(directories).map(String::as_str));
        let output = self.as_root(patience, container, command).await?;
        output
            .of_success("remove files from the container")
            .map(drop)
    }

    /// Each path by itself.
    async fn look_at_each(
        &self,
        patience: &Patience,
        container: &str,
        paths: &[String],
        limit: u64,
    ) -> Result<Vec<Option<InContainer>>, DockerError> {
        let looks: Vec<_> = paths
            .iter()
            .map(|path| self.look_at(patience, container, path, limit))
            .collect();
        stream::iter(looks).buffered(AT_ONCE).try_collect().await
    }

    /// All paths in one archive; `None` if that cannot be made or leaves a doubt. Whatever the
    /// reason is, it comes to light when each path is asked for by itself.
    async fn packed(
        &self,
        patience: &Patience,
        container: &str,
        paths: &[String],
        limit: u64,
    ) -> Option<Vec<Option<InContainer>>> {
        let mut command = vec!["tar", "-c", "-f", "-", "--no-recursion", "-C", "/", "--"];
        command.extend(paths.iter().map(|path| relative(path)));
        // Comes last, so what is missing before is missing.
        command.push(".");
        let output = self.as_root(patience, container, command).await.ok()?;
        let said = String::from_utf8_lossy(&output.stderr);
        unpack(&output.stdout, &said, paths, limit)
    }

    /// Runs a program that may do everything.
    async fn as_root(
        &self,
        patience: &Patience,
        container: &str,
        command: Vec<&str>,
    ) -> Result<Output, DockerError> {
        let options = CreateExecOptions {
            cmd: Some(command),
            user: Some("0"),
            env: Some(vec!["LC_ALL=C"]),
            ..Default::default()
        };
        self.exec_with(patience, container, options, &[]).await
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn unpack(
    packed: &[u8],
    said: &str,
    paths: &[String],
    limit: u64,
) -> Option<Vec<Option<InContainer>>> {
    let mut found = BTreeMap::new();
    let mut complete = false;
    for entry in Archive::new(packed).entries().ok()? {
        let entry = entry.ok()?;
        let path = entry
            .path()
            .ok()?
            .to_str()?
            .trim_end_matches('/')
            .to_owned();
        complete = path == ".";
        let header = entry.header();
        let at = match header.entry_type() {
            EntryType::Directory => InContainer::Directory,
            EntryType::Symlink => InContainer::Link,
            EntryType::Fifo | EntryType::Char | EntryType::Block => InContainer::Special,
            EntryType::Regular if header.size().ok()? > limit => InContainer::TooLarge,
            EntryType::Regular => {
                let bits = header.mode().ok()? & 0o7777;
                let owner = Owner {
                    uid: header.uid().ok()?,
                    gid: header.gid().ok()?,
                };
                let mut content = Vec::new();
                entry.take(limit).read_to_end(&mut content).ok()?;
                InContainer::File {
                    content,
                    bits,
                    owner,
                }
            }
            // Such as the second name of one file.
            _ => return None,
        };
        found.insert(path, at);
    }
    if !complete {
        return None;
    }
    let absent = |path: &str| {
        said.lines()
            .filter_map(|line| line.strip_suffix(ABSENT))
            .any(|line| {
                let line = line.strip_suffix(": Cannot stat").unwrap_or(line);
                line.strip_suffix(path).is_some_and(|it| it.ends_with(": "))
            })
    };
    paths
        .iter()
        .map(|path| match found.remove(relative(path)) {
            Some(at) => Some(Some(at)),
            None if absent(relative(path)) => Some(None),
            // Unreadable is not absent.
            None => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use super::*;

    /// What the tar of this machine says of paths below a directory.
    fn tar(directory: &std::path::Path, paths: &[&str], end: &[&str]) -> (Vec<u8>, String) {
        let output = Command::new("tar")
            .args(["-c", "-f", "-", "--no-recursion", "-C"])
            .arg(directory)
            .arg("--")
            .args(paths)
            .args(end)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    }

    fn unpacked(
        directory: &std::path::Path,
        paths: &[&str],
        end: &[&str],
    ) -> Option<Vec<Option<InContainer>>> {
        let (packed, said) = tar(directory, paths, end);
        let paths: Vec<String> = paths.iter().map(|it| format!("/{it}")).collect();
        unpack(&packed, &said, &paths, 10)
    }

    #[test]
    fn what_is_to_be_removed_is_gone_or_an_error() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("made/kept")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        fs::write(at("f"), "").unwrap();
        symlink("nowhere", at("link")).unwrap();
        let removed = |count: &str, paths: &[&str]| {
            let removing = Command::new("sh")
                .args(["-c", REMOVE, "sh", count])
                .args(paths.iter().map(|it| at(it)))
                .output()
                .unwrap();
            removing.status.success()
        };
        assert!(removed("3", &["f", "link", "none", "empty", "made"]));
        assert!(!at("f").exists() && !at("empty").exists() && at("made/kept").exists());
        assert!(fs::symlink_metadata(at("link")).is_err());
        // A program of that name that removes nothing, and a directory in the place of the file.
        assert!(!removed("1", &["made"]));
        let bin = at("bin");
        fs::create_dir(&bin).unwrap();
        symlink("/bin/true", bin.join("rm")).unwrap();
        fs::write(at("f"), "").unwrap();
        let lying = Command::new("/bin/sh")
            .args(["-c", REMOVE, "sh", "1"])
            .arg(at("f"))
            .env("PATH", &bin)
            .output()
            .unwrap();
        assert!(!lying.status.success());
    }

    #[test]
    fn one_archive_tells_of_every_path_or_is_not_believed() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("d/e")).unwrap();
        fs::write(at("d/f"), "x: No suc").unwrap();
        fs::write(at("large"), [0; 11]).unwrap();
        symlink("d", at("link")).unwrap();
        let found = unpacked(
            root.path(),
            &["d", "d/f", "d/n", "n/n", "large", "link"],
            &["."],
        );
        let found = found.unwrap();
        assert!(found[0] == Some(InContainer::Directory));
        let Some(InContainer::File { content, .. }) = &found[1] else {
            panic!("a file");
        };
        assert_eq!(content, b"x: No suc");
        assert!(found[2].is_none() && found[3].is_none());
        assert!(found[4] == Some(InContainer::TooLarge));
        assert!(found[5] == Some(InContainer::Link));
        // The end is missing.
        assert!(unpacked(root.path(), &["d/f"], &[]).is_none());
        // Not a directory on the way is not the same as nothing.
        assert!(unpacked(root.path(), &["d/f/g"], &["."]).is_none());
        // A second name holds no content of its own.
        fs::hard_link(at("d/f"), at("d/h")).unwrap();
        assert!(unpacked(root.path(), &["d/f", "d/h"], &["."]).is_none());
        // What tar could not read, it says nothing of that would tell it from nothing.
        let (packed, _) = tar(root.path(), &["d"], &["."]);
        let paths = ["/d".to_owned(), "/x".to_owned()];
        let denied = "tar: x: Cannot open: Permission denied\n";
        assert!(unpack(&packed, denied, &paths, 10).is_none());
        assert!(unpack(b"OCI runtime exec failed", "", &paths, 10).is_none());
    }
}
