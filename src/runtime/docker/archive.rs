//! Files into and out of containers, as tar archives.

use std::{
    io::{self, Read},
    path::Path,
};

use bollard::{
    body_full,
    query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder},
};
use futures_util::TryStreamExt;
use tar::{Archive, Builder, EntryType, Header};

use super::{Credentials, Docker, DockerError, Patience, found};
use crate::{
    convex::Secret,
    runtime::{
        File, Own,
        contract::{CREDENTIALS_DIRECTORY, DATA_DIRECTORY},
    },
};

/// The file the image's start script reads the instance secret from.
const SECRET_FILE: &str = "instance_secret";

/// The file the image's start script leaves the instance name in.
const NAME_FILE: &str = "instance_name";

/// The file with the key for sign-in tokens, for our own start script alone.
const KEY_FILE: &str = "jwt_private_key.pem";

/// The file with what this provider notes of a deployment.
const RECORD_FILE: &str = "deployment.json";

/// The file that says how far a restore into the volume has come.
pub(super) const RESTORE_FILE: &str = "credentials/restore";

/// The same, beside the others.
const RESTORE_NAME: &str = "restore";

/// The file with the releases that have run.
const RELEASES_FILE: &str = "releases.json";

/// The files that are read, and how long each may be, in bytes. All others are somebody else's.
pub(super) const FILES: [(&str, u64); 6] = [
    (SECRET_FILE, 4096),
    (NAME_FILE, 4096),
    (KEY_FILE, 16 << 10),
    (RECORD_FILE, 64 << 10),
    (RESTORE_NAME, 4096),
    (RELEASES_FILE, 64 << 10),
];

/// Longest archive of a directory with such files that is read, in bytes.
pub(super) const MAX_CREDENTIALS: usize = 1 << 20;

/// What the archive of one file has beside its content, in bytes, at most.
pub(super) const MAX_HEADS: usize = 4096;

impl Docker {
    /// Puts credentials into the volume of a container that exists, readable by
    /// their owner alone. There they are seen neither in the container's
    /// configuration nor in its labels. What is absent stays as it is.
    pub async fn store_credentials(
        &self,
        patience: &Patience,
        container: &Own,
        credentials: &Credentials,
    ) -> Result<(), DockerError> {
        let restore = credentials.restore.clone().map(Secret::from);
        let files = [
            (RESTORE_NAME, &restore),
            (SECRET_FILE, &credentials.secret),
            (KEY_FILE, &credentials.jwt_key),
            (RECORD_FILE, &credentials.record),
            (RELEASES_FILE, &credentials.releases),
        ];
        let files: Vec<_> = files
            .into_iter()
            .filter_map(|(name, content)| Some((name, content.as_ref()?)))
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        let doing = "store the credentials in the volume";
        let packed = pack_credentials(&files);
        self.upload(patience, container, DATA_DIRECTORY, doing, packed)
            .await
    }

    /// Puts files into a container that exists. They belong to root.
    pub(super) async fn put_files(
        &self,
        patience: &Patience,
        container: &Own,
        files: &[File],
    ) -> Result<(), DockerError> {
        let doing = "put files into the container";
        let packed = pack_files(files);
        self.upload(patience, container, "/", doing, packed).await
    }

    async fn upload(
        &self,
        patience: &Patience,
        container: &Own,
        directory: &str,
        doing: &str,
        packed: io::Result<Vec<u8>>,
    ) -> Result<(), DockerError> {
        let packed = packed.map_err(|error| DockerError::Failed {
            doing: doing.to_owned(),
            reason: error.to_string(),
        })?;
        let options = UploadToContainerOptionsBuilder::new()
            .path(directory)
            .build();
        let request = self.client.upload_to_container(
            container.id(),
            Some(options),
            body_full(packed.into()),
        );
        self.call(patience, doing, request).await
    }

