//! What `/metrics` tells of both ports, in the text format of Prometheus: how long requests took, by method and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use crate::error::ApiError;

/// The one series that the stand-in has, by the name of the real one.
const NAME: &str = "http_handle_duration_seconds";

/// Number of requests and seconds that they took, by method and status. A process has one set of metrics.
static REQUESTS: Mutex<BTreeMap<(String, u16), (u64, f64)>> = Mutex::new(BTreeMap::new());

/// Counts a request.
pub fn record(method: &str, status: u16, took: Duration) {
    let mut requests = REQUESTS.lock().unwrap_or_else(PoisonError::into_inner);
    let (count, seconds) = requests.entry((method.to_owned(), status)).or_default();
    *count += 1;
    *seconds += took.as_secs_f64();
}

/// The metrics, public unless `DISABLE_METRICS_ENDPOINT` is exactly `true`.
pub async fn answer() -> Result<String, ApiError> {
    if std::env::var_os("DISABLE_METRICS_ENDPOINT").is_some_and(|value| value == "true") {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "MetricsDisabled",
            "/metrics endpoint disabled",
        ));
    }
    let requests = REQUESTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    if !requests.is_empty() {
        text += &format!("# HELP {NAME} Time to handle an HTTP request\n# TYPE {NAME} histogram\n");
    }
    for ((method, status), (count, seconds)) in &*requests {
        let labels = format!("method=\"{method}\",status=\"{status}\"");
        text += &format!("{NAME}_bucket{{{labels},le=\"+Inf\"}} {count}\n");
        text += &format!("{NAME}_sum{{{labels}}} {seconds}\n{NAME}_count{{{labels}}} {count}\n");
    }
    Ok(text)
}
