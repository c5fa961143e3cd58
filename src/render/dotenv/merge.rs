//! Bringing an env file up to date that a person may have edited.

use super::{
    DecodeError, EncodeError,
    decode::{assignments, with_line_feeds},
    encode_line,
};
use crate::convex::Secret;

/// A variable that an env file should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is for, in one line.
    pub comment: String,
    /// Its value.
    pub value: Secret,
}

impl Entry {
    /// A variable.
    pub fn new(
        name: impl Into<String>,
        comment: impl Into<String>,
        value: impl Into<Secret>,
    ) -> Self {
        Self {
            name: name.into(),
            comment: comment.into(),
            value: value.into(),
        }
    }

    /// The comment and the assignment, with a line break at the end.
    pub(crate) fn lines(&self) -> Result<String, EncodeError> {
        let line = encode_line(&self.name, self.value.expose())?;
        Ok(format!("# {}\n{line}\n", self.comment))
    }
}

/// An env file brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The whole file.
    pub text: Secret,
    /// Names that were missing.
    pub added: Vec<String>,
    /// Names whose old value was ours.
    pub updated: Vec<String>,
    /// Names with another value, which stay because a person gave it.
    pub kept: Vec<String>,
}

/// Why an env file cannot be brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A variable cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Adds what is missing at the end, and gives a new value to what `is_ours`, which is asked with
/// name and old value. Everything else stays as it is, byte for byte.
pub fn merge(
    text: &str,
    entries: &[Entry],
    is_ours: impl Fn(&str, &str) -> bool,
) -> Result<Merged, MergeError> {
    let even = with_line_feeds(text);
    let found = assignments(&even)?;
    let mut merged = Merged {
        text: Secret::default(),
        added: Vec::new(),
        updated: Vec::new(),
        kept: Vec::new(),
    };
    let mut replaced = Vec::new();
    let mut missing = String::new();
    for entry in entries {
        // The last one counts for every reader.
        match found.iter().rev().find(|it| it.name == entry.name) {
            None => {
                missing.push('\n');
                missing.push_str(&entry.lines()?);
                merged.added.push(entry.name.clone());
            }
            Some(it) if it.value == entry.value.expose() => {}
            Some(it) if is_ours(it.name, &it.value) => {
                let line = encode_line(&entry.name, entry.value.expose())?;
                replaced.push((it.place.clone(), line));
                merged.updated.push(entry.name.clone());
            }
            Some(_) => merged.kept.push(entry.name.clone()),
        }
    }
    replaced.sort_by_key(|(place, _)| place.start);
    let mut result = String::with_capacity(text.len() + missing.len());
    let mut at = 0;
    for (place, line) in replaced {
        result.push_str(&text[at..place.start]);
        result.push_str(&line);
        at = place.end;
    }
    result.push_str(&text[at..]);
    if !missing.is_empty() {
        if result.is_empty() {
            missing.remove(0);
        } else if !result.ends_with('\n') {
            result.push('\n');
        }
        result.push_str(&missing);
    }
    merged.text = Secret::from(result);
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode;
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> Vec<Entry> {
        pairs
            .iter()
            .map(|(name, value)| Entry::new(*name, "It.", *value))
            .collect()
    }

    fn merged(text: &str, pairs: &[(&str, &str)], ours: &[(&str, &str)]) -> Merged {
        merge(text, &entries(pairs), |name, value| {
            ours.contains(&(name, value))
        })
        .unwrap()
    }

    #[test]
    fn what_is_missing_comes_to_the_end() {
        let it = merged("A=1", &[("A", "1"), ("B", "x y")], &[]);
        assert_eq!(it.text.expose(), "A=1\n\n# It.\nB='x y'\n");
        assert_eq!(it.added, ["B"]);
        assert_eq!(merged("", &[("A", "1")], &[]).text.expose(), "# It.\nA=1\n");
    }

    #[test]
    fn a_value_that_a_person_gave_stays() {
        let text = "# mine\nexport A = 'x'  # mine too\r\nB=2\n";
        let it = merged(text, &[("A", "1"), ("B", "3")], &[]);
        assert_eq!(it.text.expose(), text);
        assert_eq!(it.kept, ["A", "B"]);
    }

    #[test]
    fn a_value_that_was_ours_follows() {
        let text = "# c\nA='x\ny'\n# d\nB=2\r\nC=3";
        let it = merged(
            text,
            &[("A", "1"), ("C", "new"), ("B", "$")],
            &[("A", "x\ny"), ("B", "2"), ("C", "3")],
        );
        assert_eq!(it.text.expose(), "# c\nA=1\n# d\nB='$'\r\nC=new");
        assert_eq!(it.updated, ["A", "C", "B"]);
    }

    #[test]
    fn a_carriage_return_alone_is_a_line_break() {
        let text = "# c\rA=1\rB='x\ry'\r";
        let it = merged(text, &[("A", "2"), ("B", "z"), ("C", "3")], &[("A", "1")]);
        assert_eq!(it.text.expose(), "# c\rA=2\rB='x\ry'\r\n\n# It.\nC=3\n");
        assert_eq!((it.updated, it.kept), (vec!["A".into()], vec!["B".into()]));
        let text = "A='x\ry'\rB=2";
        let it = merged(text, &[("A", "x\ny"), ("B", "3")], &[("B", "2")]);
        assert_eq!(it.text.expose(), "A='x\ry'\rB=3");
        // Found by fuzzing.
        let error = merge("#\0\r\0\0\0='#AhE'", &entries(&[("A", "1")]), |_, _| false);
        assert_eq!(error.unwrap_err(), DecodeError::Name { line: 2 }.into());
    }

    #[test]
    fn the_last_of_two_counts() {
        let it = merged("A=1\nA=2\n", &[("A", "3")], &[("A", "2")]);
        assert_eq!(it.text.expose(), "A=1\nA=3\n");
        assert_eq!(
            merged("A=1\nA=2\n", &[("A", "3")], &[("A", "1")]).kept,
            ["A"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let error = merge("A=1\nnonsense\n", &entries(&[("B", "1")]), |_, _| true).unwrap_err();
        assert_eq!(error, MergeError::Decode(DecodeError::NoEquals { line: 2 }));
    }

    proptest! {
        #[test]
        fn the_second_time_changes_nothing_and_the_first_keeps_every_line(
            lines in proptest::collection::vec("(# [a-z']{0,5}|[A-D]=[a-z ]{0,3}|[A-D]='[a-z\n\r#]{0,4}'|)\r?", 0..6),
            between in "\n|\r|\r\n",
            end in "\n?",
            wanted in proptest::collection::vec(("[A-F]", "[a-z $']{0,4}"), 0..4),
            ours in any::<bool>(),
        ) {
            let text = lines.join(&between) + &end;
            let mut wanted = wanted;
            wanted.sort();
            wanted.dedup_by(|a, b| a.0 == b.0);
            let wanted: Vec<Entry> = wanted
                .into_iter()
                .filter(|(name, value)| encode_line(name, value).is_ok())
                .map(|(name, value)| Entry::new(name, "It.", value))
                .collect();
            let first = merge(&text, &wanted, |_, _| ours).unwrap();
            let second = merge(first.text.expose(), &wanted, |_, _| ours).unwrap();
            prop_assert_eq!(&second.text, &first.text);
            prop_assert!(second.added.is_empty() && second.updated.is_empty());
            if !ours {
                prop_assert!(first.text.expose().starts_with(&text));
            }
            let read = decode(first.text.expose()).unwrap();
            for entry in &wanted {
                let kept = first.kept.contains(&entry.name);
                prop_assert_eq!(read[&entry.name] == entry.value.expose(), !kept);
            }
        }
    }
}
