//! A request as the configuration of `curl -K -`, and the reply as its output.
//!
//! This is how a request travels through a program inside the container: key
//! and body go in on standard input, where nobody who lists processes sees
//! them.

use super::{Request, Response, TransportError};
use crate::{
    convex::{AdminKey, Secret},
    plugin::redact::Foreign,
};

/// The program and its arguments. The first one keeps it from reading the
/// image's own configuration.
pub const COMMAND: [&str; 4] = ["curl", "-q", "-K", "-"];

/// How long curl may take for a request, in seconds.
pub const TIMEOUT_S: u64 = 30;

/// Most bytes of the body on one line of the configuration, before quoting.
/// curl 7.88 refuses a line of over 100 KiB, and quoting can double it.
const PIECE: usize = 32 * 1024;

/// The configuration that sends `request` to `port` of the same host.
#[must_use]
pub fn config(request: &Request, key: Option<&AdminKey>, port: u16) -> Secret {
    let mut config = format!(
        "silent\nshow-error\nnoproxy = \"*\"\nmax-time = {TIMEOUT_S}\nurl = \"http://127.0.0.1:{port}{}\"\nwrite-out = \"\\n%{{http_code}}\"\n",
        request.path
    );
    let mut option = |name: &str, value: &str| {
        config.push_str(name);
        config.push_str(" = ");
        quote(value, &mut config);
        config.push('\n');
    };
    option("request", request.method.as_str());
    if let Some(key) = key {
        option("header", &format!("Authorization: Convex {}", key.expose()));
    }
    if let Some(body) = &request.body {
        // A body of over 1 MiB would wait for a "100 Continue".
        option("header", "Expect:");
        // Unlike `data`, several `json` are put together without a separator.
        // They also set the content type.
        let mut rest = body.expose();
        loop {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE));
            option("json", piece);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
    }
    config.into()
}

/// The configuration that downloads the file of a snapshot export. Where it
/// goes is among the program's arguments.
#[must_use]
pub fn download(id: &str, key: &AdminKey, port: u16, limit: std::time::Duration) -> Secret {
    let mut config = format!(
        "silent\nshow-error\nfail\nnoproxy = \"*\"\nmax-time = {}\n",
        limit.as_secs().max(1)
    );
    let url = format!("http://127.0.0.1:{port}/api/export/zip/{id}");
    let header = format!("Authorization: Convex {}", key.expose());
    options(&[("url", &url), ("header", &header)], &mut config);
    config.into()
}

/// The configuration that sends a part of a snapshot, which is in a file.
/// Parts are numbered from 1 on.
#[must_use]
pub fn send_part(
    token: &Secret,
    number: u64,
    file: &str,
    key: &AdminKey,
    port: u16,
    limit: std::time::Duration,
) -> Secret {
    let mut config = format!(
        "silent\nshow-error\nnoproxy = \"*\"\nmax-time = {}\nwrite-out = \"\\n%{{http_code}}\"\n",
        limit.as_secs().max(1)
    );
    let token: String = url::form_urlencoded::byte_serialize(token.expose().as_bytes()).collect();
    let url = format!(
        "http://127.0.0.1:{port}/api/import/upload_part?uploadToken={token}&partNumber={number}"
    );
    let header = format!("Authorization: Convex {}", key.expose());
    options(
        &[
            ("url", &url),
            ("header", &header),
            ("header", "Content-Type: application/octet-stream"),
            ("header", "Expect:"),
            ("data-binary", &format!("@{file}")),
        ],
        &mut config,
    );
    config.into()
}

pub(super) fn options(options: &[(&str, &str)], config: &mut String) {
    for (name, value) in options {
        config.push_str(name);
        config.push_str(" = ");
        quote(value, config);
        config.push('\n');
    }
}

/// curl's own quoting in its configuration (`tool_parsecfg.c`).
fn quote(value: &str, into: &mut String) {
    into.push('"');
    for character in value.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '\u{b}' => into.push_str("\\v"),
            other => into.push(other),
        }
    }
    into.push('"');
}

/// Reads what curl printed: the reply's body, a line break and the status. Where
/// its exit code is not 0, it has complained on standard error, and a status
/// that came nevertheless is that of a reply that was cut off.
pub fn reply(code: Option<i64>, stdout: &[u8], stderr: &[u8]) -> Result<Response, TransportError> {
    match status(stdout).filter(|_| code == Some(0)) {
        Some((end, status)) => Ok(Response {
            status,
            body: stdout[..end].to_vec(),
        }),
        None => Err(complaint(code, stderr)),
    }
}

/// Whether its output alone tells that curl succeeded: with `--show-error` it
/// fails with a complaint, always.
#[must_use]
pub fn succeeded(stdout: &[u8], stderr: &[u8]) -> bool {
    stderr.is_empty() && status(stdout).is_some()
}

/// Where the body ends, and the status behind it.
fn status(stdout: &[u8]) -> Option<(usize, u16)> {
    let end = stdout.iter().rposition(|byte| *byte == b'\n')?;
    let status = std::str::from_utf8(&stdout[end + 1..]).ok()?;
    let status = status.parse().ok().filter(|status| *status != 0)?;
    Some((end, status))
}

