//! The PEM form of a private key, read as tolerantly as can be done without guessing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::pem::Instead;
use super::AuthKeyError;

/// The label of a PKCS#8 private key.
pub(super) const PRIVATE: &str = "PRIVATE KEY";
/// The label of a public key of any kind.
pub(super) const PUBLIC: &str = "PUBLIC KEY";

const END: &str = "-----END PRIVATE KEY-----";

/// The encoded identifiers of the kinds of keys, as they stand in a PKCS#8 structure.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];

/// How far into a PKCS#8 structure the identifier reaches: two headers, a version and itself.
const IDENTIFIER_WITHIN: usize = 32;

/// The PEM block with this label, in lines of 64 characters and with a line break at the end.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    // Reserved at once, so that no copy of a private key stays behind where the text grows.
    let mut pem = String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 40);
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

/// The DER bytes of the one PEM block `PRIVATE KEY` the text consists of.
pub(super) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, AuthKeyError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AuthKeyError::Empty);
    }
    let (label, rest) = text
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.split_once("-----"))
        .ok_or_else(|| Instead::of(text).map_or(AuthKeyError::NotPem, AuthKeyError::Instead))?;
    match label {
        "PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(AuthKeyError::Encrypted),
        "RSA PRIVATE KEY" if rest.contains("ENCRYPTED") => return Err(AuthKeyError::Encrypted),
        "RSA PRIVATE KEY" => return Err(AuthKeyError::Pkcs1),
        "EC PRIVATE KEY" | "EC PARAMETERS" => return Err(AuthKeyError::EllipticCurve),
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => return Err(AuthKeyError::Public),
        _ => return Err(AuthKeyError::OtherKind),
    }
    let rest = rest.strip_suffix("\\n").unwrap_or(rest);
    let body = rest.strip_suffix(END).ok_or(AuthKeyError::NotPem)?;
    let body = Zeroizing::new(body.replace("\\r", "").replace("\\n", ""));
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    if body.contains("-----") {
        return Err(AuthKeyError::NotPem);
    }
    STANDARD
        .decode(body.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| AuthKeyError::Damaged)
}

/// The likely reason why a structure is no RSA key.
pub(super) fn why_rejected(pkcs8: &[u8]) -> AuthKeyError {
    let head = &pkcs8[..pkcs8.len().min(IDENTIFIER_WITHIN)];
    let has = |identifier: &[u8]| {
        head.windows(identifier.len())
            .any(|found| found == identifier)
    };
    if has(EC_PUBLIC_KEY) {
        AuthKeyError::EllipticCurve
    } else if has(RSA_ENCRYPTION) || !is_pkcs8(head) {
        AuthKeyError::Damaged
    } else {
        AuthKeyError::OtherKind
    }
}

/// Whether the bytes begin as a PKCS#8 structure does: a sequence, then version 0, then a sequence.
fn is_pkcs8(head: &[u8]) -> bool {
    head.first() == Some(&0x30)
        && head
            .windows(4)
            .take(5)
            .any(|found| found == [2, 1, 0, 0x30])
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

    use super::super::{AuthKeys, KeySize};
    use super::*;

    fn refusal(text: &str) -> AuthKeyError {
        AuthKeys::parse(text).unwrap_err()
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            STANDARD.encode(der)
        )
    }

    #[test]
    fn labels_tell_what_a_block_is() {
        let cases = [
            ("RSA PRIVATE KEY", AuthKeyError::Pkcs1),
            ("EC PRIVATE KEY", AuthKeyError::EllipticCurve),
            ("ENCRYPTED PRIVATE KEY", AuthKeyError::Encrypted),
            ("PUBLIC KEY", AuthKeyError::Public),
            ("RSA PUBLIC KEY", AuthKeyError::Public),
            ("CERTIFICATE", AuthKeyError::Public),
            ("OPENSSH PRIVATE KEY", AuthKeyError::OtherKind),
        ];
        for (label, error) in cases {
            assert_eq!(refusal(&pem(label, b"any")), error, "{label}");
        }
        let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n";
        assert_eq!(refusal(encrypted), AuthKeyError::Encrypted);
    }

    #[test]
    fn the_structure_tells_what_a_key_is() {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        assert_eq!(
            refusal(&pem("PRIVATE KEY", ec.as_ref())),
            AuthKeyError::EllipticCurve
        );
        let ed = Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
        assert_eq!(
            refusal(&pem("PRIVATE KEY", ed.as_ref())),
            AuthKeyError::OtherKind
        );
    }

    #[test]
    fn what_is_cut_or_mixed_up_is_refused() {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let good = keys.private_key_pem();
        let good = good.expose();
        let lines: Vec<&str> = good.lines().collect();
        let without = |skipped: usize| {
            let kept = lines.iter().enumerate().filter(|(n, _)| *n != skipped);
            kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
        };
        let cases = [
            (String::new(), AuthKeyError::Empty),
            (" \n".to_owned(), AuthKeyError::Empty),
            ("hunter2".to_owned(), AuthKeyError::NotPem),
            (without(0), AuthKeyError::NotPem),
            (without(lines.len() - 1), AuthKeyError::NotPem),
            (without(5), AuthKeyError::Damaged),
            (format!("{good}{good}"), AuthKeyError::NotPem),
            (
                format!("\"{good}\""),
                AuthKeyError::Instead(Instead::Quoted),
            ),
            ("./key.pem".to_owned(), AuthKeyError::Instead(Instead::Path)),
            (
                STANDARD.encode(good),
                AuthKeyError::Instead(Instead::Base64),
            ),
            (good.replace('a', "!"), AuthKeyError::Damaged),
            (pem("PRIVATE KEY", b"any"), AuthKeyError::Damaged),
            (pem("PRIVATE KEY", b""), AuthKeyError::Damaged),
        ];
        for (text, error) in cases {
            assert_eq!(refusal(&text), error);
        }
    }
}
