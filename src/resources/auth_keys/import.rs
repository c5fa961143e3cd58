//! Taking over a key pair from a file.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use super::{lifecycle::fill, model::Model};
use crate::{
    convex::{AuthKeys, Secret},
    plugin::{Cx, Diagnostic, Diagnostics, Private, redact},
    session::Session,
};

/// The largest file that is read. A key of 8192 bits has 6.5 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// A longer ID is not shown again: it may be a key after all.
const MAX_SHOWN: usize = 255;

const IMPORTED: &str = "imported";

/// Whether the pair was imported, and no plan was applied to it since. What
/// the configuration says besides the pair is then said for the first time.
pub fn is_fresh(private: &Private) -> bool {
    private.get::<bool>(IMPORTED) == Some(true)
}

/// Notes that a plan was applied.
pub fn settle(private: &mut Private) {
    private.remove(IMPORTED);
}

/// Reads the private key in the file at this path.
pub async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    if is_key(id) {
        redact::remember(id);
        return Err(refused(
            "The import ID is a key, and Terraform prints import IDs: take the key for known to whoever sees this output. Put a key into a file, and give the path of the file.",
        ));
    }
    let path = id.to_owned();
    let shown = if id.len() <= MAX_SHOWN {
        format!("{id:?}")
    } else {
        "the path that was given".to_owned()
    };
    let read = tokio::task::spawn_blocking(move || read(Path::new(&path)))
        .await
        .unwrap_or_else(|_| Err(Unreadable::Io(io::ErrorKind::Other)));
    let text = read.map_err(|why| refused(&why.said_of(&shown)))?;
    let keys = AuthKeys::parse(text.expose())
        .map_err(|error| refused(&format!("In the file at {shown}: {error}")))?;
    let mut model = Model {
        private_key: Some(text),
        ..Model::default()
    };
    fill(&mut model, &keys)?;
    cx.private.set(IMPORTED, &true);
    Ok(model)
}

/// Whether this is a key rather than a path: PEM, the same in base64, or the
/// middle of it alone.
fn is_key(id: &str) -> bool {
    let begins = |text| id.trim_start().starts_with(text);
    id.contains("-----BEGIN") || begins("LS0tLS1CRUdJTi") || (id.len() > MAX_SHOWN && begins("MII"))
}

fn refused(why: &str) -> Diagnostics {
    Diagnostic::error("Cannot import a key pair", why).into()
}

/// Why a file is not read. Nothing in here comes from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    NotAFile,
    TooLarge,
    NotText,
    Io(io::ErrorKind),
}

impl Unreadable {
    fn said_of(self, path: &str) -> String {
        let why = match self {
            Self::NotAFile => "is not a file. Give the path of a PEM file".to_owned(),
            Self::TooLarge => format!(
                "is larger than {} KiB, and no key is. Give the path of a PEM file",
                MAX_BYTES / 1024
            ),
            Self::NotText => "is not text. Convert the key to PEM, or give another path".to_owned(),
            Self::Io(kind) => format!(
                "cannot be read on the machine that runs Terraform: {kind}. Give the path of a PEM file there, absolute or from the directory of the configuration"
            ),
        };
        format!("What is at {path} {why}.")
    }
}

/// Reads a file, but nothing that only looks like one: reading from a pipe or
/// a terminal could take for ever.
fn read(path: &Path) -> Result<Secret, Unreadable> {
    let io = |error: io::Error| Unreadable::Io(error.kind());
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(Unreadable::NotAFile);
    }
    if metadata.len() > MAX_BYTES as u64 {
        return Err(Unreadable::TooLarge);
    }
    // The file may grow meanwhile; what is read does not.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64).read_to_end(&mut bytes))
        .map_err(io)?;
    std::str::from_utf8(&bytes)
        .map(Secret::from)
        .map_err(|_| Unreadable::NotText)
}
