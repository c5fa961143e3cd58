//! A stream of bytes to somewhere that only containers reach.

use std::io;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{Docker, DockerError, Patience};

/// How much is on its way at most, in bytes.
const BUFFER: usize = 64 * 1024;

/// Most bytes of what the program below says before it is connected.
const MAX_SAID: usize = 16 * 1024;

/// What the program below says once it is connected.
const CONNECTED: &str = "connected";

/// Connects standard input and output to a host and a port, its arguments: by
/// node, which the backend's image has, else by the netcat of `BusyBox`. That one's
/// `cat` keeps what it has for a while, and its `dd` does not.
const PROGRAM: &str = r#"
if command -v node >/dev/null; then
  exec node -e '
    const [host, port] = process.argv.slice(-2);
    const socket = require("net").connect({ host, port: Number(port) });
    socket.setTimeout(10000, () => socket.connecting && socket.destroy(new Error("ETIMEDOUT")));
    socket.on("connect", () => { socket.setTimeout(0); process.stderr.write("connected\n"); process.stdin.pipe(socket); socket.pipe(process.stdout); });
    socket.on("error", (error) => { process.stderr.write((error.code || error.message) + "\n"); process.exit(1); });
    socket.on("close", () => process.exit(0));
  ' -- "$0" "$1"
fi
exec 3<&0 4>&1 5>&2
exec nc -w 10 "$0" "$1" -e sh -c 'echo connected >&5; dd bs=65536 <&3 2>&- & exec dd bs=65536 >&4 2>&-'
"#;

/// Why a stream could not be opened from within a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelError {
    /// The host's name leads nowhere there.
    UnknownHost(String),
    /// The connection failed.
    Failed(io::ErrorKind, String),
    /// Docker failed.
    Docker(String),
}

impl Docker {
    /// Opens a stream to a host and a port as a container sees them.
    pub async fn tunnel(
        &self,
        patience: &Patience,
        container: &str,
        host: &str,
        port: u16,
    ) -> Result<DuplexStream, TunnelError> {
        let failed = |error: DockerError| TunnelError::Docker(error.to_string());
        let doing = format!("connect to {host} from {container}");
        let port = port.to_string();
        let options = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", PROGRAM, host, &port]),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.client.create_exec(container, options);
        let exec = self.call(patience, &doing, exec).await.map_err(failed)?;
        let started = self.client.start_exec(&exec.id, None::<StartExecOptions>);
        let started = self.call(patience, &doing, started).await.map_err(failed)?;
        let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        else {
            return Err(TunnelError::Docker("it was not attached".to_owned()));
        };
        let hello = async {
            let mut said = String::new();
            while said.len() < MAX_SAID
                && let Some(Ok(part)) = output.next().await
            {
                said.push_str(&String::from_utf8_lossy(&part.into_bytes()));
                if is_connected(&said) {
                    return Ok(());
                }
            }
            Err(classify(&said))
        };
        self.within(patience, &doing, hello)
            .await
            .map_err(failed)??;
        let (near, far) = duplex(BUFFER);
        let (mut from_here, mut to_here) = tokio::io::split(far);
        tokio::spawn(async move {
            let mut buffer = vec![0; BUFFER];
            while let Ok(read @ 1..) = from_here.read(&mut buffer).await {
                if input.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
                let _ = input.flush().await;
            }
            let _ = input.shutdown().await;
        });
        tokio::spawn(async move {
            while let Some(Ok(part)) = output.next().await {
                let (LogOutput::StdOut { message } | LogOutput::Console { message }) = part else {
                    continue;
                };
                if to_here.write_all(&message).await.is_err() {
                    break;
                }
            }
            let _ = to_here.shutdown().await;
        });
        Ok(near)
    }
}

/// Whether the program has said so, on a line of its own.
fn is_connected(said: &str) -> bool {
    said.lines().any(|line| line == CONNECTED)
}

/// The cause, by the words of node, of netcats, or of Docker.
fn classify(said: &str) -> TunnelError {
    let words = said.trim();
    let reason = words.lines().last().unwrap_or_default().to_owned();
    let has = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if words.contains("OCI runtime exec failed") {
        return TunnelError::Docker(reason);
    }
    if has(&[
        "ENOTFOUND",
        "EAI_AGAIN",
        "bad address",
        "not known",
        "could not be resolved",
    ]) {
        return TunnelError::UnknownHost(reason);
    }
    if has(&["ECONNREFUSED", "refused"]) {
        return TunnelError::Failed(io::ErrorKind::ConnectionRefused, reason);
    }
    // A netcat that was cut off while it waited says nothing.
    if words.is_empty() || has(&["ETIMEDOUT", "timed out"]) {
        return TunnelError::Failed(io::ErrorKind::TimedOut, reason);
    }
    TunnelError::Failed(io::ErrorKind::Other, reason)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::{TunnelError, classify, is_connected};

    #[test]
    fn only_the_program_s_own_word_says_that_it_is_connected() {
        assert!(is_connected("nc: warning\nconnected\n"));
        assert!(!is_connected("nc: socket is not connected\n"));
    }

    #[test]
    fn each_cause_is_told_by_its_words() {
        for said in ["ENOTFOUND\n", "nc: bad address 'db'\n"] {
            assert!(
                matches!(classify(said), TunnelError::UnknownHost(_)),
                "{said}"
            );
        }
        for (said, kind) in [
            ("ECONNREFUSED\n", ErrorKind::ConnectionRefused),
            (
                "nc: db (10.0.0.1:5432): Connection refused\n",
                ErrorKind::ConnectionRefused,
            ),
            ("", ErrorKind::TimedOut),
            ("nc: timed out\n", ErrorKind::TimedOut),
            ("EHOSTUNREACH\n", ErrorKind::Other),
        ] {
            assert!(
                matches!(classify(said), TunnelError::Failed(found, _) if found == kind),
                "{said}"
            );
        }
    }
}
