//! The documents and files of users: tables with numbers, and what an export makes of them.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::id;

/// What an export says of itself. The real one has other words.
const README: &str = "# A snapshot of the stand-in

`TABLE/documents.jsonl` has the documents of a table, one a line, and `_storage` the files of users.
";
/// The line that says that numbers with a point are floating, and those without are integers.
const UNIFORM: &str = "\"uniform\"\n";

/// A document, with its ID and creation time.
pub type Row = Map<String, Value>;

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its number, which all IDs of its documents have.
    pub number: u32,
    /// Its documents by ID, which is the order of an export.
    pub rows: BTreeMap<String, Row>,
}

/// A file of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// When it came.
    pub created_ms: f64,
    /// What it says it is.
    pub content_type: Option<String>,
    /// What the storage calls it.
    pub internal_id: String,
    /// What is in it.
    pub content: Content,
}

/// The content of a file, which JSON holds in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// All that users have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Tables by name.
    pub tables: BTreeMap<String, Table>,
    /// The number that IDs of files have.
    pub files_number: u32,
    /// Files by ID.
    pub files: BTreeMap<String, File>,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            tables: BTreeMap::new(),
            files_number: id::FILES,
            files: BTreeMap::new(),
        }
    }
}

impl File {
    fn row(&self, id: &str) -> Value {
        json!({
            "_id": id,
            "_creationTime": self.created_ms,
            "sha256": STANDARD.encode(Sha256::digest(&self.content.0)),
            "size": self.content.0.len(),
            "contentType": self.content_type,
            "internalId": self.internal_id,
        })
    }
}

impl Data {
    /// How many documents a table has, or how many files there are.
    #[must_use]
    pub fn count(&self, table: &str) -> usize {
        if table == "_storage" {
            return self.files.len();
        }
        self.tables.get(table).map_or(0, |table| table.rows.len())
    }

    /// A snapshot as a ZIP file, with the files of users or without.
    pub fn export(&self, with_files: bool) -> Result<Vec<u8>, ZipError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |path: &str, content: &[u8]| -> Result<(), ZipError> {
            zip.start_file(path, SimpleFileOptions::default())?;
            Ok(zip.write_all(content)?)
        };
        add("README.md", README.as_bytes())?;
        let mut numbers: Vec<_> = self
            .tables
            .iter()
            .map(|(name, it)| (it.number, name))
            .collect();
        numbers.sort_unstable();
        let numbers = numbers
            .iter()
            .map(|(number, name)| json!({ "name": name, "id": number }));
        add("_tables/documents.jsonl", lines(numbers).as_bytes())?;
        let mut tables: Vec<_> = self
            .tables
            .iter()
            .map(|(name, table)| (lines(table.rows.values()), name))
            .collect();
        // The small ones come first.
        tables.sort_by_key(|(rows, _)| rows.len());
        for (rows, name) in tables {
            add(&format!("{name}/documents.jsonl"), rows.as_bytes())?;
            add(
                &format!("{name}/generated_schema.jsonl"),
                UNIFORM.as_bytes(),
            )?;
        }
        if with_files {
            let rows = self.files.iter().map(|(id, file)| file.row(id));
            add("_storage/documents.jsonl", lines(rows).as_bytes())?;
            for (id, file) in &self.files {
                add(&format!("_storage/{id}"), &file.content.0)?;
            }
        }
        Ok(zip.finish()?.into_inner())
    }
}

fn lines<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    rows.map(|row| json!(row).to_string() + "\n").collect()
}
