//! The host pattern under which a Coder deployment serves apps.

/// Why a text is not a wildcard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WildcardError {
    /// There is nothing.
    #[error("The wildcard is empty. Write one such as `*.apps.example.com`, or leave it out.")]
    Empty,
    /// A scheme in front.
    #[error("The wildcard has a scheme. Write `{fixed}`.")]
    Scheme {
        /// The text without the scheme.
        fixed: String,
    },
    /// No asterisk.
    #[error(
        "The wildcard {wildcard:?} has no asterisk. Write the value of the Coder deployment's \
         CODER_WILDCARD_ACCESS_URL, such as `*.apps.example.com`."
    )]
    NoAsterisk {
        /// The refused wildcard.
        wildcard: String,
    },
    /// Several asterisks.
    #[error("The wildcard {wildcard:?} has several asterisks. Write one, at the beginning.")]
    SeveralAsterisks {
        /// The refused wildcard.
        wildcard: String,
    },
    /// Something before the asterisk that is no prefix of an app.
    #[error(
        "The wildcard {wildcard:?} does not begin with its asterisk. Only a prefix of lower-case \
         letters, digits and hyphens that ends with three hyphens may stand before it."
    )]
    BeforeAsterisk {
        /// The refused wildcard.
        wildcard: String,
    },
    /// A path, a query or a fragment behind the host.
    #[error(
        "The wildcard {wildcard:?} has more than host and port. Remove all from `{character}` on."
    )]
    MoreThanHost {
        /// The refused wildcard.
        wildcard: String,
        /// The first character that does not belong.
        character: char,
    },
    /// A port that is no number from 1 to 65535.
    #[error("The wildcard {wildcard:?} has a port that is no number from 1 to 65535.")]
    Port {
        /// The refused wildcard.
        wildcard: String,
    },
    /// No domain below the asterisk.
    #[error("The wildcard {wildcard:?} has no domain. Write one such as `*.apps.example.com`.")]
    NoDomain {
        /// The refused wildcard.
        wildcard: String,
    },
    /// A label that no host name can have.
    #[error(
        "The wildcard {wildcard:?} is no host name. Its labels must be letters, digits and hyphens, \
         without a hyphen or a full stop at the ends."
    )]
    Label {
        /// The refused wildcard.
        wildcard: String,
    },
}

/// The host pattern under which a Coder deployment serves apps, `CODER_WILDCARD_ACCESS_URL`.
///
/// `*.apps.example.com`, `*-apps.example.com` or `*--prod.example.com`, with an optional port. The
/// rules are those of `CompileHostnamePattern` in coder/coder,
/// `coderd/workspaceapps/appurl/appurl.go`. Beyond them, `PREFIX---` may stand before the asterisk:
/// Coder serves every app under such prefixes too, and templates use them to keep tenants apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    prefix: String,
    suffix: String,
    port: Option<u16>,
}

impl Wildcard {
    /// Takes a setting that may be empty, which counts as absent.
    pub fn parse_setting(text: &str) -> Result<Option<Self>, WildcardError> {
        if text.is_empty() {
            Ok(None)
        } else {
            Self::parse(text).map(Some)
        }
    }

    /// Takes a wildcard.
    pub fn parse(text: &str) -> Result<Self, WildcardError> {
        let wildcard = || text.to_owned();
        if text.is_empty() {
            return Err(WildcardError::Empty);
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(WildcardError::Scheme {
                fixed: rest.trim_end_matches('/').to_owned(),
            });
        }
        if let Some(character) = text.chars().find(|c| "/?#@".contains(*c)) {
            return Err(WildcardError::MoreThanHost {
                wildcard: wildcard(),
                character,
            });
        }
        let lower = text.to_ascii_lowercase();
        let (prefix, rest) = lower
            .split_once('*')
            .ok_or_else(|| WildcardError::NoAsterisk {
                wildcard: wildcard(),
            })?;
        if rest.contains('*') {
            return Err(WildcardError::SeveralAsterisks {
                wildcard: wildcard(),
            });
        }
        if !prefix.is_empty() && !is_prefix(prefix) {
            return Err(WildcardError::BeforeAsterisk {
                wildcard: wildcard(),
            });
        }
        let (suffix, port) = match rest.split_once(':') {
            None => (rest, None),
            Some((suffix, port)) => {
                let number = port.parse().ok().filter(|number| *number != 0);
                let number = number.filter(|_| !port.starts_with('+'));
                (
                    suffix,
                    Some(number.ok_or_else(|| WildcardError::Port {
                        wildcard: wildcard(),
                    })?),
                )
            }
        };
        if !suffix.contains('.') {
            return Err(WildcardError::NoDomain {
                wildcard: wildcard(),
            });
        }
        // The asterisk stands for an app, whose name ends with a letter or a digit.
        if !format!("a{suffix}").split('.').all(is_label) {
            return Err(WildcardError::Label {
                wildcard: wildcard(),
            });
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            port,
        })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn suffix(&self) -> &str {
        &self.suffix
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_prefix(prefix: &str) -> bool {
    prefix.strip_suffix("---").is_some_and(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_setting_counts_as_absent() {
        assert_eq!(Wildcard::parse_setting("").unwrap(), None);
        assert!(Wildcard::parse_setting("*.a.example").unwrap().is_some());
        assert_eq!(Wildcard::parse("").unwrap_err(), WildcardError::Empty);
    }

    #[test]
    fn case_does_not_count() {
        let lower = Wildcard::parse("x---*.apps.example:1").unwrap();
        assert_eq!(Wildcard::parse("X---*.Apps.Example:1").unwrap(), lower);
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            ("https://*.apps.example/", "Write `*.apps.example`."),
            ("*.apps.example/", "from `/` on"),
            ("apps.example", "no asterisk"),
            ("*.*.example", "several asterisks"),
            ("x*.apps.example", "three hyphens"),
            ("x--*.apps.example", "three hyphens"),
            ("---*.apps.example", "three hyphens"),
            ("apps.*.example", "three hyphens"),
            ("*.apps.example:0", "from 1 to 65535"),
            ("*.apps.example:65536", "from 1 to 65535"),
            ("*.apps.example:+1", "from 1 to 65535"),
            ("*.apps.example:", "from 1 to 65535"),
            ("*", "no domain"),
            ("*-apps", "no domain"),
            ("*.apps.example.", "no host name"),
            ("*..example", "no host name"),
            ("*-.example", "no host name"),
            ("*.apps_.example", "no host name"),
            (" *.apps.example", "three hyphens"),
            ("*.apps.example ", "no host name"),
        ];
        for (text, fault) in cases {
            let message = Wildcard::parse(text).unwrap_err().to_string();
            assert!(message.contains(fault), "{text:?}: {message}");
        }
    }
}
