//! What the real backend lacks: failures on demand, and a look at what was asked.
//!
//! Two ways in. The environment variable `STANDIN_FAULTS` is read at the start and tells of faults that last
//! ([`start`]). The routes below `/standin/` ([`routes`]) need no key; they queue faults that strike single requests
//! ([`queue`]) and show which requests were served. Nothing below `/standin/` is itself recorded or struck.

pub mod disk;
pub mod queue;
pub mod routes;
pub mod start;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;

use crate::connection::Connection;
use crate::query;
use crate::runner::Failure;
use disk::Disk;
use queue::{Kind, Queue};
use start::StartFaults;

/// What the control surface knows, shared by all requests.
#[derive(Default)]
pub struct Control {
    faults: StartFaults,
    disk: Disk,
    queue: Mutex<Queue>,
    requests: Mutex<Vec<Seen>>,
}

/// A request that was served.
struct Seen {
    method: String,
    path: String,
    bytes: Arc<AtomicU64>,
}

impl Control {
    /// A control surface with the faults of the start, of a deployment on this disk.
    #[must_use]
    pub fn new(faults: StartFaults, disk: Disk) -> Self {
        Self {
            faults,
            disk,
            ..Self::default()
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; returns it with its body counted, where its length is not announced.
    fn record(&self, request: Request) -> Request {
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|text| text.parse().ok());
        let bytes = Arc::new(AtomicU64::new(announced.unwrap_or(0)));
        self.requests().push(Seen {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            bytes: bytes.clone(),
        });
        if announced.is_some() {
            return request;
        }
        request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                bytes.fetch_add(length, Ordering::Relaxed);
                frame
            }))
        })
    }
}

/// The layer around all routes of the API: notes each request, and lets the faults strike.
pub async fn intervene(
    State(control): State<Arc<Control>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let request = control.record(request);
    if let Some(response) = control.faults.answer(request.uri().path()) {
        return response;
    }
    let struck = control.queue().take(request.method(), request.uri().path());
    match struck {
        None => next.run(request).await,
        Some(Kind::Status {
            status,
            code,
            message,
        }) => queue::reply(status, code, message),
        Some(Kind::Delay { ms }) => {
            tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            next.run(request).await
        }
        Some(Kind::Reset) => {
            connection.knife.reset();
            StatusCode::OK.into_response()
        }
        Some(Kind::LoseReply) => {
            let response = next.run(request).await;
            connection.knife.close();
            response
        }
        Some(Kind::Hang) => std::future::pending().await,
        Some(Kind::TimeOut) => {
            let failure = Failure {
                message: format!("{}\n", query::TIMED_OUT),
                data: None,
            };
            let mut answer = failure.told("errorMessage");
            answer["status"] = "error".into();
            Json(answer).into_response()
        }
        Some(Kind::DiskFull) => {
            control.disk.fill(true);
            next.run(request).await
        }
    }
}
