use std::cmp::Ordering::{Equal, Greater, Less};

use super::{Image, Release, Verdict, downgrade, judge, last, read, remember};
use crate::{
    plugin::Severity,
    runtime::docker::{Credentials, ImageFacts},
};

const JUNE: &str = "get-convex/backend:903b8b96c4bceb34c62e366cf36e8f4774955e6b";
const FEBRUARY: &str = "get-convex/backend:5f66740ae8dd506577d27294adc55b81e4fbe91b";

fn facts(id: &str, built: Option<&str>, revision: Option<&str>) -> ImageFacts {
    ImageFacts {
        id: id.to_owned(),
        built: built.map(str::to_owned),
        labelled: false,
        revision: revision.map(str::to_owned),
    }
}

/// A tag that is a revision.
fn revision(digit: &str) -> String {
    format!("get-convex/backend:{}", digit.repeat(40))
}

#[test]
fn dates_and_numbers_are_compared_and_revisions_are_not() {
    let compare = |now, was| Image::named(now).compare(&Image::named(was));
    for (now, was) in [
        ("a:2025-01-02", "a:2025-01-10"),
        ("a:v1.9.0", "a:v1.10.0"),
        ("a:7", "b:8"),
        // By the table of known releases, under whatever name.
        (FEBRUARY, JUNE),
        (
            FEBRUARY,
            "mirror/b:903b8b96c4bceb34c62e366cf36e8f4774955e6b",
        ),
    ] {
        assert_eq!(compare(now, was), Some(Less), "{now} {was}");
        assert_eq!(compare(was, now), Some(Greater), "{now} {was}");
        assert_eq!(compare(now, now), Some(Equal), "{now}");
    }
    for (now, was) in [
        ("a:1.0", "a:1.0.1"),
        ("a:latest", "a:2"),
        ("a", "a:2"),
        ("a:1", &*revision("1")),
        (&*revision("1"), &*revision("2")),
        (JUNE, &*revision("2")),
    ] {
        assert_eq!(compare(now, was), None, "{now} {was}");
        assert_eq!(compare(was, now), None, "{now} {was}");
    }
}

#[test]
fn what_was_built_in_one_moment_can_be_of_any_order() {
    let at = Some("2026-10-07T10:00:00");
    let (blue, green) = (facts("blue", at, None), facts("green", at, None));
    let [blue, green] =
        [("a:blue", &blue), ("a:green", &green)].map(|(name, it)| Image::of(name, Some(it)));
    assert_eq!(blue.compare(&green), None);
    assert_eq!(blue.compare(&blue), Some(Equal));
}

#[test]
fn official_images_are_as_old_as_they_were_built() {
    let (old, new) = (revision("f"), revision("0"));
    let ran = remember(
        Vec::new(),
        &new,
        Some(&facts("new", Some("2026-10-07T10:00:00"), None)),
    );
    let judged = |image: &str, facts: &ImageFacts| match judge(&ran, &Image::of(image, Some(facts)))
    {
        Verdict::Newest => None,
        Verdict::Older(was) => Some((Less, was.to_owned())),
        Verdict::Unknown(was) => Some((Equal, was.to_owned())),
    };
    // Never on this volume, and older.
    let built = |at| facts("old", at, None);
    let older = Some((Less, new.clone()));
    assert_eq!(judged(&old, &built(Some("2026-06-26T10:00:00"))), older);
    assert_eq!(judged(JUNE, &built(None)), older, "by the table");
    assert_eq!(judged(&old, &built(Some("2026-11-01T10:00:00"))), None);
    // Built in a way that gives no date.
    assert_eq!(judged(&old, &built(None)), Some((Equal, new.clone())));
    // Built anew, from the same revision.
    let again = facts("again", Some("2026-01-01T00:00:00"), Some(&"0".repeat(40)));
    assert_eq!(judged("own/backend:blue", &again), None);
}

/// Whether an image of this name and build may be older than one that ran.
fn verdict(ran: (&str, &ImageFacts), now: (&str, &ImageFacts)) -> &'static str {
    let ran = remember(Vec::new(), ran.0, Some(ran.1));
    match judge(&ran, &Image::of(now.0, Some(now.1))) {
        Verdict::Newest => "newest",
        Verdict::Older(_) => "older",
        Verdict::Unknown(_) => "unknown",
    }
}

#[test]
fn a_rebuild_tells_nothing_of_the_age_of_other_repositories_images() {
    let built = |id, at| facts(id, Some(at), None);
    let rebuilt = built("rebuilt", "2026-11-20T10:00:00");
    let official = built("official", "2026-10-07T10:00:00");
    let ran = ("own/backend:blue", &rebuilt);
    let october = revision("a");
    assert_eq!(verdict(ran, (&october, &official)), "unknown");
    assert_eq!(verdict((&october, &official), ran), "unknown");
    // Neither does the day of a known release.
    assert_eq!(verdict(ran, (JUNE, &official)), "unknown");
    assert_eq!(verdict(ran, ("own/backend:green", &official)), "older");
    // IDs are no names of a repository.
    let (a, b) = ("sha256:0a", "sha256:0b");
    assert_eq!(verdict((a, &rebuilt), (b, &official)), "unknown");
    // Labels stay when others build on an image.
    let labelled = |facts: &ImageFacts| ImageFacts {
        labelled: true,
        ..facts.clone()
    };
    let (labelled, other) = (labelled(&rebuilt), labelled(&official));
    let ran = ("own/backend:blue", &labelled);
    assert_eq!(verdict(ran, (&october, &other)), "older");
    assert_eq!(verdict(ran, (&october, &official)), "unknown");
}

