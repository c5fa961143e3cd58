//! Programs that keep credentials: `docker-credential-NAME`.
//!
//! Source: docker/docker-credential-helpers, `credentials` and `client`. The
//! program is called with `get`, reads the registry from its input, and prints
//! JSON. Its errors are texts on its output.

use std::{fmt, io, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::convex::Secret;

/// How long a helper may think.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest text of a helper that is repeated, in characters.
const LONGEST: usize = 300;

/// Why a helper gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperProblem {
    /// Its name could be more than a name.
    BadName(String),
    /// It is not installed.
    Missing(String),
    /// It ended with an error.
    Failed {
        /// The program.
        program: String,
        /// What it said, if that can be shown.
        said: String,
    },
    /// It did not end.
    Silent(String),
}

impl fmt::Display for HelperProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "the credential helper {name:?} is no name"),
            Self::Missing(program) => write!(f, "the credential helper {program} is not installed"),
            Self::Failed { program, said } => {
                write!(f, "the credential helper {program} failed: {said}")
            }
            Self::Silent(program) => write!(
                f,
                "the credential helper {program} did not answer within {} s",
                PATIENCE.as_secs()
            ),
        }
    }
}

/// What a helper has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    pub(super) secret: Secret,
}

impl Answer {
    /// Whether the secret is a token of the registry's login service.
    pub(super) fn is_token(&self) -> bool {
        self.username == "<token>"
    }
}

/// Asks a helper for the credentials of a registry. `None` when it has none.
pub(super) async fn get(name: &str, server: &str) -> Result<Option<Answer>, HelperProblem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.chars().all(plain) {
        return Err(HelperProblem::BadName(name.to_owned()));
    }
    let program = format!("docker-credential-{name}");
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => HelperProblem::Missing(program.clone()),
        _ => HelperProblem::Failed {
            program: program.clone(),
            said: error.to_string(),
        },
    };
    let ask = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended already says why below.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = timeout(PATIENCE, ask)
        .await
        .map_err(|_| HelperProblem::Silent(program.clone()))?
        .map_err(failed)?;
    if output.status.success() {
        let stdout = zeroize::Zeroizing::new(output.stdout);
        return serde_json::from_slice(&stdout)
            .map(|answer: Answer| (!answer.secret.is_empty()).then_some(answer))
            .map_err(|_| HelperProblem::Failed {
                program,
                said: "what it printed is no answer".to_owned(),
            });
    }
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    if printed.contains("credentials not found in native keychain") {
        return Ok(None);
    }
    Err(HelperProblem::Failed {
        program,
        said: shown(&printed),
    })
}

/// The first line of an error, unless it could be half an answer.
fn shown(printed: &str) -> String {
    let line = printed
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing");
    if printed.contains('{') {
        return "what it said may be secret and is left out".to_owned();
    }
    line.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::{HelperProblem, get, shown};

    #[tokio::test]
    async fn a_helper_that_is_no_name_or_not_there_is_said() {
        for name in ["../x", "a b", "a/b"] {
            let problem = get(name, "r").await.err();
            assert_eq!(problem, Some(HelperProblem::BadName(name.to_owned())));
        }
        assert_eq!(
            get("no-such-helper", "r").await.err(),
            Some(HelperProblem::Missing(
                "docker-credential-no-such-helper".to_owned()
            ))
        );
    }

    #[test]
    fn half_an_answer_is_not_shown() {
        assert_eq!(shown("\nlocked\nmore"), "locked");
        assert_eq!(shown(""), "it said nothing");
        assert!(!shown("{\"Secret\":\"hunter22\"").contains("hunter22"));
    }
}
