//! Admin keys, held to keys that a real generator issued.

use convex_standin::admin_key::{AdminKey, Principal, Rejected};
use convex_standin::secret::{BadSecret, InstanceSecret};
use serde::Deserialize;

use crate::support::backend::{admin_key, binary};
use crate::support::{SECRET, data, run};

#[derive(Deserialize)]
struct Vectors {
    encode: Vec<Pinned>,
    issued_by_reference: Vec<Issued>,
}

#[derive(Deserialize)]
struct Pinned {
    instance_name: String,
    instance_secret: String,
    nonce: String,
    issued_s: u64,
    member_id: u64,
    read_only: bool,
    admin_key: String,
}

#[derive(Deserialize)]
struct Issued {
    instance_name: String,
    instance_secret: String,
    admin_key: String,
    identity: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(&data("admin_keys.json")).unwrap()
}

fn secret(text: &str) -> InstanceSecret {
    text.parse().unwrap()
}

#[test]
fn pinned_keys_are_made_byte_for_byte() {
    let vectors = vectors();
    assert_eq!(vectors.encode.len(), 4);
    for pinned in vectors.encode {
        let key = AdminKey {
            issued_s: pinned.issued_s,
            principal: Principal::Member(pinned.member_id),
            read_only: pinned.read_only,
        };
        let secret = secret(&pinned.instance_secret);
        let nonce = hex::decode(&pinned.nonce).unwrap().try_into().unwrap();
        assert_eq!(
            key.seal(&pinned.instance_name, &secret, nonce),
            pinned.admin_key
        );
        assert_eq!(
            AdminKey::open(&pinned.admin_key, &pinned.instance_name, &secret),
            Ok(key)
        );
    }
}

#[test]
fn keys_of_the_reference_are_understood() {
    let vectors = vectors();
    assert_eq!(vectors.issued_by_reference.len(), 24);
    for issued in vectors.issued_by_reference {
        let key = AdminKey::open(
            &issued.admin_key,
            &issued.instance_name,
            &secret(&issued.instance_secret),
        )
        .unwrap();
        let identity = match key.principal {
            Principal::Member(number) => format!("member {number}"),
            Principal::System => "system".into(),
        };
        assert_eq!(identity, issued.identity);
        assert!(!key.read_only);
        assert!(key.issued_s > 1_700_000_000);
    }
}

#[test]
fn a_key_that_is_not_right_in_every_part_is_rejected() {
    let Pinned {
        admin_key,
        instance_name,
        instance_secret,
        ..
    } = vectors().encode.remove(0);
    let secret = secret(&instance_secret);
    let open = |key: &str| AdminKey::open(key, &instance_name, &secret).map(drop);
    assert_eq!(open(&admin_key), Ok(()));
    assert_eq!(open(&format!("prod:{admin_key}")), Ok(()));
    let (name, sealed) = admin_key.split_once('|').unwrap();
    for wrong in [
        sealed.to_owned(),
        format!("{name}|"),
        format!("{name}x|{sealed}"),
        format!("{name}|02{}", &sealed[2..]),
        format!("{name}|{}", &sealed[..sealed.len() - 2]),
        format!("{name}|{}", sealed.replace('0', "1")),
        format!("{name}|{sealed}zz"),
    ] {
        assert_eq!(open(&wrong), Err(Rejected), "{wrong}");
    }
    // A key without a time of issue is none, though it is sealed as it should be.
    let timeless = AdminKey {
        issued_s: 0,
        principal: Principal::Member(0),
        read_only: false,
    };
    assert_eq!(open(&timeless.seal(name, &secret, [7; 12])), Err(Rejected));
}

#[test]
fn a_secret_is_32_bytes_and_stays_hidden() {
    assert_eq!(format!("{:?}", secret(SECRET)), "InstanceSecret(***)");
    assert_eq!(
        "xyz".parse::<InstanceSecret>().unwrap_err(),
        BadSecret::NotHex
    );
    assert_eq!(
        SECRET[2..].parse::<InstanceSecret>().unwrap_err(),
        BadSecret::Length(31)
    );
}

#[test]
fn the_binary_generates_keys_and_prints_nothing_else() {
    let key = admin_key("app", SECRET);
    assert_eq!(
        AdminKey::open(&key, "app", &secret(SECRET))
            .unwrap()
            .principal,
        Principal::Member(0)
    );
    assert_ne!(key, admin_key("app", SECRET));

    let mut command = binary();
    command.args([
        "keygen",
        "admin-key",
        "--instance-name",
        "app",
        "--instance-secret",
        "beef",
    ]);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "Error: Hex-decoded key was 2 bytes, not 32\n"
    );
    assert!(output.stdout.is_empty());
}