#[test]
fn known_releases_come_before_builds() {
    let late = facts("late", Some("2026-11-20T10:00:00"), None);
    let early = facts("early", Some("2026-01-01T10:00:00"), None);
    assert_eq!(verdict((JUNE, &early), (FEBRUARY, &late)), "older");
    assert_eq!(verdict((FEBRUARY, &late), (JUNE, &early)), "newest");
    let june = JUNE.split_once(':').map(|it| it.1);
    let labelled = facts("own", Some("2026-01-01T10:00:00"), june);
    let own = ("own/backend:blue", &labelled);
    assert_eq!(verdict(own, (FEBRUARY, &late)), "older", "by its label");
}

#[test]
fn the_release_that_ran_last_may_go_back_to_its_other_image() {
    let mirrored = JUNE.replace("get-convex", "mirror");
    let official = facts("one", None, None);
    let rebuilt = facts("two", None, Some("the revision of a Dockerfile"));
    let first = remember(Vec::new(), FEBRUARY, None);
    let ran = remember(first, JUNE, Some(&official));
    let ran = remember(ran, &mirrored, Some(&rebuilt));
    let back = Image::of(JUNE, Some(&official));
    assert_eq!(judge(&ran, &back), Verdict::Newest);
    assert_eq!(
        judge(&ran, &Image::named(FEBRUARY)),
        Verdict::Older(&mirrored)
    );
    // The one that runs now is the last.
    let ran = remember(ran, JUNE, Some(&official));
    let names: Vec<_> = ran.iter().map(|it| it.image.as_str()).collect();
    assert_eq!(names, [FEBRUARY, &mirrored, JUNE]);
}

#[test]
fn what_has_run_is_remembered_in_its_order() {
    let note = |all, image: &str| remember(all, image, None);
    let releases = note(note(Vec::new(), "a"), "b");
    assert_eq!(judge(&releases, &Image::named("a")), Verdict::Older("b"));
    // A downgrade was allowed once.
    let releases = note(releases, "a");
    assert_eq!(releases.len(), 2);
    assert_eq!(last(releases.clone()).unwrap().image, "a");
    assert_eq!(judge(&releases, &Image::named("a")), Verdict::Newest);
    assert_eq!(judge(&releases, &Image::named("b")), Verdict::Newest);
    assert_eq!(judge(&releases, &Image::named("c")), Verdict::Unknown("b"));
    assert_eq!(judge(&[], &Image::named("c")), Verdict::Newest);
    let many = (0..40).fold(Vec::new(), |all, n| note(all, &n.to_string()));
    assert_eq!((many.len(), many[0].image.as_str()), (16, "24"));
    assert_eq!(
        downgrade("b", "a", "app", true).severity(),
        Severity::Warning
    );
}

/// What a volume has from before IDs were noted is still read.
#[test]
fn an_image_is_known_by_its_id_where_that_was_noted() {
    let noted = r#"[{"image":"hub/a:1","since":1},{"image":"hub/a:2","since":2}]"#;
    let noted: Vec<Release> = serde_json::from_str(noted).unwrap();
    let of = |id| facts(id, None, None);
    let releases = remember(noted, "hub/a:2", Some(&of("two")));
    assert_eq!(
        (releases.len(), releases[1].id.as_deref()),
        (2, Some("two"))
    );
    // Another name of what ran last, and of what ran before it.
    let judged = |image: &str, id| {
        let facts = of(id);
        judge(&releases, &Image::of(image, Some(&facts))) == Verdict::Older("hub/a:2")
    };
    assert!(!judged("mirror/a:1", "two"));
    assert!(judged("mirror/a:1", "one"));
    // A name that is another image by now is another release.
    let moved = remember(releases.clone(), "hub/a:2", Some(&of("three")));
    assert_eq!(moved.len(), 3);
    let two = of("two");
    let older = judge(&moved, &Image::of("hub/a:2", Some(&two)));
    assert_eq!(older, Verdict::Older("hub/a:2"));
}

#[test]
fn a_list_that_cannot_be_read_is_not_an_empty_one() {
    let stored = |text: Option<&str>| Credentials {
        releases: text.map(Into::into),
        ..Credentials::default()
    };
    assert_eq!(read(&stored(None)), Ok(Vec::new()));
    assert_eq!(read(&stored(Some("[]"))), Ok(Vec::new()));
    for text in [
        "[",
        "{}",
        r#"[{"image":"a"}]"#,
        r#"[{"image":"a","since":1}"#,
    ] {
        assert!(read(&stored(Some(text))).is_err(), "{text}");
    }
}
