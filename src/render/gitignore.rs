//! Entries of a `.gitignore`.

/// What must not get into git: files with secrets, and what was set aside when a file of ours was
/// repaired.
pub const LINES: [&str; 4] = [
    ".env.convex.local",
    ".env.convex.deployment",
    "jwt_private_key.pem",
    "*.set-aside-*",
];

const COMMENT: &str = "# Convex: secrets, and files that were set aside";

/// A file with its missing lines at the end; `None` when it has all of them. It need not be UTF-8,
/// and its line breaks are kept.
#[must_use]
pub fn merge(text: &[u8], lines: &[&str]) -> Option<Vec<u8>> {
    let has = |line: &str| {
        text.split(|byte| *byte == b'\n')
            .any(|it| it.trim_ascii() == line.as_bytes())
    };
    let missing: Vec<&str> = lines.iter().copied().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return None;
    }
    let end = if text.windows(2).any(|pair| pair == b"\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut merged = text.to_vec();
    if !merged.is_empty() && !merged.ends_with(b"\n") {
        merged.extend(end.bytes());
    }
    if !has(COMMENT) {
        if !merged.is_empty() {
            merged.extend(end.bytes());
        }
        merged.extend(COMMENT.bytes().chain(end.bytes()));
    }
    for line in missing {
        merged.extend(line.bytes().chain(end.bytes()));
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn missing_lines_come_to_the_end() {
        assert_eq!(
            merge(b"node_modules\n b ", &["a", "b"]).unwrap(),
            format!("node_modules\n b \n\n{COMMENT}\na\n").as_bytes()
        );
        assert_eq!(
            merge(b"x\r\n", &["a"]).unwrap(),
            format!("x\r\n\r\n{COMMENT}\r\na\r\n").as_bytes()
        );
        assert_eq!(
            merge(b"", &["a"]).unwrap(),
            format!("{COMMENT}\na\n").as_bytes()
        );
        assert_eq!(merge(b"a", &["a"]), None);
    }

    proptest! {
        #[test]
        fn what_was_there_stays_and_the_second_time_changes_nothing(
            text in proptest::collection::vec(any::<u8>(), 0..30)
        ) {
            let first = merge(&text, &LINES).unwrap();
            prop_assert!(first.starts_with(&text));
            prop_assert_eq!(merge(&first, &LINES), None);
        }
    }
}
