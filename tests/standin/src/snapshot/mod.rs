//! Snapshots on their way in: a ZIP file is read and compared with what is there, and then becomes part of it.
//!
//! What is wrong with one is told at the stage, and in the words, of the real backend. Some problems come with a line
//! in front of them and some do not.

mod numbers;
mod rows;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Cursor, Read as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zip::ZipArchive;

use crate::data::Data;

pub use summary::Summary;

/// The table that names the others.
const TABLES: &str = "_tables";
/// The table of files.
const STORAGE: &str = "_storage";
/// Longest name of a table.
const NAME_LIMIT: usize = 64;

/// What becomes of documents that are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// They stay.
    Append,
    /// Tables in the file are replaced.
    Replace,
    /// All tables are replaced.
    ReplaceAll,
    /// There must be none.
    #[default]
    RequireEmpty,
}

impl Mode {
    /// Its name as it is stored.
    #[must_use]
    pub fn stored(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Replace => "Replace",
            Self::ReplaceAll => "ReplaceAll",
            Self::RequireEmpty => "RequireEmpty",
        }
    }
}

/// Why a snapshot is not imported.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// One that speaks for itself.
    Plain(String),
    /// One that is told as an error while importing.
    Wrapped(String),
}

impl Problem {
    fn value(row: usize, what: &dyn fmt::Display) -> Self {
        Self::Plain(format!("Row {row} wasn't a valid Convex value: {what}"))
    }

    fn exists(table: &str) -> Self {
        Self::Plain(format!(
            "Table {table} already exists. Please choose a new table name or use replace/append modes."
        ))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Wrapped(text) => write!(f, "Hit an error while importing:\n{text}"),
        }
    }
}

/// What a ZIP file holds.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The rows of each table, `_tables` and `_storage` among them, as they are in the file.
    tables: BTreeMap<String, Vec<Value>>,
    /// Tables in which a number without a point is an integer.
    uniform: BTreeSet<String>,
    /// The files of users, by what should be their ID.
    files: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// Reads a ZIP file. Other tables of the system than those of tables and files are left out.
    pub fn read(zip: &[u8]) -> Result<Self, Problem> {
        let invalid = || Problem::Wrapped("invalid zip file".into());
        let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|_| invalid())?;
        let mut snapshot = Self::default();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).map_err(|_| invalid())?;
            let path = file.name().map_err(|_| invalid())?.into_owned();
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(|_| invalid())?;
            snapshot.add(&path, content, invalid)?;
        }
        Ok(snapshot)
    }

    fn add(
        &mut self,
        path: &str,
        content: Vec<u8>,
        invalid: impl Fn() -> Problem,
    ) -> Result<(), Problem> {
        if path.starts_with("_components/") || path.contains("/_components/") {
            let text = format!("{path} is of a component, which the stand-in has none of");
            return Err(Problem::Wrapped(text));
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let table = folder.rsplit('/').next().unwrap_or_default();
        match name {
            _ if table.is_empty() => {}
            "documents.jsonl" => {
                check_name(table)?;
                if !table.starts_with('_') || [TABLES, STORAGE].contains(&table) {
                    let text = String::from_utf8(content).map_err(|_| invalid())?;
                    self.tables.insert(table.to_owned(), rows(&text)?);
                }
            }
            "generated_schema.jsonl" => {
                check_name(table)?;
                let text = String::from_utf8(content).map_err(|_| invalid())?;
                check_schema(path, &text)?;
                self.uniform.insert(table.to_owned());
            }
            "" => {}
            name if table == STORAGE => {
                let id = name.rsplit_once('.').map_or(name, |(id, _kind)| id);
                self.files.insert(id.to_owned(), content);
            }
            _ => {}
        }
        Ok(())
    }

    /// What comes of it beside what is there, and how many documents were written.
    pub fn import(&self, mode: Mode, there: &Data) -> Result<(Data, usize), Problem> {
        let numbers = self.numbers(mode, there)?;
        let mut after = there.clone();
        if mode == Mode::ReplaceAll {
            after.tables.clear();
        }
        for (name, number) in &numbers {
            if name == STORAGE {
                self.import_files(mode, *number, &mut after)?;
            } else {
                self.import_table(mode, name, *number, &mut after)?;
            }
        }
        let tables = self
            .tables
            .iter()
            .filter(|(name, _)| !name.starts_with('_'));
        Ok((after, tables.map(|(_, rows)| rows.len()).sum()))
    }
}

fn rows(text: &str) -> Result<Vec<Value>, Problem> {
    let rows = text.split_inclusive('\n').enumerate();
    rows.map(|(index, row)| parse(index + 1, row)).collect()
}

fn parse(row: usize, text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text)
        .map_err(|error| Problem::Plain(format!("Row {row} wasn't valid JSON: {error}")))
}

/// The stand-in reads the schemas that backends write today, not the older ones that describe each field.
fn check_schema(path: &str, text: &str) -> Result<(), Problem> {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    let schema = parse(1, first)?;
    match schema.as_str() {
        Some("uniform") => Ok(()),
        Some(schema) => Err(Problem::Wrapped(format!(
            "cannot parse {path}: unexpected shape {schema}"
        ))),
        None => Err(Problem::value(
            1,
            &"first line of generated_schema must be a string",
        )),
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let bad = |why: String| {
        Err(Problem::Wrapped(format!(
            "table name '{name}' invalid: {why}"
        )))
    };
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    match name.chars().next() {
        Some(first) if !is_inner(first) || first.is_ascii_digit() => {
            return bad(format!(
                "Invalid first character {first:?} in {name}: Identifiers must start with an alphabetic character or underscore"
            ));
        }
        _ => {}
    }
    if let Some(letter) = name.chars().find(|letter| !is_inner(*letter)) {
        return bad(format!(
            "Identifier {name} has invalid character {letter:?}: Identifiers can only contain alphanumeric characters or underscores"
        ));
    }
    if name.len() > NAME_LIMIT {
        return bad(format!(
            "Identifier is too long ({} > maximum {NAME_LIMIT})",
            name.len()
        ));
    }
    if name.chars().all(|letter| letter == '_') {
        return bad(format!(
            "Identifier {name} cannot have exclusively underscores"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
