//! Keeps secrets out of everything the provider says.
//!
//! Secrets are struck out by value and not by the name of a field. The list is
//! one for the whole process because the log and the panic hook know of no
//! request.
//!
//! A message has two kinds of words. Its own, and what a user wrote in plain
//! sight, stay as they are: a password that is one of those words would garble
//! them, and the gap would tell it. Words from elsewhere are [`Foreign`], and
//! lose every secret wherever they are shown.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt::{self, Write},
    sync::{PoisonError, RwLock},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde::Deserialize;

/// What stands in place of a secret.
const STRUCK: &str = "[secret]";

/// A shorter text is not struck out: it would tear holes into ordinary words
/// and is guessed at once anyway.
const SHORTEST: usize = 5;

/// No name, host or word is as long as this, but keys are.
const UNMISTAKABLE: usize = 40;

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

/// Words from elsewhere, of a server, a program or a log, to be quoted in a message.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    /// The words as they came, to find a cause in. They are not to be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Foreign {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for Foreign {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&strike(&self.0))
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", strike(&self.0))
    }
}

/// Words from elsewhere without any remembered secret.
#[must_use]
pub fn strike(words: &str) -> String {
    strike_if(words, |_| true)
}

/// A message without any secret that none of its own words can be, should one have come in with
/// words that nobody took for [`Foreign`] ones.
pub(crate) fn strike_unmistakable(message: &str) -> String {
    strike_if(message, |secret| {
        secret.len() >= UNMISTAKABLE && !secret.contains("://")
    })
}

fn strike_if(text: &str, counts: impl Fn(&str) -> bool) -> String {
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let mut text = Cow::Borrowed(text);
    // Longest first, so that a secret which holds another one goes whole.
    let mut found: Vec<_> = known
        .iter()
        .filter(|secret| counts(secret) && text.contains(secret.as_str()))
        .collect();
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in found {
        text = Cow::Owned(text.replace(secret.as_str(), STRUCK));
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Foreign, remember, strike, strike_unmistakable};

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
    fn own_words_lose_only_what_cannot_be_one_of_them() {
        remember("quince");
        let key = "app|01".to_owned() + &"5e".repeat(32);
        remember(&key);
        let said = Foreign::from(format!("no quince, no {key}"));
        let message = format!("the host quince said: {said}; {key}");
        assert_eq!(
            strike_unmistakable(&message),
            "the host quince said: no [secret], no [secret]; [secret]"
        );
        assert_eq!(format!("{said:?}"), "\"no [secret], no [secret]\"");
    }

    #[test]
    fn short_texts_stay_readable() {
        remember("true");
        assert_eq!(strike("true is true"), "true is true");
    }
}
