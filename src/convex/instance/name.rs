//! The names of a deployment and of its backend instance.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
///
/// The database of an instance is named after it, and `PostgreSQL` cuts identifiers at 63 bytes.
pub const MAX_NAME_LENGTH: usize = 63;

/// Why a text is not a name of a deployment or an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("The name is empty. {RULE}")]
    Empty,
    /// Longer than [`MAX_NAME_LENGTH`].
    #[error(
        "The name has {length} characters, and the longest identifier of a database has \
         {MAX_NAME_LENGTH}. Shorten it by {}.", length - MAX_NAME_LENGTH
    )]
    TooLong {
        /// The length in characters.
        length: usize,
    },
    /// `|` or `:`, at which an admin key is taken apart.
    #[error(
        "The name {name:?} contains `{character}`, at which the backend splits an admin key. {}",
        remedy(.name)
    )]
    KeySeparator {
        /// The refused name.
        name: String,
        /// `|` or `:`.
        character: char,
    },
    /// An underscore, which would make two names share one database.
    #[error(
        "The name {name:?} contains `_`. The database is named after the instance with `-` written \
         as `_`, so two names that differ only there would share one. {}", remedy(.name)
    )]
    Underscore {
        /// The refused name.
        name: String,
    },
    /// An upper-case letter.
    #[error("The name {name:?} contains an upper-case letter. {}", remedy(.name))]
    UpperCase {
        /// The refused name.
        name: String,
    },
    /// Any other character that is not a lower-case letter, a digit or a hyphen.
    #[error("The name {name:?} contains {character:?}. {}", remedy(.name))]
    Character {
        /// The refused name.
        name: String,
        /// The first refused character.
        character: char,
    },
    /// A digit in the first place.
    #[error("The name {name:?} begins with a digit. {}", remedy(.name))]
    LeadingDigit {
        /// The refused name.
        name: String,
    },
    /// A hyphen in the first place, which the backend's command line takes for an option.
    #[error(
        "The name {name:?} begins with a hyphen, which the backend would take for an option. {}",
        remedy(.name)
    )]
    LeadingHyphen {
        /// The refused name.
        name: String,
    },
    /// A hyphen in the last place.
    #[error("The name {name:?} ends with a hyphen. {}", remedy(.name))]
    TrailingHyphen {
        /// The refused name.
        name: String,
    },
}

const RULE: &str = "Write lower-case letters, digits and hyphens, beginning with a letter.";

fn remedy(name: &str) -> String {
    suggest(name).map_or_else(
        || RULE.to_owned(),
        |fixed| format!("Write {fixed:?} instead."),
    )
}

/// The nearest good spelling, where one is obvious.
fn suggest(name: &str) -> Option<String> {
    let spelled: String = name
        .to_lowercase()
        .chars()
        .map(|c| if "_.:| /".contains(c) { '-' } else { c })
        .collect();
    let spelled = spelled.trim_matches('-');
    let spelled = if spelled.starts_with(|c: char| c.is_ascii_digit()) {
        format!("app-{spelled}")
    } else {
        spelled.to_owned()
    };
    check_name(&spelled).is_ok().then_some(spelled)
}

fn check_name(name: &str) -> Result<(), NameError> {
    let owned = || name.to_owned();
    let length = name.chars().count();
    if length == 0 {
        return Err(NameError::Empty);
    }
    if length > MAX_NAME_LENGTH {
        return Err(NameError::TooLong { length });
    }
    for character in name.chars() {
        match character {
            'a'..='z' | '0'..='9' | '-' => {}
            '|' | ':' => {
                return Err(NameError::KeySeparator {
                    name: owned(),
                    character,
                });
            }
            '_' => return Err(NameError::Underscore { name: owned() }),
            'A'..='Z' => return Err(NameError::UpperCase { name: owned() }),
            _ => {
                return Err(NameError::Character {
                    name: owned(),
                    character,
                });
            }
        }
    }
    if name.starts_with('-') {
        return Err(NameError::LeadingHyphen { name: owned() });
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(NameError::LeadingDigit { name: owned() });
    }
    if name.ends_with('-') {
        return Err(NameError::TrailingHyphen { name: owned() });
    }
    Ok(())
}

