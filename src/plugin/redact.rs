//! Keeps secrets out of everything the provider says.
//!
//! Secrets are struck out by value and not by the name of a field: whatever
//! quotes one, a container's log or an error of a library, is covered. The
//! list is one for the whole process because the log and the panic hook know
//! of no request.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt::Write,
    sync::{PoisonError, RwLock},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// What stands in place of a secret.
const STRUCK: &str = "[secret]";

/// A shorter text is not struck out: it would tear holes into ordinary words
/// and is guessed at once anyway.
const SHORTEST: usize = 5;

static SECRETS: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Remembers a secret. Its usual other spellings count as well: base64,
/// percent-encoded, JSON-escaped and hexadecimal, and each line of a text of
/// several lines.
pub fn remember(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    if known.contains(secret) {
        return;
    }
    drop(known);
    let mut forms = spellings(secret);
    let lines = secret.lines().map(str::trim);
    forms.extend(
        lines
            .filter(|line| line.len() >= 16 && !line.starts_with("-----"))
            .map(str::to_owned),
    );
    SECRETS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(forms);
}

fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut hex = String::with_capacity(secret.len() * 2);
    for byte in secret.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json[1..json.len() - 1].to_owned(),
        hex,
    ]
}

/// The text without any remembered secret.
#[must_use]
pub fn strike(text: &str) -> String {
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let mut text = Cow::Borrowed(text);
    // Longest first, so that a secret which holds another one goes whole.
    let mut found: Vec<_> = known
        .iter()
        .filter(|secret| text.contains(secret.as_str()))
        .collect();
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in found {
        text = Cow::Owned(text.replace(secret.as_str(), STRUCK));
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::{remember, strike};

    #[test]
    fn a_secret_is_struck_out_in_each_spelling() {
        remember("p@ss \"word\"\u{e9}");
        for said in [
            "p@ss \"word\"é",
            r#"p@ss \"word\"é"#,
            "p%40ss+%22word%22%C3%A9",
            "cEBzcyAid29yZCLDqQ==",
            "70407373202277 6f726422c3a9".replace(' ', "").as_str(),
        ] {
            let struck = strike(&format!("before {said} after"));
            assert_eq!(struck, "before [secret] after", "{said}");
        }
    }

    #[test]
    fn each_line_of_a_key_is_struck_out() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----";
        remember(pem);
        assert_eq!(strike("AQEFAASCBKcwggSjAgEAAoIB"), "[secret]");
        assert_eq!(
            strike("-----BEGIN PRIVATE KEY-----"),
            "-----BEGIN PRIVATE KEY-----"
        );
    }

    #[test]
    fn short_texts_stay_readable() {
        remember("true");
        assert_eq!(strike("true is true"), "true is true");
    }
}
