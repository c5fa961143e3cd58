//! Snapshots: ZIP files with the documents of each table, one a line, and the files of users.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The file with the documents of a table.
const DOCUMENTS: &str = "documents.jsonl";

/// What a snapshot holds, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files(BTreeMap<String, Content>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Content(Vec<u8>);

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

impl Files {
    /// How many documents there are in each table that has some.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<&str, usize> {
        let tables = self.0.iter().filter_map(|(path, content)| {
            let table = path.strip_suffix(DOCUMENTS)?.strip_suffix('/')?;
            let rows = content.0.split(|byte| *byte == b'\n');
            Some((table, rows.filter(|row| !row.is_empty()).count()))
        });
        tables.filter(|(_, rows)| *rows > 0).collect()
    }

    /// These with `others`, whose documents come after or in place of a table's own.
    #[must_use]
    pub fn with(&self, others: &Self, append: bool) -> Self {
        let mut all = self.clone();
        for (path, content) in &others.0 {
            let own = all.0.entry(path.clone()).or_insert(Content(Vec::new()));
            if append && path.ends_with(DOCUMENTS) {
                own.0.extend(&content.0);
            } else {
                *own = content.clone();
            }
        }
        all
    }
}

/// The ZIP file of these files.
pub fn pack(files: &Files) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("README.md", options)?;
    zip.write_all(b"A snapshot of the stand-in.\n")?;
    let no_tables = ("_tables/documents.jsonl".to_owned(), Content(Vec::new()));
    let is_missing = !files.0.contains_key(&no_tables.0);
    let missing = is_missing.then_some((&no_tables.0, &no_tables.1));
    for (path, content) in files.0.iter().chain(missing) {
        zip.start_file(path.as_str(), options)?;
        zip.write_all(&content.0)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Reads a ZIP file, or says what is wrong with it.
pub fn unpack(zip: &[u8]) -> Result<Files, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(zip)).map_err(|error| format!("invalid zip file: {error}"))?;
    let mut files = Files::default();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| error.to_string())?;
        let path = file.name().map_err(|error| error.to_string())?.into_owned();
        if file.is_dir() || path == "README.md" {
            continue;
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        if path.ends_with(DOCUMENTS) {
            check_rows(&content)?;
        }
        files.0.insert(path, Content(content));
    }
    Ok(files)
}

fn check_rows(content: &[u8]) -> Result<(), String> {
    let rows = content.split(|byte| *byte == b'\n');
    for (index, row) in rows.enumerate().filter(|(_, row)| !row.is_empty()) {
        match serde_json::from_slice(row) {
            Ok(Value::Object(_)) => {}
            Ok(_) => return Err(format!("Row {} wasn't an object", index + 1)),
            Err(error) => return Err(format!("Row {} wasn't valid JSON: {error}", index + 1)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Content, Files, pack, unpack};

    fn files(path: &str, content: &[u8]) -> Files {
        Files([(path.to_owned(), Content(content.to_vec()))].into())
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let some = files("tasks/documents.jsonl", b"{\"a\":1}\n{\"a\":2}\n");
        let back = unpack(&pack(&some).unwrap()).unwrap();
        assert_eq!(back.rows(), [("tasks", 2)].into());
        let json = serde_json::to_string(&back).unwrap();
        assert_eq!(serde_json::from_str::<Files>(&json).unwrap(), back);
    }

    #[test]
    fn a_bad_file_or_row_is_told() {
        let error = unpack(b"PK no").unwrap_err();
        assert!(error.starts_with("invalid zip file"), "{error}");
        let row =
            |content| unpack(&pack(&files("t/documents.jsonl", content)).unwrap()).unwrap_err();
        assert!(row(b"{}\n{").starts_with("Row 2 wasn't valid JSON"));
        assert_eq!(row(b"[]"), "Row 1 wasn't an object");
    }
}
