//! Sends calls and has patience.

use std::{
    collections::BTreeMap,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    BackendError, Request, Response, TransportError,
    api::{self, Call},
    log,
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

    /// How long from now on a backend that does not listen yet is waited for.
    fn patience(&self) -> Duration;

    /// The end of the backend's log, where it can be had.
    fn log(&self) -> impl Future<Output = Option<String>> + Send {
        std::future::ready(None)
    }
}

/// How often a call is sent at most. Of ten parallel updates of a real backend
/// all are through within three, with these pauses; the rest is for slower
/// machines.
const ATTEMPTS: u32 = 8;

/// Shortest and longest pause before the first repetition, in milliseconds.
/// Both double up to the fourth repetition.
const PAUSE_MS: (u64, u64) = (50, 250);

/// Pause between two questions whether a backend listens by now.
const LISTENING: Duration = Duration::from_millis(250);

/// Sends one request, as soon as the backend listens. One that was just started
/// takes half a second with little data, and minutes with much.
pub async fn send(
    transport: &impl Transport,
    request: &Request,
    key: Option<&AdminKey>,
) -> Result<Response, TransportError> {
    let asked = Instant::now();
    let until = asked + transport.patience();
    let mut waited = false;
    loop {
        let error = match transport.send(request, key).await {
            Err(error @ TransportError::Unreachable(_)) => error,
            // The last question was asked for as long as patience lasted.
            Err(error @ TransportError::TimedOut { .. }) if waited => error,
            outcome => return outcome,
        };
        if Instant::now() + LISTENING < until {
            tracing::debug!(path = request.path, "waiting until the backend listens");
            waited = true;
            tokio::time::sleep(LISTENING).await;
            continue;
        }
        return Err(match transport.log().await {
            Some(log) => TransportError::Silent {
                seconds: asked.elapsed().as_secs(),
                log,
            },
            None => error,
        });
    }
}

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

    /// Sends a call, as soon as the backend listens, and again if others were
    /// quicker or the connection broke: all calls can be repeated without harm.
    pub async fn call<R>(&self, call: &Call<R>) -> Result<R, BackendError> {
        let key = call.request.authorized.then_some(&self.key);
        let mut attempt = 1;
        loop {
            let outcome = match send(&self.transport, &call.request, key).await {
                Ok(response) => call.read(&response),
                Err(error) => Err(error.into()),
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !error.is_passing() || attempt == ATTEMPTS {
                return Err(self.cause(error).await);
            }
            let pause = pause(attempt);
            tracing::debug!(path = call.request.path, attempt, ?pause, "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// What is behind an error, where only the backend's log tells.
    async fn cause(&self, error: BackendError) -> BackendError {
        if error.may_be_full_disk()
            && let Some(log) = self.transport.log().await
            && log::is_disk_full(&log)
        {
            return BackendError::DiskFull;
        }
        error
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
    use std::{sync::Mutex, time::Duration};

    use tokio::time::Instant;

    use super::{Client, Transport};
    use crate::{
        backend::{BackendError, Request, Response, TransportError, api},
        convex::AdminKey,
    };

    /// Answers from a list and notes what was asked.
    struct Script {
        answers: Mutex<Vec<Result<Response, TransportError>>>,
        asked: Mutex<Vec<&'static str>>,
        log: Option<&'static str>,
    }

    impl Transport for Script {
        async fn send(
            &self,
            request: &Request,
            key: Option<&AdminKey>,
        ) -> Result<Response, TransportError> {
            assert_eq!(request.authorized, key.is_some());
            self.asked.lock().unwrap().push(request.path);
            let mut answers = self.answers.lock().unwrap();
            // The last one is given again and again.
            match answers.len() {
                1 => answers[0].clone(),
                _ => answers.remove(0),
            }
        }

        fn patience(&self) -> Duration {
            Duration::from_mins(1)
        }

        async fn log(&self) -> Option<String> {
            self.log.map(str::to_owned)
        }
    }

    fn client(answers: Vec<Result<Response, TransportError>>) -> Client<Script> {
        let key = AdminKey::parse("app|00").unwrap();
        let script = Script {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
            log: None,
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
        let client = client(vec![Ok(answer(503, CONFLICT))]);
        let error = client.variables().await.unwrap_err();
        assert_eq!(error, BackendError::Contended);
        let asked = client.transport.asked.lock().unwrap().len();
        assert_eq!(asked, super::ATTEMPTS as usize);
    }

    fn refused() -> Result<Response, TransportError> {
        Err(TransportError::Unreachable("connection refused".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_starts_is_waited_for() {
        let mut answers = vec![refused(); 100];
        answers.push(Ok(answer(200, r#"{"environmentVariables":{}}"#)));
        let asked = Instant::now();
        assert!(client(answers).variables().await.unwrap().is_empty());
        assert_eq!(asked.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_meanwhile_is_not_waited_for() {
        let ended = TransportError::Ended {
            code: 1,
            out_of_memory: false,
            restarts: 1,
            log: "Error: database or disk is full".into(),
        };
        let asked = Instant::now();
        let client = client(vec![refused(), Err(ended.clone())]);
        assert_eq!(client.variables().await.unwrap_err(), ended.into());
        assert!(asked.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_listens_is_told_with_its_log() {
        let mut silent = client(vec![refused()]);
        assert_eq!(silent.variables().await, Err(refused().unwrap_err().into()));
        silent.transport.log = Some("starting");
        let error = silent.variables().await.unwrap_err();
        let (seconds, log) = (59, "starting".to_owned());
        assert_eq!(error, TransportError::Silent { seconds, log }.into());
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_took_too_long_is_asked_again_a_few_times() {
        let late = r#"{"status":"error","errorMessage":"Function execution timed out (maximum duration: 1s)"}"#;
        let done = r#"{"status":"success","value":null}"#;
        let late = || Ok(answer(200, late));
        let client = client(vec![late(), late(), Ok(answer(200, done)), late()]);
        assert_eq!(client.call(&api::latest_export()).await, Ok(None));
        let error = client.call(&api::latest_export()).await.unwrap_err();
        assert!(error.to_string().contains("maximum duration"), "{error}");
        let asked = client.transport.asked.lock().unwrap().len();
        assert_eq!(asked, 3 + super::ATTEMPTS as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_told_from_what_looks_like_it() {
        let failed = r#"{"code":"InternalServerError","message":""}"#;
        let full =
            "Write failed. Unsure if transaction committed to disk.: database or disk is full";
        for (status, body) in [(503, CONFLICT), (500, failed)] {
            let mut client = client(vec![Ok(answer(status, body))]);
            let error = client.call(&api::check_admin_key()).await.unwrap_err();
            assert_ne!(error, BackendError::DiskFull);
            client.transport.log = Some("backend listening on 0.0.0.0:3210");
            assert_eq!(client.call(&api::check_admin_key()).await, Err(error));
            client.transport.log = Some(full);
            let error = client.call(&api::check_admin_key()).await.unwrap_err();
            assert_eq!(error, BackendError::DiskFull, "{status}");
        }
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
