//! What can go wrong with SSH, by what the programs on the way say.

use std::fmt;

/// Why no daemon is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshProblem {
    /// There is no program `ssh` on this machine.
    NoProgram,
    /// Nobody knows the key of that host.
    UnknownHost,
    /// The host shows another key than it did.
    ChangedHost,
    /// The host does not let us in.
    Denied,
    /// The host is not reached.
    Unreachable(String),
    /// There is no program `docker` over there.
    NoDocker,
    /// The program `docker` over there is too old, or something else.
    NotDocker(String),
    /// The user over there may not use the daemon.
    NoPermission,
    /// No daemon answers over there.
    NoDaemon(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for SshProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => f.write_str("there is no program ssh"),
            Self::UnknownHost => f.write_str("its host key is not known"),
            Self::ChangedHost => f.write_str("its host key has changed"),
            Self::Denied => f.write_str("it does not let us in"),
            Self::NoDocker => f.write_str("it has no program docker"),
            Self::NoPermission => f.write_str("its user may not use Docker"),
            Self::Unreachable(why)
            | Self::NotDocker(why)
            | Self::NoDaemon(why)
            | Self::Other(why) => f.write_str(why),
        }
    }
}

/// Longest text of another program that is repeated, in characters.
const LONGEST: usize = 500;

impl SshProblem {
    /// Finds the cause by how `ssh` ended, with a code of its own or of the
    /// program over there, and what both said. The words are those of OpenSSH
    /// and Docker in the C locale.
    pub(super) fn of(code: Option<i32>, said: &str) -> Self {
        let has = |text: &str| said.contains(text);
        let last = last_words(said);
        if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("HOST KEY REVOKED") {
            return Self::ChangedHost;
        }
        if has("Host key verification failed") {
            return Self::UnknownHost;
        }
        if has("Permission denied (") || has("Too many authentication failures") {
            return Self::Denied;
        }
        // What `ssh` itself fails at ends it with this code.
        if code == Some(255) {
            return Self::Unreachable(last);
        }
        let lower = said.to_ascii_lowercase();
        if lower.contains("permission denied") && lower.contains("sock") {
            return Self::NoPermission;
        }
        if code == Some(127) || (lower.contains("docker") && lower.contains("not found")) {
            return Self::NoDocker;
        }
        if lower.contains("cannot connect to the docker daemon")
            || lower.contains("connect: no such file or directory")
            || lower.contains("connect: connection refused")
        {
            return Self::NoDaemon(last);
        }
        if lower.contains("is not a docker command") || lower.contains("unknown command") {
            return Self::NotDocker(last);
        }
        Self::Other(last)
    }
}

/// The end of what was said, in one line.
fn last_words(said: &str) -> String {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Warning: Permanently added"))
        .collect();
    let text = lines[lines.len().saturating_sub(3)..].join(" ");
    let text: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    if text.is_empty() {
        "the connection was closed without a word".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::SshProblem;

    #[test]
    fn each_cause_is_told_by_the_words_for_it() {
        use SshProblem::{
            ChangedHost, Denied, NoDocker, NoPermission, NotDocker, UnknownHost, Unreachable,
        };
        for (code, said, expected) in [
            (
                255,
                "No ED25519 host key is known for h and you have requested strict checking.\r\nHost key verification failed.\r\n",
                UnknownHost,
            ),
            (
                255,
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                ChangedHost,
            ),
            (255, "me@h: Permission denied (publickey,password).", Denied),
            (127, "bash: line 1: docker: command not found", NoDocker),
            (127, "sh: 1: docker: not found", NoDocker),
            (
                1,
                "error: dial unix /var/run/docker.sock: connect: permission denied",
                NoPermission,
            ),
            (
                1,
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                NoPermission,
            ),
            (
                1,
                "docker: 'dial-stdio' is not a docker command.",
                NotDocker("docker: 'dial-stdio' is not a docker command.".into()),
            ),
            (
                255,
                "ssh: Could not resolve hostname h: Name or service not known\r\n",
                Unreachable("ssh: Could not resolve hostname h: Name or service not known".into()),
            ),
        ] {
            assert_eq!(SshProblem::of(Some(code), said), expected, "{said}");
        }
    }

    #[test]
    fn a_daemon_that_is_not_there_is_no_host_that_is_not_there() {
        let said =
            "unable to dial: dial unix /var/run/docker.sock: connect: no such file or directory";
        assert_eq!(
            SshProblem::of(Some(1), said),
            SshProblem::NoDaemon(said.into())
        );
    }

    #[test]
    fn silence_has_words_too() {
        let problem = SshProblem::of(None, " \n");
        assert!(problem.to_string().contains("without a word"));
    }
}
