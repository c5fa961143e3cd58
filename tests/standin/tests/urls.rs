//! Canonical URLs, and what a deployment says of itself.

use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::http::send;

fn urls(backend: &Backend) -> Value {
    backend.get_with_key("/api/v1/get_canonical_urls").json()
}

fn set(backend: &Backend, destination: &str, url: Option<&str>) -> u16 {
    let body = match url {
        Some(url) => json!({ "requestDestination": destination, "url": url }),
        None => json!({ "requestDestination": destination }),
    };
    backend.post("/api/v1/update_canonical_url", &body).status
}

#[test]
fn canonical_urls_replace_those_of_the_start_until_they_are_reset() {
    let origins = [
        "--convex-origin",
        "http://127.0.0.1:3210",
        "--convex-site",
        "http://127.0.0.1:3211",
    ];
    let start = Start::new().args(&origins);
    let backend = start.sqlite();
    let initial = json!({ "convexCloudUrl": "http://127.0.0.1:3210", "convexSiteUrl": "http://127.0.0.1:3211" });
    assert_eq!(urls(&backend), initial);

    assert_eq!(
        set(&backend, "convexCloud", Some("https://api.example")),
        200
    );
    assert_eq!(
        set(&backend, "convexSite", Some("https://site.example")),
        200
    );
    // The same again is no change.
    assert_eq!(
        set(&backend, "convexSite", Some("https://site.example")),
        200
    );
    assert_eq!(
        urls(&backend),
        json!({ "convexCloudUrl": "https://api.example", "convexSiteUrl": "https://site.example" })
    );

    assert_eq!(set(&backend, "convexCloud", None), 200);
    assert_eq!(set(&backend, "convexSite", None), 200);
    assert_eq!(urls(&backend), initial);
}

#[test]
fn an_update_names_one_of_two_destinations() {
    let start = Start::new();
    let backend = start.sqlite();
    let reply = backend.post(
        "/api/v1/update_canonical_url",
        &json!({ "requestDestination": "both", "url": "x" }),
    );
    assert_eq!((reply.status, reply.code().as_str()), (400, "BadJsonBody"));
}

#[test]
fn urls_and_information_need_a_key() {
    let start = Start::new();
    let backend = start.sqlite();
    for path in ["/api/v1/get_canonical_urls", "/api/v1/deployment_info"] {
        assert_eq!(backend.get(path).code(), "BadDeployKey");
        let wrong = send(
            backend.api,
            "GET",
            path,
            &[("authorization", "Convex carnitas|01")],
            None,
        )
        .unwrap();
        assert_eq!((wrong.status, wrong.code().as_str()), (401, "BadAdminKey"));
    }
    assert_eq!(
        backend.get_with_key("/api/v1/deployment_info").body,
        r#"{"kind":"selfHosted"}"#
    );
}
