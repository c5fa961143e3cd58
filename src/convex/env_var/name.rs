//! The name of a variable.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes, since May 2026.
pub const MAX_NAME_BYTES: usize = 256;

/// The longest name on backends from before May 2026, in bytes.
pub const LEGACY_MAX_NAME_BYTES: usize = 40;

const BUILT_IN: [&str; 2] = ["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"];

/// Why a text is not the name of a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VarNameError {
    /// There is nothing.
    #[error("The name of the variable is empty. Write letters, digits and underscores.")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error(
        "The name of the variable has {length} bytes, and {MAX_NAME_BYTES} is the most. Shorten it."
    )]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
    /// A digit in the first place.
    #[error("The name {name:?} begins with a digit. Put a letter or an underscore in front.")]
    LeadingDigit {
        /// The refused name.
        name: String,
    },
    /// A character that is no letter, digit or underscore.
    #[error(
        "The name {name:?} contains {character:?}. Write letters, digits and underscores only."
    )]
    Character {
        /// The refused name.
        name: String,
        /// The first refused character.
        character: char,
    },
    /// One of the two names the backend sets itself.
    #[error(
        "The backend sets {name} itself, from the origins of the deployment, and refuses any other \
         value. Leave the variable out, and set the origins."
    )]
    BuiltIn {
        /// The refused name.
        name: String,
    },
}

/// The name of a variable: letters, digits and underscores, not beginning with a digit, at most
/// 256 bytes, and neither `CONVEX_CLOUD_URL` nor `CONVEX_SITE_URL`.
///
/// Those two are the only reserved names; other names with `CONVEX_` are taken. Upper and lower
/// case are different.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarName(String);

impl VarName {
    /// Takes a name the backend would take.
    pub fn parse(name: &str) -> Result<Self, VarNameError> {
        let owned = || name.to_owned();
        if name.is_empty() {
            return Err(VarNameError::Empty);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(VarNameError::TooLong { length: name.len() });
        }
        if let Some(character) = name
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && *c != '_')
        {
            return Err(VarNameError::Character {
                name: owned(),
                character,
            });
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(VarNameError::LeadingDigit { name: owned() });
        }
        if BUILT_IN.contains(&name) {
            return Err(VarNameError::BuiltIn { name: owned() });
        }
        Ok(Self(owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether backends from before May 2026 refuse the name for its length.
    #[must_use]
    pub fn is_too_long_for_older_backends(&self) -> bool {
        self.0.len() > LEGACY_MAX_NAME_BYTES
    }
}

impl FromStr for VarName {
    type Err = VarNameError;

    fn from_str(name: &str) -> Result<Self, VarNameError> {
        Self::parse(name)
    }
}

impl fmt::Display for VarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for VarName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_backend_takes() {
        let longest = "A".repeat(256);
        for name in [
            "a",
            "_under",
            "A1",
            "convex_cloud_url",
            "CONVEX_FOO",
            "PATH",
            &longest,
        ] {
            assert_eq!(VarName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_the_backend_refuses() {
        let owned = |name: &str| name.to_owned();
        let character = |name: &str, character| VarNameError::Character {
            name: owned(name),
            character,
        };
        let cases = [
            ("", VarNameError::Empty),
            (
                "1ABC",
                VarNameError::LeadingDigit {
                    name: owned("1ABC"),
                },
            ),
            ("A-B", character("A-B", '-')),
            ("A B", character("A B", ' ')),
            ("é", character("é", 'é')),
            ("A.B", character("A.B", '.')),
            ("A\n", character("A\n", '\n')),
            (
                "CONVEX_CLOUD_URL",
                VarNameError::BuiltIn {
                    name: owned("CONVEX_CLOUD_URL"),
                },
            ),
            (
                "CONVEX_SITE_URL",
                VarNameError::BuiltIn {
                    name: owned("CONVEX_SITE_URL"),
                },
            ),
        ];
        for (name, error) in cases {
            assert_eq!(VarName::parse(name).unwrap_err(), error);
        }
        let error = VarName::parse(&"A".repeat(257)).unwrap_err();
        assert_eq!(error, VarNameError::TooLong { length: 257 });
    }

    #[test]
    fn older_backends_take_forty_bytes() {
        let name = |length| VarName::parse(&"A".repeat(length)).unwrap();
        assert!(!name(40).is_too_long_for_older_backends());
        assert!(name(41).is_too_long_for_older_backends());
    }
}
