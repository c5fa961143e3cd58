//! How rows and files of a snapshot become documents and files.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Number, Value};

use super::{Mode, Problem, STORAGE, Snapshot};
use crate::blobs;
use crate::data::{Content, Data, File, Row, Table};
use crate::id;
use crate::time::creation_time;

/// Time between the creation of one document and the next, in milliseconds, where they do not say.
const CREATION_STEP_MS: f64 = 1.0 / 1024.0;

/// A row of `_storage`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_creationTime")]
    created_ms: Option<f64>,
    content_type: Option<String>,
    internal_id: Option<String>,
}

impl Snapshot {
    /// Writes one table, which may have no rows in the file.
    pub(super) fn import_table(
        &self,
        mode: Mode,
        name: &str,
        number: u32,
        after: &mut Data,
    ) -> Result<(), Problem> {
        let table = after
            .tables
            .entry(name.to_owned())
            .or_insert_with(|| Table {
                number,
                ..Table::default()
            });
        match mode {
            Mode::RequireEmpty if !table.rows.is_empty() => return Err(Problem::exists(name)),
            Mode::Append if table.number != number => {
                return Err(Problem::Wrapped(format!(
                    "table {name} wants table number {number} but was already assigned {}",
                    table.number
                )));
            }
            Mode::Append => {}
            _ => {
                *table = Table {
                    number,
                    ..Table::default()
                }
            }
        }
        let (mut seen, mut created) = (BTreeSet::new(), creation_time());
        for (index, value) in self.tables.get(name).into_iter().flatten().enumerate() {
            let mut row = self.row(name, index + 1, value)?;
            let id = match row.get("_id").and_then(Value::as_str) {
                Some(id) => own_id(name, number, id)?,
                None => id::random(number),
            };
            if !seen.insert(id.clone()) {
                return Err(Problem::Wrapped(format!(
                    "Objects in table \"{name}\" have duplicate _id fields"
                )));
            }
            if !row.get("_creationTime").is_some_and(Value::is_f64) {
                created += CREATION_STEP_MS;
                row.insert("_creationTime".into(), created.into());
            }
            row.insert("_id".into(), id.clone().into());
            table.rows.insert(id, row);
        }
        Ok(())
    }

    fn row(&self, table: &str, number: usize, value: &Value) -> Result<Row, Problem> {
        let Value::Object(row) = value else {
            let what = format!("expected object, received {value}");
            return Err(Problem::value(number, &what));
        };
        let mut row = row.clone();
        if !self.uniform.contains(table) {
            row.values_mut().for_each(float);
        }
        Ok(row)
    }

    /// Writes the files. Those that have no row come as well, and a row without a file is nothing.
    pub(super) fn import_files(
        &self,
        mode: Mode,
        number: u32,
        after: &mut Data,
    ) -> Result<(), Problem> {
        match mode {
            Mode::RequireEmpty if !after.files.is_empty() => return Err(Problem::exists(STORAGE)),
            Mode::Append => {}
            _ => after.files.clear(),
        }
        after.files_number = number;
        let mut known = std::collections::BTreeMap::new();
        for (index, value) in self.tables.get(STORAGE).into_iter().flatten().enumerate() {
            let metadata = Metadata::deserialize(value);
            let metadata = metadata.map_err(|error| Problem::value(index + 1, &error))?;
            let table =
                id::table(&metadata.id).map_err(|error| Problem::value(index + 1, &error))?;
            if table != number {
                return Err(Problem::Wrapped(format!(
                    "_storage entry has invalid ID {} ({table} != {number})",
                    metadata.id
                )));
            }
            known.insert(metadata.id.clone(), metadata);
        }
        for (id, content) in &self.files {
            if let Err(error) = id::table(id) {
                return Err(Problem::Wrapped(format!(
                    "_storage id '{id}' invalid: {error}"
                )));
            }
            own_id("_file_storage", number, id)?;
            let metadata = known.remove(id).unwrap_or_default();
            let file = File {
                created_ms: metadata.created_ms.unwrap_or_else(creation_time),
                content_type: metadata.content_type,
                internal_id: metadata.internal_id.unwrap_or_else(blobs::key),
                content: Content(content.clone()),
            };
            after.files.insert(id.clone(), file);
        }
        Ok(())
    }
}

/// An ID of this table, or what is wrong with it.
fn own_id(table: &str, number: u32, text: &str) -> Result<String, Problem> {
    match id::table(text) {
        Ok(found) if found == number => Ok(text.to_owned()),
        Ok(_) => Err(Problem::Wrapped(format!(
            "_id {text} cannot be imported into '{table}' because it came from a different deployment"
        ))),
        Err(_) => Err(Problem::Wrapped(format!("invalid _id '{text}'"))),
    }
}

/// Makes all numbers floating ones.
fn float(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(floating) = number.as_f64().and_then(Number::from_f64) {
                *number = floating;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(float),
        Value::Object(values) => values.values_mut().for_each(float),
        _ => {}
    }
}
