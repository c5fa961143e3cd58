//! Files of the machine that runs this, and nothing that only looks like one.

mod directory;

pub use directory::{Directory, Entry, Unfinished, Untrusted};

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Opens only what is there at once, which the other end of a FIFO may never be (`O_NONBLOCK` of
/// Linux). It changes nothing about reading a file.
const AT_ONCE: i32 = 0o4000;

/// Why something is not read that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is a directory, a device, a FIFO or a socket.
    #[error("it is not a file")]
    NotAFile,
    /// It has more bytes than make sense.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
}

impl Unfit {
    /// Whether an error of this module is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Opens a file to read it. Anything else is an error, and is neither opened nor waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let is_file = |found: fs::Metadata| {
        if found.is_file() {
            return Ok(());
        }
        Err(io::Error::other(Unfit::NotAFile))
    };
    is_file(fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(AT_ONCE).open(path)?;
    // It may be another one by now.
    is_file(file.metadata()?)?;
    Ok(file)
}

/// Reads a file of at most `limit` bytes, however long it is said to be.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, limit)
}

fn read_open(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::other(Unfit::TooLarge(limit)));
    }
    Ok(content)
}

/// The same, of text.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, limit)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, process::Command};

    use super::*;

    #[test]
    fn what_is_not_a_file_is_neither_opened_nor_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let made = Command::new("mkfifo").arg(at("fifo")).status();
        assert!(made.unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("fifo"), at("link")).unwrap();
        for path in [
            at(""),
            at("fifo"),
            at("link"),
            at("socket"),
            "/dev/zero".into(),
        ] {
            let error = open(&path).unwrap_err();
            assert_eq!(Unfit::of(&error), Some(Unfit::NotAFile), "{path:?}");
        }
        let missing = open(&at("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(Unfit::of(&missing), None);
    }

    #[test]
    fn no_more_is_read_than_makes_sense() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        fs::write(&path, "text").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "text");
        let error = read(&path, 3).unwrap_err();
        assert_eq!(Unfit::of(&error), Some(Unfit::TooLarge(3)));
        // It costs nothing to claim a length.
        let sparse = OpenOptions::new().write(true).open(&path).unwrap();
        sparse.set_len(2 << 40).unwrap();
        let error = read(&path, 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 1048576 bytes");
        fs::write(&path, b"\xff").unwrap();
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