/// The name of a deployment: what everything that belongs to it is named after.
///
/// 1 to 63 lower-case letters, digits and hyphens, beginning with a letter and not ending with a
/// hyphen. The rule is that of [`InstanceName`], so that each deployment name is an instance name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentName(String);

/// The name under which a backend runs: the part of its admin keys before `|`, and with `-`
/// written as `_` the name of its database.
///
/// The backend itself checks nothing. The rule of [`DeploymentName`] keeps the name clear of what
/// breaks later: `|` and `:` (admin keys are split there), a leading hyphen (the command line takes
/// it for an option) and `_` (two names would share one database).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName(String);

impl DeploymentName {
    /// Takes a text that is a name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InstanceName {
    /// Takes a text that is a name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the database the backend looks for: the instance name with `-` written as `_`.
    #[must_use]
    pub fn database_name(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl From<&DeploymentName> for InstanceName {
    fn from(name: &DeploymentName) -> Self {
        Self(name.0.clone())
    }
}

impl FromStr for DeploymentName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl FromStr for InstanceName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(name: &str) -> String {
        InstanceName::parse(name).unwrap_err().to_string()
    }

    #[test]
    fn good_names_are_taken_as_they_are() {
        let longest = "a".repeat(63);
        for name in [
            "a",
            "app",
            "a1",
            "prod-eu-west-1",
            "a--b",
            "coder-1f0c2a6e",
            &longest,
        ] {
            assert_eq!(InstanceName::parse(name).unwrap().as_str(), name);
            assert_eq!(DeploymentName::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn each_fault_of_a_name_is_named_and_a_spelling_suggested() {
        let cases = [
            ("", "is empty", "beginning with a letter"),
            (
                "my|app",
                "`|`, at which the backend splits an admin key",
                "\"my-app\"",
            ),
            ("prod:app", "`:`, at which", "\"prod-app\""),
            ("my_app", "contains `_`", "\"my-app\""),
            ("MyApp", "upper-case", "\"myapp\""),
            ("my app", "contains ' '", "\"my-app\""),
            ("a\nb", "contains '\\n'", "beginning with a letter"),
            ("héros", "contains 'é'", "beginning with a letter"),
            ("1app", "begins with a digit", "\"app-1app\""),
            ("-app", "begins with a hyphen", "\"app\""),
            ("app-", "ends with a hyphen", "\"app\""),
            ("-", "begins with a hyphen", "beginning with a letter"),
        ];
        for (name, fault, fix) in cases {
            let message = refusal(name);
            assert!(
                message.contains(fault) && message.contains(fix),
                "{name:?}: {message}"
            );
        }
    }

    #[test]
    fn a_long_name_is_told_by_how_much() {
        assert_eq!(
            refusal(&"a".repeat(70)),
            "The name has 70 characters, and the longest identifier of a database has 63. \
             Shorten it by 7."
        );
    }

    #[test]
    fn a_deployment_gives_its_name_to_the_instance_and_the_database() {
        let deployment = DeploymentName::parse("coder-1f0c-2a6e").unwrap();
        let instance = InstanceName::from(&deployment);
        assert_eq!(instance.as_str(), "coder-1f0c-2a6e");
        assert_eq!(instance.database_name(), "coder_1f0c_2a6e");
    }

    proptest! {
        #[test]
        fn exactly_the_pattern_is_taken(name in "[a-z0-9_A-Z|-]{0,4}|\\PC{0,4}|[a-z][a-z0-9-]{55,70}") {
            let middle = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let good = name.len() <= 63
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(middle)
                && !name.ends_with('-');
            prop_assert_eq!(InstanceName::parse(&name).is_ok(), good);
        }

        #[test]
        fn a_suggested_name_is_good(name in "\\PC{0,70}") {
            if let Some(suggested) = suggest(&name) {
                prop_assert!(InstanceName::parse(&suggested).is_ok());
            }
        }
    }
}
