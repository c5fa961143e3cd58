//! What programs in containers print, and how they end.

use super::DockerError;

/// Most bytes of what a program says of its failure.
const MAX_SAID: usize = 16 * 1024;

/// What a program in a container printed, and how it ended.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// The exit code; `None` if the daemon has none, as when the program was never started.
    pub(super) code: Option<i64>,
}

impl Output {
    pub(super) fn length(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// The output of a program that succeeded, which its exit code alone says.
    pub(super) fn of_success(self, doing: &str) -> Result<Self, DockerError> {
        if self.code == Some(0) {
            return Ok(self);
        }
        // Docker prints on standard output why a program cannot be started.
        let said = [&self.stderr, &self.stdout].map(|it| end_of(it));
        let said = said.into_iter().find(|it| !it.is_empty());
        let ended = self.code.map_or_else(
            || "it was not run to its end".to_owned(),
            |code| format!("it ended with code {code}"),
        );
        Err(DockerError::Failed {
            doing: doing.to_owned(),
            reason: said.map_or_else(|| ended.clone(), |said| format!("{ended}: {said}")),
        })
    }
}

/// What Docker prints in place of a program that cannot be started. That the
/// container was just ending is told in the same way, and means nothing.
pub(super) fn failed_to_start(output: &Output) -> Option<String> {
    let said = output.stdout.trim_ascii_start();
    // What a program prints that succeeded may say the same.
    let failed = output.code != Some(0) && said.starts_with(b"OCI runtime exec failed");
    failed.then(|| end_of(said))
}

/// The end of what a program printed, of at most [`MAX_SAID`] bytes.
fn end_of(printed: &[u8]) -> String {
    let cut = printed.len().saturating_sub(MAX_SAID);
    let mut end = &printed[cut..];
    // A secret could be in the rest of a line.
    if cut > 0 {
        let line = end.iter().position(|byte| *byte == b'\n');
        end = &end[line.map_or(end.len(), |it| it + 1)..];
    }
    String::from_utf8_lossy(end).trim().to_owned()
}

/// What Docker prints in place of a program that is not in the image. The
/// program is named then (runc: `libcontainer/standard_init_linux.go`, crun:
/// `src/libcrun/utils.c`); files of the container's process are missing while it
/// ends, too.
pub(super) fn missing_program(output: &Output) -> Option<String> {
    failed_to_start(output).filter(|said| {
        [
            ": exec: \"",
            ": exec /",
            "executable file `",
            "open executable",
        ]
        .iter()
        .any(|it| said.contains(it))
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_SAID, Output, end_of, failed_to_start, missing_program};

    #[test]
    fn of_what_a_program_prints_the_last_whole_lines_are_told() {
        let lines = "a secret that is cut somewhere\n".repeat(1000);
        let told = end_of(lines.as_bytes());
        assert!(
            told.len() <= MAX_SAID && told.starts_with("a secret"),
            "{told}"
        );
        assert_eq!(end_of(&vec![0xff; 1 << 20]), "");
        assert_eq!(end_of(b" why \n"), "why");
    }

    #[test]
    fn a_container_that_was_ending_is_told_from_an_image_without_the_program() {
        let output = |said: &str| Output {
            stdout: said.as_bytes().to_vec(),
            ..Output::default()
        };
        let missing = output(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown\r\n",
        );
        assert!(missing_program(&missing).is_some());
        for reason in [
            "error executing setns process: exit status 1: unknown",
            "open /proc/4242/ns/mnt: no such file or directory: unknown",
            "can't get final child's PID from pipe: EOF: unknown",
        ] {
            let ending = output(&format!(
                "OCI runtime exec failed: exec failed: unable to start container process: {reason}\r\n"
            ));
            assert!(missing_program(&ending).is_none(), "{reason}");
            assert!(failed_to_start(&ending).is_some(), "{reason}");
        }
        assert!(failed_to_start(&output("{}\n200")).is_none());
    }
}
