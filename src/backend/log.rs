//! What lines of a backend's log say.

/// Whether a backend serves from this line on (upstream
/// `crates/common/src/http/mod.rs`).
#[must_use]
pub fn says_it_serves(line: &str) -> bool {
    line.contains("listening")
}

/// Whether a step of a migration of the data begins with this line.
#[must_use]
pub fn says_it_migrates(line: &str) -> bool {
    line.contains("Executing Migration")
}

/// Whether a write failed for want of space: in the words of `SQLite`, or of
/// the system for other files.
#[must_use]
pub fn says_disk_is_full(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("database or disk is full") || line.contains("no space left on device")
}

/// Whether a port that a program listens on is in use, in the words of the
/// system or of Node.
#[must_use]
pub fn says_port_is_taken(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("address already in use") || line.contains("eaddrinuse")
}

/// Whether there was no space left when a backend last wrote, by the end of its
/// log. What was written before it last began to serve is over.
#[must_use]
pub fn is_disk_full(log: &str) -> bool {
    let since = log.lines().rev().take_while(|line| !says_it_serves(line));
    since.into_iter().any(says_disk_is_full)
}

#[cfg(test)]
mod tests {
    use super::is_disk_full;

    #[test]
    fn a_disk_that_was_full_before_the_last_start_is_not_full_now() {
        let serves = "INFO convex-cloud-http: backend listening on 0.0.0.0:3210\n";
        let full = "Error: database or disk is full\n";
        let request = "INFO convex-cloud-http: [] GET /version 200\n";
        let log = |lines: &[&str]| lines.concat();
        assert!(is_disk_full(&log(&[serves, full, request])));
        assert!(is_disk_full(&log(&[serves, full, full])));
        assert!(!is_disk_full(&log(&[serves, full, serves, request])));
        assert!(is_disk_full("No space left on device (os error 28)"));
        assert!(!is_disk_full(&log(&[serves, request])));
    }
}
