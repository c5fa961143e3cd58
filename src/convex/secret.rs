//! Text that must not be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret text: an admin key, a password, the value of a secret variable.
///
/// It has no `Display`, its `Debug` prints stars whatever it holds, and its memory is overwritten
/// when it is dropped. [`Secret::expose`] is the one way to the text, so every place that lets a
/// secret out can be found by that name. Serialisation is transparent, because state and request
/// bodies must carry the text itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself, for the one place that must send or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_is_stars_of_constant_length() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "***");
        assert_eq!(
            format!("{:#?}", Some(Secret::from(""))),
            "Some(\n    ***,\n)"
        );
    }

    #[test]
    fn serialises_as_the_bare_text_and_back() {
        let secret = Secret::from("a\"b");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, r#""a\"b""#);
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
    }
}
