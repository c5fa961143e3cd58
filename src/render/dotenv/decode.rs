//! Reading env files: the dialect that is written here, and what people write.

use std::{collections::BTreeMap, ops::Range};

/// Why a text is not an env file. Lines count from 1. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line without `=`.
    #[error(
        "Line {line} has no `=`. Write `NAME=value`, begin comments with `#`, and put values of \
         several lines into single quotes."
    )]
    NoEquals {
        /// Where.
        line: usize,
    },
    /// Something before `=` that is no name.
    #[error(
        "Line {line} has no name before its `=`. Names are letters, digits and underscores, not \
         beginning with a digit."
    )]
    Name {
        /// Where.
        line: usize,
    },
    /// A quotation mark that is never closed.
    #[error(
        "The value that begins in line {line} with `{quote}` never ends. Close it with `{quote}`."
    )]
    Unterminated {
        /// Where the value begins.
        line: usize,
        /// The quotation mark.
        quote: char,
    },
    /// Text behind a closing quotation mark.
    #[error(
        "Line {line} goes on after the closing quotation mark. Put the whole value into one pair of \
         them, and a blank before a comment."
    )]
    AfterQuote {
        /// Where the value ends.
        line: usize,
    },
}

impl DecodeError {
    /// The same fault in a text that has so many more lines above.
    pub(crate) fn below(self, above: usize) -> Self {
        match self {
            Self::NoEquals { line } => Self::NoEquals { line: line + above },
            Self::Name { line } => Self::Name { line: line + above },
            Self::Unterminated { line, quote } => Self::Unterminated {
                line: line + above,
                quote,
            },
            Self::AfterQuote { line } => Self::AfterQuote { line: line + above },
        }
    }
}

/// The variables of an env file. Where a name comes twice, the last one counts.
///
/// Understood are comments, empty lines, `export`, blanks around `=`, comments behind values, and
/// values that are plain, in single quotes or backticks (literal, several lines) or in double
/// quotes (several lines; `\n \r \t \" \\ \$` and `` \` `` are escapes, as their writers mean
/// them). Nothing is expanded: a dollar sign is a dollar sign.
pub fn decode(text: &str) -> Result<BTreeMap<String, String>, DecodeError> {
    Ok(assignments(&with_line_feeds(text))?
        .into_iter()
        .map(|it| (it.name.to_owned(), it.value))
        .collect())
}

/// One assignment of an env file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    /// The name.
    pub name: &'a str,
    /// The value.
    pub value: String,
    /// The bytes of its lines, without the line break at the end.
    pub place: Range<usize>,
}

/// A text in which each line ends with a line feed, and each byte is in the place that it had: a
/// carriage return alone is a line break for every reader.
pub(super) fn with_line_feeds(text: &str) -> String {
    let mut characters = text.chars().peekable();
    let mut even = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        let is_alone = character == '\r' && characters.peek() != Some(&'\n');
        even.push(if is_alone { '\n' } else { character });
    }
    even
}

/// The assignments of an env file in their order, as [`decode`] reads them. Lines end with a line
/// feed, with or without a carriage return before it; see [`with_line_feeds`].
pub(super) fn assignments(text: &str) -> Result<Vec<Assignment<'_>>, DecodeError> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (current, below) = rest.split_once('\n').unwrap_or((rest, ""));
        let content = current.trim();
        if content.is_empty() || content.starts_with('#') {
            rest = below;
            line += 1;
            continue;
        }
        let (name, _) = content
            .split_once('=')
            .ok_or(DecodeError::NoEquals { line })?;
        let name = name.trim_end();
        let name = name
            .strip_prefix("export ")
            .or(name.strip_prefix("export\t"))
            .unwrap_or(name);
        let name = name.trim_start();
        if !super::is_name(name) {
            return Err(DecodeError::Name { line });
        }
        let (_, after_equals) = rest.split_once('=').unwrap_or_default();
        let (value, after) = take_value(after_equals, &mut line)?;
        let start = text.len() - rest.len();
        let lines = &text[start..text.len() - after.len()];
        let lines = lines.strip_suffix('\n').unwrap_or(lines);
        let lines = lines.strip_suffix('\r').unwrap_or(lines);
        found.push(Assignment {
            name,
            value: value.replace("\r\n", "\n"),
            place: start..start + lines.len(),
        });
        rest = after;
    }
    Ok(found)
}

