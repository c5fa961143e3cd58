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

/// Most bytes of a text that is looked through. No message is as long; what is beyond goes.
const LONGEST: usize = 256 * 1024;

static SECRETS: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Remembers a secret. Its usual other spellings count as well: base64, alone
/// or with other words around it, percent-encoded in any way, JSON-escaped and
/// hexadecimal, and each line of a text of several lines.
pub fn remember(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    if known.contains(&Folded::new(secret).text) {
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
    let forms = forms.iter().map(|form| Folded::new(form).text);
    SECRETS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(forms.filter(|form| form.len() >= SHORTEST));
}

fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut hex = String::with_capacity(secret.len() * 2);
    for byte in secret.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let mut all = vec![
        secret.to_owned(),
        printable(secret),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        secret.replace(' ', "+"),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json[1..json.len() - 1].to_owned(),
        hex.to_ascii_uppercase(),
        hex,
    ];
    for before in 0..3 {
        all.push(base64_within(&STANDARD_NO_PAD, secret, before));
        all.push(base64_within(&URL_SAFE_NO_PAD, secret, before));
    }
    all
}

/// The digits that a secret has in base64 whatever is around it, such as a name and a colon. Which
/// ones these are depends on how many bytes come before it, modulo 3.
fn base64_within(base64: &impl Engine, secret: &str, before: usize) -> String {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    base64.encode(bytes)[first..end].to_owned()
}

/// A text as secrets are looked for in it: without line breaks and the indentation behind them,
/// and with percent-encoded bytes decoded. Each of its characters stands for one byte.
struct Folded {
    text: String,
    /// Where in the original each byte of `text` begins.
    starts: Vec<usize>,
}

impl Folded {
    fn new(original: &str) -> Self {
        let bytes = original.as_bytes();
        let mut folded = Self {
            text: String::with_capacity(bytes.len()),
            starts: Vec::with_capacity(bytes.len()),
        };
        let (mut at, mut indented) = (0, false);
        while let Some(byte) = bytes.get(at) {
            let start = at;
            let escaped = percent_encoded(&bytes[at..]);
            at += if escaped.is_some() { 3 } else { 1 };
            let byte = match (escaped, byte) {
                (None, b'\n' | b'\r') => {
                    indented = true;
                    continue;
                }
                (None, b' ' | b'\t') if indented => continue,
                (escaped, byte) => char::from(escaped.unwrap_or(*byte)),
            };
            indented = false;
            folded.text.push(byte);
            folded.starts.resize(folded.text.len(), start);
        }
        folded
    }
}

/// The byte that is percent-encoded at the beginning of these.
fn percent_encoded(bytes: &[u8]) -> Option<u8> {
    let [b'%', digits @ ..] = bytes.get(..3)? else {
        return None;
    };
    let value = |digit: u8| char::from(digit).to_digit(16);
    let byte = value(digits[0])? * 16 + value(digits[1])?;
    u8::try_from(byte).ok()
}

/// A text from elsewhere without what drives a terminal, or turns the direction of writing. Line
/// breaks and tabs stay.
fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            // The second is the first with a bracket, in one character.
            '\u{1b}' | '\u{9b}' => {
                // Parameters, and one character that says what is to be done with them.
                if character == '\u{9b}' || rest.next_if_eq(&'[').is_some() {
                    while rest.next_if(|it| matches!(it, ' '..='?')).is_some() {}
                    rest.next_if(|it| matches!(it, '@'..='~'));
                }
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ if character.is_control() && !matches!(character, '\n' | '\t') => {}
            _ => plain.push(character),
        }
    }
    plain
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

/// Words from elsewhere without any remembered secret, and without what drives a terminal.
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
    let text = printable(&text[..text.floor_char_boundary(LONGEST)]);
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let folded = Folded::new(&text);
    let found = known.iter().filter(|secret| counts(secret));
    let mut places: Vec<(usize, usize)> = found
        .flat_map(|secret| folded.text.match_indices(secret.as_str()))
        .map(|(at, secret)| {
            let last = folded.starts[at + secret.len() - 1];
            let escaped = percent_encoded(&text.as_bytes()[last..]);
            let end = last + if escaped.is_some() { 3 } else { 1 };
            (folded.starts[at], end)
        })
        .collect();
    places.sort_unstable();
    let mut struck = String::with_capacity(text.len());
    let mut shown = 0;
    for (start, end) in places {
        // Secrets that overlap go as one.
        if start >= shown {
            struck.push_str(&text[shown..text.floor_char_boundary(start)]);
            struck.push_str(STRUCK);
        }
        shown = shown.max(text.ceil_char_boundary(end));
    }
    struck.push_str(&text[shown..]);
    struck
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::{Foreign, printable, remember, strike, strike_unmistakable};

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
    fn a_secret_is_struck_out_however_it_is_written() {
        remember("s3/cret pass+w\u{e9}");
        for said in [
            "s3%2fcret%20pass%2bw%c3%a9",
            "s3%2Fcret%20pass%2Bwé",
            "s3/cret+pass+w%C3%A9",
            "%73%33%2f%63%72%65%74%20%70%61%73%73%2b%77%c3%a9",
            "s3/cr\n  et pass+wé",
            "s3/cr\r\net pass+w\né",
            "s3/cr\u{1b}[1met\u{7} pass+wé",
        ] {
            let struck = strike(&format!("before {said} after"));
            assert_eq!(struck, "before [secret] after", "{said:?}");
        }
        assert_eq!(strike("wé\ns3/cret pass+wé\ns3"), "wé\n[secret]\ns3");
    }

    #[test]
    fn a_secret_beside_a_name_is_struck_out_in_base64() {
        remember("gooseberry");
        for name in ["a", "ab", "abc", "abcd"] {
            for end in ["", ":", "::", ":::"] {
                let said = STANDARD.encode(format!("{name}:gooseberry{end}"));
                let struck = strike(&format!("Basic {said}, he said"));
                let shown = struck.replace("[secret]", "");
                assert!(struck.contains("[secret]"), "{said}: {struck}");
                // A digit at each end tells a few bits of it and of what is beside it.
                let struck_out = said.len() - (shown.len() - "Basic , he said".len());
                assert!(struck_out >= 12, "{said}: {struck}");
            }
        }
    }

    #[test]
    fn secrets_that_overlap_go_as_one() {
        remember("apricot-jam");
        remember("jam-and-bread");
        assert_eq!(strike("apricot-jam-and-bread, 100%"), "[secret], 100%");
        assert_eq!(strike("apricot-jamapricot-jam"), "[secret][secret]");
    }

    #[test]
    fn nothing_from_elsewhere_drives_the_terminal() {
        for (said, shown) in [
            ("\u{1b}[31mred\u{1b}[0m\tplain\nnext", "red\tplain\nnext"),
            ("\u{1b}]0;title\u{7}text", "]0;titletext"),
            ("\u{1b}[2J\u{1b}[1;1Hgone", "gone"),
            ("\u{9b}31mred", "red"),
            ("all is well\rFAILED", "all is wellFAILED"),
            ("\u{202e}desrever", "desrever"),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(printable(said), shown);
            assert_eq!(Foreign::from(said).to_string(), shown);
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
