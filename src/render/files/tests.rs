use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    convex::Secret,
    render::{dotenv::Entry, package_json::Additions},
};

type Directory = BTreeMap<String, (Vec<u8>, u32)>;

fn existing(directory: &Directory, path: &str) -> Existing {
    directory
        .get(path)
        .map_or(Existing::Absent, |(content, bits)| Existing::File {
            content: content.clone(),
            bits: *bits,
        })
}

fn carry_out(directory: &mut Directory, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Write {
                path,
                content,
                bits,
            } => {
                directory.insert(path.to_string(), (content.clone(), *bits));
            }
            Edit::Permit { path, bits } => directory.get_mut(path.as_str()).unwrap().1 = *bits,
        }
    }
}

fn text(policy: Policy, text: &str, mode: Mode) -> Desired {
    Desired {
        path: FilePath::known("f"),
        policy,
        body: Body::Text(text.to_owned()),
        mode,
    }
}

/// Applies once, and demands that a second time there is nothing to do.
#[track_caller]
fn apply(directory: &mut Directory, desired: &Desired, written: &mut Written) -> Action {
    let path = desired.path.as_str();
    let first = plan(desired, &existing(directory, path), written).unwrap();
    carry_out(directory, &first.edits);
    *written = first.written;
    let second = plan(desired, &existing(directory, path), written).unwrap();
    assert_eq!(
        second.edits,
        [],
        "{:?} after {:?}",
        second.action,
        first.action
    );
    assert_eq!(second.written, *written);
    first.action
}

fn file(directory: &Directory, path: &str) -> (String, u32) {
    let (content, bits) = &directory[path];
    (String::from_utf8(content.clone()).unwrap(), *bits)
}

#[test]
fn a_managed_file_follows_and_a_persons_change_is_set_aside() {
    let (mut directory, mut written) = (Directory::new(), Written::default());
    let wanted = |body| text(Policy::Managed, body, Mode::Program);
    assert_eq!(
        apply(&mut directory, &wanted("1"), &mut written),
        Action::Create
    );
    assert_eq!(file(&directory, "f"), ("1".to_owned(), 0o755));
    // A new release of ours.
    assert_eq!(
        apply(&mut directory, &wanted("2"), &mut written),
        Action::Repair
    );
    directory.get_mut("f").unwrap().0 = b"mine".to_vec();
    let to = FilePath::known("f").set_aside(&digest(b"mine"));
    let action = apply(&mut directory, &wanted("2"), &mut written);
    assert_eq!(action, Action::SetAside { to: to.clone() });
    assert_eq!(file(&directory, "f").0, "2");
    assert_eq!(file(&directory, to.as_str()).0, "mine");
    directory.get_mut("f").unwrap().1 = 0o640;
    assert_eq!(
        apply(&mut directory, &wanted("2"), &mut written),
        Action::Permit
    );
    assert_eq!(file(&directory, "f").1, 0o750);
}

#[test]
fn a_file_to_create_is_the_persons_once_it_exists() {
    let (mut directory, mut written) = (Directory::new(), Written::default());
    let wanted = text(Policy::Create, "1", Mode::Plain);
    assert_eq!(apply(&mut directory, &wanted, &mut written), Action::Create);
    directory.get_mut("f").unwrap().0 = b"mine".to_vec();
    assert_eq!(apply(&mut directory, &wanted, &mut written), Action::Keep);
    assert_eq!(file(&directory, "f").0, "mine");
    directory.clear();
    assert_eq!(apply(&mut directory, &wanted, &mut written), Action::Create);
}

#[test]
fn a_private_file_becomes_private_and_a_skipped_one_stays() {
    let mut directory = Directory::from([("f".to_owned(), (b"mine".to_vec(), 0o644))]);
    let mut written = Written::default();
    let wanted = |policy| text(policy, "1", Mode::Private);
    apply(&mut directory, &wanted(Policy::Skip), &mut written);
    assert_eq!(file(&directory, "f"), ("mine".to_owned(), 0o644));
    let action = apply(&mut directory, &wanted(Policy::Create), &mut written);
    assert_eq!(action, Action::Permit);
    assert_eq!(file(&directory, "f"), ("mine".to_owned(), 0o600));
}

fn variables(policy: Policy, value: &str) -> Desired {
    Desired {
        path: FilePath::known("f"),
        policy,
        body: Body::Variables {
            head: "# Head\n",
            entries: vec![Entry::new("A", "It.", value), Entry::new("B", "It.", "b")],
        },
        mode: Mode::Private,
    }
}

