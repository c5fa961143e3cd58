//! Users' tokens: accepted where the issuer's keys can be had from where the backend runs.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::backend::{Backend, Start};
use crate::support::http::{Reply, send};
use crate::support::push::{AUTH_CONFIG, app, push};

/// Who signs tokens.
struct Issuer(RsaKeyPair);

impl Issuer {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn keys(&self) -> String {
        let PublicKeyComponents { n, e } =
            PublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        let key = json!({ "use": "sig", "kty": "RSA", "n": encode(n), "e": encode(e) });
        json!({ "keys": [key] }).to_string()
    }

    /// A token as `@convex-dev/auth` makes them, which ends so many seconds from now.
    fn token(&self, issuer: &str, seconds: i64) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({
            "sub": "user|session", "iss": issuer, "aud": "convex", "iat": now,
            "exp": i64::try_from(now).unwrap() + seconds,
        });
        let signed = format!(
            "{}.{}",
            encode(r#"{"alg":"RS256"}"#),
            encode(claims.to_string())
        );
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", encode(signature))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A backend with functions, whose site has this address.
fn backend(start: &Start, site: impl Fn(&Backend) -> String) -> (Backend, String) {
    let backend = start.sqlite();
    let site = site(&backend);
    let url = json!({ "requestDestination": "convexSite", "url": site });
    assert_eq!(backend.post("/api/update_canonical_url", &url).status, 200);
    push(&backend, &app(AUTH_CONFIG));
    (backend, site)
}

fn own_site(backend: &Backend) -> String {
    format!("http://{}", backend.site)
}

fn who(backend: &Backend, token: &str) -> Reply {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let body = json!({ "path": "tasks:me", "args": {} }).to_string();
    send(backend.api, "POST", "/api/query", &headers, Some(&body)).unwrap()
}

fn refusal(backend: &Backend, token: &str) -> (u16, String) {
    let reply = who(backend, token);
    (reply.status, reply.code())
}

#[test]
fn a_token_is_accepted_and_functions_know_whose_it_is() {
    let start = Start::with_functions();
    let (backend, site) = backend(&start, own_site);
    let issuer = Issuer::new();
    backend.set("JWKS", &issuer.keys());
    let me = who(&backend, &issuer.token(&site, 60)).json();
    let identity = json!({
        "subject": "user|session", "issuer": site, "tokenIdentifier": format!("{site}|user|session"),
    });
    assert_eq!(me["value"], identity, "{me}");
    // It is no key.
    let authorization = format!("Bearer {}", issuer.token(&site, 60));
    let list = send(
        backend.api,
        "GET",
        "/api/list_environment_variables",
        &[("authorization", &authorization)],
        None,
    );
    assert_eq!(list.unwrap().status, 401);

    let refused = (401, "Unauthenticated".to_owned());
    assert_eq!(refusal(&backend, &issuer.token(&site, -1)), refused);
    assert_eq!(refusal(&backend, &Issuer::new().token(&site, 60)), refused);
    let nobodys = issuer.token("http://127.0.0.1:9", 60);
    assert_eq!(refusal(&backend, &nobodys), (401, "NoAuthProvider".into()));
}

#[test]
fn keys_are_kept_for_as_long_as_the_issuer_says() {
    let start = Start::with_functions();
    let (backend, site) = backend(&start, own_site);
    let (old, new) = (Issuer::new(), Issuer::new());
    backend.set("AGE", "2");
    backend.set("JWKS", &old.keys());
    let (before, after) = (old.token(&site, 60), new.token(&site, 60));
    assert_eq!(who(&backend, &before).status, 200);
    backend.set("JWKS", &new.keys());
    assert_eq!(who(&backend, &before).status, 200);
    assert_eq!(who(&backend, &after).status, 401);
    let asked = backend.get("/standin/requests").json();
    let asked = asked.as_array().unwrap().iter();
    let asked = asked.filter(|it| it["path"] == "/http/.well-known/jwks.json");
    assert_eq!(asked.count(), 1);
    sleep(Duration::from_millis(2100));
    assert_eq!(who(&backend, &before).status, 401);
    assert_eq!(who(&backend, &after).status, 200);
}

#[test]
fn an_issuer_that_cannot_be_asked_from_here_has_no_users() {
    let start = Start::with_functions();
    let nowhere = "http://127.0.0.1:1";
    let (backend, _) = backend(&start, |_| nowhere.to_owned());
    let issuer = Issuer::new();
    backend.set("JWKS", &issuer.keys());
    let reply = who(&backend, &issuer.token(nowhere, 60));
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json(),
        json!({
            "code": "AuthProviderDiscoveryFailed",
            "message": "Auth provider discovery of http://127.0.0.1:1 failed",
        })
    );
    let said = "Error discovering auth provider: http://127.0.0.1:1, Request failed\n";
    assert!(backend.log().contains(said), "{}", backend.log());
}

#[test]
fn what_answers_must_be_the_issuer() {
    let start = Start::with_functions();
    let (backend, site) = backend(&start, own_site);
    let issuer = Issuer::new();
    backend.set("AGE", "0");
    backend.set("JWKS", &issuer.keys());
    let token = issuer.token(&site, 60);
    let failed = (400, "AuthProviderDiscoveryFailed".to_owned());

    // A slash more is another one.
    backend.set("ISSUER", &format!("{site}/"));
    assert_eq!(refusal(&backend, &token), failed);
    let said =
        format!("{site}, Validation error: unexpected issuer URI `{site}/` (expected `{site}`)");
    assert!(backend.log().contains(&said), "{}", backend.log());
    backend.set("ISSUER", &site);

    // So is a page, as a login is.
    backend.set("KIND", "text/html");
    let reply = who(&backend, &token);
    assert_eq!((reply.status, reply.code()), failed);
    assert!(reply.body.contains("failed: 200 OK "), "{}", reply.body);
    backend.set("KIND", "application/json");
    assert_eq!(who(&backend, &token).status, 200);

    // Functions that have none.
    let config: Vec<Value> = app(AUTH_CONFIG)
        .into_iter()
        .filter(|it| it["path"] != "http.js")
        .collect();
    push(&backend, &config);
    let reply = who(&backend, &issuer.token(&site, 60));
    assert_eq!((reply.status, reply.code()), (404, failed.1));
    assert!(
        reply.body.contains("does not have HTTP actions enabled"),
        "{}",
        reply.body
    );
}
