//! Variables whose values must have a form, whoever sets them.

use serde_json::Value;

use crate::convex::{AuthKeys, PageUrl};

/// What every key begins with that token libraries read: they take nothing before it.
const BEGINNING: &str = "-----BEGIN PRIVATE KEY-----";

/// What is wrong with the value of a variable that libraries for signing in read, and what to
/// write instead; nothing for any other variable. No text contains the value.
///
/// The names are those of `@convex-dev/auth`. What `@convex-dev/better-auth` keeps under the same
/// names has its own form, and is accepted.
#[must_use]
pub fn misfit(name: &str, value: &str) -> Option<String> {
    match name {
        "JWT_PRIVATE_KEY" => private_key(value),
        "JWKS" => jwks(value).map(|problem| {
            format!("{problem} Set the key set that provider::convex::jwks computes from the private key.")
        }),
        "SITE_URL" | "CUSTOM_AUTH_SITE_URL" | "CONVEX_SITE_ORIGIN" => {
            value.parse::<PageUrl>().err().map(|it| it.to_string())
        }
        _ => None,
    }
}

/// [`AuthKeys::parse`] reads more than token libraries do, which decode all between the first and
/// the last line, and want the first line at the very beginning.
fn private_key(value: &str) -> Option<String> {
    match AuthKeys::parse(value) {
        Err(error) => Some(error.to_string()),
        Ok(_) if value.contains('\\') => Some(
            r#"The private key contains the two characters `\n` instead of line breaks, and token libraries do not read that. Give it with line breaks, as replace(key, "\\n", "\n") makes them."#
                .to_owned(),
        ),
        Ok(_) if !value.starts_with(BEGINNING) => Some(
            "The private key begins with blanks or line breaks, and token libraries do not read that. Remove them, as trimspace(key) does."
                .to_owned(),
        ),
        Ok(_) => None,
    }
}

fn jwks(value: &str) -> Option<&'static str> {
    // A provider of tokens can also be given the address of its key set.
    if ["https://", "http://", "data:"]
        .iter()
        .any(|scheme| value.starts_with(scheme))
    {
        return None;
    }
    let Ok(set) = serde_json::from_str::<Value>(value) else {
        return Some("The key set is not valid JSON.");
    };
    let keys = match &set {
        Value::String(_) => return Some("The key set is encoded as JSON twice."),
        Value::Array(rows) => rows,
        set => match set["keys"].as_array() {
            Some(keys) => keys,
            None => return Some("The value has no list `keys`, so it is not a key set."),
        },
    };
    if keys.is_empty() {
        Some("The key set is empty, so no sign-in token is accepted.")
    } else if keys.iter().any(|key| key.get("d").is_some()) {
        Some(
            "The key set contains a private key, and the deployment shows its key set to everybody.",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::misfit;
    use crate::convex::auth_keys::{AuthKeys, KeySize};

    /// A word that no message may repeat.
    const CANARY: &str = "hunter2";

    #[test]
    fn what_libraries_read_is_no_misfit() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        for (name, good) in [
            ("JWT_PRIVATE_KEY", keys.private_key_pem().expose()),
            ("JWT_PRIVATE_KEY", keys.private_key_single_line().expose()),
            ("JWKS", keys.jwks().as_str()),
            ("JWKS", r#"[{"id":"a","publicKey":"{}","privateKey":"00"}]"#),
            ("JWKS", "https://issuer.example/.well-known/jwks.json"),
            ("JWKS", "data:application/json;base64,e30="),
            ("SITE_URL", "https://app.example.com"),
            ("SITE_URL", "myapp://home"),
            ("JWT_ISSUER", "my-app"),
            ("ANYTHING", "app.example.com"),
        ] {
            assert_eq!(misfit(name, good), None, "{name}={good}");
        }
    }

    #[test]
    fn each_known_form_has_its_traps() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let (pem, public) = (keys.private_key_pem(), keys.public_key_pem());
        let pem = pem.expose();
        let ec = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n";
        let named =
            |name: &'static str, says: &'static str, value: &str| (name, value.to_owned(), says);
        let key = |says, value: &str| named("JWT_PRIVATE_KEY", says, value);
        for (name, bad, says) in [
            key("two characters `\\n`", &pem.replace('\n', "\\n")),
            key("begins with blanks", &format!("\n{pem}")),
            key("quotation marks", &format!("{pem:?}")),
            key("base64decode", &STANDARD.encode(pem)),
            key("PKCS#1", &pem.replace("PRIVATE", "RSA PRIVATE")),
            key("elliptic curve", ec),
            key("public key", &public),
            key("path of a file", "./key.pem"),
            key("single PEM block", CANARY),
            key("empty", ""),
            named("JWKS", "empty", r#"{"keys":[]}"#),
            named("JWKS", "empty", "[]"),
            named("JWKS", "`keys`", "{}"),
            named("JWKS", "twice", r#""{\"keys\":[]}""#),
            named("JWKS", "not valid JSON", CANARY),
            named("JWKS", "private key", r#"{"keys":[{"d":"hunter2"}]}"#),
            named("SITE_URL", "no scheme", "hunter2.example.com"),
            named("CUSTOM_AUTH_SITE_URL", "no scheme", "localhost:3211"),
            named("SITE_URL", "empty", ""),
            named("CONVEX_SITE_ORIGIN", "blanks", "https://a.example "),
        ] {
            let problem = misfit(name, &bad).unwrap_or_else(|| panic!("{name}={bad}"));
            assert!(problem.contains(says), "{name}: {problem}");
            assert!(!problem.contains(CANARY), "{problem}");
        }
    }
}
