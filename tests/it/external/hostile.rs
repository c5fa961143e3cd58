//! What no template would send.

use std::process::Command;

use super::{Answer, ask};
use crate::support::binaries;

fn query(arguments: &[&str], input: &[u8]) -> Answer {
    let mut command = Command::new(binaries::provider());
    ask(
        command
            .arg("external")
            .args(arguments)
            .env_clear()
            .current_dir("/"),
        input,
    )
}

#[test]
fn every_hostile_query_is_refused_by_its_fault() {
    let mut large = br#"{"private_key":""#.to_vec();
    large.resize(16 * 1024 * 1024, b'a');
    let deep = [b"{\"url\":".as_slice(), &[b'['; 10_000]].concat();
    let cases: [(&str, &[u8], &str); 12] = [
        ("jwks", &large, "larger than 256 KiB"),
        (
            "jwks",
            b"{\"private_key\":\"\xc3\x28\"}",
            "not UTF-8: byte 17 is wrong",
        ),
        (
            "jwks",
            b"{\"private_key\":\"hunter2\",\"private_key\":\"x\"}",
            "private_key: The key comes twice",
        ),
        (
            "jwks",
            b"{\"private_key\":\"hunter2\",\"privatekey\":\"x\"}",
            "privatekey: There is no such key",
        ),
        (
            "jwks",
            b"{\"private_key\":{\"hunter2\":1}}",
            "private_key: The value is an object instead of a string",
        ),
        (
            "jwks",
            b"{\"private_key\":\"hunter2\"} {}",
            "not one JSON object",
        ),
        (
            "jwks",
            b"{\"private_key\":\"hunter2\\u0000\"}",
            "jwks: private_key: The private key",
        ),
        ("jwks", b"{}", "private_key: The key is missing"),
        (
            "jwks",
            b"private_key=hunter2",
            "not one JSON object (line 1, column 1)",
        ),
        ("postgres_url", &deep, "not one JSON object"),
        (
            "postgres_url",
            b"{\"url\":\"postgres://u:hunter2@[::/x\"}",
            "postgres_url: url: ",
        ),
        (
            "nonsense\u{1b}[31m",
            b"{}",
            "operation: \"nonsense\\u{1b}[31m\" is none. Write one of origins",
        ),
    ];
    for (operation, input, says) in cases {
        let answer = query(&[operation], input);
        let said = answer.refusal();
        assert!(said.contains(says), "{said}");
        assert!(
            !said.contains("hunter2") && !said.contains('\u{1b}'),
            "{said}"
        );
        assert!(said.len() < 1000, "{said}");
    }
}

#[test]
fn arguments_that_are_no_operation_are_refused_with_help() {
    for arguments in [&["--operation"][..], &["origins", "jwks"]] {
        let answer = query(arguments, b"{}");
        assert_eq!(answer.code, Some(2));
        assert!(answer.stdout.is_empty());
        assert!(
            answer.stderr.contains("Invalid arguments: external "),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_result_that_nobody_takes_is_a_failure() {
    let script = format!(
        "echo '{{\"url\":\"postgres://u:p@h\"}}' | {} external postgres_url >/dev/full",
        binaries::provider().display()
    );
    let status = Command::new("sh").args(["-c", &script]).status();
    assert_eq!(status.expect("a shell").code(), Some(1));
}
