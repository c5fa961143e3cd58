//! Env files, in the one dialect all their readers agree on.
//!
//! There is no standard for env files, and the readers differ wherever a value is more than a
//! word. These are the rules that matter, with where they were read:
//!
//! | | bash `source` | npm `dotenv` 16 and 17 | docker compose (`compose-go/dotenv`) | Vite |
//! |---|---|---|---|---|
//! | plain | shell word | to `#` or the end of the line | to ` #`; `$` is expanded | as `dotenv`, or node's `util.parseEnv` since Vite 8 |
//! | `'…'` | literal, line breaks too | the same, but `\'` may not end it | the same, but `\'` does not end it | the same |
//! | `"…"` | `\` escapes `$`, `` ` ``, `"`, `\`, line break | only `\n` and `\r` are escapes; `\"` stays two characters | `\` escapes `abcfnrtv$"\` and octal; `$` is expanded | as `dotenv` |
//! | `` `…` `` | runs a command | literal | plain | literal |
//! | carriage return | kept | becomes a line feed | kept | dropped |
//! | afterwards | | | | `$NAME` and `${…}` are expanded even in single quotes, `\$` becomes `$` (`dotenv-expand`) |
//!
//! So: a word of harmless characters is written plain; everything else in single quotes; a value
//! with an apostrophe in double quotes, as long as it holds nothing that means something there.
//! What is left has no common spelling and is refused by [`EncodeError`] instead of being written
//! so that one reader gets another value. `docker run --env-file` takes every value literally,
//! quotation marks included, and is served by plain words only.

mod decode;
mod encode;
mod merge;

pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, encode, encode_line};
pub use merge::{Entry, MergeError, Merged, merge};

/// Whether a text is a name that every reader takes: letters, digits and underscores, not
/// beginning with a digit.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_alike(
            values in proptest::collection::vec("[ab'\"$#`\\\\!{}=\n\t é]{0,8}|\\PC{0,8}|\\s{0,4}", 1..6)
        ) {
            let pairs: Vec<(String, String)> = values
                .into_iter()
                .enumerate()
                .map(|(n, value)| (format!("V{n}"), value))
                .filter(|(name, value)| encode_line(name, value).is_ok())
                .collect();
            let borrowed = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let file = encode(borrowed).unwrap();
            let decoded: Vec<(String, String)> = decode(&file).unwrap().into_iter().collect();
            prop_assert_eq!(decoded, pairs);
        }

        #[test]
        fn no_text_makes_decoding_panic(text in "(A=)?[\"'`]?([\"'`\\\\ \n#b=]|\\PC){0,6}\\\\?") {
            let _ = decode(&text);
        }
    }
}
