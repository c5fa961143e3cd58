//! Writing env files.

/// Why a variable cannot be written so that all readers of env files get the same value.
///
/// No variant holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Not a name.
    #[error(
        "{name:?} is no name that an env file can carry. Write letters, digits and underscores, not \
         beginning with a digit."
    )]
    Name {
        /// The refused name.
        name: String,
    },
    /// A NUL character.
    #[error(
        "The value of {name} contains a NUL character, which no environment can carry. {BASE64}"
    )]
    Nul {
        /// The name.
        name: String,
    },
    /// A carriage return.
    #[error(
        "The value of {name} contains a carriage return, which some readers of env files drop and \
         others turn into a line feed. Remove it. {BASE64}"
    )]
    CarriageReturn {
        /// The name.
        name: String,
    },
    /// A backslash at the end.
    #[error(
        "The value of {name} ends with a backslash, in which some readers of env files see the \
         escape of the quotation mark that follows. {BASE64}"
    )]
    TrailingBackslash {
        /// The name.
        name: String,
    },
    /// An apostrophe, which rules out single quotes, and something that rules out double quotes.
    #[error(
        "The value of {name} contains an apostrophe and also `\"`, `$`, a backtick or a backslash \
         escape; no spelling of it is read alike by all readers of env files. In JSON, write \
         `\\u0027` for the apostrophe. {BASE64}"
    )]
    Apostrophe {
        /// The name.
        name: String,
    },
    /// A dollar sign in a variable that Vite hands to the browser.
    #[error(
        "The value of {name} contains `$`. Vite, which reads variables that begin with `VITE_`, \
         would expand it in any spelling that other readers leave alone. {BASE64}"
    )]
    DollarForVite {
        /// The name.
        name: String,
    },
}

const BASE64: &str = "Where the value must be as it is, encode it as base64.";

impl EncodeError {
    /// The variable at fault.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name { name }
            | Self::Nul { name }
            | Self::CarriageReturn { name }
            | Self::TrailingBackslash { name }
            | Self::Apostrophe { name }
            | Self::DollarForVite { name } => name,
        }
    }
}

/// A whole env file: one variable after the other, in the order given.
pub fn encode<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, EncodeError> {
    let mut file = String::new();
    for (name, value) in variables {
        file.push_str(&encode_line(name, value)?);
        file.push('\n');
    }
    Ok(file)
}

/// One variable, `NAME=value`, without a line break at the end.
pub fn encode_line(name: &str, value: &str) -> Result<String, EncodeError> {
    let owned = || name.to_owned();
    if !super::is_name(name) {
        return Err(EncodeError::Name { name: owned() });
    }
    if value.contains('\0') {
        return Err(EncodeError::Nul { name: owned() });
    }
    if value.contains('\r') {
        return Err(EncodeError::CarriageReturn { name: owned() });
    }
    if value.ends_with('\\') {
        return Err(EncodeError::TrailingBackslash { name: owned() });
    }
    // Vite exposes no other names, so what it would make of their values is never seen.
    if name.starts_with("VITE_") && value.contains('$') {
        return Err(EncodeError::DollarForVite { name: owned() });
    }
    if !value.is_empty() && value.chars().all(is_plain) {
        Ok(format!("{name}={value}"))
    } else if !value.contains('\'') {
        Ok(format!("{name}='{value}'"))
    } else if is_literal_in_double_quotes(value) {
        Ok(format!("{name}=\"{value}\""))
    } else {
        Err(EncodeError::Apostrophe { name: owned() })
    }
}

/// Characters that mean nothing to any reader, in any place of a word.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c)
}

/// Whether no reader sees anything but the value itself between double quotes.
fn is_literal_in_double_quotes(value: &str) -> bool {
    if value.contains(['"', '$', '`']) {
        return false;
    }
    // A backslash stays one where no reader knows an escape of what follows it.
    value.split('\\').skip(1).all(|rest| {
        rest.chars()
            .next()
            .is_some_and(|next| !"abcfnrtv0\n".contains(next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str) -> String {
        encode_line("A", value).unwrap()
    }

    #[test]
    fn each_value_gets_the_simplest_common_spelling() {
        let cases = [
            ("", "A=''"),
            ("word", "A=word"),
            ("https://a.example:1/x", "A=https://a.example:1/x"),
            ("a b", "A='a b'"),
            (" a ", "A=' a '"),
            ("app|01ab", "A='app|01ab'"),
            ("p$HOME`x`!\"", "A='p$HOME`x`!\"'"),
            ("{\"a\": \"b\\n\"}", "A='{\"a\": \"b\\n\"}'"),
            ("a\nb", "A='a\nb'"),
            ("a#b", "A='a#b'"),
            ("~", "A='~'"),
            ("it's #1", "A=\"it's #1\""),
            ("it's \\d", "A=\"it's \\d\""),
            ("é", "A='é'"),
        ];
        for (value, expected) in cases {
            assert_eq!(line(value), expected);
        }
    }

    #[test]
    fn what_has_no_common_spelling_is_refused_by_its_reason() {
        let name = || "A".to_owned();
        let apostrophe = EncodeError::Apostrophe { name: name() };
        let cases = [
            ("a\0b", EncodeError::Nul { name: name() }),
            ("a\r\nb", EncodeError::CarriageReturn { name: name() }),
            ("C:\\dir\\", EncodeError::TrailingBackslash { name: name() }),
            ("it's \"x\"", apostrophe.clone()),
            ("it's $x", apostrophe.clone()),
            ("it's `x`", apostrophe.clone()),
            ("it's \\n", apostrophe.clone()),
            ("it's \\\\d", apostrophe.clone()),
            ("it's \\\nd", apostrophe),
        ];
        for (value, error) in cases {
            assert_eq!(encode_line("A", value).unwrap_err(), error, "{value:?}");
        }
    }

    #[test]
    fn a_dollar_sign_is_refused_only_where_vite_reads() {
        assert!(encode_line("PASSWORD", "a$b").is_ok());
        let error = encode_line("VITE_PASSWORD", "a$b").unwrap_err();
        assert_eq!(
            error,
            EncodeError::DollarForVite {
                name: "VITE_PASSWORD".to_owned()
            }
        );
        assert_eq!(error.name(), "VITE_PASSWORD");
    }

    #[test]
    fn names_no_reader_takes_are_refused() {
        for name in ["", "1A", "A-B", "A B", "A=B", "é", "A\n"] {
            let error = encode_line(name, "x").unwrap_err();
            assert_eq!(
                error,
                EncodeError::Name {
                    name: name.to_owned()
                }
            );
        }
    }

    #[test]
    fn a_file_has_a_line_for_each_variable() {
        assert_eq!(
            encode([("B", "1"), ("A", "x y")]).unwrap(),
            "B=1\nA='x y'\n"
        );
        assert_eq!(encode([]).unwrap(), "");
    }
}
