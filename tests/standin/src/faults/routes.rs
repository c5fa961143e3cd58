//! The routes of the control surface.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Control;
use super::queue::OneShot;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<OneShot>),
    One(OneShot),
}

/// `POST /standin/faults` queues one fault or a list of them, `DELETE` forgets those that wait and frees the disk;
/// `GET /standin/requests` lists what was asked since the start, `DELETE` forgets it;
/// `GET /standin/process` lists the names of the process environment.
pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/standin/faults", post(queue).delete(forget_faults))
        .route("/standin/requests", get(requests).delete(forget_requests))
        .route("/standin/process", get(process))
        .with_state(control)
}

async fn queue(State(control): State<Arc<Control>>, Json(faults): Json<OneOrMore>) -> StatusCode {
    let mut queue = control.queue();
    match faults {
        OneOrMore::One(fault) => queue.push(fault),
        OneOrMore::More(faults) => faults.into_iter().for_each(|fault| queue.push(fault)),
    }
    StatusCode::NO_CONTENT
}

async fn forget_faults(State(control): State<Arc<Control>>) -> StatusCode {
    control.queue().clear();
    control.disk.fill(false);
    StatusCode::NO_CONTENT
}

async fn requests(State(control): State<Arc<Control>>) -> Json<Value> {
    let requests = control.requests();
    let seen = requests.iter().map(|seen| {
        json!({ "method": seen.method, "path": seen.path, "bytes": seen.bytes.load(Ordering::Relaxed) })
    });
    Json(seen.collect())
}

async fn forget_requests(State(control): State<Arc<Control>>) -> StatusCode {
    control.requests().clear();
    StatusCode::NO_CONTENT
}

/// Names only: the values hold the instance secret.
async fn process() -> Json<Value> {
    let mut names: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    Json(json!({ "environment": names }))
}
