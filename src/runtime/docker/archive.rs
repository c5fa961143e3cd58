//! Files into and out of containers, as tar archives.

use std::io::{self, Read};

use bollard::{
    body_full,
    query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder},
};
use futures_util::TryStreamExt;
use tar::{Archive, Builder, EntryType, Header};

use super::{Credentials, Docker, DockerError, Patience, found};
use crate::{
    convex::Secret,
    runtime::desired::{CREDENTIALS_DIRECTORY, DATA_DIRECTORY},
};

/// The file the image's start script reads the instance secret from.
const SECRET_FILE: &str = "instance_secret";

/// The file the image's start script leaves the instance name in.
const NAME_FILE: &str = "instance_name";

/// Longest credentials file that makes sense, in bytes.
const MAX_FILE: u64 = 4096;

impl Docker {
    /// Puts the instance secret into the volume of a container that exists,
    /// readable by its owner alone. There it is seen neither in the container's
    /// configuration nor in its labels.
    pub(super) async fn store_secret(
        &self,
        patience: &Patience,
        container: &str,
        secret: &Secret,
    ) -> Result<(), DockerError> {
        let doing = "store the instance secret in the volume";
        let packed = pack(secret).map_err(|error| DockerError::Failed {
            doing: doing.to_owned(),
            reason: error.to_string(),
        })?;
        let options = UploadToContainerOptionsBuilder::new()
            .path(DATA_DIRECTORY)
            .build();
        let request =
            self.client
                .upload_to_container(container, Some(options), body_full(packed.into()));
        self.call(patience, doing, request).await
    }

    /// The archive of a path in a container; `None` when there is no such path.
    pub(super) async fn download(
        &self,
        patience: &Patience,
        container: &str,
        path: &str,
        doing: &str,
    ) -> Result<Option<Vec<u8>>, DockerError> {
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let parts = self
            .client
            .download_from_container(container, Some(options))
            .try_fold(Vec::new(), |mut bytes, part| async move {
                bytes.extend_from_slice(&part);
                Ok(bytes)
            });
        found(self.call(patience, doing, parts).await)
    }
}

fn pack(secret: &Secret) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut directory = Header::new_gnu();
    directory.set_entry_type(EntryType::Directory);
    directory.set_mode(0o700);
    directory.set_size(0);
    builder.append_data(
        &mut directory,
        format!("{CREDENTIALS_DIRECTORY}/"),
        io::empty(),
    )?;
    let content = secret.expose().as_bytes();
    let mut file = Header::new_gnu();
    file.set_mode(0o600);
    file.set_size(content.len() as u64);
    let path = format!("{CREDENTIALS_DIRECTORY}/{SECRET_FILE}");
    builder.append_data(&mut file, path, content)?;
    builder.into_inner()
}

/// Reads the archive of the credentials' directory.
pub(super) fn credentials(packed: &[u8]) -> io::Result<Credentials> {
    let mut found = Credentials::default();
    for entry in Archive::new(packed).entries()? {
        let entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = entry.path()?.into_owned();
        let mut text = String::new();
        entry.take(MAX_FILE).read_to_string(&mut text)?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            continue;
        }
        if path.ends_with(SECRET_FILE) {
            found.secret = Some(text.into());
        } else if path.ends_with(NAME_FILE) {
            found.name = Some(text);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{credentials, pack};

    #[test]
    fn what_is_packed_is_private_and_read_back() {
        let packed = pack(&"00ff".into()).unwrap();
        let modes: Vec<_> = tar::Archive::new(&packed[..])
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap())
            })
            .collect();
        assert_eq!(
            modes,
            [
                ("credentials/".to_owned(), 0o700),
                ("credentials/instance_secret".to_owned(), 0o600)
            ]
        );
        let read = credentials(&packed).unwrap();
        assert_eq!(read.secret.unwrap().expose(), "00ff");
        assert_eq!(read.name, None);
    }
}