/// Why curl failed, by its exit code; the numbers are in its manual.
pub(super) fn complaint(code: Option<i64>, stderr: &[u8]) -> TransportError {
    let said = String::from_utf8_lossy(stderr);
    let said = said.trim();
    let quoted = Foreign::from(said);
    match code {
        Some(6 | 7) => TransportError::Unreachable(quoted.to_string()),
        Some(18 | 52 | 55 | 56) => TransportError::Broken(quoted.to_string()),
        Some(28) => TransportError::TimedOut { seconds: TIMEOUT_S },
        _ if said.is_empty() => TransportError::Broken("curl ended without a word".to_owned()),
        _ => TransportError::Failed(format!("curl in the container said: {quoted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, config, reply, send_part};
    use crate::{
        backend::{Method, Request, TransportError},
        convex::AdminKey,
    };

    #[test]
    fn key_and_body_are_in_the_configuration_quoted() {
        let request = Request {
            method: Method::Post,
            path: "/api/x",
            body: Some("{\"a\":\"b\\n\t\"}".into()),
            authorized: true,
        };
        let key = AdminKey::parse("app|0a").unwrap();
        let config = config(&request, Some(&key), 3210);
        let expected = [
            "silent",
            "show-error",
            "noproxy = \"*\"",
            "max-time = 30",
            "url = \"http://127.0.0.1:3210/api/x\"",
            "write-out = \"\\n%{http_code}\"",
            "request = \"POST\"",
            "header = \"Authorization: Convex app|0a\"",
            "header = \"Expect:\"",
            r#"json = "{\"a\":\"b\\n\t\"}""#,
            "",
        ];
        assert_eq!(config.expose(), expected.join("\n"));
    }

    #[test]
    fn a_part_is_a_file_and_its_token_is_in_the_configuration_alone() {
        let key = AdminKey::parse("app|0a").unwrap();
        let limit = std::time::Duration::from_secs(9);
        let config = send_part(&"a+b/=".into(), 2, "/data/part", &key, 3210, limit);
        let expected = [
            "silent",
            "show-error",
            "noproxy = \"*\"",
            "max-time = 9",
            "write-out = \"\\n%{http_code}\"",
            "url = \"http://127.0.0.1:3210/api/import/upload_part?uploadToken=a%2Bb%2F%3D&partNumber=2\"",
            "header = \"Authorization: Convex app|0a\"",
            "header = \"Content-Type: application/octet-stream\"",
            "header = \"Expect:\"",
            "data-binary = \"@/data/part\"",
            "",
        ];
        assert_eq!(config.expose(), expected.join("\n"));
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let body = "é".repeat(PIECE);
        let request = Request {
            method: Method::Post,
            path: "/",
            body: Some(body.clone().into()),
            authorized: false,
        };
        let config = config(&request, None, 1);
        let pieces: Vec<_> = config
            .expose()
            .lines()
            .filter_map(|line| line.strip_prefix("json = \"")?.strip_suffix('"'))
            .collect();
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces.concat(), body);
    }

    #[test]
    fn the_status_is_the_last_line_whatever_the_body_holds() {
        let response = reply(Some(0), b"line\n200\nrest\n404", b"").unwrap();
        assert_eq!(response.status, 404);
        assert_eq!(response.body, b"line\n200\nrest");
        assert_eq!(reply(Some(0), b"\n200", b"").unwrap().body, b"");
    }

    #[test]
    fn complaints_have_their_own_errors() {
        let said =
            |code: i64, text: &str| reply(Some(code), b"\n000", text.as_bytes()).unwrap_err();
        let broke = |error| matches!(error, TransportError::Broken(_));
        assert!(matches!(
            said(7, "curl: (7) Failed to connect"),
            TransportError::Unreachable(_)
        ));
        assert!(broke(said(52, "curl: (52) Empty reply from server")));
        assert_eq!(
            said(28, "curl: (28) Operation timed out"),
            TransportError::TimedOut { seconds: 30 }
        );
        assert!(matches!(
            said(2, "curl: option -K: error"),
            TransportError::Failed(_)
        ));
        // Somebody else prints into the same stream: only the code tells what curl met.
        assert!(broke(said(56, "warning\ncurl: (56) Recv failure")));
        for ended in [Some(0), Some(137), None] {
            assert!(broke(reply(ended, b"", b"").unwrap_err()), "{ended:?}");
        }
        // A reply that was cut off is no reply, whether or not curl had the time to say so.
        for (ended, stderr) in [
            (Some(18), &b"curl: (18) transfer closed"[..]),
            (Some(137), b""),
            (None, b""),
        ] {
            let cut = reply(ended, b"{\"a\n200", stderr).unwrap_err();
            assert!(broke(cut), "{ended:?}");
        }
        // And a warning is no failure.
        let warned = reply(Some(0), b"{}\n200", b"Warning: x").unwrap();
        assert_eq!(warned.status, 200);
    }
}
