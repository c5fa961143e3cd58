//! What is read by other ways than the list of variables, and what a request must look like.

use std::fs;

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::http::send;

fn query(backend: &Backend, path: &str, args: &Value) -> Value {
    backend
        .post(
            "/api/query",
            &json!({ "path": path, "args": args, "format": "json" }),
        )
        .json()
}

#[test]
fn the_system_query_lists_variables_as_documents() {
    let start = Start::new();
    let backend = start.sqlite();
    backend.set("B", "2");
    backend.set("A", "1");
    for path in [
        "_system/cli/queryEnvironmentVariables",
        "_system/cli/queryEnvironmentVariables:default",
    ] {
        let answer = query(&backend, path, &json!({}));
        assert_eq!(answer["status"], "success");
        let documents = answer["value"].as_array().unwrap();
        let pairs: Vec<_> = documents
            .iter()
            .map(|document| (&document["name"], &document["value"]))
            .collect();
        assert_eq!(
            pairs,
            [(&json!("A"), &json!("1")), (&json!("B"), &json!("2"))]
        );
        assert_eq!(documents[0]["_id"].as_str().unwrap().len(), 32);
        assert!(documents[0]["_creationTime"].as_f64().unwrap() > 1.7e12);
    }
}

#[test]
fn setting_a_variable_again_gives_it_a_new_id() {
    let start = Start::new();
    let backend = start.sqlite();
    let id = || {
        query(
            &backend,
            "_system/cli/queryEnvironmentVariables",
            &json!({}),
        )["value"][0]["_id"]
            .clone()
    };
    backend.set("A", "1");
    let first = id();
    backend.set("A", "1");
    assert_ne!(id(), first);
}

#[test]
fn one_variable_is_read_as_functions_see_it() {
    let start = Start::new().args(&[
        "--convex-origin",
        "https://api.example",
        "--convex-site",
        "",
    ]);
    let backend = start.sqlite();
    backend.set("A", "1");
    let get = |name: &str| {
        let path = "_system/cli/queryEnvironmentVariables:get";
        query(&backend, path, &json!([{ "name": name }]))["value"].clone()
    };
    assert_eq!(get("A"), json!({ "name": "A", "value": "1" }));
    assert_eq!(
        get("CONVEX_CLOUD_URL"),
        json!({ "name": "CONVEX_CLOUD_URL", "value": "https://api.example" })
    );
    assert_eq!(
        get("CONVEX_SITE_URL"),
        json!({ "name": "CONVEX_SITE_URL", "value": "" })
    );
    assert_eq!(get("NOT_THERE"), Value::Null);
}

#[test]
fn the_systems_functions_need_a_key() {
    let start = Start::new();
    let backend = start.sqlite();
    let body = json!({ "path": "_system/cli/queryEnvironmentVariables", "args": {} }).to_string();
    let headers = [("content-type", "application/json")];
    let reply = send(backend.api, "POST", "/api/query", &headers, Some(&body)).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (403, "BadDeployKey"));
}

#[test]
fn the_port_of_http_actions_forwards_to_the_other() {
    let start = Start::new();
    let backend = start.sqlite();
    let ask = |address, method, path| send(address, method, path, &[], None).unwrap();
    let version = ask(backend.site, "GET", "/version");
    assert_eq!((version.status, version.body.as_str()), (200, "unknown"));
    for reply in [
        ask(backend.site, "GET", "/"),
        ask(backend.site, "POST", "/api/auth/signin?x=1"),
        ask(backend.api, "GET", "/http/anything"),
    ] {
        assert_eq!(reply.status, 404);
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(
            reply.body,
            "This Convex deployment does not have HTTP actions enabled."
        );
    }
    assert_eq!(ask(backend.site, "TRACE", "/").status, 405);
    assert!(
        fs::read_to_string(start.folder.path().join("log"))
            .unwrap()
            .contains("/http/api/auth/signin")
    );
}

#[test]
fn small_things_answer_as_they_should() {
    let start = Start::new();
    let backend = start.sqlite();
    let echoed = send(backend.api, "POST", "/echo", &[], Some("hello")).unwrap();
    assert_eq!((echoed.status, echoed.body.as_str()), (200, "hello"));
    let schema = backend.post("/api/deploy2/evaluate_schema", &json!({}));
    assert_eq!(schema.status, 404);
    // Any page may call.
    let headers = [("origin", "https://app.example")];
    let reply = send(backend.api, "GET", "/instance_name", &headers, None).unwrap();
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        Some("true")
    );
}

#[test]
fn a_clients_version_has_two_parts() {
    let start = Start::new();
    let backend = start.sqlite();
    let ask = |client| {
        send(
            backend.api,
            "GET",
            "/version",
            &[("convex-client", client)],
            None,
        )
        .unwrap()
    };
    assert_eq!(ask("npm-cli-1.48.0").status, 200);
    assert_eq!(ask("terraform-0.1.0").status, 200);
    let reply = ask("terraform");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "InvalidClientVersion")
    );
}

#[test]
fn credentials_are_read_in_all_their_forms() {
    let start = Start::new();
    let backend = start.sqlite();
    let ask = |header: &str| {
        let reply = send(
            backend.api,
            "GET",
            "/api/check_admin_key",
            &[("authorization", header)],
            None,
        )
        .unwrap();
        (
            reply.status,
            if reply.status == 200 {
                String::new()
            } else {
                reply.code()
            },
        )
    };
    let ok = (200, String::new());
    // `eyJ9` and `e30=` are base64 of an open brace too many and of an empty object.
    assert_eq!(ask(&format!("{}:e30=", backend.key)), ok);
    assert_eq!(ask(&backend.key.replace("Convex ", "Convex prod:")), ok);
    assert_eq!(
        ask(&format!("{}:eyJ9", backend.key)),
        (400, "HeaderParseFailure".into())
    );
    // The payloads are {"iss":"https://x"} and {}.
    assert_eq!(
        ask("Bearer a.eyJpc3MiOiJodHRwczovL3gifQ.b"),
        (401, "NoAuthProvider".into())
    );
    assert_eq!(ask("Bearer a.e30.b"), (401, "InvalidAuthHeader".into()));
    assert_eq!(ask("Bearer "), (400, "InvalidHeaderFailure".into()));
}
