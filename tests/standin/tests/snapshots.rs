//! Snapshots over HTTP: how they come in, and what goes out.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::process::Command;

use convex_standin::id;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::support::backend::{Backend, Start};
use crate::support::http::{Reply, send};
use crate::support::{must, wait_for};

fn pack(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        zip.start_file(*path, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn query(backend: &Backend, path: &str, args: &Value) -> Value {
    let call = json!({ "path": path, "args": args, "format": "json" });
    let answer = backend.post("/api/query", &call).json();
    assert_eq!(answer["status"], "success", "{answer}");
    answer["value"].clone()
}

fn start_upload(backend: &Backend) -> String {
    let reply = backend.post("/api/import/start_upload", &json!({}));
    reply.json()["uploadToken"].as_str().unwrap().to_owned()
}

/// Uploads a part from a file, since it is not text.
fn upload(start: &Start, backend: &Backend, token: &str, part: &[u8]) -> String {
    let file = start.folder.path().join("part");
    fs::write(&file, part).unwrap();
    let token: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let path = format!("/api/import/upload_part?uploadToken={token}&partNumber=1");
    let url = format!("http://{}{path}", backend.api);
    let key = format!("Authorization: {}", backend.key);
    let data = format!("@{}", file.display());
    let arguments = ["-sSf", "-H", &key, "--data-binary", &data, &url];
    must(Command::new("curl").args(arguments))
}

fn finish(backend: &Backend, token: &str, mode: &str) -> Reply {
    let import = json!({ "format": "zip", "mode": mode });
    let body = json!({ "import": import, "uploadToken": token, "partTokens": ["", "x"] });
    backend.post("/api/import/finish_upload", &body)
}

fn state(backend: &Backend, id: &str) -> Value {
    query(
        backend,
        "_system/cli/queryImport",
        &json!({ "importId": id }),
    )["state"]
        .clone()
}

/// Imports a snapshot; returns its last state, and the one that waited to be confirmed.
fn import(start: &Start, backend: &Backend, mode: &str, zip: &[u8]) -> (Value, Value) {
    let token = start_upload(backend);
    for part in zip.chunks(zip.len().div_ceil(2)) {
        assert_eq!(upload(start, backend, &token, part), "\"\"");
    }
    let id = finish(backend, &token, mode).json()["importId"]
        .as_str()
        .unwrap()
        .to_owned();
    let parsed = wait_for("the file is parsed", || {
        let state = state(backend, &id);
        (state["state"] != "uploaded").then_some(state)
    });
    if parsed["state"] == "failed" {
        return (parsed.clone(), parsed);
    }
    let performed = backend.post("/api/perform_import", &json!({ "importId": id }));
    assert_eq!((performed.status, performed.body.as_str()), (200, ""));
    assert_eq!(performed.header("content-type"), None);
    let done = wait_for("the import is done", || {
        let state = state(backend, &id);
        ["completed", "failed"]
            .contains(&state["state"].as_str().unwrap())
            .then_some(state)
    });
    (done, parsed)
}

fn latest(backend: &Backend) -> Value {
    query(backend, "_system/cli/exports:getLatest", &json!({}))
}

fn export(backend: &Backend, with_files: bool) -> Value {
    let path = format!("/api/export/request/zip?includeStorage={with_files}");
    let reply = backend.post(&path, &json!({}));
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    wait_for("the export is done", || {
        let latest = latest(backend);
        (latest["state"] == "completed").then_some(latest)
    })
}

/// The files in an export, by the blob that the storage has.
fn unpack(start: &Start, export: &Value) -> Vec<(String, String)> {
    let key = export["zip_object_key"].as_str().unwrap();
    let file = fs::read(start.storage().join(format!("exports/{key}.blob"))).unwrap();
    assert_eq!(export["size"], file.len().to_string());
    let mut archive = ZipArchive::new(Cursor::new(file)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let name = file.name().unwrap().into_owned();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

#[test]
fn an_export_has_ids_creation_times_tables_and_files() {
    let start = Start::new();
    let mut backend = start.sqlite();
    let (tasks, file) = (id::random(10_003), id::random(id::FILES));
    let rows = format!("{{\"_id\":\"{tasks}\",\"_creationTime\":1.5,\"n\":1}}\n");
    let files = format!("{{\"_id\":\"{file}\",\"contentType\":\"text/plain\"}}\n");
    let blob = format!("_storage/{file}.txt");
    let zip = pack(&[
        ("tasks/documents.jsonl", &rows),
        ("empty/documents.jsonl", ""),
        ("_storage/documents.jsonl", &files),
        (&blob, "content"),
        ("_environment_variables/documents.jsonl", "{}\n"),
    ]);
    let (done, parsed) = import(&start, &backend, "requireEmpty", &zip);
    assert_eq!(done["state"], "completed");
    assert_eq!(done["num_rows_written"], "1");
    let message = parsed["message_to_confirm"].as_str().unwrap();
    assert!(
        message.starts_with("Import change summary:\ntable    | create | delete       |\n"),
        "{message}"
    );
    assert!(
        message.contains("_storage | 1      | 0 of 0 files |\n"),
        "{message}"
    );
    assert_eq!(parsed["require_manual_confirmation"], false);

    let made = export(&backend, true);
    for field in ["start_ts", "complete_ts", "expiration_ts"] {
        assert!(
            made[field].as_str().unwrap().parse::<u64>().unwrap() > 1 << 60,
            "{made}"
        );
    }
    let content = unpack(&start, &made);
    let names: Vec<_> = content.iter().map(|(name, _)| name.as_str()).collect();
    let stored = format!("_storage/{file}");
    assert_eq!(
        names,
        [
            "README.md",
            "_tables/documents.jsonl",
            "empty/documents.jsonl",
            "empty/generated_schema.jsonl",
            "tasks/documents.jsonl",
            "tasks/generated_schema.jsonl",
            "_storage/documents.jsonl",
            &stored,
        ]
    );
    let of = |name: &str| content.iter().find(|(it, _)| it == name).unwrap().1.clone();
    assert_eq!(
        of("_tables/documents.jsonl"),
        "{\"id\":10003,\"name\":\"tasks\"}\n{\"id\":10004,\"name\":\"empty\"}\n"
    );
    let row = format!("{{\"_creationTime\":1.5,\"_id\":\"{tasks}\",\"n\":1.0}}\n");
    assert_eq!(of("tasks/documents.jsonl"), row);
    assert_eq!(of("tasks/generated_schema.jsonl"), "\"uniform\"\n");
    assert_eq!(of(&stored), "content");

    // What was exported stays so, and comes in again elsewhere.
    backend.stop();
    let backend = start.sqlite();
    assert_eq!(latest(&backend), made);
    let other = Start::new();
    let second = other.sqlite();
    let key = made["zip_object_key"].as_str().unwrap();
    let zip = fs::read(start.storage().join(format!("exports/{key}.blob"))).unwrap();
    assert_eq!(
        import(&other, &second, "requireEmpty", &zip).0["state"],
        "completed"
    );
    assert_eq!(unpack(&other, &export(&second, true)), content);
    // Without files there is nothing of them.
    let names: Vec<_> = unpack(&other, &export(&second, false))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("_storage")),
        "{names:?}"
    );
    // An empty deployment has its tables, of which there are none, and its files.
    let third = Start::new();
    let empty = unpack(&third, &export(&third.sqlite(), true));
    let names: Vec<_> = empty.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "README.md",
            "_tables/documents.jsonl",
            "_storage/documents.jsonl"
        ]
    );
}

