//! The sync protocol: a WebSocket with JSON text frames. Held to what the npm package `convex` 1.48.0 says (recorded).

mod message;
mod session;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::deployment::Deployment;
use session::{Failure, Session};

/// How often a client hears something. It takes a server that is silent for longer for gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers the upgrade. The client's version stands in the path and is not looked at.
pub async fn upgrade(
    State(deployment): State<Arc<Deployment>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(|socket| serve(socket, deployment))
}

/// Serves one client until it leaves, or says something that ends the session.
async fn serve(mut socket: WebSocket, deployment: Arc<Deployment>) {
    let mut commits = deployment.commits();
    let (finish, mut finished) = mpsc::unbounded_channel();
    let mut session = Session::new(deployment, finish);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        let outcome = tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => session.receive(&text).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            Some(response) = finished.recv() => Ok(vec![response]),
            committed = commits.changed() => match committed {
                Ok(()) => session.refresh().await,
                Err(_) => return,
            },
            _ = heartbeat.tick() => Ok(vec![json!({ "type": "Ping" })]),
        };
        match outcome {
            // A client that is gone cannot be told so; the next turn ends then.
            Ok(replies) => {
                if send(&mut socket, replies).await.is_err() {
                    return;
                }
            }
            Err(failure) => return end(socket, failure).await,
        }
    }
}

async fn send(socket: &mut WebSocket, messages: Vec<Value>) -> Result<(), axum::Error> {
    for message in messages {
        socket.send(Message::text(message.to_string())).await?;
    }
    Ok(())
}

async fn end(mut socket: WebSocket, failure: Failure) {
    let Failure { error, .. } = &failure;
    tracing::warn!("Caught {} error: {}", error.code, error.message);
    let (message, frame) = last_words(failure);
    // A client that is gone need not know.
    drop(send(&mut socket, message.into_iter().collect()).await);
    drop(socket.send(Message::Close(frame)).await);
}

/// What a client is told at the end. What it does wrong it would do wrong again, so that it hears so in a message. All else
/// is the reason for closing, after which it may come again.
fn last_words(Failure { error, auth }: Failure) -> (Option<Value>, Option<CloseFrame>) {
    let its_fault = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    let message = its_fault.contains(&error.status).then(|| match auth {
        Some((version, attempted)) => json!({
            "type": "AuthError",
            "error": error.message,
            "baseVersion": version,
            "authUpdateAttempted": attempted,
        }),
        None => json!({ "type": "FatalError", "error": error.message }),
    });
    let code = match error.status {
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => None,
        StatusCode::FORBIDDEN if auth.is_some() => None,
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Some(close_code::NORMAL),
        StatusCode::INTERNAL_SERVER_ERROR => Some(close_code::ERROR),
        _ => Some(close_code::AGAIN),
    };
    let frame = code.map(|code| CloseFrame {
        code,
        reason: error.code.as_ref().into(),
    });
    (message, frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;

    #[test]
    fn a_client_hears_in_a_message_what_it_must_not_try_again() {
        let words = |status, auth| {
            let error = ApiError::new(status, "Code", "words");
            let (message, frame) = last_words(Failure { error, auth });
            (
                message.unwrap_or_default(),
                frame.map(|it| (it.code, it.reason.to_string())),
            )
        };
        let closed = |code| Some((code, "Code".to_owned()));
        let (message, frame) = words(StatusCode::BAD_REQUEST, Some((3, true)));
        let refused = json!({ "type": "AuthError", "error": "words", "baseVersion": 3, "authUpdateAttempted": true });
        assert_eq!((message, frame), (refused, None));
        let (message, frame) = words(StatusCode::FORBIDDEN, None);
        assert_eq!(
            (message["type"].as_str(), frame),
            (Some("FatalError"), closed(1000))
        );
        for (status, code) in [
            (StatusCode::NOT_FOUND, 1000),
            (StatusCode::INTERNAL_SERVER_ERROR, 1011),
            (StatusCode::SERVICE_UNAVAILABLE, 1013),
        ] {
            assert_eq!(words(status, Some((0, true))), (Value::Null, closed(code)));
        }
    }
}
