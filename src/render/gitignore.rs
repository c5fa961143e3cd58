//! Entries of a `.gitignore`.

/// What must not get into git: files with secrets, what was set aside when a file of ours was
/// repaired, and what an interrupted write left.
pub const LINES: [&str; 4] = [
    ".env.convex.local",
    ".env.convex.deployment",
    "jwt_private_key.pem",
    "*.set-aside-*",
];

/// The same, and what the tools of a new app write: the `convex` command line, the package manager
/// and Vite.
pub const NEW_APP: [&str; 7] = [
    LINES[0],
    LINES[1],
    LINES[2],
    LINES[3],
    ".env.local",
    "node_modules",
    "dist",
];

const COMMENT: &str = "# Convex: secrets, and files that tools write";

/// A file with its missing lines at the end; `None` when it has all of them. It need not be UTF-8,
/// and its line breaks are kept. Slashes around a line make no difference here.
#[must_use]
pub fn merge(text: &[u8], lines: &[&str]) -> Option<Vec<u8>> {
    let has = |line: &str| {
        text.split(|byte| *byte == b'\n').any(|it| {
            let it = it.trim_ascii();
            let it = it.strip_prefix(b"/").unwrap_or(it);
            it.strip_suffix(b"/").unwrap_or(it) == line.as_bytes()
        })
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
        assert_eq!(merge(b"a\n/b/\r\n", &["a", "b"]), None);
    }

    proptest! {
        #[test]
        fn what_was_there_stays_and_the_second_time_changes_nothing(
            text in proptest::collection::vec(any::<u8>(), 0..30)
        ) {
            let first = merge(&text, &NEW_APP).unwrap();
            prop_assert!(first.starts_with(&text));
            prop_assert_eq!(merge(&first, &NEW_APP), None);
        }
    }
}