/// The value at the beginning of `text`, and what comes after its line.
fn take_value<'a>(text: &'a str, line: &mut usize) -> Result<(String, &'a str), DecodeError> {
    let inner = text.trim_start_matches([' ', '\t']);
    let (value, after) = match inner.chars().next() {
        Some(quote @ ('\'' | '`')) => {
            let (value, after) = inner[1..]
                .split_once(quote)
                .ok_or(DecodeError::Unterminated { line: *line, quote })?;
            (value.to_owned(), after)
        }
        Some('"') => take_double_quoted(&inner[1..]).ok_or(DecodeError::Unterminated {
            line: *line,
            quote: '"',
        })?,
        _ => {
            let (value, below) = text.split_once('\n').unwrap_or((text, ""));
            *line += 1;
            return Ok((without_comment(value).trim().to_owned(), below));
        }
    };
    let quoted = inner.len() - after.len();
    *line += inner[..quoted].matches('\n').count();
    let (tail, below) = after.split_once('\n').unwrap_or((after, ""));
    if !without_comment(tail).trim().is_empty() {
        return Err(DecodeError::AfterQuote { line: *line });
    }
    *line += 1;
    Ok((value, below))
}

fn take_double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            _ => value.push(c),
        }
    }
    None
}

/// The part of a line before a `#` that follows a blank.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|(at, _)| line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        let mut variables = decode(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        variables.remove("A").unwrap_or_else(|| panic!("{text:?}"))
    }

    #[test]
    fn what_people_write_is_read() {
        let cases = [
            ("A=b", "b"),
            ("A=b\r\nB=c\r\n", "b"),
            ("# c\rA=b\rB=c\r", "b"),
            ("A='b\rc\r\nd'", "b\nc\nd"),
            ("\u{feff}A=b", "b"),
            ("# comment\n\n  A = b  # comment\n", "b"),
            ("export A=b", "b"),
            ("export\tA='b c'", "b c"),
            ("A=", ""),
            ("A=\nB=c", ""),
            ("A= # comment", ""),
            ("A=#b", "#b"),
            ("A=b#c", "b#c"),
            ("A=b=c", "b=c"),
            ("A=$HOME\\n", "$HOME\\n"),
            ("A='b # c' # comment", "b # c"),
            ("A=\"b # c\"", "b # c"),
            ("A=\"b\\nc\\\"\\\\\\$\\d\"", "b\nc\"\\$\\d"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=`b'\"c`", "b'\"c"),
            (
                "A='-----BEGIN-----\nx=\n-----END-----'\nB=c",
                "-----BEGIN-----\nx=\n-----END-----",
            ),
            ("A=b\nA=c", "c"),
        ];
        for (text, value) in cases {
            assert_eq!(one(text), value, "{text:?}");
        }
    }

    #[test]
    fn several_variables_are_kept_apart() {
        let variables = decode("A='x\ny'\n# c\nB=\"z\"\n\nC=1").unwrap();
        let pairs: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, [("A", "x\ny"), ("B", "z"), ("C", "1")]);
    }

    #[test]
    fn faults_are_told_by_their_line() {
        let cases = [
            ("A=b\nhunter2", DecodeError::NoEquals { line: 2 }),
            (
                "A='x\ny'\n\n# c\nhunter2",
                DecodeError::NoEquals { line: 5 },
            ),
            ("A=b\nhunter 2=x", DecodeError::Name { line: 2 }),
            ("=x", DecodeError::Name { line: 1 }),
            (
                "A=b\nB='x\ny",
                DecodeError::Unterminated {
                    line: 2,
                    quote: '\'',
                },
            ),
            (
                "A=\"x\\\"",
                DecodeError::Unterminated {
                    line: 1,
                    quote: '"',
                },
            ),
            ("A='it'\\''s'", DecodeError::AfterQuote { line: 1 }),
            ("A='x\ny'#c", DecodeError::AfterQuote { line: 2 }),
        ];
        for (text, error) in cases {
            assert_eq!(decode(text).unwrap_err(), error, "{text:?}");
        }
    }
}
