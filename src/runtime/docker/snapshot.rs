//! Snapshots of the data, on their way out of a deployment and into one.

use std::{io, path::Path};

use bollard::{body_try_stream, query_parameters::UploadToContainerOptionsBuilder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tar::Header;
use tokio::{io::AsyncReadExt, task::spawn_blocking};
use tokio_util::io::ReaderStream;

use super::{Docker, DockerError, Patience, archive::RESTORE_FILE, clone::FROM};
use crate::{
    backend::{Response, TransportError, curl},
    convex::{AdminKey, Secret},
    local_file,
    runtime::{BACKEND_PORT, DATA_DIRECTORY, Names, Own},
};

/// Downloads to a file that has its name only when it is whole.
const DOWNLOAD: &str = r#"set -e
umask 077
mkdir -p "$(dirname "$1")"
rm -f "$1.part"
curl -q -K - -o "$1.part"
[ "$(head -c 2 "$1.part")" = PK ] || { echo "what came is no ZIP file" >&2; exit 1; }
sync
mv "$1.part" "$1""#;

/// Sends a part of a file, in whole units of this many bytes.
const SEND: &str = r#"set -e
umask 077
dd if="$1" of="$1.part" bs=1048576 skip="$2" count="$3" 2>/dev/null ||
  { echo "a part of the file cannot be set aside" >&2; exit 1; }
exec curl -q -K -"#;

/// Prints the length of a file. The code is that of [`NO_FILE`] where there is none.
const LENGTH: &str = r#"[ -f "$1" ] || exit 3
wc -c < "$1""#;

const NO_FILE: i64 = 3;

/// The unit of parts, in bytes.
const UNIT: u64 = 1 << 20;

/// Length of a part, in units. Storage that is S3 wants 5 MiB at least.
const PART: u64 = 16;

/// Most parts of a snapshot. The backend refuses 10 000 (upstream
/// `npm-packages/convex/src/cli/lib/convexImport.ts`).
const MAX_PARTS: u64 = 9_999;

/// Block of a tar archive, in bytes.
const BLOCK: usize = 512;

/// Puts a snapshot of another volume beside the data.
const TAKE_OVER: &str = r#"set -e
[ -f "$1" ] || { echo "there is no such file in it"; exit 3; }
[ "$(head -c 2 "$1")" = PK ] || { echo "the file is no ZIP file"; exit 3; }
umask 077
rm -f "$2"
cp "$1" "$2.new"
sync
mv "$2.new" "$2""#;

/// Notes how far a restore has come, and clears away behind it.
const NOTE: &str = r#"set -e
umask 077
printf %s "$2" > "$1.new"
sync
mv "$1.new" "$1"
if [ -n "$3" ]; then rm -f -- "$3" "$3.part"; fi"#;

/// Where a snapshot is on the volume for as long as it is imported.
#[must_use]
pub fn incoming() -> String {
    format!("{DATA_DIRECTORY}/restore.zip")
}

impl Docker {
    /// Has a backend download one of its own snapshots, atomically and readable
    /// by root alone, to `file`. Nothing but the path is among the arguments.
    pub async fn download_snapshot(
        &self,
        patience: &Patience,
        container: &Own,
        key: &AdminKey,
        id: &str,
        file: &str,
    ) -> Result<(), DockerError> {
        let config = curl::download(id, key, BACKEND_PORT, patience.left());
        let command = ["sh", "-c", DOWNLOAD, "sh", file];
        let stdin = config.expose().as_bytes();
        let output = self.exec(patience, container.id(), &command, stdin).await?;
        output.of_success("download the snapshot").map(drop)
    }

    /// Copies a file of a container that runs into one of this machine.
    pub async fn copy_out(
        &self,
        patience: &Patience,
        container: &Own,
        file: &str,
        target: &std::fs::File,
    ) -> Result<(), DockerError> {
        let doing = "copy the snapshot out of the container";
        let failed = |reason: String| DockerError::Failed {
            doing: doing.to_owned(),
            reason,
        };
        let length = self.length_of(patience, container, file).await?;
        let length = length.ok_or_else(|| failed("it is not there".to_owned()))?;
        let target = target.try_clone().map_err(|it| failed(it.to_string()))?;
        let mut target = tokio::fs::File::from_std(target);
        let written = self
            .exec_into(
                patience,
                container.id(),
                &["cat", "--", file],
                (&mut target, length),
            )
            .await?;
        if written == length {
            return Ok(());
        }
        Err(failed(format!("{written} of {length} bytes came")))
    }

    /// The length of a file in a container that runs, in bytes; `None` for
    /// what is no file.
    async fn length_of(
        &self,
        patience: &Patience,
        container: &Own,
        file: &str,
    ) -> Result<Option<u64>, DockerError> {
        let command = ["sh", "-c", LENGTH, "sh", file];
        let output = self.exec(patience, container.id(), &command, b"").await?;
        if output.code == Some(NO_FILE) {
            return Ok(None);
        }
        let length = output.of_success("measure the snapshot")?;
        Ok(String::from_utf8_lossy(&length.stdout).trim().parse().ok())
    }

    /// Puts a file of this machine, of whatever length, beside the data in the
    /// volume of a container that exists.
    pub async fn bring_snapshot(
        &self,
        patience: &Patience,
        container: &Own,
        file: &Path,
    ) -> Result<(), DockerError> {
        let doing = "put the snapshot into the volume";
        let body = packed(file).await.map_err(|error| DockerError::Failed {
            doing: doing.to_owned(),
            reason: error.to_string(),
        })?;
        let options = UploadToContainerOptionsBuilder::new()
            .path(DATA_DIRECTORY)
            .build();
        let request =
            self.client
                .upload_to_container(container.id(), Some(options), body_try_stream(body));
        self.call(patience, doing, request).await
    }

    /// The same with a file on another volume, whose path is as a backend has
    /// it that uses that volume.
    pub async fn bring_snapshot_of(
        &self,
        patience: &Patience,
        names: &Names,
        image: &str,
        (volume, file): (&str, &str),
    ) -> Result<(), DockerError> {
        let inside = file.strip_prefix(DATA_DIRECTORY);
        let from = format!("{FROM}{}", inside.unwrap_or(file));
        let incoming = incoming();
        let arguments = ["-c", TAKE_OVER, "sh", from.as_str(), incoming.as_str()];
        self.run_on_volume(patience, names, image, Some(volume), &arguments)
            .await
            .map(drop)
    }

    /// How many units each part of the incoming snapshot has, and how many
    /// parts there are; `None` where there is no such file.
    pub async fn parts(
        &self,
        patience: &Patience,
        container: &Own,
    ) -> Result<Option<(u64, u64)>, DockerError> {
        let length = self.length_of(patience, container, &incoming()).await?;
        Ok(length.map(parts_of))
    }

    /// Has a backend read a part of the incoming snapshot. Nothing but paths
    /// and numbers are among the arguments.
    pub async fn send_part(
        &self,
        patience: &Patience,
        container: &Own,
        key: &AdminKey,
        token: &Secret,
        (index, units): (u64, u64),
    ) -> Result<Response, DockerError> {
        let incoming = incoming();
        let part = format!("{incoming}.part");
        let config = curl::send_part(token, index + 1, &part, key, BACKEND_PORT, patience.left());
        let (skip, count) = ((index * units).to_string(), units.to_string());
        let command = ["sh", "-c", SEND, "sh", &incoming, &skip, &count];
        let stdin = config.expose().as_bytes();
        let output = self.exec(patience, container.id(), &command, stdin).await?;
        let reply = curl::reply(output.code, &output.stdout, &output.stderr);
        reply.map_err(|error: TransportError| DockerError::Failed {
            doing: "send the snapshot to the backend".to_owned(),
            reason: error.to_string(),
        })
    }

    /// Notes in the volume of a container that runs how far a restore has
    /// come; once it is at its `end`, the incoming snapshot goes.
    pub async fn note_restore(
        &self,
        patience: &Patience,
        container: &Own,
        mark: &str,
        end: bool,
    ) -> Result<(), DockerError> {
        let file = format!("{DATA_DIRECTORY}/{RESTORE_FILE}");
        let incoming = incoming();
        let gone = if end { incoming.as_str() } else { "" };
        let command = ["sh", "-c", NOTE, "sh", &file, mark, gone];
        let output = self.exec(patience, container.id(), &command, b"").await?;
        output
            .of_success("note the restore in the volume")
            .map(drop)
    }
}

/// As few parts as there may be, of one length but for the last.
fn parts_of(length: u64) -> (u64, u64) {
    let all = length.div_ceil(UNIT).max(1);
    let units = PART.max(all.div_ceil(MAX_PARTS));
    (units, all.div_ceil(units))
}

/// The archive of a file, which is read while it is sent.
async fn packed(file: &Path) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let file = file.to_owned();
    let opened = spawn_blocking(move || local_file::open(&file)).await??;
    let file = tokio::fs::File::from_std(opened);
    let length = file.metadata().await?.len();
    let mut header = Header::new_gnu();
    header.set_path(incoming().trim_start_matches(&format!("{DATA_DIRECTORY}/")))?;
    header.set_mode(0o600);
    header.set_size(length);
    header.set_cksum();
    let rest = usize::try_from(length % BLOCK as u64).unwrap_or_default();
    let padding = (BLOCK - rest) % BLOCK + 2 * BLOCK;
    let ready = |bytes: Vec<u8>| stream::iter([Ok(bytes.into())]);
    // A file that grows meanwhile is cut where it ended.
    let content = ReaderStream::with_capacity(file.take(length), 1 << 18);
    Ok(ready(header.as_bytes().to_vec())
        .chain(content)
        .chain(ready(vec![0; padding])))
}

#[cfg(test)]
mod tests {
    use super::{MAX_PARTS, PART, UNIT, parts_of};

    #[test]
    fn a_snapshot_has_few_parts_and_never_too_many() {
        assert_eq!(parts_of(0), (PART, 1));
        assert_eq!(parts_of(PART * UNIT), (PART, 1));
        assert_eq!(parts_of(PART * UNIT + 1), (PART, 2));
        let (units, parts) = parts_of(1 << 40);
        assert!(
            parts <= MAX_PARTS && units * parts * UNIT >= 1 << 40,
            "{units} {parts}"
        );
    }
}
