//! Versions of `PostgreSQL`.

use std::fmt;

/// A version, as far as it says what a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The oldest one that is taken: 13, the oldest that `PostgreSQL` itself still cared for when
    /// Convex could first be run on one's own server (February 2025).
    ///
    /// Upstream tests 17 and says no more than that others may work
    /// (`self-hosted/advanced/postgres_or_mysql.md`). Its statements would run on 9.5 and newer.
    pub const OLDEST: Self = Self {
        major: 13,
        minor: 0,
    };

    /// Reads what a server says of itself, such as `17.2 (Debian 17.2-1)`, `16beta1` or `9.6.24`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().ok()
        };
        let major = number(text)?;
        let minor = text.split_once('.').and_then(|(_, rest)| number(rest));
        Some(Self {
            major,
            minor: minor.unwrap_or(0),
        })
    }

    /// The number that counts, 17 for example.
    #[must_use]
    pub fn major(self) -> u32 {
        self.major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_and_compared() {
        for (text, shown, is_old) in [
            ("17.2 (Debian 17.2-1.pgdg120+1)", "17.2", false),
            ("16beta1", "16.0", false),
            ("18devel", "18.0", false),
            ("13.0", "13.0", false),
            ("12.22", "12.22", true),
            ("9.6.24", "9.6", true),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(version.to_string(), shown);
            assert_eq!(version < Version::OLDEST, is_old, "{text}");
        }
        assert_eq!(Version::parse("MariaDB"), None);
    }
}
