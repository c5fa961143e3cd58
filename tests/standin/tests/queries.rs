//! What is read by other ways than the list of variables, and what a request must look like.

use std::fs;

use serde_json::{Value, json};

use convex_standin::admin_key::{AdminKey, NONCE_LENGTH, Principal};

use crate::support::backend::{Backend, Start};
use crate::support::http::send;
use crate::support::{NAME, SECRET};

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

/// What an answer says of a query that failed, without the ID of the request.
fn problem(answer: &Value) -> String {
    assert_eq!(answer["status"], "error", "{answer}");
    let message = answer["errorMessage"].as_str().unwrap();
    let (id, rest) = message
        .strip_prefix("[Request ID: ")
        .unwrap()
        .split_once(']')
        .unwrap();
    assert_eq!(id.len(), 16, "{message}");
    let text = rest.strip_prefix(" Server Error\n").unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_a_query_is_told_with_status_200() {
    let start = Start::new();
    let backend = start.sqlite();
    let failed = |path: &str, args: Value| problem(&query(&backend, path, &args));
    assert_eq!(
        failed("nope:nope", json!({})),
        "Could not find public function for 'nope:nope'."
    );
    assert_eq!(
        failed("_system/cli/nope", json!({})),
        "Couldn't find system module '\"cli/nope.js\"'."
    );
    assert_eq!(
        failed("_system/cli/exports:nope", json!({})),
        "Couldn't find \"nope\" in module \"_system/cli/exports.js\"."
    );
    let unfit = failed("_system/cli/queryImport", json!({ "importId": "x" }));
    assert!(
        unfit.contains("Value does not match validator")
            && unfit.ends_with("v.id(\"_snapshot_imports\")"),
        "{unfit}"
    );

    let body = json!({ "path": "_system/cli/queryEnvironmentVariables", "args": {} }).to_string();
    let headers = [("content-type", "application/json")];
    let reply = send(backend.api, "POST", "/api/query", &headers, Some(&body)).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(problem(&reply.json()), "Operation query not permitted");
}

#[test]
fn a_query_is_asked_in_the_url_as_well_and_in_formats_that_are_known() {
    let start = Start::new();
    let backend = start.sqlite();
    backend.set("A", "1");
    let path =
        "/api/query?path=_system/cli/queryEnvironmentVariables:get&args=%7B%22name%22:%22A%22%7D";
    assert_eq!(
        backend.get_with_key(path).json()["value"],
        json!({ "name": "A", "value": "1" })
    );
    for path in ["/api/query", "/api/query?path=a:b&args=%7B"] {
        let reply = backend.get_with_key(path);
        assert_eq!((reply.status, reply.code().as_str()), (400, "BadQueryArgs"));
    }
    let call = json!({ "path": "nope:nope", "args": {}, "format": "x" });
    let reply = backend.post("/api/query", &call);
    assert_eq!((reply.status, reply.code().as_str()), (400, "BadFormat"));
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
    // The versioned API describes itself, without a key.
    let document = backend.get("/api/v1/openapi.json");
    assert_eq!(
        document.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(document.json()["openapi"], "3.1.0");
    let reply = send(
        backend.api,
        "PUT",
        "/api/v1/list_environment_variables",
        &[],
        None,
    )
    .unwrap();
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, Some("POST,GET,HEAD"))
    );
    // Any page may call.
    let preflight = [
        ("origin", "http://a"),
        ("access-control-request-method", "POST"),
    ];
    for headers in [&preflight[..], &preflight[..1]] {
        let reply = send(
            backend.api,
            "OPTIONS",
            "/api/check_admin_key",
            headers,
            None,
        )
        .unwrap();
        assert_eq!(
            reply.header("access-control-allow-methods"),
            Some("GET,POST,OPTIONS,PATCH,DELETE,PUT")
        );
    }
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
    for (client, code) in [
        ("terraform", "InvalidClientVersion"),
        ("npm-1.0", "ClientVersionUnsupported"),
        ("npm-0.1.0", "ClientVersionUnsupported"),
    ] {
        let reply = ask(client);
        assert_eq!((reply.status, reply.code().as_str()), (400, code));
    }
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
    for kind in ["prod", "dev", "custom"] {
        assert_eq!(
            ask(&backend.key.replace("Convex ", &format!("Convex {kind}:"))),
            ok
        );
    }
    for kind in ["preview", "project", "Preview"] {
        let key = backend.key.replace("Convex ", &format!("Convex {kind}:"));
        assert_eq!(ask(&key), (401, "BadAdminKey".into()));
    }
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

#[test]
fn bodies_that_do_not_fit_name_the_types_of_the_real_backend() {
    let start = Start::new();
    let backend = start.sqlite();
    let said = |body: &str| {
        let headers = [
            ("authorization", backend.key.as_str()),
            ("content-type", "application/json"),
        ];
        let reply = send(
            backend.api,
            "POST",
            "/api/update_environment_variables",
            &headers,
            Some(body),
        );
        reply.unwrap().json()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        said("null").contains("expected struct UpdateEnvVarsRequest"),
        "{}",
        said("null")
    );
    let wish = said("{\"changes\":[null]}");
    assert!(
        wish.contains("expected struct UpdateEnvVarRequest"),
        "{wish}"
    );
}

#[test]
fn a_transaction_reads_4094_names_at_most() {
    let start = Start::new();
    let backend = start.sqlite();
    let unset = |count: usize| {
        let changes: Vec<_> = (0..count)
            .map(|number| json!({ "name": format!("N{number}"), "value": null }))
            .collect();
        backend.post(
            "/api/update_environment_variables",
            &json!({ "changes": changes }),
        )
    };
    assert_eq!(unset(4094).status, 200);
    assert_eq!(unset(4095).code(), "TooManyReads");
}

#[test]
fn a_key_that_may_only_read_is_refused_by_the_name_of_what_it_lacks() {
    let start = Start::new();
    let backend = start.sqlite();
    let key = AdminKey {
        issued_s: 1,
        principal: Principal::Member(0),
        read_only: true,
    };
    let key = key.seal(NAME, &SECRET.parse().unwrap(), [3; NONCE_LENGTH]);
    let header = format!("Convex {key}");
    let headers = [
        ("authorization", header.as_str()),
        ("content-type", "application/json"),
    ];
    let refused = |path: &str, body: &str| {
        let reply = send(backend.api, "POST", path, &headers, Some(body)).unwrap();
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "OperationNotPermitted"),
            "{path}"
        );
        reply.json()["message"].as_str().unwrap().to_owned()
    };
    let export = refused("/api/export/request/zip?includeStorage=true", "{}");
    assert!(export.contains("(deployment:backups:create)"), "{export}");
    let import = refused("/api/import/start_upload", "{}");
    assert!(import.contains("(deployment:backups:import)"), "{import}");
    let url = "{\"requestDestination\":\"convexSite\"}";
    for (path, body) in [
        ("/api/update_environment_variables", "{\"changes\":[]}"),
        ("/api/v1/update_canonical_url", url),
    ] {
        assert!(refused(path, body).contains("(deployment:env:write)"));
    }
}

#[test]
fn both_ports_tell_how_long_requests_took() {
    let start = Start::new();
    let backend = start.sqlite();
    assert_eq!(backend.get("/metrics").body, "");
    backend.get("/version");
    for port in [backend.api, backend.site] {
        let metrics = send(port, "GET", "/metrics", &[], None).unwrap().body;
        assert!(
            metrics.contains("# TYPE http_handle_duration_seconds histogram"),
            "{metrics}"
        );
        assert!(
            metrics.contains("_count{method=\"GET\",status=\"200\"}"),
            "{metrics}"
        );
    }
}
