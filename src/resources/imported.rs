//! What resources share that take something over from files.

use std::{io, path::Path};

use zeroize::Zeroizing;

use crate::{
    convex::Secret,
    local_file::{self, Unfit},
    plugin::Private,
};

/// The largest file that is read. A key of 8192 bits has 6.5 KiB.
const MAX_BYTES: u64 = 64 * 1024;

const IMPORTED: &str = "imported";

/// Notes that a state was imported.
pub fn mark(private: &mut Private) {
    private.set(IMPORTED, &true);
}

/// Whether a state was imported, and no plan was applied to it since. What the
/// configuration says of rotation is then said for the first time.
pub fn is_fresh(private: &Private) -> bool {
    private.get::<bool>(IMPORTED) == Some(true)
}

/// Notes that a plan was applied.
pub fn settle(private: &mut Private) {
    private.remove(IMPORTED);
}

/// Why a file is not read. Nothing in here comes from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    NotAFile,
    TooLarge,
    NotText,
    Io(io::ErrorKind),
}

impl Unreadable {
    /// What is wrong at this path, where `wanted` was expected, such as "a PEM
    /// file".
    pub fn said_of(self, path: &str, wanted: &str) -> String {
        let why = match self {
            Self::NotAFile => format!("is not a file. Give the path of {wanted}"),
            Self::TooLarge => format!(
                "is larger than {} KiB, and no key is. Give the path of {wanted}",
                MAX_BYTES / 1024
            ),
            Self::NotText => "is not text. Convert it to text, or give another path".to_owned(),
            Self::Io(kind) => format!(
                "cannot be read on the machine that runs Terraform: {kind}. Give the path of {wanted} there, absolute or from the directory of the configuration"
            ),
        };
        format!("What is at {path} {why}.")
    }
}

/// Reads a file beside everything else.
pub async fn read(path: &Path) -> Result<Secret, Unreadable> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read_now(&path))
        .await
        .unwrap_or(Err(Unreadable::Io(io::ErrorKind::Other)))
}

fn read_now(path: &Path) -> Result<Secret, Unreadable> {
    let bytes = local_file::read(path, MAX_BYTES).map_err(|error| match Unfit::of(&error) {
        Some(Unfit::NotAFile) => Unreadable::NotAFile,
        Some(Unfit::TooLarge(_)) => Unreadable::TooLarge,
        None => Unreadable::Io(error.kind()),
    })?;
    let bytes = Zeroizing::new(bytes);
    std::str::from_utf8(&bytes)
        .map(Secret::from)
        .map_err(|_| Unreadable::NotText)
}
