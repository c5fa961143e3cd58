//! Sends calls and has patience.

use std::{
    collections::BTreeMap,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{
    BackendError, Request, Response, TransportError,
    api::{self, Call},
};
use crate::convex::{AdminKey, Secret, env_var::Changes};

/// A way to a backend.
pub trait Transport: Send + Sync {
    /// Sends one request and brings back the reply, with the key in the header
    /// `Authorization` where there is one. Follows no redirect.
    fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> impl Future<Output = Result<Response, TransportError>> + Send;
}

/// How often a call is sent at most. Of ten parallel updates of a real backend
/// all are through within three, with these pauses; the rest is for slower
/// machines.
const ATTEMPTS: u32 = 8;

/// Shortest and longest pause before the first repetition, in milliseconds.
/// Both double up to the fourth repetition.
const PAUSE_MS: (u64, u64) = (50, 250);

/// A client of one backend.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    key: AdminKey,
    /// Set when the backend turns out to be too old to list variables.
    cannot_list: AtomicBool,
}

impl<T: Transport> Client<T> {
    /// A client that shows `key` where a key is needed.
    pub fn new(transport: T, key: AdminKey) -> Self {
        Self {
            transport,
            key,
            cannot_list: AtomicBool::new(false),
        }
    }

    /// The key it shows.
    pub fn key(&self) -> &AdminKey {
        &self.key
    }

    /// Whether the backend turned out to be too old to list variables, which
    /// those from before August 2025 are.
    pub fn is_old(&self) -> bool {
        self.cannot_list.load(Ordering::Relaxed)
    }

    /// Sends a call, again if others were quicker or the connection broke: all
    /// calls can be repeated without harm.
    pub async fn call<R>(&self, call: &Call<R>) -> Result<R, BackendError> {
        let key = call.request.authorized.then_some(&self.key);
        let mut attempt = 1;
        loop {
            let outcome = match self.transport.send(&call.request, key).await {
                Ok(response) => call.read(&response),
                Err(error) => Err(error.into()),
            };
            let again = match &outcome {
                Err(BackendError::Contended) => true,
                Err(BackendError::Transport(error)) => error.is_passing(),
                _ => false,
            };
            if !again || attempt == ATTEMPTS {
                return outcome;
            }
            let pause = pause(attempt);
            tracing::debug!(path = call.request.path, attempt, ?pause, "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// All variables with their values, in whichever way the backend knows.
    pub async fn variables(&self) -> Result<BTreeMap<String, Secret>, BackendError> {
        if !self.cannot_list.load(Ordering::Relaxed) {
            match self.call(&api::list_variables()).await {
                Err(BackendError::NotFound) => self.cannot_list.store(true, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        self.call(&api::query_variables()).await
    }

    /// Applies a batch; an empty one is not sent.
    pub async fn update_variables(&self, changes: &Changes) -> Result<(), BackendError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.call(&api::update_variables(changes)).await
    }
}

/// A random pause, so that those who collided do not meet again.
fn pause(attempt: u32) -> Duration {
    let (shortest, longest) = PAUSE_MS;
    let factor = 1 << (attempt - 1).min(3);
    // The standard library's hasher is seeded at random for each instance.
    let random = RandomState::new().build_hasher().finish();
    let spread = (longest - shortest) * factor;
    Duration::from_millis(shortest * factor + random % (spread + 1))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Client, Transport};
    use crate::{
        backend::{BackendError, Request, Response, TransportError, api},
        convex::AdminKey,
    };

    /// Answers from a list and notes what was asked.
    struct Script {
        answers: Mutex<Vec<Result<Response, TransportError>>>,
        asked: Mutex<Vec<&'static str>>,
    }

    impl Transport for Script {
        async fn send(
            &self,
            request: &Request,
            key: Option<&AdminKey>,
        ) -> Result<Response, TransportError> {
            assert_eq!(request.authorized, key.is_some());
            self.asked.lock().unwrap().push(request.path);
            self.answers.lock().unwrap().remove(0)
        }
    }

    fn client(answers: Vec<Result<Response, TransportError>>) -> Client<Script> {
        let key = AdminKey::parse("app|00").unwrap();
        let script = Script {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
        };
        Client::new(script, key)
    }

    fn answer(status: u16, body: &str) -> Response {
        Response {
            status,
            body: body.as_bytes().to_vec(),
        }
    }

    const CONFLICT: &str = r#"{"code":"OptimisticConcurrencyControlFailure","message":""}"#;

    #[tokio::test(start_paused = true)]
    async fn conflicts_and_broken_connections_are_tried_again() {
        let client = client(vec![
            Ok(answer(503, CONFLICT)),
            Err(TransportError::Broken("reset".into())),
            Ok(answer(200, r#"{"environmentVariables":{}}"#)),
        ]);
        assert!(client.variables().await.unwrap().is_empty());
        assert_eq!(client.transport.asked.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let client = client(vec![Ok(answer(503, CONFLICT)); super::ATTEMPTS as usize]);
        let error = client.variables().await.unwrap_err();
        assert_eq!(error, BackendError::Contended);
        assert!(client.transport.answers.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let client = client(vec![Ok(answer(401, ""))]);
        let error = client.call(&api::check_admin_key()).await.unwrap_err();
        assert_eq!(error, BackendError::KeyRefused);
    }

    #[tokio::test]
    async fn an_older_backend_is_found_out_once() {
        let queried = r#"{"status":"success","value":[]}"#;
        let client = client(vec![
            Ok(answer(404, "")),
            Ok(answer(200, queried)),
            Ok(answer(200, queried)),
        ]);
        client.variables().await.unwrap();
        client.variables().await.unwrap();
        assert_eq!(
            *client.transport.asked.lock().unwrap(),
            [
                "/api/list_environment_variables",
                "/api/query",
                "/api/query"
            ]
        );
    }
}
