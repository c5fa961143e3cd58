//! Snapshots as people have them: ZIP files that another program has made.

use std::{path::Path, process::Command};

/// Runs a program in Python, which has ZIP files in its library.
#[track_caller]
fn python(program: &str, file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(file)
        .args(arguments)
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Makes a snapshot with the rows of one table, and with a file of this many
/// bytes that cannot be packed, so that it has a length.
#[track_caller]
pub fn make(file: &Path, table: &str, rows: &str, ballast: usize) {
    let program = r"
import json, os, sys, zipfile
file, table, rows, ballast = sys.argv[1:]
with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('_tables/documents.jsonl', json.dumps({'name': table, 'id': 10001}) + '\n')
    z.writestr(table + '/documents.jsonl', rows)
    if ballast != '0':
        z.writestr('_storage/documents.jsonl', json.dumps({'_id': 'kg1ballast', '_creationTime': 1.0}) + '\n')
        z.writestr('_storage/kg1ballast.bin', os.urandom(int(ballast)))
";
    python(program, file, &[table, rows, &ballast.to_string()]);
}

/// The rows of a table in a snapshot.
#[track_caller]
pub fn rows(file: &Path, table: &str) -> String {
    let program = r"
import sys, zipfile
print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2] + '/documents.jsonl').decode(), end='')
";
    python(program, file, &[table])
}
