//! Every recorded exchange with a real backend, in order.

use std::ops::Range;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::support::backend::Start;
use crate::support::{data, http};

/// How many exchanges there are.
const RECORDED: usize = 134;

#[derive(Deserialize)]
struct Exchange<'a> {
    case: String,
    method: String,
    path: String,
    auth: Option<String>,
    /// Kept as it was written: some errors name a column.
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    status: u16,
    content_type: Option<String>,
    body: String,
    #[serde(default)]
    large: bool,
}

impl Exchange<'_> {
    fn body(&self) -> Option<String> {
        if self.large {
            return Some(rebuild(&self.case));
        }
        let request = self.request?.get();
        // A text stands for itself; anything else is the JSON that was sent.
        Some(serde_json::from_str::<String>(request).unwrap_or_else(|_| request.to_owned()))
    }

    fn request_content_type(&self) -> Option<&'static str> {
        match self.case.as_str() {
            "no content type" => None,
            "text/plain" => Some("text/plain"),
            "json utf8 charset" => Some("application/json; charset=utf-8"),
            _ => Some("application/json"),
        }
    }
}

/// The requests that are too long to keep, made anew from the case's name and the exchanges around it.
fn rebuild(case: &str) -> String {
    let numbered = |prefix: char, numbers: Range<u32>| {
        numbers.map(move |number| format!("{prefix}{number:03}"))
    };
    let set = |names: &mut dyn Iterator<Item = String>, value: &str| {
        let changes: Vec<_> = names
            .map(|name| json!({ "name": name, "value": value }))
            .collect();
        json!({ "changes": changes }).to_string()
    };
    match case {
        "512 vars" => set(&mut numbered('V', 0..512), "v"),
        "513 in one batch" => set(&mut numbered('V', 0..513), "v"),
        // What the four exchanges before have left: V000 and V511 are gone, V512 and AAAA have come.
        "clear all 2" => {
            let left = numbered('V', 1..511).chain(["V512".into(), "AAAA".into()]);
            let changes: Vec<_> = left
                .map(|name| json!({ "name": name, "value": null }))
                .collect();
            json!({ "changes": changes }).to_string()
        }
        // Names of 4 bytes and values of 8188 are 8192 bytes each, and 64 of them are 512 KiB.
        "total size 512KiB exactly?" => set(&mut numbered('S', 0..64), &"x".repeat(8188)),
        "70 x 8192 in one batch" => set(&mut numbered('S', 0..70), &"x".repeat(8192)),
        "body > 2MiB (valid json)" => {
            json!({ "changes": [], "padding": "x".repeat(2 << 20) }).to_string()
        }
        // Only without values do so many names fit into 2 MiB.
        "65536 changes deleting" => {
            let changes: Vec<_> = (0..65536)
                .map(|number| json!({ "name": format!("D{number:05}") }))
                .collect();
            json!({ "changes": changes }).to_string()
        }
        other => panic!(
            "the request of the exchange `{other}` is not kept, and nothing says how to make it anew"
        ),
    }
}

#[test]
fn every_recorded_exchange_is_answered_alike() {
    let start = Start::new();
    let backend = start.sqlite();
    let recorded = data("backend_exchanges.jsonl");
    let mut differences = Vec::new();
    let mut count = 0;
    for line in recorded.lines() {
        let exchange: Exchange = serde_json::from_str(line).unwrap();
        count += 1;
        let mut headers = Vec::new();
        match exchange.auth.as_deref() {
            None => {}
            Some("reference") => headers.push(("authorization", backend.key.as_str())),
            Some(other) => headers.push(("authorization", other)),
        }
        let body = exchange.body();
        if let (Some(_), Some(content_type)) = (&body, exchange.request_content_type()) {
            headers.push(("content-type", content_type));
        }
        let reply = http::send(
            backend.api,
            &exchange.method,
            &exchange.path,
            &headers,
            body.as_deref(),
        )
        .unwrap();
        let answered = (
            reply.status,
            reply.header("content-type"),
            reply.body.as_str(),
        );
        let expected = (
            exchange.status,
            exchange.content_type.as_deref(),
            exchange.body.as_str(),
        );
        if answered != expected {
            differences.push(format!(
                "{}:\n  {answered:?}\n  but recorded is\n  {expected:?}",
                exchange.case
            ));
        }
    }
    assert_eq!(count, RECORDED);
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
