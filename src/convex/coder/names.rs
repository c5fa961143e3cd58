//! The names that go into the address of an app.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a name of a workspace, a user or an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoderNameError {
    /// There is nothing.
    #[error("The name is empty. Give the name Coder shows.")]
    Empty,
    /// Not letters and digits joined by single hyphens.
    #[error(
        "The name {name:?} is none that Coder gives. Such names are letters and digits, joined by \
         single hyphens."
    )]
    Malformed {
        /// The refused name.
        name: String,
    },
}

/// The name of a workspace, its owner or its agent: letters and digits joined by single hyphens.
///
/// Source: coder/coder, `coderd/workspaceapps/appurl/appurl.go`, which takes an address apart at
/// two hyphens and so cannot find any other name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoderName(String);

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    /// There is nothing.
    #[error("The slug is empty. Give the slug of the app.")]
    Empty,
    /// Not lower-case letters and digits joined by single hyphens.
    #[error(
        "The slug {slug:?} is none that Coder takes. Slugs are lower-case letters and digits, joined \
         by single hyphens."
    )]
    Malformed {
        /// The refused slug.
        slug: String,
    },
    /// `xn`, with which the host name would count as encoded (RFC 5890).
    #[error(
        "With the slug \"xn\", the host name would begin with `xn--`, which marks encoded \
         characters. Choose another slug."
    )]
    Encoded,
    /// The slug of another of the three apps.
    #[error("The slug {slug:?} is that of `{other}` as well. Give each app its own.")]
    Taken {
        /// The refused slug.
        slug: String,
        /// The app that has it.
        other: &'static str,
    },
    /// Digits, or digits and an `s`.
    #[error("Coder takes the slug {slug:?} for a port number. Add a letter in front.")]
    Port {
        /// The refused slug.
        slug: String,
    },
}

/// The slug of an app: lower-case letters and digits joined by single hyphens, and no number.
///
/// A number, also with an `s` behind it, is a port to Coder, and the app's own settings would not
/// count. Source: the `coder` provider, `provider/app.go`; `appurl.go` as for
/// [`CoderName`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

/// Why a text is not a port that has an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{port:?} is no port that has an address. Give a number from {} to {}, with an `s` behind it \
     if it speaks HTTPS.",
    Port::LOWEST,
    u16::MAX
)]
pub struct PortError {
    /// The refused port.
    pub port: String,
}

/// A port of a workspace, which Coder serves without an app: a number of four or five digits, with
/// an `s` behind it where HTTPS is spoken there.
///
/// Source: `appurl.go` as for [`CoderName`], which takes other numbers for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    number: u16,
    https: bool,
}

/// Whether the text is letters and digits joined by single hyphens.
fn is_hyphenated(text: &str) -> bool {
    text.split('-')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

impl CoderName {
    /// Takes a name Coder could have given.
    pub fn parse(name: &str) -> Result<Self, CoderNameError> {
        if name.is_empty() {
            return Err(CoderNameError::Empty);
        }
        if !is_hyphenated(name) {
            return Err(CoderNameError::Malformed {
                name: name.to_owned(),
            });
        }
        Ok(Self(name.to_owned()))
    }
}

impl Slug {
    /// Takes a slug Coder would take.
    pub fn parse(slug: &str) -> Result<Self, SlugError> {
        if slug.is_empty() {
            return Err(SlugError::Empty);
        }
        if !is_hyphenated(slug) || slug.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(SlugError::Malformed {
                slug: slug.to_owned(),
            });
        }
        if slug == "xn" {
            return Err(SlugError::Encoded);
        }
        let digits = slug.strip_suffix('s').unwrap_or(slug);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SlugError::Port {
                slug: slug.to_owned(),
            });
        }
        Ok(Self(slug.to_owned()))
    }

    /// A slug that stands in this program and that a test has parsed.
    pub(super) fn known(slug: &'static str) -> Self {
        Self(slug.to_owned())
    }
}

impl Port {
    const LOWEST: u16 = 1000;

    /// Takes a port as Coder writes it.
    pub fn parse(port: &str) -> Result<Self, PortError> {
        let digits = port.strip_suffix('s').unwrap_or(port);
        let number = digits.parse().ok().filter(|it| *it >= Self::LOWEST);
        let number = number.filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = number.filter(|_| !digits.starts_with('0'));
        let number = number.ok_or_else(|| PortError {
            port: port.to_owned(),
        })?;
        Ok(Self {
            number,
            https: digits != port,
        })
    }
}

impl FromStr for CoderName {
    type Err = CoderNameError;

    fn from_str(name: &str) -> Result<Self, CoderNameError> {
        Self::parse(name)
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(slug: &str) -> Result<Self, SlugError> {
        Self::parse(slug)
    }
}

impl fmt::Display for CoderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let https = if self.https { "s" } else { "" };
        write!(f, "{}{https}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Slugs;
    use super::*;

    #[test]
    fn names_are_those_coder_gives() {
        for name in ["dev", "Dev-2", "1", "a-b-c"] {
            assert_eq!(CoderName::parse(name).unwrap().to_string(), name);
        }
        for name in ["a--b", "-a", "a-", "a_b", "a.b", "é"] {
            let error = CoderName::parse(name).unwrap_err();
            assert_eq!(
                error,
                CoderNameError::Malformed {
                    name: name.to_owned()
                }
            );
        }
        assert_eq!(CoderName::parse("").unwrap_err(), CoderNameError::Empty);
    }

    #[test]
    fn slugs_are_those_coder_takes() {
        for slug in ["convex-api", "a", "3210x", "x3210", "s", "12-34"] {
            assert_eq!(Slug::parse(slug).unwrap().to_string(), slug);
        }
        for slug in ["Convex", "a--b", "-a", "a-", "a_b"] {
            let error = Slug::parse(slug).unwrap_err();
            assert_eq!(
                error,
                SlugError::Malformed {
                    slug: slug.to_owned()
                }
            );
        }
        assert_eq!(Slug::parse("").unwrap_err(), SlugError::Empty);
        assert_eq!(Slug::parse("xn").unwrap_err(), SlugError::Encoded);
    }

    #[test]
    fn a_slug_that_is_a_port_to_coder_is_refused() {
        for slug in ["3210", "7443s", "32100", "80"] {
            let error = Slug::parse(slug).unwrap_err();
            assert_eq!(
                error,
                SlugError::Port {
                    slug: slug.to_owned()
                }
            );
        }
    }

    #[test]
    fn ports_are_those_that_have_an_address() {
        for port in ["1000", "3210", "7443s", "65535"] {
            assert_eq!(Port::parse(port).unwrap().to_string(), port);
            assert!(Slug::parse(port).is_err(), "{port}");
        }
        for port in [
            "", "s", "80", "999", "65536", "+8080", "08080", "8080ss", "8080S",
        ] {
            let error = Port::parse(port).unwrap_err();
            assert!(error.to_string().contains("from 1000 to 65535"), "{error}");
        }
    }

    #[test]
    fn the_known_slugs_would_be_taken() {
        let Slugs {
            api,
            site,
            dashboard,
        } = Slugs::default();
        for slug in [api, site, dashboard] {
            assert_eq!(Slug::parse(&slug.to_string()).unwrap(), slug);
        }
    }
}
