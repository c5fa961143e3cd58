//! Functions that were pushed, running.

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::http::send;
use crate::support::push::{AUTH_CONFIG, app, push};

fn call(backend: &Backend, kind: &str, path: &str, args: &Value) -> Value {
    let body = json!({ "path": path, "args": args }).to_string();
    let headers = [("content-type", "application/json")];
    let reply = send(
        backend.api,
        "POST",
        &format!("/api/{kind}"),
        &headers,
        Some(&body),
    )
    .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn value(backend: &Backend, kind: &str, path: &str, args: &Value) -> Value {
    let mut answer = call(backend, kind, path, args);
    assert_eq!(answer["status"], "success", "{answer}");
    answer["value"].take()
}

fn error(backend: &Backend, kind: &str, path: &str) -> String {
    let answer = call(backend, kind, path, &json!({}));
    assert_eq!(answer["status"], "error", "{answer}");
    let message = answer["errorMessage"].as_str().unwrap();
    // [Request ID: 0123456789abcdef] Server Error
    let (head, rest) = message.split_once('\n').unwrap();
    assert!(
        head.starts_with("[Request ID: ") && head.ends_with("] Server Error"),
        "{head}"
    );
    rest.to_owned()
}

#[test]
fn documents_are_written_and_read_and_outlive_a_push() {
    let start = Start::with_functions();
    let backend = start.sqlite();
    push(&backend, &app(AUTH_CONFIG));
    let titles = || value(&backend, "query", "tasks:list", &json!({}));
    assert_eq!(titles(), json!([]));
    value(
        &backend,
        "mutation",
        "tasks:add",
        &json!({ "title": "write" }),
    );
    assert_eq!(titles(), json!(["write"]));
    // What fails leaves nothing behind.
    let failed = call(&backend, "mutation", "tasks:fail", &json!({}));
    let message = failed["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("\nUncaught Error: too bad\n    at ") && message.contains("tasks.js:"),
        "{message}"
    );
    assert_eq!(failed["errorData"], json!({ "reason": "none" }));
    assert_eq!(titles(), json!(["write"]));

    // Variables are those of the moment, with the two that are built in.
    let variable = |name| {
        value(
            &backend,
            "action",
            "tasks:variable",
            &json!({ "name": name }),
        )
    };
    assert_eq!(variable("A"), Value::Null);
    backend.set("A", "1");
    assert_eq!(variable("A"), "1");
    assert_eq!(variable("CONVEX_CLOUD_URL"), "http://127.0.0.1:0");
    assert_eq!(variable("PATH"), Value::Null);

    // Other functions and a schema, on the same documents.
    let mut modules = app(AUTH_CONFIG);
    modules.retain(|module| module["path"] != "http.js");
    push(&backend, &modules);
    assert_eq!(titles(), json!(["write"]));
    assert_eq!(
        send(backend.site, "GET", "/", &[], None).unwrap().status,
        404
    );
}

#[test]
fn a_function_is_found_by_its_name_its_kind_and_who_asks() {
    let start = Start::with_functions();
    let backend = start.sqlite();
    let missing = "Could not find public function for 'tasks:list'.\n";
    assert_eq!(error(&backend, "query", "tasks:list"), missing);
    push(&backend, &app(AUTH_CONFIG));
    for path in ["tasks:nothing", "nothing:list", "tasks:secret", "tasks"] {
        let missing = format!("Could not find public function for '{path}'.\n");
        assert_eq!(error(&backend, "mutation", path), missing);
    }
    assert!(
        error(&backend, "query", "tasks:add").contains("as query, but it is defined as mutation")
    );
    assert_eq!(
        value(&backend, "function", "tasks:list", &json!({})),
        json!([])
    );
    assert_eq!(value(&backend, "run/tasks/list", "", &json!({})), json!([]));
    // A key opens what is internal.
    let body = json!({ "path": "tasks.js:secret", "args": {} });
    assert_eq!(
        backend.post("/api/mutation", &body).json()["value"],
        "no secret"
    );

    // Values have two forms, and there is no third.
    let ask = |format: &str| {
        backend.post(
            "/api/query",
            &json!({ "path": "tasks:values", "args": {}, "format": format }),
        )
    };
    assert_eq!(
        ask("json").json()["value"],
        json!({ "integer": "7", "bytes": "AQI=" })
    );
    let encoded =
        json!({ "integer": { "$integer": "BwAAAAAAAAA=" }, "bytes": { "$bytes": "AQI=" } });
    assert_eq!(ask("convex_encoded_json").json()["value"], encoded);
    assert_eq!(ask("yaml").code(), "BadFormat");
    let by_address =
        |query: &str| send(backend.api, "GET", &format!("/api/query{query}"), &[], None).unwrap();
    assert_eq!(
        by_address("?path=tasks:list&args=%7B%7D").json()["value"],
        json!([])
    );
    assert_eq!(by_address("").code(), "BadQueryArgs");
}

#[test]
fn an_http_action_is_asked_and_answers_in_full() {
    let start = Start::with_functions();
    let backend = start.sqlite();
    push(&backend, &app(AUTH_CONFIG));
    let headers = [
        ("x-kind", "test"),
        ("authorization", "Bearer of-somebody-else"),
    ];
    let reply = send(backend.site, "POST", "/echo?a=b", &headers, Some("hello")).unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (201, "hello"));
    assert_eq!(reply.header("x-kind"), Some("test"));
    let url = format!("http://{}/echo?a=b", backend.site);
    assert_eq!(reply.header("x-url"), Some(url.as_str()));
    let cookies = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    assert_eq!(
        cookies.map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["a=1", "b=2"]
    );
    let failed = send(backend.site, "GET", "/.well-known/jwks.json", &[], None).unwrap();
    assert_eq!(failed.status, 500);
    assert!(
        failed
            .code()
            .ends_with("Server Error: Uncaught Error: Missing environment variable JWKS")
    );
}

#[test]
fn functions_run_again_after_their_process_has_ended() {
    let start = Start::with_functions();
    let backend = start.sqlite();
    push(&backend, &app(AUTH_CONFIG));
    let end = json!({ "path": "tasks:end", "args": {} });
    assert_eq!(backend.post("/api/action", &end).status, 500);
    assert_eq!(
        value(&backend, "query", "tasks:list", &json!({})),
        json!([])
    );
}

#[test]
fn without_the_program_only_calls_fail() {
    let start = Start::new().env("STANDIN_FUNCTIONS", "/nowhere");
    let backend = start.sqlite();
    push(&backend, &app(AUTH_CONFIG));
    let list = json!({ "path": "tasks:list", "args": {} });
    assert_eq!(backend.post("/api/query", &list).status, 500);
    assert_eq!(backend.get("/version").status, 200);
}
