//! A connection through the system's `ssh`.
//!
//! As Docker's own command line does it: `docker system dial-stdio` over there
//! joins its standard streams with the daemon's socket. `ssh` brings along the
//! user's own keys, agents, jump hosts and known hosts. It is never let ask
//! anybody anything.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{CONNECT, DialError, SshProblem, greeting};
use crate::{
    convex::Secret,
    runtime::docker::host::{SshAddress, SshConfig},
};

/// How long `ssh` may take to end once its connection is gone.
const ENDING: Duration = Duration::from_secs(2);

/// How much of what `ssh` says is kept, in bytes.
const KEPT: usize = 8 * 1024;

/// Opens a connection and waits until the daemon has answered on it.
pub(super) async fn open(address: &SshAddress, config: &SshConfig) -> io::Result<Through> {
    let files = Files::write(config)?;
    let mut child = Command::new("ssh")
        .args(arguments(address, &files))
        // Its words are read by a program, and nothing may pop up either.
        .env("LC_ALL", "C")
        .env_remove("SSH_ASKPASS")
        .env_remove("SSH_ASKPASS_REQUIRE")
        .env_remove("DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DialError::Ssh(SshProblem::NoProgram).into(),
            _ => error,
        })?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("ssh has no streams"));
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let listening = tokio::spawn(listen(stderr, Arc::clone(&said)));
    let mut through = Through {
        stdin: Some(stdin),
        stdout,
        child,
    };
    // A little more than `ssh` has for itself, so that it can say why.
    let greeted = timeout(CONNECT + ENDING, greeting::exchange(&mut through)).await;
    drop(files);
    match greeted {
        Ok(Ok(())) => Ok(through),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
        Ok(Err(error)) => {
            if error.kind() == io::ErrorKind::InvalidData {
                return Err(error);
            }
            through.stdin = None;
            let ended = timeout(ENDING, through.child.wait()).await;
            let _ = timeout(ENDING, listening).await;
            let code = ended.ok().and_then(Result::ok).and_then(|it| it.code());
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            let said = String::from_utf8_lossy(&said);
            Err(DialError::Ssh(SshProblem::of(code, &said)).into())
        }
    }
}

/// Keeps what `ssh` says first. It must be listened to until its end, or it
/// would wait for a listener.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut part = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut part).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(said.len());
        said.extend(&part[..length.min(room)]);
    }
}

/// What `ssh` is told. Nothing secret is among it, for everybody on this
/// machine can read it.
fn arguments(address: &SshAddress, files: &Files) -> Vec<String> {
    let mut arguments = Vec::new();
    // The first word about something is the one that counts, whatever a file
    // of the user's says.
    let mut option = |text: &str| arguments.extend(["-o".to_owned(), text.to_owned()]);
    option("BatchMode=yes");
    option(&format!("ConnectTimeout={}", CONNECT.as_secs()));
    // Nothing of it may outlive this process.
    option("ControlMaster=no");
    option("ControlPath=none");
    option("ClearAllForwardings=yes");
    option("RemoteCommand=none");
    option("LogLevel=INFO");
    // A host that has fallen silent is given up after 45 s.
    option("ServerAliveInterval=15");
    option("ServerAliveCountMax=3");
    if let Some(key) = &files.key {
        option(&format!("IdentityFile={}", path(key)));
        option("IdentitiesOnly=yes");
    }
    if let Some(hosts) = &files.hosts {
        option(&format!("UserKnownHostsFile={}", path(hosts)));
        option("GlobalKnownHostsFile=/dev/null");
        option("StrictHostKeyChecking=yes");
    }
    // No terminal, no agent and no display over there.
    arguments.extend(["-T", "-a", "-x"].map(str::to_owned));
    if let Some(user) = &address.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = address.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), address.host.clone()]);
    let command = match &address.socket {
        Some(socket) => format!("docker --host unix://{socket} system dial-stdio"),
        None => "docker system dial-stdio".to_owned(),
    };
    arguments.push(command);
    arguments
}

/// Where `ssh` finds a file that has no name: among what this process has open.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Files without a name, that only their owner may read. Nothing of them is
/// left when this process is gone, however it ends.
struct Files {
    key: Option<File>,
    hosts: Option<File>,
}

impl Files {
    fn write(config: &SshConfig) -> io::Result<Self> {
        let key = config.private_key.as_ref().map(Secret::expose);
        Ok(Self {
            key: key.map(write).transpose()?,
            hosts: config.known_hosts.as_deref().map(write).transpose()?,
        })
    }
}

fn write(text: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    // `ssh` takes no key that others may read, not even one that they cannot.
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut text = zeroize::Zeroizing::new(text.replace("\r\n", "\n"));
    if !text.ends_with('\n') {
        // Without it `ssh` takes no key.
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(file)
}

/// The standard streams of an `ssh`, which is ended with them.
///
/// Should this process be killed, its ends of the streams are closed by the
/// system, and `ssh` and the program over there end for want of them.
pub(super) struct Through {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    child: Child,
}

impl AsyncRead for Through {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Through {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing it is what the other side sees as the end.
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use super::{Files, arguments, path};
    use crate::runtime::docker::host::{Endpoint, SshConfig};

    fn told(address: &str, config: &SshConfig) -> (Vec<String>, Files) {
        let Ok(Endpoint::Ssh(address)) = Endpoint::parse(address) else {
            panic!("{address} is no address for ssh");
        };
        let files = Files::write(config).unwrap();
        (arguments(&address, &files), files)
    }

    #[test]
    fn ssh_is_told_the_address_and_never_to_ask() {
        let (told, _) = told("ssh://me@h:22/run/d.sock", &SshConfig::default());
        assert_eq!(told[..2], ["-o", "BatchMode=yes"]);
        let end: Vec<_> = told.iter().skip_while(|it| *it != "-T").collect();
        let expected = [
            "-T",
            "-a",
            "-x",
            "-l",
            "me",
            "-p",
            "22",
            "--",
            "h",
            "docker --host unix:///run/d.sock system dial-stdio",
        ];
        assert_eq!(end, expected);
    }

    #[test]
    fn a_key_is_in_a_file_without_a_name() {
        let config = SshConfig {
            private_key: Some("hunter22".into()),
            known_hosts: Some("h ssh-ed25519 AAAA\r\n".to_owned()),
        };
        let (told, files) = told("ssh://h", &config);
        assert!(!told.join(" ").contains("hunter22"));
        assert!(told.contains(&"IdentitiesOnly=yes".to_owned()));
        assert!(told.contains(&"StrictHostKeyChecking=yes".to_owned()));
        let key = files.key.as_ref().unwrap();
        assert_eq!(fs::read_to_string(path(key)).unwrap(), "hunter22\n");
        let metadata = key.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.nlink(), 0, "it has no name");
        let hosts = path(files.hosts.as_ref().unwrap());
        let hosts = fs::read_to_string(hosts).unwrap();
        assert_eq!(hosts, "h ssh-ed25519 AAAA\n");
    }
}
