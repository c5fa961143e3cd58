//! Files of somebody else's container.

use std::io::{self, Read};

use bollard::{
    body_full,
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, InspectContainerOptions,
        UploadToContainerOptionsBuilder,
    },
};
use tar::{Archive, Builder, EntryType, Header};

use super::{Docker, DockerError, Patience, found};

/// Who a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
}

/// A container as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignContainer {
    /// The user that its programs run as, as its configuration has it.
    pub user: String,
    /// Whether it runs.
    pub runs: bool,
}

/// What there is at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum InContainer {
    /// A file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its permission bits.
        bits: u32,
        /// Whose it is.
        owner: Owner,
    },
    /// A directory.
    Directory,
    /// A link.
    Link,
    /// Something else.
    Special,
    /// A file with more bytes than were asked for.
    TooLarge,
}

/// What is put at a path.
#[derive(Clone)]
pub struct Put {
    /// The path, absolute.
    pub path: String,
    /// The content; `None` for a directory.
    pub content: Option<Vec<u8>>,
    /// The permission bits.
    pub bits: u32,
    /// Whose it is to be.
    pub owner: Owner,
}

/// Bits of Go's `os.FileMode`, in which the daemon tells the kind of a file.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
const GO_SPECIAL: u32 = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19);

/// Longest `/etc/passwd` that is read, in bytes.
const MAX_PASSWD: u64 = 1 << 20;

impl Docker {
    /// A container of somebody else's; `None` when there is no such one.
    pub async fn foreign_container(
        &self,
        patience: &Patience,
        container: &str,
    ) -> Result<Option<ForeignContainer>, DockerError> {
        let options = None::<InspectContainerOptions>;
        let request = self.client.inspect_container(container, options);
        let inspected = self.call(patience, "inspect the container", request).await;
        Ok(found(inspected)?.map(|it| ForeignContainer {
            user: it.config.and_then(|it| it.user).unwrap_or_default(),
            runs: it.state.and_then(|it| it.running).unwrap_or_default(),
        }))
    }

    /// The numbers of a user: a name, a number, or either with a group's number behind a colon.
    /// Names are looked up in the container's own list; `None` when it has no such name.
    pub async fn owner(
        &self,
        patience: &Patience,
        container: &str,
        user: &str,
    ) -> Result<Option<Owner>, DockerError> {
        let (name, group) = user.split_once(':').unwrap_or((user, ""));
        if name.is_empty() {
            return Ok(Some(Owner { uid: 0, gid: 0 }));
        }
        let listed = match self
            .look_at(patience, container, "/etc/passwd", MAX_PASSWD)
            .await?
        {
            Some(InContainer::File { content, .. }) => {
                String::from_utf8_lossy(&content).into_owned()
            }
            _ => String::new(),
        };
        Ok(owner_in(&listed, name, group))
    }

