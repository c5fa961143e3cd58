//! Files in a directory that may be somebody else's, whose owner may change it at any moment.
//!
//! Each step works on an open descriptor, and the system follows no link: what was looked at is
//! what is changed.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{self, Component, Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid},
    io::Errno,
    process::geteuid,
};

use super::{Unfit, read_open};

/// As many links as Linux follows for a path.
const MAX_LINKS: usize = 40;

/// Where links may lead.
#[derive(Clone, Copy)]
enum Links<'a> {
    /// Anywhere, if they cannot be there to mislead: whoever named the directory has named them.
    Anywhere,
    /// Anywhere below a directory.
    Below(&'a Directory),
    /// Nowhere.
    Nowhere,
}

/// Why a path is not followed, or what is there is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A link leads out of the directory that it has to be in.
    #[error("it is, or is below, a link that leads out of the directory")]
    LeadsOut,
    /// A link leads into a directory that the owner of the link may not change.
    #[error("a link on the way belongs to user {0}, who does not own the directory it leads to")]
    LinkOfStranger(u32),
    /// It belongs to neither the owner of the directory nor root nor the user that runs this.
    #[error(
        "it belongs to user {0}, who is neither the owner of the directory nor root nor the user that runs Terraform"
    )]
    OfStranger(u32),
}

impl Untrusted {
    /// Whether an error of this module is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// A directory, with its path without links.
pub struct Directory {
    handle: OwnedFd,
    real: PathBuf,
    /// The path by which it was opened, absolute.
    named: PathBuf,
    owner: u32,
}

/// A file, or the place for one.
pub struct Entry {
    directory: OwnedFd,
    name: OsString,
    found: Option<Stat>,
    /// Who may have what is there, beside root and this process.
    owner: u32,
}

/// The directories that were passed, from the top.
type Passed = Vec<(OsString, OwnedFd)>;

impl Directory {
    /// Opens a directory; `None` if it does not exist.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::opened(path, None)
    }

    /// Opens a directory, which is made if it does not exist. Returns whether it was.
    pub fn make(path: &Path) -> io::Result<(Self, bool)> {
        let mut made = Vec::new();
        let directory = Self::opened(path, Some(&mut made))?;
        let directory = directory.ok_or(io::ErrorKind::NotFound)?;
        let is_made = made.contains(&relative(&directory.real));
        Ok((directory, is_made))
    }

    fn opened(path: &Path, made: Option<&mut Vec<PathBuf>>) -> io::Result<Option<Self>> {
        let top = open_directory(CWD, OsStr::new("/"))?;
        let path = path::absolute(path)?;
        let Some(passed) = walk(&top, &relative(&path), Links::Anywhere, made, None)? else {
            return Ok(None);
        };
        let real = Path::new("/").join(joined(&passed));
        let handle = passed.into_iter().next_back().map_or(top, |(_, it)| it);
        let owner = fs::fstat(&handle)?.st_uid;
        Ok(Some(Self {
            handle,
            real,
            named: path,
            owner,
        }))
    }

    /// Its path without links, as it was when it was opened.
    #[must_use]
    pub fn real(&self) -> &Path {
        &self.real
    }

    /// A file below it; `None` if a directory on the way does not exist. Those that are missing
    /// are made and added to `made`, if that is given.
    pub fn entry(&self, path: &Path, made: Option<&mut Vec<PathBuf>>) -> io::Result<Option<Entry>> {
        self.found(path, Links::Below(self), made)
    }

    fn found(
        &self,
        path: &Path,
        links: Links<'_>,
        made: Option<&mut Vec<PathBuf>>,
    ) -> io::Result<Option<Entry>> {
        let mut last = None;
        let Some(passed) = walk(&self.handle, path, links, made, Some(&mut last))? else {
            return Ok(None);
        };
        let (name, found) = last.ok_or(io::ErrorKind::IsADirectory)?;
        let directory = match passed.into_iter().next_back() {
            Some((_, directory)) => directory,
            None => self.handle.try_clone()?,
        };
        Ok(Some(Entry {
            directory,
            name,
            found,
            owner: self.owner,
        }))
    }

