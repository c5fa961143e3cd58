//! The sync protocol: a WebSocket with JSON text frames, as far as clients need it that read environment variables.
//! Held to what the npm package `convex` 1.48.0 says (recorded).

mod message;
mod session;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;

use crate::deployment::Deployment;
use session::{Failure, Session};

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
    let mut session = Session::new(deployment);
    loop {
        let outcome = tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => session.receive(&text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            committed = commits.changed() => match committed {
                Ok(()) => session.refresh(),
                Err(_) => return,
            },
        };
        // A client that is gone cannot be told so; the next turn ends then.
        let sent = match outcome {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => socket.send(Message::text(reply.to_string())).await,
            Err(failure) => return end(socket, failure).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn end(mut socket: WebSocket, failure: Failure) {
    let frame = CloseFrame {
        code: close_code::POLICY,
        reason: failure.code.into(),
    };
    for message in [
        Message::text(failure.message.to_string()),
        Message::Close(Some(frame)),
    ] {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