    /// What there is at a path; `None` for nothing. Content of at most `limit` bytes.
    pub async fn look_at(
        &self,
        patience: &Patience,
        container: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<InContainer>, DockerError> {
        let doing = format!("look at {path} in the container");
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let request = self
            .client
            .get_container_archive_info(container, Some(options));
        let Some(stat) = found(self.call(patience, &doing, request).await)? else {
            return Ok(None);
        };
        Ok(match stat.file_mode {
            mode if mode & GO_LINK != 0 => Some(InContainer::Link),
            mode if mode & GO_DIRECTORY != 0 => Some(InContainer::Directory),
            mode if mode & GO_SPECIAL != 0 => Some(InContainer::Special),
            _ if u64::try_from(stat.size).unwrap_or_default() > limit => {
                Some(InContainer::TooLarge)
            }
            _ => match self
                .download(patience, container, (path, archived(limit)), &doing)
                .await?
            {
                None => None,
                Some(packed) => {
                    unpack(&packed, limit).map_err(|error| DockerError::Unreadable {
                        doing,
                        reason: error.to_string(),
                    })?
                }
            },
        })
    }

    /// Puts files and directories into a container, which need not run. Directories on the way
    /// must be there or among them.
    pub async fn put(
        &self,
        patience: &Patience,
        container: &str,
        files: &[Put],
    ) -> Result<(), DockerError> {
        let doing = "write files into the container";
        let packed = pack(files).map_err(|error| DockerError::Failed {
            doing: doing.to_owned(),
            reason: error.to_string(),
        })?;
        let options = UploadToContainerOptionsBuilder::new()
            .path("/")
            .no_overwrite_dir_non_dir("true")
            .build();
        let request =
            self.client
                .upload_to_container(container, Some(options), body_full(packed.into()));
        self.call(patience, doing, request).await
    }
}

fn owner_in(listed: &str, name: &str, group: &str) -> Option<Owner> {
    let line = listed.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [user, _, uid, gid, ..] = fields[..] else {
            return None;
        };
        (user == name || uid == name).then_some((uid.parse().ok()?, gid.parse().ok()?))
    });
    let (uid, own_gid) = match (line, name.parse().ok()) {
        (Some(found), _) => found,
        (None, Some(uid)) => (uid, uid),
        (None, None) => return None,
    };
    Some(Owner {
        uid,
        gid: group.parse().unwrap_or(own_gid),
    })
}

/// The length of an archive of one file with so many bytes: its head, whole blocks of content, and
/// the end, with room for a long name.
fn archived(limit: u64) -> usize {
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_add(32 << 10)
}

fn unpack(packed: &[u8], limit: u64) -> io::Result<Option<InContainer>> {
    let mut archive = Archive::new(packed);
    let Some(entry) = archive.entries()?.next() else {
        return Ok(None);
    };
    let entry = entry?;
    let header = entry.header();
    let bits = header.mode()? & 0o7777;
    let owner = Owner {
        uid: header.uid()?,
        gid: header.gid()?,
    };
    if header.entry_type() != EntryType::Regular {
        return Ok(Some(InContainer::Special));
    }
    let mut content = Vec::new();
    entry.take(limit + 1).read_to_end(&mut content)?;
    Ok(Some(InContainer::File {
        content,
        bits,
        owner,
    }))
}

fn pack(files: &[Put]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for file in files {
        let mut header = Header::new_gnu();
        header.set_mode(file.bits);
        header.set_uid(file.owner.uid);
        header.set_gid(file.owner.gid);
        let path = file.path.trim_start_matches('/');
        match &file.content {
            None => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Some(content) => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, &content[..])?;
            }
        }
    }
    builder.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number_with_or_without_a_group() {
        let listed = "root:x:0:0:root:/root:/bin/sh\ncoder:x:1000:1001::/home/coder:/bin/bash\n";
        let owner = |name, group| owner_in(listed, name, group).map(|it| (it.uid, it.gid));
        assert_eq!(owner("coder", ""), Some((1000, 1001)));
        assert_eq!(owner("1000", ""), Some((1000, 1001)));
        assert_eq!(owner("1000", "5"), Some((1000, 5)));
        assert_eq!(owner("77", ""), Some((77, 77)));
        assert_eq!(owner("nobody", ""), None);
    }

    #[test]
    fn what_is_packed_has_its_owner_and_bits() {
        let owner = Owner { uid: 7, gid: 8 };
        let packed = pack(&[
            Put {
                path: "/home/a".to_owned(),
                content: None,
                bits: 0o755,
                owner,
            },
            Put {
                path: "/home/a/f".to_owned(),
                content: Some(b"x".to_vec()),
                bits: 0o600,
                owner,
            },
        ])
        .unwrap();
        let mut archive = Archive::new(&packed[..]);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                (path, header.mode().unwrap(), header.uid().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("home/a/".to_owned(), 0o755, 7),
                ("home/a/f".to_owned(), 0o600, 7)
            ]
        );
    }
}
