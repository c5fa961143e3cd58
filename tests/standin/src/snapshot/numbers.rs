//! Which number each table of a snapshot gets. All IDs of a table have its number, so it must fit them and what stays.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Mode, Problem, STORAGE, Snapshot, TABLES};
use crate::data::Data;
use crate::id;

impl Snapshot {
    /// The number of each table that is written: as `_tables` says, as its first document's ID says, as the table of
    /// this name has now, or a new one.
    pub(super) fn numbers(
        &self,
        mode: Mode,
        there: &Data,
    ) -> Result<BTreeMap<String, u32>, Problem> {
        let mut numbers = self.declared()?;
        let mut names = BTreeMap::new();
        for (name, number) in &numbers {
            assign(&mut names, name, *number)?;
        }
        let written: Vec<&String> = self.tables.keys().filter(|it| *it != TABLES).collect();
        for name in &written {
            let first = self.tables[*name].first();
            let number = first.and_then(|row| row["_id"].as_str()).map(id::table);
            if let (false, Some(Ok(number))) = (numbers.contains_key(*name), number) {
                assign(&mut names, name, number)?;
                numbers.insert((*name).clone(), number);
            }
        }
        for name in written {
            let own = number_of(there, name).filter(|number| !names.contains_key(number));
            if !numbers.contains_key(name) {
                let number = own.unwrap_or_else(|| unused(&names, there));
                assign(&mut names, name, number)?;
                numbers.insert(name.clone(), number);
            }
        }
        if let Some(name) = numbers
            .keys()
            .find(|it| it.starts_with('_') && *it != STORAGE)
        {
            return Err(Problem::Wrapped(format!(
                "Invalid table name {name} starts with metadata prefix '_'"
            )));
        }
        let staying = there
            .tables
            .iter()
            .filter(|(name, _)| mode != Mode::ReplaceAll && !numbers.contains_key(*name));
        for (other, table) in staying {
            if let Some(name) = names.get(&table.number) {
                return Err(Problem::Wrapped(format!(
                    "New table `{name}` has IDs that conflict with existing table `{other}`"
                )));
            }
        }
        Ok(numbers)
    }

    /// What `_tables` says.
    fn declared(&self) -> Result<BTreeMap<String, u32>, Problem> {
        let mut declared = BTreeMap::new();
        for (index, row) in self.tables.get(TABLES).into_iter().flatten().enumerate() {
            let name = declared_name(index + 1, row)?;
            let number = &row["id"];
            let bad =
                || Problem::value(index + 1, &format!("table requires id (received {number})"));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "numbers of tables are read so from JSON, which has floating ones only"
            )]
            let number = number.as_f64().map(|number| number as u32);
            let number = number.filter(|number| *number > 0).ok_or_else(bad)?;
            if declared.insert(name.to_owned(), number).is_some() {
                return Err(Problem::Wrapped(format!(
                    "`_tables` contains duplicate entries for `{name}`"
                )));
            }
        }
        Ok(declared)
    }
}

/// The name in a row of `_tables`.
pub(super) fn declared_name(row: usize, value: &Value) -> Result<&str, Problem> {
    if !value.is_object() {
        return Err(Problem::Plain(format!("Row {row} wasn't an object")));
    }
    let name = value["name"].as_str();
    name.ok_or_else(|| Problem::value(row, &"table requires name"))
}

fn assign(names: &mut BTreeMap<u32, String>, name: &str, number: u32) -> Result<(), Problem> {
    match names.insert(number, name.to_owned()) {
        None => Ok(()),
        Some(other) => Err(Problem::Wrapped(format!(
            "conflict between `{other}` and `{name}` with number {number}"
        ))),
    }
}

fn number_of(there: &Data, name: &str) -> Option<u32> {
    if name == STORAGE {
        return Some(there.files_number);
    }
    there.tables.get(name).map(|table| table.number)
}

fn unused(names: &BTreeMap<u32, String>, there: &Data) -> u32 {
    let used = names.keys().copied();
    let used = used.chain(there.tables.values().map(|table| table.number));
    used.max()
        .map_or(id::FIRST_TABLE, |number| id::FIRST_TABLE.max(number + 1))
}