    /// The archive of a path in a container, of at most `limit` bytes; `None` when there is no such
    /// path. What the daemon says of its length beforehand need not be so any more.
    pub(super) async fn download(
        &self,
        patience: &Patience,
        container: &str,
        (path, limit): (&str, usize),
        doing: &str,
    ) -> Result<Option<Vec<u8>>, DockerError> {
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let mut parts = self
            .client
            .download_from_container(container, Some(options));
        let read = async {
            let mut bytes = Vec::new();
            while let Some(part) = parts.try_next().await? {
                bytes.extend_from_slice(&part);
                if bytes.len() > limit {
                    break;
                }
            }
            Ok(bytes)
        };
        let bytes = found(self.call(patience, doing, read).await)?;
        if bytes.as_ref().is_some_and(|it| it.len() > limit) {
            return Err(DockerError::Unreadable {
                doing: doing.to_owned(),
                reason: format!("{path} has more than {limit} bytes"),
            });
        }
        Ok(bytes)
    }
}

fn pack_credentials(files: &[(&str, &Secret)]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut directory = Header::new_gnu();
    directory.set_entry_type(EntryType::Directory);
    directory.set_mode(0o700);
    directory.set_size(0);
    let path = format!("{CREDENTIALS_DIRECTORY}/");
    builder.append_data(&mut directory, path, io::empty())?;
    for (name, content) in files {
        let path = format!("{CREDENTIALS_DIRECTORY}/{name}");
        append(&mut builder, &path, 0o600, content)?;
    }
    builder.into_inner()
}

fn pack_files(files: &[File]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for file in files {
        let path = file.path.trim_start_matches('/');
        append(&mut builder, path, file.mode, &file.content)?;
    }
    builder.into_inner()
}

fn append(
    builder: &mut Builder<Vec<u8>>,
    path: &str,
    mode: u32,
    content: &Secret,
) -> io::Result<()> {
    let content = content.expose().as_bytes();
    let mut file = Header::new_gnu();
    file.set_mode(mode);
    file.set_size(content.len() as u64);
    builder.append_data(&mut file, path, content)
}

