use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Mode, Problem, Snapshot};
use crate::data::Data;
use crate::id;

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        zip.start_file(*path, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read(files: &[(&str, &str)]) -> Snapshot {
    Snapshot::read(&zip(files)).unwrap()
}

fn imported(mode: Mode, files: &[(&str, &str)], there: &Data) -> Result<Data, String> {
    let snapshot = Snapshot::read(&zip(files)).map_err(|problem| problem.to_string())?;
    let done = snapshot.import(mode, there);
    done.map(|(after, _)| after)
        .map_err(|problem| problem.to_string())
}

/// What is said of a file into an empty deployment, without the line in front.
fn refused(files: &[(&str, &str)]) -> String {
    let said = imported(Mode::RequireEmpty, files, &Data::default()).unwrap_err();
    let wrapped = said.strip_prefix("Hit an error while importing:\n");
    wrapped.map_or_else(|| format!("plain: {said}"), str::to_owned)
}

#[test]
fn rows_without_id_or_time_get_them_and_come_in_the_order_of_ids() {
    let rows = "{\"title\":\"one\",\"n\":1}\n{\"title\":\"two\"}";
    let after = imported(
        Mode::default(),
        &[("tasks/documents.jsonl", rows)],
        &Data::default(),
    );
    let table = &after.unwrap().tables["tasks"];
    assert_eq!(table.number, id::FIRST_TABLE);
    let values: Vec<_> = table.rows.values().collect();
    assert!(values.iter().all(|row| row["_creationTime"].is_f64()));
    assert!(values[0]["_id"].as_str() < values[1]["_id"].as_str());
    let one = values.iter().find(|row| row["title"] == "one").unwrap();
    assert_eq!(one["n"].to_string(), "1.0");
}

#[test]
fn an_export_is_what_is_imported_again() {
    let id = id::random(10_007);
    let file = id::random(id::FILES);
    let row = json!({ "_id": id, "_creationTime": 1.5, "n": 2.0 });
    let metadata = json!({ "_id": file, "contentType": "text/plain" });
    let content = format!("_storage/{file}.txt");
    let files = [
        ("some/folder/tasks/documents.jsonl", row.to_string()),
        ("_storage/documents.jsonl", metadata.to_string()),
        (content.as_str(), "content".to_owned()),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let first = imported(Mode::default(), &files, &Data::default()).unwrap();
    assert_eq!(first.tables["tasks"].number, 10_007);
    let again = Snapshot::read(&first.export(true).unwrap()).unwrap();
    let (second, rows) = again.import(Mode::RequireEmpty, &Data::default()).unwrap();
    assert_eq!((second, rows), (first.clone(), 1));
    let without = Snapshot::read(&first.export(false).unwrap()).unwrap();
    let (second, _) = without
        .import(Mode::RequireEmpty, &Data::default())
        .unwrap();
    assert!(second.files.is_empty());
    // In the file, integers are told from floating numbers.
    let integer = [
        ("t/documents.jsonl", "{\"n\":2}"),
        ("t/generated_schema.jsonl", "\"uniform\"\n"),
    ];
    let kept = imported(Mode::default(), &integer, &Data::default()).unwrap();
    assert_eq!(
        kept.tables["t"].rows.values().next().unwrap()["n"],
        json!(2)
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_while_it_is_read() {
    let not_zip = Snapshot::read(b"PK no").unwrap_err();
    assert_eq!(not_zip, Problem::Wrapped("invalid zip file".into()));
    assert_eq!(
        refused(&[("tasks/documents.jsonl", "{}\n{")]),
        "plain: Row 2 wasn't valid JSON: EOF while parsing an object at line 1 column 1"
    );
    assert!(refused(&[("bad-name/documents.jsonl", "{}")]).starts_with(
        "table name 'bad-name' invalid: Identifier bad-name has invalid character '-'"
    ));
    assert!(refused(&[("1a/documents.jsonl", "")]).contains("Invalid first character '1'"));
    let schema = |text| refused(&[("t/generated_schema.jsonl", text)]);
    assert!(schema("\"int64\"").starts_with("cannot parse t/generated_schema.jsonl"));
    assert!(schema("no").starts_with("plain: Row 1 wasn't valid JSON"));
    assert!(schema("1").contains("must be a string"));
}

#[test]
fn what_is_wrong_with_rows_and_files_is_told_while_they_are_written() {
    let one = |row: Value| refused(&[("t/documents.jsonl", &row.to_string())]);
    assert_eq!(one(json!({ "_id": "x" })), "invalid _id 'x'");
    assert_eq!(
        one(json!([1])),
        "plain: Row 1 wasn't a valid Convex value: expected object, received [1]"
    );
    let (a, b) = (id::random(10_001), id::random(10_002));
    let rows = format!("{{\"_id\":\"{a}\"}}\n{{\"_id\":\"{b}\"}}");
    assert!(refused(&[("t/documents.jsonl", &rows)]).contains("came from a different deployment"));
    let rows = format!("{{\"_id\":\"{a}\"}}\n{{\"_id\":\"{a}\"}}");
    assert!(refused(&[("t/documents.jsonl", &rows)]).contains("duplicate _id fields"));
    assert_eq!(
        refused(&[("_storage/documents.jsonl", "{\"_id\":\"kg1ballast\"}")]),
        "plain: Row 1 wasn't a valid Convex value: Unable to decode ID: Invalid ID length 10"
    );
    assert_eq!(
        refused(&[("_storage/documents.jsonl", ""), ("_storage/x.png", "")]),
        "_storage id 'x' invalid: Unable to decode ID: Invalid ID length 1"
    );
    let tables = "{\"name\":\"a\",\"id\":10001}\n{\"name\":\"b\",\"id\":10001}";
    assert_eq!(
        refused(&[("_tables/documents.jsonl", tables)]),
        "conflict between `a` and `b` with number 10001"
    );
    assert!(
        refused(&[("_tables/documents.jsonl", "{\"name\":\"a\"}")]).contains("table requires id")
    );
}

#[test]
fn other_tables_of_the_system_are_left_out() {
    let files = [
        ("_environment_variables/documents.jsonl", "{}"),
        ("_scheduled_functions/documents.jsonl", "not JSON"),
    ];
    let (after, rows) = read(&files)
        .import(Mode::default(), &Data::default())
        .unwrap();
    assert_eq!((after, rows), (Data::default(), 0));
}

#[test]
fn each_mode_has_its_way_with_what_is_there() {
    let tasks = |text: &str| format!("{{\"title\":\"{text}\"}}");
    let (old, new) = (tasks("old"), tasks("new"));
    let files = [
        ("tasks/documents.jsonl", old.as_str()),
        ("other/documents.jsonl", "{}"),
    ];
    let there = imported(Mode::default(), &files, &Data::default()).unwrap();
    let new = [("tasks/documents.jsonl", new.as_str())];
    let counts = |mode| {
        let after = imported(mode, &new, &there)?;
        Ok::<_, String>((after.count("tasks"), after.count("other")))
    };
    assert_eq!(counts(Mode::Append), Ok((2, 1)));
    assert_eq!(counts(Mode::Replace), Ok((1, 1)));
    assert_eq!(counts(Mode::ReplaceAll), Ok((1, 0)));
    assert!(
        counts(Mode::RequireEmpty)
            .unwrap_err()
            .starts_with("Table tasks already exists")
    );

    let summary = |mode| read(&new).summary(mode, &there);
    assert!(!summary(Mode::Append).unwrap().deletes);
    let replaced = summary(Mode::ReplaceAll).unwrap();
    assert!(replaced.deletes);
    let table = "table | create | delete |\n-------------------------\nother | 0      | 1 of 1 |\n";
    assert!(replaced.message.contains(table), "{}", replaced.message);
    assert!(
        summary(Mode::RequireEmpty)
            .unwrap_err()
            .to_string()
            .starts_with("Table tasks")
    );
}
