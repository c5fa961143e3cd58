//! Functions that run: in a Node process beside this one, which starts with the first call.
//!
//! It is told what to run, and runs all calls on the documents that it keeps while it lives. What goes between the two is
//! described in `functions/main.js`.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

use crate::error::ApiError;
use crate::push::Pushed;

/// The program that runs functions, beside this one if this variable does not say where.
const PROGRAM: &str = "STANDIN_FUNCTIONS";

/// Starts the process, and talks to it.
pub struct Runner {
    process: tokio::sync::Mutex<Option<Process>>,
    committed: watch::Sender<()>,
}

/// What is to run: the functions, and the variables that they see.
#[derive(Clone, PartialEq)]
pub struct Program {
    /// The functions.
    pub pushed: Arc<Pushed>,
    /// The variables.
    pub environment: BTreeMap<String, String>,
}

/// Why a function has no value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Failure {
    /// What it threw, as a text.
    pub message: String,
    /// The data of an error that has some.
    pub data: Option<Value>,
}

struct Process {
    program: Program,
    stdin: ChildStdin,
    answers: Answers,
    calls: u64,
    /// Ends with this.
    _child: Child,
}

/// Whoever waits for an answer. Without a list nobody answers any more.
type Answers = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    value: Value,
    error: Option<Failure>,
}

impl Runner {
    /// Reports to `committed` whenever documents may have changed.
    #[must_use]
    pub fn new(committed: watch::Sender<()>) -> Self {
        Self {
            process: tokio::sync::Mutex::default(),
            committed,
        }
    }

    /// Runs one function of a program. `what` says which one, and how.
    pub async fn call(
        &self,
        program: Program,
        what: Value,
    ) -> Result<Result<Value, Failure>, ApiError> {
        let lost = |error: &dyn std::fmt::Display| {
            tracing::error!("cannot run functions: {error}");
            ApiError::internal()
        };
        let answer = self
            .send(program, what)
            .await
            .map_err(|error| lost(&error))?;
        let Answer { value, error } = answer.await.map_err(|_| lost(&"the process has ended"))?;
        Ok(error.map_or(Ok(value), Err))
    }

    async fn send(
        &self,
        program: Program,
        mut what: Value,
    ) -> io::Result<oneshot::Receiver<Answer>> {
        let mut process = self.process.lock().await;
        if !process.as_ref().is_some_and(Process::lives) {
            *process = None;
        }
        let process = match &mut *process {
            Some(process) => {
                if process.program != program {
                    process.load(program).await?;
                }
                process
            }
            empty => {
                let mut started = Process::start(program.clone(), self.committed.clone())?;
                started.load(program).await?;
                empty.insert(started)
            }
        };
        process.calls += 1;
        what["id"] = process.calls.into();
        let (sender, answer) = oneshot::channel();
        // Without a list the sender is dropped, which the receiver notices.
        if let Some(waiting) = &mut *lock(&process.answers) {
            waiting.insert(process.calls, sender);
        }
        process.write(&what).await?;
        Ok(answer)
    }
}

impl Process {
    fn start(program: Program, committed: watch::Sender<()>) -> io::Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut child = Command::new("node")
            .args(["--experimental-vm-modules", "--no-warnings"])
            .arg(file()?)
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let answers = Answers::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(listen(stdout, answers.clone(), committed));
        Ok(Self {
            program,
            stdin,
            answers,
            calls: 0,
            _child: child,
        })
    }

    fn lives(&self) -> bool {
        lock(&self.answers).is_some()
    }

    async fn load(&mut self, program: Program) -> io::Result<()> {
        let modules: BTreeMap<&str, &str> = program.pushed.sources().collect();
        let load = json!({ "load": { "modules": modules, "environment": program.environment } });
        self.write(&load).await?;
        self.program = program;
        Ok(())
    }

    async fn write(&mut self, message: &Value) -> io::Result<()> {
        self.stdin
            .write_all(format!("{message}\n").as_bytes())
            .await
    }
}

async fn listen(stdout: ChildStdout, answers: Answers, committed: watch::Sender<()>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Line {
                id: Some(id),
                answer,
            }) => {
                let waiting = lock(&answers)
                    .as_mut()
                    .and_then(|waiting| waiting.remove(&id));
                // Whoever has gone away needs no answer.
                drop(waiting.map(|waiting| waiting.send(answer)));
            }
            Ok(Line { id: None, .. }) => committed.send_replace(()),
            Err(error) => tracing::error!("the process of the functions says {line:?}: {error}"),
        }
    }
    *lock(&answers) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file() -> io::Result<PathBuf> {
    match env::var_os(PROGRAM) {
        Some(file) => Ok(file.into()),
        None => Ok(env::current_exe()?.with_file_name("functions.mjs")),
    }
}