#[test]
fn a_download_says_what_to_call_it_and_not_what_it_is() {
    let start = Start::new();
    let backend = start.sqlite();
    let code = |path: &str| {
        let reply = backend.get_with_key(path);
        (reply.status, reply.code())
    };
    assert_eq!(code("/api/export/zip/xyz"), (400, "BadSnapshotId".into()));
    let unknown = format!("/api/export/zip/{}", id::random(id::EXPORTS));
    assert_eq!(code(&unknown), (404, "ExportNotFound".into()));
    backend.post("/api/export/request/zip", &json!({}));
    let id = latest(&backend)["_id"].as_str().unwrap().to_owned();
    assert_eq!(
        code(&format!("/api/export/zip/{id}")),
        (400, "ExportNotComplete".into())
    );
    let made = wait_for("the export is done", || {
        let latest = latest(&backend);
        (latest["state"] == "completed").then_some(latest)
    });
    let start_ts = made["start_ts"].as_str().unwrap();
    for name in [&id, start_ts] {
        let path = format!("/api/export/zip/{name}");
        let headers = [("authorization", backend.key.as_str())];
        let reply = send(backend.api, "GET", &path, &headers, None).unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), None);
        let disposition = format!("attachment; filename=snapshot_carnitas_{start_ts}.zip");
        assert_eq!(
            reply.header("content-disposition"),
            Some(disposition.as_str())
        );
        assert_eq!(
            reply.header("cache-control"),
            Some("private, max-age=2592000")
        );
    }
}

#[test]
fn an_upload_is_known_by_a_token_that_names_its_file() {
    let start = Start::new();
    let backend = start.sqlite();
    let token: Value = serde_json::from_str(&start_upload(&backend)).unwrap();
    let key = token["objectKey"].as_str().unwrap();
    let path = start.storage().join(format!("snapshot_imports/{key}.blob"));
    assert_eq!(token["filepath"], path.to_str().unwrap());
    assert!(path.is_file());
    let reply = finish(&backend, "x", "requireEmpty");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (500, "InternalServerError")
    );
    assert_eq!(
        reply.json()["message"],
        "Your request couldn't be completed. Try again later."
    );
    let unknown = backend.post("/api/perform_import", &json!({ "importId": "x" }));
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (400, "InvalidImport")
    );
}

#[test]
fn what_a_backend_refuses_of_a_snapshot_it_says_as_the_real_one() {
    let start = Start::new();
    let backend = start.sqlite();
    let refused = |zip: &[u8]| {
        let (done, _) = import(&start, &backend, "requireEmpty", zip);
        assert_eq!(done["state"], "failed", "{done}");
        done["error_message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused(b"PK but no more"),
        "Hit an error while importing:\ninvalid zip file"
    );
    assert!(refused(&pack(&[("t/documents.jsonl", "{")])).starts_with("Row 1 wasn't valid JSON: "));
    assert_eq!(
        refused(&pack(&[("t/documents.jsonl", "{\"_id\":\"x\"}")])),
        "Hit an error while importing:\ninvalid _id 'x'"
    );
    assert!(
        refused(&pack(&[("bad-name/documents.jsonl", "")]))
            .starts_with("Hit an error while importing:\ntable name 'bad-name' invalid: ")
    );
    // Nothing of all that is there.
    let good = pack(&[("t/documents.jsonl", "{}\n")]);
    assert_eq!(
        import(&start, &backend, "requireEmpty", &good).0["state"],
        "completed"
    );
    let again = refused(&good);
    assert!(again.starts_with("Table t already exists."), "{again}");
    let (_, parsed) = import(&start, &backend, "replace", &good);
    assert_eq!(parsed["require_manual_confirmation"], true);
}