    /// Removes a directory below it if it is empty; of an empty path, itself. One that has become
    /// a link by now, or is reached by one, is somebody else's.
    pub fn remove_empty(&self, below: &Path) -> io::Result<()> {
        if below.as_os_str().is_empty() {
            let (Some(above), Some(name)) = (self.real.parent(), self.real.file_name()) else {
                return Ok(());
            };
            let above = Self::open(above)?.ok_or(io::ErrorKind::NotFound)?;
            return Ok(fs::unlinkat(above.handle, name, AtFlags::REMOVEDIR)?);
        }
        if let Some(entry) = self.found(below, Links::Nowhere, None)? {
            fs::unlinkat(entry.directory, entry.name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    /// Begins a file that gets its name when it is finished. Until then its name is one that the
    /// `.gitignore` of a project covers, and only its owner may read it.
    pub fn begin(&self, name: &OsStr) -> io::Result<Unfinished> {
        Unfinished::begin(self.handle.try_clone()?, name)
    }
}

impl Entry {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        let kind = |it: &Stat| FileType::from_raw_mode(it.st_mode);
        self.found.as_ref().map(kind) == Some(FileType::Directory)
    }

    /// Its content, of at most `limit` bytes, and its permission bits; `None` if it does not
    /// exist.
    pub fn read(&self, limit: u64) -> io::Result<Option<(Vec<u8>, u32)>> {
        if self.found.is_none() {
            return Ok(None);
        }
        let (file, found) = self.open()?;
        Ok(Some((read_open(file, limit)?, found.st_mode & 0o7777)))
    }

    /// Writes beside the file and renames, so that it is never half there. It keeps its owner; a
    /// new one gets the owner of its directory.
    pub fn write(&self, content: &[u8], bits: u32) -> io::Result<()> {
        let like = match self.found {
            Some(found) => {
                self.check_owner(found.st_uid)?;
                found
            }
            None => fs::fstat(&self.directory)?,
        };
        let unfinished = Unfinished::begin(self.directory.try_clone()?, &self.name)?;
        let mut file = unfinished.file();
        file.write_all(content)?;
        // The owner first: a change of it takes some bits away.
        give(file, &like);
        fs::fchmod(file, Mode::from_raw_mode(bits))?;
        unfinished.finish(&self.name)
    }

    /// Gives it these permission bits.
    pub fn permit(&self, bits: u32) -> io::Result<()> {
        let (file, found) = self.open()?;
        self.check_owner(found.st_uid)?;
        Ok(fs::fchmod(file, Mode::from_raw_mode(bits))?)
    }

    /// Removes it. That it does not exist is success.
    pub fn remove(&self) -> io::Result<()> {
        let Some(found) = self.found else {
            return Ok(());
        };
        self.check_owner(found.st_uid)?;
        match fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens it as a file: not a link, and without waiting for the other end of a FIFO.
    fn open(&self) -> io::Result<(File, Stat)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let is_file = |found: Stat| {
            if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
                return Ok(found);
            }
            Err(io::Error::other(Unfit::NotAFile))
        };
        // A device is changed by being opened.
        self.found.map(is_file).transpose()?;
        let file = fs::openat(&self.directory, &self.name, flags, Mode::empty())?;
        // It may be another one by now.
        let found = is_file(fs::fstat(&file)?)?;
        Ok((file.into(), found))
    }

    fn check_owner(&self, uid: u32) -> io::Result<()> {
        check_owner(uid, self.owner)
    }
}

/// A file that is being written. Unless it is finished it is removed.
pub struct Unfinished {
    directory: OwnedFd,
    name: Option<OsString>,
    file: File,
}

impl Unfinished {
    fn begin(directory: OwnedFd, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".set-aside-{:x}", RandomState::new().hash_one(())));
            match fs::openat(&directory, &hidden, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    return Ok(Self {
                        directory,
                        name: Some(hidden),
                        file: file.into(),
                    });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is written to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, once it is on the disk.
    pub fn finish(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(hidden) = &self.name {
            fs::renameat(&self.directory, hidden, &self.directory, name)?;
        }
        self.name = None;
        // It is there, whatever a file system knows of directories on disks.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(readable) = fs::openat(&self.directory, ".", flags, Mode::empty()) {
            let _ = fs::fsync(readable);
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(hidden) = &self.name {
            let _ = fs::unlinkat(&self.directory, hidden, AtFlags::empty());
        }
    }
}

/// Goes along a path from `top`. Without `last` all of its names are directories; with it the last
/// name is not opened but returned there, with what it stands for. Returns the directories that
/// were passed; `None` if one does not exist and is not made.
fn walk(
    top: &OwnedFd,
    path: &Path,
    links: Links<'_>,
    mut made: Option<&mut Vec<PathBuf>>,
    mut last: Option<&mut Option<(OsString, Option<Stat>)>>,
) -> io::Result<Option<Passed>> {
    let leads_out = || io::Error::other(Untrusted::LeadsOut);
    let owner = fs::fstat(top)?.st_uid;
    let mut passed = Passed::new();
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut linkers = Vec::new();
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            if passed.pop().is_none() && !matches!(links, Links::Anywhere) {
                return Err(leads_out());
            }
            continue;
        }
        let here = passed.last().map_or(top, |(_, it)| it);
        let found = match fs::statat(here, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = found
            && FileType::from_raw_mode(found.st_mode) == FileType::Symlink
        {
            linkers.push(found.st_uid);
            if linkers.len() > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            if matches!(links, Links::Nowhere) {
                return Err(leads_out());
            }
            let target = fs::readlinkat(here, &name, Vec::new())?.into_bytes();
            let mut target = PathBuf::from(OsString::from_vec(target));
            if target.is_absolute() {
                if let Links::Below(directory) = links {
                    let below = target.strip_prefix(&directory.real);
                    let below = below.or_else(|_| target.strip_prefix(&directory.named));
                    target = below.map_err(|_| leads_out())?.to_owned();
                }
                passed.clear();
            }
            rest = names(&target).chain(rest).collect();
            continue;
        }
        if let Some(last) = &mut last
            && rest.is_empty()
        {
            **last = Some((name, found));
            return Ok(Some(passed));
        }
        if found.is_none() {
            let Some(made) = &mut made else {
                return Ok(None);
            };
            let above = fs::fstat(here)?;
            check_links(&linkers, links, &above)?;
            match fs::mkdirat(here, &name, Mode::from_raw_mode(0o777)) {
                Ok(()) => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                    let new = fs::openat(here, &name, flags | OFlags::CLOEXEC, Mode::empty())?;
                    give(&new, &above);
                    made.push(joined(&passed).join(&name));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let next = open_directory(here, &name)?;
        // Looking changes nothing.
        if made.is_some() && !matches!(links, Links::Anywhere) {
            check_owner(fs::fstat(&next)?.st_uid, owner)?;
        }
        passed.push((name, next));
    }
    let end = fs::fstat(passed.last().map_or(top, |(_, it)| it))?;
    check_links(&linkers, links, &end)?;
    Ok(Some(passed))
}

/// A link could be there to have a directory changed that its owner cannot change. It is followed
/// if root has made it, this process, or the owner of the directory that it leads to.
fn check_links(linkers: &[u32], links: Links<'_>, to: &Stat) -> io::Result<()> {
    let may = |uid: &&u32| is_known(**uid, to.st_uid);
    match linkers.iter().find(|uid| !may(uid)) {
        Some(uid) if matches!(links, Links::Anywhere) => {
            Err(io::Error::other(Untrusted::LinkOfStranger(*uid)))
        }
        _ => Ok(()),
    }
}

/// Whatever is in a directory belongs to its owner, to root, or to this process. Anything else
/// could have been put there to be written to by root. Anybody else writes files that stay their
/// own, and may be called otherwise by a file system that others serve.
fn check_owner(uid: u32, directory: u32) -> io::Result<()> {
    if !geteuid().is_root() || is_known(uid, directory) {
        return Ok(());
    }
    Err(io::Error::other(Untrusted::OfStranger(uid)))
}

fn is_known(uid: u32, owner: u32) -> bool {
    [owner, Uid::ROOT.as_raw(), geteuid().as_raw()].contains(&uid)
}

/// Only root can give a file away, and only then it is needed.
fn give(file: impl AsFd, like: &Stat) {
    let (user, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    let _ = fs::fchown(file, Some(user), Some(group));
}

/// Neither reads nor lists it, so that being able to pass is enough.
fn open_directory(at: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::openat(at, name, flags, Mode::empty())?)
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

fn joined(passed: &Passed) -> PathBuf {
    passed.iter().map(|(name, _)| name).collect()
}

fn relative(path: &Path) -> PathBuf {
    names(path).collect()
}

#[cfg(test)]
mod tests;
