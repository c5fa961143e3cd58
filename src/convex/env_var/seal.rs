//! Recognising a value again without keeping it.

use super::super::{
    AdminKey,
    crypto::{hmac_sha256, to_hex},
};

/// A fingerprint of a variable's value that only says something to who has the admin key.
///
/// It is HMAC-SHA256 of name and value, keyed with the whole admin key, as lower-case hexadecimal.
/// Without that key, which has 128 random bits, not even a short value can be guessed from it; who
/// has the key can as well ask the backend.
#[must_use]
pub fn seal(key: &AdminKey, name: &str, value: &str) -> String {
    // No name contains a zero byte, so where the name ends is never in doubt.
    let message = format!("environment variable\0{name}\0{value}");
    to_hex(&hmac_sha256::<32>(
        key.expose().as_bytes(),
        message.as_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{AdminKey, seal};

    #[test]
    fn a_seal_depends_on_key_name_and_value() {
        let key = |text: &str| AdminKey::parse(text).unwrap();
        let one = seal(&key("app|01"), "A", "value");
        assert_eq!(one, seal(&key("app|01"), "A", "value"));
        assert_eq!(one.len(), 64);
        for other in [
            seal(&key("app|02"), "A", "value"),
            seal(&key("app|01"), "B", "value"),
            seal(&key("app|01"), "A", "values"),
        ] {
            assert_ne!(one, other);
        }
    }
}
