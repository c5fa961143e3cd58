//! The directory of files: the snapshots that come and go. Those of users are in the database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directories that the real backend has there.
const FOLDERS: [&str; 5] = ["exports", "files", "modules", "search", "snapshot_imports"];

/// What a file is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// A snapshot that was exported.
    Export,
    /// A snapshot on its way in.
    Import,
}

/// The directory.
pub struct Blobs(PathBuf);

impl Blobs {
    /// Makes the directory, and those in it, where they are missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for name in FOLDERS {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self(folder.to_owned()))
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, purpose: Purpose, key: &str) -> PathBuf {
        let folder = match purpose {
            Purpose::Export => "exports",
            Purpose::Import => "snapshot_imports",
        };
        self.0.join(folder).join(format!("{key}.blob"))
    }
}

/// A key that no other file has, in the form of a UUID.
///
/// # Panics
///
/// Where the system has no random bytes.
#[must_use]
pub fn key() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
