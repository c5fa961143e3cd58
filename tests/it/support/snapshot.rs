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
/// bytes that cannot be packed, so that it has a length. Each row gets an ID,
/// in the order of the rows, and a creation time.
#[track_caller]
pub fn make(file: &Path, table: &str, rows: &str, ballast: usize) {
    let program = r"
import json, os, sys, zipfile
file, table, rows, ballast = sys.argv[1:]
def id(number, own):
    # The number of the table, 16 bytes and a checksum, in base32.
    data = bytes([number & 127 | 128, number >> 7]) + own.to_bytes(16, 'big')
    low = high = 0
    for byte in data:
        low = (low + byte) % 256
        high = (high + low) % 256
    bits = int.from_bytes(data + bytes([low, high]), 'big')
    alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
    return ''.join(alphabet[bits >> shift & 31] for shift in range(155, -1, -5))
def lines(rows):
    return ''.join(json.dumps(row) + '\n' for row in rows)
with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('_tables/documents.jsonl', lines([{'name': table, 'id': 10001}]))
    system = lambda index: {'_id': id(10001, index + 1), '_creationTime': 1700000000000.0 + index}
    rows = [system(index) | json.loads(row) for index, row in enumerate(rows.splitlines())]
    z.writestr(table + '/documents.jsonl', lines(rows))
    if ballast != '0':
        stored = id(540, 1)
        z.writestr('_storage/documents.jsonl', lines([{'_id': stored, '_creationTime': 1700000000000.0}]))
        z.writestr('_storage/' + stored + '.bin', os.urandom(int(ballast)))
";
    python(program, file, &[table, rows, &ballast.to_string()]);
}

/// The rows of a table in a snapshot, in the order of their IDs and without
/// what the backend has given to each.
#[track_caller]
pub fn rows(file: &Path, table: &str) -> String {
    let program = r"
import json, sys, zipfile
for line in zipfile.ZipFile(sys.argv[1]).read(sys.argv[2] + '/documents.jsonl').decode().splitlines():
    row = json.loads(line)
    assert len(row.pop('_id')) == 32 and isinstance(row.pop('_creationTime'), float), line
    print(json.dumps(row, separators=(',', ':')))
";
    python(program, file, &[table])
}