/// Reads the archive of the credentials' directory, or of one file in it.
pub(super) fn credentials(packed: &[u8], found: &mut Credentials) -> io::Result<()> {
    for entry in Archive::new(packed).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        // What is in a directory of its own is somebody's copy.
        let directory = path.parent().unwrap_or(Path::new(""));
        if !["", CREDENTIALS_DIRECTORY]
            .map(Path::new)
            .contains(&directory)
        {
            continue;
        }
        let known = |(name, _): &&(&str, u64)| path.ends_with(name);
        let Some((name, limit)) = FILES.iter().find(known) else {
            continue;
        };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(io::Error::other(format!("{name} is not a file")));
        }
        if entry.size() > *limit {
            return Err(io::Error::other(format!(
                "{name} has more than {limit} bytes"
            )));
        }
        let mut text = String::new();
        let read = entry.take(*limit).read_to_string(&mut text);
        read.map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            continue;
        }
        if path.ends_with(SECRET_FILE) {
            found.secret = Some(text.into());
        } else if path.ends_with(NAME_FILE) {
            found.name = Some(text);
        } else if path.ends_with(KEY_FILE) {
            found.jwt_key = Some(text.into());
        } else if path.ends_with(RECORD_FILE) {
            found.record = Some(text.into());
        } else if path.ends_with(RESTORE_NAME) {
            found.restore = Some(text);
        } else if path.ends_with(RELEASES_FILE) {
            found.releases = Some(text.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Credentials, File, pack_credentials, pack_files};
    use crate::runtime::docker::daemon::{Daemon, refusal};

    fn credentials(packed: &[u8]) -> std::io::Result<Credentials> {
        let mut found = Credentials::default();
        super::credentials(packed, &mut found).map(|()| found)
    }

    fn modes(packed: &[u8]) -> Vec<(String, u32)> {
        tar::Archive::new(packed)
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap())
            })
            .collect()
    }

    #[test]
    fn what_is_packed_is_private_and_read_back() {
        let files = [
            ("instance_secret", &"00ff".into()),
            ("jwt_private_key.pem", &"pem".into()),
        ];
        let packed = pack_credentials(&files).unwrap();
        assert_eq!(
            modes(&packed),
            [
                ("credentials/".to_owned(), 0o700),
                ("credentials/instance_secret".to_owned(), 0o600),
                ("credentials/jwt_private_key.pem".to_owned(), 0o600),
            ]
        );
        let read = credentials(&packed).unwrap();
        assert_eq!(read.secret.unwrap().expose(), "00ff");
        assert_eq!(read.jwt_key.unwrap().expose(), "pem");
        assert_eq!(read.name, None);
    }

    #[test]
    fn only_files_of_a_deployment_are_read_and_none_that_is_too_long() {
        let pack = |files: &[(&str, &[u8])]| {
            let mut builder = tar::Builder::new(Vec::new());
            for (name, content) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                let path = format!("credentials/{name}");
                builder.append_data(&mut header, path, *content).unwrap();
            }
            builder.into_inner().unwrap()
        };
        let secret = ("instance_secret", &b"00ff"[..]);
        let long = vec![b'x'; 1 << 20];
        let beside = pack(&[
            ("core", &long),
            ("binary", b"\xff"),
            secret,
            ("old/instance_secret", b"\xff"),
        ]);
        let read = credentials(&beside).unwrap();
        assert_eq!(read.secret.unwrap().expose(), "00ff");
        let error = credentials(&pack(&[("instance_name", &long)]))
            .err()
            .unwrap();
        assert_eq!(error.to_string(), "instance_name has more than 4096 bytes");
        let error = credentials(&pack(&[("instance_name", b"\xff")]))
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("instance_name: "), "{error}");
        // As many releases as have run in years are no reason to forget them.
        let releases = vec![b'x'; 32 << 10];
        let read = credentials(&pack(&[("releases.json", &releases)])).unwrap();
        assert_eq!(read.releases.unwrap().expose().len(), 32 << 10);
    }

    fn archived(content: &[u8]) -> Vec<u8> {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n\r\n";
        [&head[..], content].concat()
    }

    #[tokio::test]
    async fn an_archive_without_end_is_not_kept() {
        let daemon = Daemon::new(|_| archived(&vec![b'x'; 2 << 20]));
        let (docker, patience) = (&daemon.docker, &daemon.patience);
        let error = docker.credentials(patience, "a").await.unwrap_err();
        let limit = "/convex/data/credentials/instance_secret has more than 8192 bytes";
        assert!(error.to_string().contains(limit), "{error}");
    }

    #[tokio::test]
    async fn a_long_file_of_somebody_else_hides_none_of_a_deployment() {
        let daemon = Daemon::new(|request| {
            let asked = ["instance_secret", "restore"]
                .into_iter()
                .find(|it| request.contains(&format!("credentials%2F{it}")));
            if let Some(path) = asked {
                let file = File {
                    path: path.into(),
                    mode: 0o600,
                    content: "00ff".into(),
                };
                archived(&pack_files(&[file]).unwrap())
            } else if request.contains("credentials%2F") {
                refusal(404, "Could not find the file")
            } else {
                archived(&vec![b'x'; 2 << 20])
            }
        });
        let read = daemon.docker.credentials(&daemon.patience, "a").await;
        let read = read.unwrap();
        assert_eq!(read.secret.unwrap().expose(), "00ff");
        assert_eq!(read.name, None);
        assert_eq!(read.restore.as_deref(), Some("00ff"));
    }

    #[test]
    fn files_have_the_mode_they_are_given() {
        let file = File {
            path: "/start.sh".into(),
            mode: 0o755,
            content: "#!/bin/sh".into(),
        };
        let packed = pack_files(&[file]).unwrap();
        assert_eq!(modes(&packed), [("start.sh".to_owned(), 0o755)]);
    }
}
