//! HTTP actions: the routes of the router that was pushed.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::push::BODY_LIMIT;
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::functions::{Caller, request_id};

/// What an action answers.
#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// In Base64.
    body: String,
}

/// Answers as the router does. Credentials that are not the backend's are the action's own affair.
pub async fn answer(
    State(deployment): State<Arc<Deployment>>,
    request: Request,
) -> Result<Response, ApiError> {
    if !deployment.pushed().has_router() {
        let text = "This Convex deployment does not have HTTP actions enabled.";
        return Ok((StatusCode::NOT_FOUND, text).into_response());
    }
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &deployment).await;
    let user = caller.ok().and_then(|caller| caller.user);
    let body = to_bytes(body, BODY_LIMIT)
        .await
        .map_err(|error| ApiError::bad_request("BadBody", error.to_string()))?;
    let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    let result = deployment
        .call(json!({ "http": {
            "method": parts.method.as_str(),
            "url": format!("{}{}", origin(&parts.headers), target.strip_prefix("/http").unwrap_or(target)),
            "headers": texts(&parts.headers),
            "body": BASE64_STANDARD.encode(body),
            "identity": user.as_ref().map(|user| &user.identity),
        } }))
        .await?;
    match result {
        Ok(value) => {
            let answer = serde_json::from_value(value).map_err(|error| malformed(&error))?;
            respond(answer)
        }
        Err(failure) => {
            let (first, _) = failure
                .message
                .split_once('\n')
                .unwrap_or((&failure.message, ""));
            let code = format!("[Request ID: {}] Server Error: {first}", request_id());
            let mut body = json!({ "code": code, "trace": failure.message });
            if let Some(data) = failure.data {
                body["data"] = data;
            }
            Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response())
        }
    }
}

fn origin(headers: &HeaderMap) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text(HeaderName::from_static("x-forwarded-proto")).unwrap_or("http");
    format!("{scheme}://{}", text(HOST).unwrap_or("localhost"))
}

fn texts(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let texts = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    texts.filter(|(name, _)| *name != "connection").collect()
}

fn respond(answer: Answer) -> Result<Response, ApiError> {
    let body = BASE64_STANDARD
        .decode(answer.body)
        .map_err(|error| malformed(&error))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).map_err(|error| malformed(&error))?;
    for (name, value) in answer.headers {
        let name: HeaderName = name.parse().map_err(|error| malformed(&error))?;
        let value: HeaderValue = value.parse().map_err(|error| malformed(&error))?;
        // The length is that of the body.
        if name != CONTENT_LENGTH {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn malformed(error: &impl std::fmt::Display) -> ApiError {
    tracing::error!("an HTTP action answers what is no answer: {error}");
    ApiError::internal()
}
