use std::collections::BTreeMap;

use super::{Expected, Owner, claim, holder};
use crate::runtime::{Existing, Observed, docker::Credentials, labels};

fn owner(id: &str, place: &str) -> Owner {
    Owner {
        id: id.to_owned(),
        place: place.to_owned(),
    }
}

fn volume(label: Option<&Owner>) -> Existing {
    let label = label.map(|owner| (labels::OWNER.to_owned(), owner.label()));
    Existing {
        labels: label.into_iter().collect::<BTreeMap<_, _>>(),
        created: Some("2026-11-28T00:00:00Z".to_owned()),
    }
}

#[test]
fn the_record_has_the_last_word_on_who_has_a_deployment() {
    let (first, second) = (owner("1", "/a on x, workspace b"), owner("2", "/c"));
    let labelled = volume(Some(&first));
    assert_eq!(holder(None, Some(&labelled)), Some(first));
    assert_eq!(
        holder(Some(second.clone()), Some(&labelled)),
        Some(second.clone())
    );
    assert_eq!(holder(Some(second.clone()), None), Some(second));
    assert_eq!(holder(None, Some(&volume(None))), None);
}

#[test]
fn what_another_configuration_is_making_is_refused() {
    let (own, other) = (owner("1", "/a"), owner("2", "/b"));
    let observed = Observed {
        volume: Some(volume(Some(&other))),
        ..Observed::default()
    };
    let try_claim = |holder: &Owner, has_data| {
        let found = claim("app", &own, Some(holder), &observed, has_data);
        found.map_err(|problem| problem.detail().to_owned())
    };
    let refused = try_claim(&other, false).unwrap_err();
    assert!(
        refused.contains("just being made") && refused.contains("in /b"),
        "{refused}"
    );
    assert!(refused.contains("2026-11-28T00:00:00Z"), "{refused}");
    // Data without containers, and what an interrupted run of the same configuration has left.
    assert_eq!(try_claim(&other, true), Ok(()));
    assert_eq!(try_claim(&owner("3", "/a"), false), Ok(()));
    assert!(claim("app", &own, None, &observed, true).is_ok());
}

#[test]
fn the_volume_of_an_update_has_the_secret_that_the_state_has() {
    let (own, other) = (owner("1", "/a"), owner("2", "/b"));
    let secret = |digit: &str| digit.repeat(64);
    let expected = |secrets: &[&str]| Expected {
        owner: Some(own.clone()),
        secrets: secrets.iter().map(|it| secret(it).into()).collect(),
    };
    let stored = |digit: Option<&str>, owner: Option<&Owner>| Credentials {
        secret: digit.map(|it| secret(it).into()),
        record: owner.map(|owner| {
            let record = serde_json::json!({
                "origins": {}, "internal_origins": false, "secrets_in_state": true, "owner": owner,
            });
            record.to_string().into()
        }),
        ..Credentials::default()
    };
    let check = |secrets: &[&str], digit, owner| {
        let found = expected(secrets).check("deployment \"app\"", &stored(digit, owner));
        found.map_err(|problem| format!("{}: {}", problem.summary(), problem.detail()))
    };
    for (secrets, digit) in [
        (&["a"][..], Some("a")),
        // By a change that was interrupted.
        (&["a", "b"], Some("b")),
        // No backend has started on it, and the state keeps no secret.
        (&["a"], None),
        (&[], Some("c")),
    ] {
        assert_eq!(check(secrets, digit, Some(&own)), Ok(()), "{digit:?}");
    }
    for owner in [Some(&own), None] {
        let refused = check(&["a", "b"], Some("c"), owner).unwrap_err();
        let whose = owner.map_or("Nothing in it says", |_| "the configuration in /a");
        let secrets = [secret("a"), secret("b"), secret("c")];
        assert!(refused.contains("another instance secret"), "{refused}");
        assert!(refused.contains(whose), "{refused}");
        assert!(!secrets.iter().any(|it| refused.contains(it)), "{refused}");
    }
    // Who has the data answers first.
    let refused = check(&["a"], Some("c"), Some(&other)).unwrap_err();
    assert!(
        refused.starts_with("Another configuration has taken"),
        "{refused}"
    );
}
