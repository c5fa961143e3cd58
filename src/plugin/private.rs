//! Data a resource keeps beside its state.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

/// Named JSON values that travel with a resource's state and are shown nowhere.
///
/// They are stored in plain text, so a secret has no place here.
#[derive(Clone, Debug, Default)]
pub struct Private(BTreeMap<String, Json>);

impl Private {
    /// Reads the bytes Terraform stored. Bytes that are no such data, from a
    /// foreign provider for example, read as nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).map_or_else(|_| Self::default(), Self)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // A map of JSON values always has a JSON form.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// The value called `name`, if there is one of this form.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.get(name)?.clone()).ok()
    }

    /// Keeps `value` under `name`.
    pub fn set<T: Serialize>(&mut self, name: &str, value: &T) {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// Forgets the value called `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::Private;

    #[test]
    fn values_survive_the_way_through_the_state() {
        let mut private = Private::default();
        private.set("a", &vec![1, 2]);
        private.set("b", &"text");
        private.remove("b");
        let read = Private::from_bytes(&private.to_bytes());
        assert_eq!(read.get::<Vec<u8>>("a"), Some(vec![1, 2]));
        assert_eq!(read.get::<String>("b"), None);
    }

    #[test]
    fn foreign_bytes_read_as_nothing() {
        assert_eq!(Private::from_bytes(b"\x00junk").to_bytes(), b"");
        assert_eq!(Private::from_bytes(b"").to_bytes(), b"");
    }
}
