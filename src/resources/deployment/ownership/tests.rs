use std::collections::BTreeMap;

use super::{Owner, claim, holder};
use crate::runtime::{Existing, Observed, labels};

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
