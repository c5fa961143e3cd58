//! Texts that were meant to be PEM.

/// What a text is that has no PEM block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Instead {
    /// The path of a file.
    #[error("It is the path of a file. Give the content of the file, as `file(\"PATH\")` reads it")]
    Path,
    /// The PEM block once more encoded.
    #[error("It is the base64 encoding of a PEM block. Decode it with `base64decode`")]
    Base64,
    /// Quotation marks around it.
    #[error("It has quotation marks around it. Remove them")]
    Quoted,
}

/// How files of keys and certificates end.
const ENDINGS: [&str; 5] = [".pem", ".crt", ".cer", ".key", ".der"];

/// How files are found.
const BEGINNINGS: [&str; 4] = ["/", "./", "../", "~/"];

impl Instead {
    /// What the text is, as far as it can be told.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with(['"', '\'', '`']) {
            Some(Self::Quoted)
        } else if text.starts_with("LS0tLS1CRUdJTi") {
            Some(Self::Base64)
        } else {
            let is_path = !text.contains(char::is_whitespace)
                && (BEGINNINGS.iter().any(|it| text.starts_with(it))
                    || ENDINGS.iter().any(|it| text.ends_with(it)));
            is_path.then_some(Self::Path)
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::Instead;

    #[test]
    fn what_is_there_instead_of_pem_is_told() {
        let pem = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        for (text, is) in [
            (pem.to_owned(), None),
            ("hunter2".to_owned(), None),
            (String::new(), None),
            (STANDARD.encode(pem), Some(Instead::Base64)),
            (format!("{pem:?}"), Some(Instead::Quoted)),
            (format!("'{pem}'"), Some(Instead::Quoted)),
            ("/etc/ssl/ca.pem".to_owned(), Some(Instead::Path)),
            ("~/.ssh/id_ed25519".to_owned(), Some(Instead::Path)),
            ("jwt_private_key.pem\n".to_owned(), Some(Instead::Path)),
        ] {
            assert_eq!(Instead::of(&text), is, "{text}");
        }
    }
}
