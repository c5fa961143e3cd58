//! Admin keys a person pastes in.

use super::super::secret::Secret;
use super::AdminKey;

/// The kinds of keys that name a project rather than a deployment. A self-hosted backend strips
/// any other prefix, but takes a key of these kinds for one without a name.
const CLOUD_PREFIXES: [&str; 2] = ["preview", "project"];

/// Why a pasted text cannot be an admin key. No variant holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdminKeyError {
    /// There is nothing.
    #[error(
        "The admin key is empty. Give the whole key, such as `app|01…` for a self-hosted deployment \
         or `prod:happy-otter-123|ey…` for Convex Cloud."
    )]
    Empty,
    /// Blanks or line breaks at the ends.
    #[error("The admin key has blanks or line breaks around it. Remove them.")]
    Surrounded,
    /// Quotation marks at the ends.
    #[error("The admin key has quotation marks around it. Remove them.")]
    Quoted,
    /// Blanks, line breaks or control characters inside.
    #[error(
        "The admin key contains blanks, line breaks or control characters. Give only the key, not \
         the words printed with it."
    )]
    Blank,
    /// The key of a self-hosted deployment behind a prefix that is for Convex Cloud alone.
    #[error(
        "The admin key of a self-hosted deployment begins with `{0}:`. Keys with that prefix are for \
         Convex Cloud, and a self-hosted backend always refuses them. Remove the prefix."
    )]
    CloudPrefix(&'static str),
    /// Characters outside ASCII, which no header can carry.
    #[error(
        "The admin key contains characters outside ASCII. Copy it again from where it was made."
    )]
    NotAscii,
}

impl AdminKey {
    /// Takes a key somebody else made: `NAME|HEX` of a self-hosted deployment, or a deploy key of
    /// Convex Cloud such as `prod:NAME|…`, `preview:NAME|…` or `dev:NAME|…`.
    ///
    /// Only the shape is checked, so that the key can go into a header as it is. Whether it is good
    /// is for the deployment to say.
    pub fn parse(text: &str) -> Result<Self, AdminKeyError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(AdminKeyError::Empty);
        }
        if trimmed != text {
            return Err(AdminKeyError::Surrounded);
        }
        if text.starts_with(['"', '\'', '`']) || text.ends_with(['"', '\'', '`']) {
            return Err(AdminKeyError::Quoted);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(AdminKeyError::Blank);
        }
        if !text.is_ascii() {
            return Err(AdminKeyError::NotAscii);
        }
        if let Some(prefix) = cloud_prefix(text) {
            return Err(AdminKeyError::CloudPrefix(prefix));
        }
        Ok(Self(Secret::from(text)))
    }

    /// The name of the instance the key says it is for, which is no secret.
    ///
    /// It stands before the first `|`, after an optional kind and `:` as in `prod:NAME|…`. None
    /// where there is no `|` or nothing before it.
    #[must_use]
    pub fn instance_name(&self) -> Option<&str> {
        let (name, _) = self.expose().split_once('|')?;
        let name = name.split_once(':').map_or(name, |(_, name)| name);
        (!name.is_empty()).then_some(name)
    }
}

/// The prefix for Convex Cloud in front of what is the key of a self-hosted deployment: those of
/// Convex Cloud are not hexadecimal.
fn cloud_prefix(key: &str) -> Option<&'static str> {
    let (name, sealed) = key.split_once('|')?;
    let (kind, _) = name.split_once(':')?;
    let mut prefixes = CLOUD_PREFIXES.into_iter();
    let prefix = prefixes.find(|it| it.eq_ignore_ascii_case(kind))?;
    let is_hex = !sealed.is_empty() && sealed.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_every_origin_are_taken_and_their_instance_is_read() {
        let cases = [
            ("app|0164d3", Some("app")),
            ("prod:app|0164d3", Some("app")),
            (
                "prod:happy-otter-123|eyJ2MiI6ImEifQ==",
                Some("happy-otter-123"),
            ),
            ("preview:team:project|eyJ2MiI6", Some("team:project")),
            ("dev:happy-otter-123|eyJ2MiI6", Some("happy-otter-123")),
            ("0164d3", None),
            ("|0164d3", None),
            ("prod:|0164d3", None),
        ];
        for (text, name) in cases {
            let key = AdminKey::parse(text).unwrap();
            assert_eq!(key.instance_name(), name);
            assert_eq!(key.expose(), text);
        }
    }

    #[test]
    fn each_fault_of_a_pasted_key_is_named() {
        let cases = [
            ("", AdminKeyError::Empty),
            (" \n", AdminKeyError::Empty),
            ("app|01\n", AdminKeyError::Surrounded),
            ("\"app|01\"", AdminKeyError::Quoted),
            ("Convex app|01", AdminKeyError::Blank),
            ("Admin key:\napp|01", AdminKeyError::Blank),
            ("app|01\u{7f}02", AdminKeyError::Blank),
            ("app|01\u{a0}02", AdminKeyError::Blank),
            ("äpp|01", AdminKeyError::NotAscii),
            ("preview:app|0164d3", AdminKeyError::CloudPrefix("preview")),
            ("Project:app|0164d3", AdminKeyError::CloudPrefix("project")),
        ];
        for (text, error) in cases {
            assert_eq!(AdminKey::parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_taken_key_fits_into_a_header(text in any::<String>()) {
            if let Ok(key) = AdminKey::parse(&text) {
                prop_assert!(key.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
            }
        }
    }
}
