//! The file `.env.convex.deployment`: the variables of the deployment itself.
//!
//! It has two parts. Above the line with [`MARKER`] stands what is generated, below it what a
//! person adds. The lower part is never touched.

use std::collections::BTreeMap;

use super::dotenv::{DecodeError, EncodeError, Entry, MergeError, Merged, decode, merge};
use crate::convex::{AuthKeys, Secret, SiteOrigin};

/// What the line between the two parts contains.
pub const MARKER: &str = "=== USER VARIABLES";

const HEAD: &str = "# Variables of the Convex deployment. Secret: keep this file out of git.\n";

const BETWEEN: &str = "\
# === USER VARIABLES
# Your own, one a line, such as OPENAI_API_KEY=sk-... They stay as they are, and
# are set on the deployment together with those above.
";

/// The generated variables.
#[must_use]
pub fn entries(keys: &AuthKeys, issuer: &SiteOrigin) -> Vec<Entry> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pem = keys.private_key_pem();
    vec![
        Entry::new(
            "JWT_PRIVATE_KEY_BASE64",
            "The key that signs sign-in tokens, a PEM file as base64.",
            STANDARD.encode(pem.expose().trim_end()),
        ),
        Entry::new(
            "JWT_ISSUER",
            "The issuer of sign-in tokens: CONVEX_SITE_ORIGIN.",
            issuer.as_str(),
        ),
        Entry::new("JWKS", "The key that verifies them.", keys.jwks()),
    ]
}

/// The file as it is first written, with variables of the person's own.
pub fn render(entries: &[Entry], own: &BTreeMap<String, Secret>) -> Result<Secret, EncodeError> {
    let mut text = String::from(HEAD);
    for entry in entries {
        text.push('\n');
        text.push_str(&entry.lines()?);
    }
    text.push('\n');
    text.push_str(BETWEEN);
    for (name, value) in own {
        text.push_str(&super::dotenv::encode_line(name, value.expose())?);
        text.push('\n');
    }
    Ok(Secret::from(text))
}

/// Where the lower part of a text begins: at the beginning of the marker's line.
fn boundary(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') && line.contains(MARKER) {
            return Some(start);
        }
        start += line.len();
    }
    None
}

/// The upper part of a text: all of it without a marker.
pub(crate) fn generated(text: &str) -> &str {
    &text[..boundary(text).unwrap_or(text.len())]
}

/// Brings a file up to date: the upper part as any env file, the lower part not at all. A file
/// without the marker was written by a person, and becomes the lower part of the new one.
pub fn update(
    text: &str,
    entries: &[Entry],
    is_ours: impl Fn(&str, &str) -> bool,
) -> Result<Merged, MergeError> {
    let (upper, lower) = match boundary(text) {
        Some(at) => (text[..at].to_owned(), text[at..].to_owned()),
        None if text.is_empty() => (HEAD.to_owned(), BETWEEN.to_owned()),
        None => (HEAD.to_owned(), format!("{BETWEEN}{text}")),
    };
    // The blank line before the marker is not a part of either.
    let bare = upper.strip_suffix('\n').unwrap_or(&upper);
    let mut merged = merge(bare, entries, is_ours)?;
    let mut whole = if merged.text.expose() == bare {
        upper
    } else {
        format!("{}\n", merged.text.expose())
    };
    if boundary(text).is_none() && !whole.ends_with("\n\n") {
        whole.push('\n');
    }
    whole.push_str(&lower);
    merged.text = Secret::from(whole);
    Ok(merged)
}

/// The variables of the lower part; none without a marker. Empty values are left out: they are
/// lines that wait to be filled in.
pub fn user_variables(text: &str) -> Result<BTreeMap<String, Secret>, DecodeError> {
    let Some(at) = boundary(text) else {
        return Ok(BTreeMap::new());
    };
    let above = text[..at].matches('\n').count();
    let variables = decode(&text[at..]).map_err(|error| error.below(above))?;
    Ok(variables
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, Secret::from(value)))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn generated(value: &str) -> Vec<Entry> {
        vec![Entry::new("JWKS", "A key.", value)]
    }

    #[test]
    fn a_new_file_has_both_parts() {
        let own = BTreeMap::from([("B".to_owned(), Secret::from("x y"))]);
        let text = render(&generated("{}"), &own).unwrap();
        assert!(
            text.expose()
                .contains("# A key.\nJWKS='{}'\n\n# === USER VARIABLES\n")
        );
        assert!(text.expose().ends_with("above.\nB='x y'\n"));
        assert_eq!(user_variables(text.expose()).unwrap(), own);
    }

    #[test]
    fn the_lower_part_stays_byte_for_byte() {
        let lower = "# === USER VARIABLES ===\r\nJWKS=mine\nA = 'b'  # c\n\n\n#x\nZ=";
        let text = format!("JWKS=old\n\n{lower}");
        let it = update(&text, &generated("new"), |_, value| value == "old").unwrap();
        assert_eq!(it.text.expose(), format!("JWKS=new\n\n{lower}"));
        let variables = user_variables(it.text.expose()).unwrap();
        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["A", "JWKS"]);
    }

    #[test]
    fn a_file_of_a_person_becomes_the_lower_part() {
        let it = update("MINE=1\nnot even a variable", &generated("{}"), |_, _| true).unwrap();
        assert!(it.text.expose().ends_with("\nMINE=1\nnot even a variable"));
        assert!(it.text.expose().starts_with("# Variables"));
        let again = update(it.text.expose(), &generated("{}"), |_, _| true).unwrap();
        assert_eq!(again.text, it.text);
    }

    #[test]
    fn faults_are_told_by_their_line_in_the_whole_file() {
        let error = user_variables("A=1\n\n# === USER VARIABLES\nnonsense\n").unwrap_err();
        assert_eq!(error, DecodeError::NoEquals { line: 4 });
    }

    proptest! {
        #[test]
        fn no_byte_of_a_person_is_lost_and_the_second_time_changes_nothing(
            upper in "(JWKS=[a-z]{0,2}\n|# [a-z]\n|\n){0,3}",
            marker in any::<bool>(),
            lower in "\\PC{0,5}(\r?\n)?\\PC{0,5}",
        ) {
            let text = if marker { format!("{upper}# === USER VARIABLES\n{lower}") } else { lower.clone() };
            let first = update(&text, &generated("new"), |_, _| false).unwrap();
            prop_assert!(first.text.expose().ends_with(&lower));
            prop_assert!(first.text.expose().contains(&upper) || !marker);
            let second = update(first.text.expose(), &generated("new"), |_, _| false).unwrap();
            prop_assert_eq!(second.text, first.text);
        }
    }
}
