//! What an import would change, as it is told before it is confirmed.

use std::collections::BTreeMap;

use super::numbers::declared_name;
use super::{Mode, Problem, STORAGE, Snapshot, TABLES, check_name};
use crate::data::Data;

/// What an import would change.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// In words, with a table of tables.
    pub message: String,
    /// Whether something would be deleted.
    pub deletes: bool,
}

/// What would become of one table.
struct Change {
    created: usize,
    deleted: usize,
    existing: usize,
}

impl Snapshot {
    /// Compares it with what is there, and refuses it where a table is not empty that must be.
    pub fn summary(&self, mode: Mode, there: &Data) -> Result<Summary, Problem> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, row) in self.tables.get(TABLES).into_iter().flatten().enumerate() {
            let name = declared_name(index + 1, row)?;
            check_name(name)?;
            counts.entry(name).or_default();
        }
        for (name, rows) in &self.tables {
            *counts.entry(name).or_default() += rows.len();
        }
        if mode == Mode::ReplaceAll {
            for name in there.tables.keys() {
                counts.entry(name).or_default();
            }
        }
        counts.retain(|name, _| !name.starts_with('_') || *name == STORAGE);
        let mut changes = Vec::new();
        for (name, created) in counts {
            let existing = there.count(name);
            let deleted = match mode {
                Mode::Replace | Mode::ReplaceAll => existing,
                Mode::RequireEmpty if existing > 0 => return Err(Problem::exists(name)),
                Mode::Append | Mode::RequireEmpty => 0,
            };
            let change = Change {
                created,
                deleted,
                existing,
            };
            changes.push((name, change));
        }
        let deletes = changes.iter().any(|(_, change)| change.deleted > 0);
        let mut message = render(&changes);
        if !message.is_empty() {
            message = format!("Import change summary:\n{message}");
        }
        message += "Once the import has started, it will run in the background.";
        Ok(Summary { message, deletes })
    }
}

fn render(changes: &[(&str, Change)]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let head = ["table", "create", "delete"].map(str::to_owned);
    let rows = changes.iter().map(|(name, change)| {
        let unit = if *name == STORAGE { " files" } else { "" };
        let delete = format!(
            "{} of {}{unit}",
            with_commas(change.deleted),
            with_commas(change.existing)
        );
        [(*name).to_owned(), with_commas(change.created), delete]
    });
    let rows: Vec<_> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[table, create, delete]| {
            format!(
                "{table:0$} | {create:1$} | {delete:2$} |\n",
                widths[0], widths[1], widths[2]
            )
        })
        .collect();
    let rule = "-".repeat(lines[0].len() - 1);
    lines.insert(1, rule + "\n");
    lines.concat()
}

fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
