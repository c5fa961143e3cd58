//! Functions that are pushed: kept, and refused where they must be.

use convex_standin::admin_key::{AdminKey, NONCE_LENGTH, Principal};
use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::push::{
    AUTH_CONFIG, DISCOVERY, KEYS, app, finish_push, key, push, request, site, start_push,
};
use crate::support::{NAME, SECRET};

fn hashes(backend: &Backend) -> Value {
    let body = json!({ "version": "1.48.0", "adminKey": key(backend) });
    backend.post("/api/get_config_hashes", &body).json()
}

#[test]
fn the_documents_of_an_issuer_come_with_the_functions_and_stay() {
    let start = Start::with_functions().args(&[
        "--convex-origin",
        "https://api.example",
        "--convex-site",
        "https://site.example",
    ]);
    let mut backend = start.sqlite();
    assert_eq!(hashes(&backend)["moduleHashes"], json!([]));
    let none = site(&backend, "GET", DISCOVERY);
    assert_eq!(
        (none.status, none.body.as_str()),
        (
            404,
            "This Convex deployment does not have HTTP actions enabled."
        )
    );

    // A dry run changes nothing.
    let started = start_push(&backend, &app(AUTH_CONFIG));
    assert_eq!(
        started.json()["appAuth"],
        json!([{ "applicationID": "convex", "domain": "https://site.example" }])
    );
    assert_eq!(finish_push(&backend, &started, true).status, 200);
    assert_eq!(site(&backend, "GET", DISCOVERY).status, 404);
    // Nor can it be finished twice.
    assert_eq!(
        finish_push(&backend, &started, false).code(),
        "PushNotFound"
    );

    let diff = push(&backend, &app(AUTH_CONFIG));
    let root = &diff["componentDiffs"][""];
    assert_eq!(root["diffType"]["type"], "create");
    assert_eq!(
        root["moduleDiff"]["added"],
        json!(["_deps/A.js", "auth.config.js", "http.js", "tasks.js"])
    );
    let document = site(&backend, "GET", DISCOVERY);
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert_eq!(
        document.json(),
        json!({
            "issuer": "https://site.example",
            "jwks_uri": "https://site.example/.well-known/jwks.json",
        })
    );
    // Its keys are the variable's, byte for byte.
    assert_eq!(site(&backend, "GET", KEYS).status, 500);
    backend.set("JWKS", "{\"keys\": [ ]}");
    assert_eq!(site(&backend, "GET", KEYS).body, "{\"keys\": [ ]}");
    for (method, path) in [("POST", DISCOVERY), ("GET", "/"), ("GET", "/api/x")] {
        let reply = site(&backend, method, path);
        let said = format!("No HttpAction routed for {path}");
        assert_eq!((reply.status, reply.body), (404, said));
    }

    // All of it is there after a start.
    backend.stop();
    let backend = start.sqlite();
    assert_eq!(site(&backend, "GET", DISCOVERY).status, 200);
    let list = hashes(&backend);
    assert_eq!(list["config"]["functions"], "convex/");

    // What is unchanged is only named, and what is not named goes.
    let mut kept = list["moduleHashes"][0].clone();
    assert_eq!(kept["path"], "_deps/A.js");
    kept["sha256"] = kept["hash"].clone();
    let body = request(key(&backend), &[], &json!([kept]));
    let started = backend.post("/api/deploy2/start_push", &body);
    let diff = finish_push(&backend, &started, false).json();
    assert_eq!(
        diff["componentDiffs"][""]["moduleDiff"],
        json!({ "added": [], "removed": ["auth.config.js", "http.js", "tasks.js"] })
    );
    assert_eq!(site(&backend, "GET", DISCOVERY).status, 404);
}

#[test]
fn a_variable_that_sign_in_reads_must_be_there_before_and_after() {
    let start = Start::new();
    let backend = start.sqlite();
    let config = AUTH_CONFIG.replace("CONVEX_SITE_URL", "MY_ISSUER");
    let refused = start_push(&backend, &app(&config));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "AuthConfigMissingEnvironmentVariable")
    );
    assert!(refused.body.contains("MY_ISSUER"));
    backend.set("MY_ISSUER", "https://issuer.example");
    push(&backend, &app(&config));
    let unset = json!({ "changes": [
        { "name": "MY_ISSUER", "value": null }, { "name": "OTHER", "value": "1" },
    ] });
    let refused = backend.post("/api/update_environment_variables", &unset);
    assert_eq!(refused.code(), "AuthConfigMissingEnvironmentVariable");
    let refused = backend.set("MY_ISSUER", "nowhere");
    assert_eq!(refused.code(), "InvalidAuthConfig");
    assert_eq!(
        backend.variables(),
        json!({ "MY_ISSUER": "https://issuer.example" })
    );
}

#[test]
fn a_push_during_which_variables_change_is_refused() {
    let start = Start::new();
    let backend = start.sqlite();
    let started = start_push(&backend, &app(AUTH_CONFIG));
    backend.set("A", "1");
    let refused = finish_push(&backend, &started, false);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "RaceDetected")
    );
    assert_eq!(hashes(&backend)["moduleHashes"], json!([]));
}

#[test]
fn only_a_full_key_pushes() {
    let start = Start::new();
    let backend = start.sqlite();
    let read_only = AdminKey {
        issued_s: 1,
        principal: Principal::Member(0),
        read_only: true,
    }
    .seal(NAME, &SECRET.parse().unwrap(), [7; NONCE_LENGTH]);
    for (key, status) in [(read_only.as_str(), 403), ("nobody|01", 401)] {
        let body = request(key, &app(AUTH_CONFIG), &json!([]));
        for path in ["start_push", "evaluate_push"] {
            let reply = backend.post(&format!("/api/deploy2/{path}"), &body);
            assert_eq!(reply.status, status, "{}", reply.body);
        }
        let body = json!({ "adminKey": key, "startPush": {} });
        for path in ["finish_push", "wait_for_schema", "report_push_completed"] {
            let reply = backend.post(&format!("/api/deploy2/{path}"), &body);
            assert_eq!(reply.status, status, "{path}: {}", reply.body);
        }
    }
    let body = json!({ "version": "1.48.0", "adminKey": read_only });
    let looked = backend.post("/api/get_config_hashes", &body);
    assert_eq!(looked.status, 200);
    let mut body = request(key(&backend), &[], &json!([]));
    body["componentDefinitions"] = json!([{}]);
    let reply = backend.post("/api/deploy2/start_push", &body);
    assert_eq!(reply.code(), "StandInHasNoComponents");
}
