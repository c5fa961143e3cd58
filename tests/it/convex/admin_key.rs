//! Admin keys, held to keys of the upstream generator.

use serde::Deserialize;
use terraform_provider_convex::convex::admin_key::{AdminKey, Claims, Identity, OpenError};
use terraform_provider_convex::convex::admin_key::{open, seal};
use terraform_provider_convex::convex::{Access, InstanceName, InstanceSecret};

#[derive(Deserialize)]
struct Vectors {
    encode: Vec<Encode>,
    issued_by_reference: Vec<Issued>,
}

#[derive(Deserialize)]
struct Encode {
    instance_name: InstanceText,
    instance_secret: String,
    nonce: String,
    issued_s: u64,
    member_id: u64,
    read_only: bool,
    admin_key: String,
}

#[derive(Deserialize)]
struct Issued {
    instance_name: InstanceText,
    instance_secret: String,
    admin_key: String,
    identity: String,
}

type InstanceText = String;

fn vectors() -> Vectors {
    let vectors: Vectors = serde_json::from_str(include_str!("data/admin_keys.json")).unwrap();
    assert_eq!(
        (vectors.encode.len(), vectors.issued_by_reference.len()),
        (4, 24)
    );
    vectors
}

/// Every vector as key, name, secret and what the key says, where that is known.
fn all() -> impl Iterator<
    Item = (
        AdminKey,
        String,
        InstanceSecret,
        Option<u64>,
        Identity,
        bool,
    ),
> {
    let Vectors {
        encode,
        issued_by_reference,
    } = vectors();
    let key = |text: &str| AdminKey::parse(text).unwrap();
    let secret = |text: &str| InstanceSecret::parse(text).unwrap();
    let encode = encode.into_iter().map(move |v| {
        let identity = Identity::Member(v.member_id);
        let secret = secret(&v.instance_secret);
        (
            key(&v.admin_key),
            v.instance_name,
            secret,
            Some(v.issued_s),
            identity,
            v.read_only,
        )
    });
    let issued = issued_by_reference.into_iter().map(move |v| {
        let identity = match v.identity.split_once(' ') {
            Some(("member", id)) => Identity::Member(id.parse().unwrap()),
            None if v.identity == "system" => Identity::System,
            _ => panic!("{}", v.identity),
        };
        let secret = secret(&v.instance_secret);
        (
            key(&v.admin_key),
            v.instance_name,
            secret,
            None,
            identity,
            false,
        )
    });
    encode.chain(issued)
}

#[test]
fn every_pinned_key_is_reproduced_byte_for_byte() {
    for v in vectors().encode {
        let claims = Claims {
            issued_s: v.issued_s,
            identity: Identity::Member(v.member_id),
            read_only: v.read_only,
        };
        let nonce: Vec<u8> = (0..v.nonce.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&v.nonce[at..at + 2], 16).unwrap())
            .collect();
        let name = InstanceName::parse(&v.instance_name).unwrap();
        let secret = InstanceSecret::parse(&v.instance_secret).unwrap();
        let key = seal(&name, &secret, &claims, nonce.try_into().unwrap()).unwrap();
        assert_eq!(key.expose(), v.admin_key);
    }
}

#[test]
fn every_reference_key_opens_and_says_what_it_should() {
    for (key, name, secret, issued_s, identity, read_only) in all() {
        let claims = open(&key, &secret).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.instance_name(), Some(name.as_str()));
        assert_eq!((claims.identity, claims.read_only), (identity, read_only));
        match issued_s {
            Some(issued_s) => assert_eq!(claims.issued_s, issued_s),
            None => assert!(claims.issued_s > 1_700_000_000, "{}", claims.issued_s),
        }
    }
}

#[test]
fn a_key_altered_in_any_digit_is_refused() {
    for (key, _, secret, ..) in all() {
        let text = key.expose();
        let hex = text.find('|').unwrap() + 1;
        for at in hex..text.len() {
            let digit = if text.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            let altered = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            let error = open(&AdminKey::parse(&altered).unwrap(), &secret).unwrap_err();
            let expected = if at < hex + 2 {
                matches!(error, OpenError::Version { .. })
            } else {
                error == OpenError::Refused
            };
            assert!(expected, "{altered}: {error}");
        }
    }
}

#[test]
fn a_key_cut_or_lengthened_is_refused() {
    for (key, _, secret, ..) in all() {
        let text = key.expose();
        for altered in [
            &text[..text.len() - 2],
            &text[..text.len() - 1],
            &format!("{text}00"),
        ] {
            assert!(
                open(&AdminKey::parse(altered).unwrap(), &secret).is_err(),
                "{altered}"
            );
        }
    }
}

#[test]
fn a_key_opens_with_its_own_secret_only() {
    let all: Vec<_> = all().collect();
    for (key, name, secret, ..) in &all {
        for (.., other, _, _, _) in &all {
            if other != secret {
                assert_eq!(open(key, other), Err(OpenError::Refused), "{name}");
            }
        }
    }
}

/// Pins the derivation of the nonce: a change here would change every key in every state.
#[test]
fn an_issued_key_never_changes_between_versions() {
    let name = InstanceName::parse("carnitas").unwrap();
    let secret = InstanceSecret::parse(&vectors().encode[0].instance_secret).unwrap();
    let issue = |access| AdminKey::issue(&name, &secret, access).unwrap();
    assert_eq!(
        issue(Access::Full).expose(),
        "carnitas|01649acd14a7dd13d17daa1dfd9620b2bc77dced845789a43a90bd26e98ecfefda5a456fed"
    );
    assert_eq!(
        issue(Access::ReadOnly).expose(),
        "carnitas|019372a159bcc936151e36e912297cb81e859c6fd04e4b19417108d04d06fad0a5e736a2c06623"
    );
}