#[test]
fn a_variable_of_ours_follows_and_one_of_the_person_stays() {
    let (mut directory, mut written) = (Directory::new(), Written::default());
    apply(&mut directory, &variables(Policy::Merge, "1"), &mut written);
    assert_eq!(
        file(&directory, "f"),
        ("# Head\n\n# It.\nA=1\n\n# It.\nB=b\n".to_owned(), 0o600)
    );
    apply(&mut directory, &variables(Policy::Merge, "2"), &mut written);
    assert!(file(&directory, "f").0.contains("A=2\n"));
    assert!(written.is_whole(&directory["f"].0));
    let edited = file(&directory, "f").0.replace("A=2", "A=mine");
    directory.get_mut("f").unwrap().0 = edited.clone().into_bytes();
    let wanted = variables(Policy::Merge, "3");
    let plan = plan(&wanted, &existing(&directory, "f"), &written).unwrap();
    assert_eq!((plan.edits, plan.kept), (vec![], vec!["A".to_owned()]));
    apply(&mut directory, &wanted, &mut written);
    assert_eq!(file(&directory, "f").0, edited);
    assert!(!written.is_whole(&directory["f"].0));
}

#[test]
fn what_cannot_be_merged_is_refused_and_left() {
    let refused = |body: Body, content: &[u8]| {
        let existing = Existing::File {
            content: content.to_vec(),
            bits: 0o644,
        };
        let desired = Desired {
            body,
            ..text(Policy::Merge, "", Mode::Plain)
        };
        plan(&desired, &existing, &Written::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(Body::Text(String::new()), b"").contains("f: The file is of one piece"));
    let body = variables(Policy::Merge, "1").body;
    assert!(refused(body.clone(), b"\xff").contains("not UTF-8"));
    assert!(refused(body, b"hunter2").contains("Line 1 has no `=`"));
    let body = Body::Package {
        name: "a".to_owned(),
        additions: Additions::default(),
    };
    assert!(refused(body, b"{").contains("not JSON"));
}

#[test]
fn nothing_shows_a_content() {
    let edit = Edit::Write {
        path: FilePath::known("f"),
        content: b"hunter2".to_vec(),
        bits: 0o600,
    };
    assert_eq!(format!("{edit:?}"), "Write f, 7 bytes, 600");
    let existing = Existing::File {
        content: b"hunter2".to_vec(),
        bits: 0o600,
    };
    assert_eq!(format!("{existing:?}"), "File of 7 bytes, 600");
}

/// What a person may make of a file.
fn by_hand() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        "(A=[a-z]{0,2}\n|# [a-z]\n|a\n|\n|# === USER VARIABLES\n){0,4}"
            .prop_map(|it| Some(it.into_bytes())),
        Just(Some(b"{\n  \"scripts\": { \"x\": \"y\" }\n}".to_vec())),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(Some),
    ]
}

proptest! {
    /// A person and this program take turns. What the person last wrote is still there, in the
    /// file or beside it, and each run of the program is followed by one that does nothing.
    #[test]
    fn no_byte_of_a_person_is_ever_lost(
        turns in proptest::collection::vec((by_hand(), 0..3_u8), 1..4),
        kind in 0..6_usize,
        policy in prop_oneof![Just(Policy::Managed), Just(Policy::Create), Just(Policy::Merge)],
        mode in prop_oneof![Just(Mode::Plain), Just(Mode::Program), Just(Mode::Private)],
    ) {
        let (mut directory, mut written) = (Directory::new(), Written::default());
        for (edit, version) in turns {
            if let Some(content) = &edit {
                directory.insert("f".to_owned(), (content.clone(), 0o644));
            }
            let body = body(kind, version);
            let desired = Desired { path: FilePath::known("f"), policy, body, mode };
            let before = directory.clone();
            let Ok(planned) = plan(&desired, &existing(&directory, "f"), &written) else {
                prop_assert_eq!(&directory, &before);
                continue;
            };
            carry_out(&mut directory, &planned.edits);
            written = planned.written;
            let again = plan(&desired, &existing(&directory, "f"), &written).unwrap();
            prop_assert_eq!(again.edits, vec![]);
            prop_assert_eq!(&again.written, &written);
            if let Some(content) = edit {
                let found = directory.values().any(|(now, _)| is_within(&content, now));
                prop_assert!(found, "{:?} is lost: {:?}", content, directory);
            }
        }
    }
}

/// Each kind of body, in versions.
fn body(kind: usize, version: u8) -> Body {
    let entries = vec![
        Entry::new("A", "It.", format!("{version}")),
        Entry::new("B", "It.", "b"),
    ];
    match kind {
        0 => Body::Text(format!("text {version}")),
        1 => Body::Secret(Secret::from(format!("secret {version}"))),
        2 => Body::Variables {
            head: "# Head\n",
            entries,
        },
        3 => Body::DeploymentVariables {
            entries,
            own: BTreeMap::new(),
        },
        4 => Body::Ignored(&["a", "b"]),
        _ => Body::Package {
            name: "a".to_owned(),
            additions: Additions {
                scripts: vec![(format!("s{version}"), "x".to_owned())],
                ..Additions::default()
            },
        },
    }
}

/// Whether `whole` is `part` with something put in.
fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|it| whole.any(|other| other == it))
}
