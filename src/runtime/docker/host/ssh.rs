//! What `ssh` is given beside the address.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::convex::{Secret, pem::Instead};

/// What `ssh` is told beside the address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshConfig {
    /// A private key, in the form that `ssh-keygen` writes; absent means those
    /// that `ssh` finds by itself.
    pub private_key: Option<Secret>,
    /// Keys of hosts, as in a `known_hosts` file; absent means those that
    /// `ssh` knows already.
    pub known_hosts: Option<String>,
}

/// Something that `ssh` could not use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshConfigError {
    /// Not a private key.
    #[error(
        "It is no private key. Give one as `ssh-keygen` writes it, from `-----BEGIN … PRIVATE KEY-----` to `-----END … PRIVATE KEY-----`."
    )]
    NoKey,
    /// Something else that stands for the key.
    #[error("It is no private key. {0}.")]
    Instead(Instead),
    /// A key that somebody would have to unlock.
    #[error(
        "The key has a passphrase, which nobody can be asked for. Give one without, or leave it out and have it in the agent that SSH_AUTH_SOCK names."
    )]
    Locked,
    /// Not a line of a `known_hosts` file.
    #[error(
        "Line {0} is no host key. Give lines as `ssh-keyscan` prints them: the host, the kind of key, and the key."
    )]
    NoHostKey(usize),
    /// Nothing in it.
    #[error(
        "There is no host key in it. Give lines as `ssh-keyscan` prints them, after checking them."
    )]
    NoHostKeys,
}

impl SshConfigError {
    /// The attribute that is to blame.
    #[must_use]
    pub fn attribute(&self) -> &'static str {
        match self {
            Self::NoKey | Self::Instead(_) | Self::Locked => "private_key",
            Self::NoHostKey(_) | Self::NoHostKeys => "known_hosts",
        }
    }
}

impl SshConfig {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), SshConfigError> {
        if let Some(key) = &self.private_key {
            check_key(key.expose())?;
        }
        if let Some(hosts) = &self.known_hosts {
            check_hosts(hosts)?;
        }
        Ok(())
    }
}

fn check_key(text: &str) -> Result<(), SshConfigError> {
    let text = text.trim();
    let begin = text.lines().next().unwrap_or_default();
    if !(begin.starts_with("-----BEGIN ") && begin.ends_with("PRIVATE KEY-----")) {
        return Err(Instead::of(text).map_or(SshConfigError::NoKey, SshConfigError::Instead));
    }
    if begin.contains("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(SshConfigError::Locked);
    }
    if !begin.contains("OPENSSH") {
        return Ok(());
    }
    // OpenSSH's own form says after its name which cipher the key is under
    // (openssh/openssh-portable, PROTOCOL.key).
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .map(str::trim)
        .collect();
    let body = STANDARD.decode(body).map_err(|_| SshConfigError::NoKey)?;
    let rest = body
        .strip_prefix(b"openssh-key-v1\0")
        .ok_or(SshConfigError::NoKey)?;
    if rest.starts_with(b"\0\0\0\x04none") {
        Ok(())
    } else {
        Err(SshConfigError::Locked)
    }
}

fn check_hosts(text: &str) -> Result<(), SshConfigError> {
    let mut any = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace().peekable();
        words.next_if(|word| word.starts_with('@'));
        let (_, _, key) = (words.next(), words.next(), words.next());
        if key.is_none_or(|key| STANDARD.decode(key).is_err()) {
            return Err(SshConfigError::NoHostKey(number + 1));
        }
        any = true;
    }
    if any {
        Ok(())
    } else {
        Err(SshConfigError::NoHostKeys)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::{Instead, SshConfig, SshConfigError};

    fn openssh(cipher: &str) -> String {
        let mut body = b"openssh-key-v1\0".to_vec();
        body.extend(u32::try_from(cipher.len()).unwrap().to_be_bytes());
        body.extend(cipher.as_bytes());
        let body = STANDARD.encode(body);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    #[test]
    fn a_key_that_somebody_would_have_to_unlock_is_refused() {
        let check = |key: &str| {
            SshConfig {
                private_key: Some(key.into()),
                known_hosts: None,
            }
            .check()
        };
        assert_eq!(check(&openssh("none")), Ok(()));
        assert_eq!(check(&openssh("aes256-ctr")), Err(SshConfigError::Locked));
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----";
        assert_eq!(check(pem), Ok(()));
        let locked = pem.replace("\nAA", "\nProc-Type: 4,ENCRYPTED\n\nAA");
        assert_eq!(check(&locked), Err(SshConfigError::Locked));
        assert_eq!(
            check("/home/me/.ssh/id_ed25519"),
            Err(SshConfigError::Instead(Instead::Path))
        );
        for none in ["", "ssh-ed25519 AAAA me"] {
            assert_eq!(check(none), Err(SshConfigError::NoKey), "{none}");
        }
    }

    #[test]
    fn host_keys_are_lines_of_three_words() {
        let check = |hosts: &str| {
            SshConfig {
                private_key: None,
                known_hosts: Some(hosts.to_owned()),
            }
            .check()
        };
        assert_eq!(check("# h\n\nh ssh-ed25519 AAAA\n"), Ok(()));
        assert_eq!(check("@cert-authority *.h ssh-rsa AAAA me"), Ok(()));
        assert_eq!(check("ssh-ed25519 AAAA"), Err(SshConfigError::NoHostKey(1)));
        assert_eq!(check("# h\n"), Err(SshConfigError::NoHostKeys));
    }
}
