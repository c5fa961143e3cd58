//! Which release runs, and what a change of it must not do.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{
    images::{BACKEND_IMAGE, DASHBOARD_IMAGE},
    model::{Model, NetworkModel, PerContainer},
    network::Network,
    settings::tag,
};
use crate::{
    convex::{Secret, process_env::RELEASE},
    plugin::{
        Diagnostic, Known, Plan,
        schema::{Attr, Fields, Group, Planned, boolean, object, string},
        value::Path,
    },
    runtime::docker::Credentials,
};

/// What happens when an image changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeModel {
    pub snapshot: Option<bool>,
    pub path: Option<String>,
    pub policy: Option<String>,
}

impl UpgradeModel {
    /// Running containers are made anew from a new image.
    pub const REPLACE: &str = "replace";
    /// Running containers keep their image until they are stopped.
    pub const KEEP: &str = "keep";

    /// As it is where nothing is said.
    pub fn unsaid() -> Self {
        Self {
            snapshot: Some(false),
            path: None,
            policy: Some(Self::REPLACE.to_owned()),
        }
    }

    /// The schema.
    pub fn attribute() -> Attr<Planned, Group> {
        object(
            Fields::new()
                .with(
                    "snapshot",
                    boolean("Whether a snapshot of all documents and files is exported before a backend from another image gets the data. The image changes only once the snapshot is there; `last_snapshot` says where. For data that is stopped, the image that ran last is started once more. A snapshot has no functions, no variables and no keys. Default `false`.")
                        .optional()
                        .default(false),
                )
                .with(
                    "path",
                    string("Directory of the machine that runs Terraform to put snapshots into, with mode 0600. Default: `/convex/data/snapshots` on the volume.")
                        .optional(),
                )
                .with(
                    "policy",
                    string("What a new image means for containers that run: `replace` (default) makes them anew, `keep` lets them keep the image they have until the deployment is stopped and started.")
                        .optional()
                        .one_of(&[Self::REPLACE, Self::KEEP])
                        .default(Self::REPLACE),
                ),
            "What happens when the image of the backend changes.",
        )
        .optional()
        .filled()
    }
}

/// A release that has run on a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The image it was made from, as it was called.
    pub image: String,
    /// Docker's ID of that image, where it was noted.
    pub id: Option<String>,
    /// When it first ran, in seconds since 1970.
    pub since: u64,
}

impl Release {
    /// Whether it was made from this image, of which the ID may be known.
    fn is(&self, image: &str, id: Option<&str>) -> bool {
        match (self.id.as_deref(), id) {
            (Some(own), Some(id)) => own == id,
            _ => self.image == image,
        }
    }
}

/// The most releases that are remembered.
const REMEMBERED: usize = 16;

/// Adds the release that is about to run. The list is in the order of their
/// first runs.
pub fn remember(mut releases: Vec<Release>, image: &str, id: Option<&str>) -> Vec<Release> {
    let id = id.map(str::to_owned);
    let same = |it: &&mut Release| it.image == image && it.is(image, id.as_deref());
    if let Some(known) = releases.iter_mut().rev().find(same) {
        known.id = id.or(known.id.take());
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        releases.push(Release {
            image: image.to_owned(),
            id,
            since: now.map_or(0, |it| it.as_secs()),
        });
    }
    releases.split_off(releases.len().saturating_sub(REMEMBERED))
}

/// The releases that have run, as the volume has them.
pub fn read(stored: &Credentials) -> Vec<Release> {
    let text = stored.releases.as_ref().map(Secret::expose);
    text.and_then(|it| serde_json::from_str(it).ok())
        .unwrap_or_default()
}

/// The release that an image is older than, by when it ran or by its tag. The
/// image that ran last is older than none, whatever it is called now.
pub fn newer_than<'a>(releases: &'a [Release], image: &str, id: Option<&str>) -> Option<&'a str> {
    let last = releases.last()?;
    if id.is_some() && last.id.as_deref() == id {
        return None;
    }
    let by_tag = releases.iter().map(|it| it.image.as_str());
    later_than(releases, image, id).or_else(|| by_tag.rev().find(|it| is_older(image, it)))
}

/// The release that ran later than `image` did, should there be one: going on
/// with `image` is then a downgrade.
fn later_than<'a>(releases: &'a [Release], image: &str, id: Option<&str>) -> Option<&'a str> {
    let at = releases.iter().rposition(|it| it.is(image, id))?;
    let last = releases.last().filter(|_| at + 1 < releases.len())?;
    Some(&last.image)
}

/// The refusal of an older image.
pub fn downgrade(was: &str, now: &str, deployment: &str, allowed: bool) -> Diagnostic {
    let what = format!(
        "Deployment {deployment:?} has run {was}, and {now} is older. A newer backend migrates its data, and an older one does not know it: it starts with no more than a warning, and what it then does to the data is not defined."
    );
    let found = if allowed {
        Diagnostic::warning(
            "An older backend on newer data",
            format!("{what} allow_data_loss is true, so the change is made."),
        )
    } else {
        Diagnostic::error(
            "The backend cannot be downgraded",
            format!(
                "{what} Keep {was}. To go back, make another deployment with the older image and import a snapshot that it can read. To do it all the same, set allow_data_loss to true."
            ),
        )
    };
    found.at("backend.image")
}

/// Whether one image is an older release than another, where their tags tell.
pub fn is_older(now: &str, was: &str) -> bool {
    let number = |image: &str| tag(image).and_then(order);
    match (number(now), number(was)) {
        (Some(now), Some(was)) => now.len() == was.len() && now < was,
        _ => false,
    }
}

/// A tag that is a date or a number, as what orders as it does. A revision of
/// Git is neither, even if it should have no letter.
fn order(tag: &str) -> Option<Vec<u64>> {
    if tag.len() > 24 {
        return None;
    }
    let digits = tag.strip_prefix('v').unwrap_or(tag);
    digits
        .split(['.', '-'])
        .map(|part| part.parse().ok())
        .collect()
}

/// Whether two tags are of different releases, as far as they tell: both are
/// revisions of Git, or both are dates or numbers of the same form. A tag such as
/// `latest` or `blue` can be of any release.
fn differ(one: &str, other: &str) -> bool {
    let is_revision = |tag: &str| tag.len() >= 7 && tag.bytes().all(|it| it.is_ascii_hexdigit());
    if is_revision(one) && is_revision(other) {
        return !one.starts_with(other) && !other.starts_with(one);
    }
    match (order(one), order(other)) {
        (Some(a), Some(b)) => a.len() == b.len() && a != b,
        _ => false,
    }
}

/// An image in two: its repository, and its tag if it has one.
fn parts(image: &str) -> (&str, Option<&str>) {
    let name = image.split('@').next().unwrap_or(image);
    match tag(image) {
        Some(tag) => (
            name.strip_suffix(tag)
                .map_or(name, |it| it.trim_end_matches(':')),
            Some(tag),
        ),
        None => (name, None),
    }
}

/// What is wrong with a pair of images.
pub fn check_pair(backend: &str, dashboard: Option<&str>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let is_pinned =
        |image: &str| image.contains('@') || !matches!(parts(image).1, None | Some("latest"));
    // Each has words of its own, since Terraform folds alike warnings into one.
    for (path, summary, image) in [
        (
            "backend.image",
            "Which release of the backend is that?",
            Some(backend),
        ),
        (
            "dashboard.image",
            "Which release of the dashboard is that?",
            dashboard,
        ),
    ] {
        if let Some(image) = image.filter(|image| !is_pinned(image)) {
            found.push(
                Diagnostic::warning(
                    summary,
                    format!(
                        "{image} is a name that moves: what runs depends on when it was pulled, the host's copy is not renewed, and the same configuration may be another release elsewhere. A reviewer should ask which release is meant and whether the data has run a newer one. Pin a tag or a digest; image_digests says what runs now."
                    ),
                )
                .at(path),
            );
        }
    }
    let Some(dashboard) = dashboard else {
        return found;
    };
    let ((backend_name, Some(of_backend)), (dashboard_name, Some(of_dashboard))) =
        (parts(backend), parts(dashboard))
    else {
        return found;
    };
    if !differ(of_backend, of_dashboard) {
        return found;
    }
    let official = backend_name == BACKEND_IMAGE && dashboard_name == DASHBOARD_IMAGE;
    let detail = format!(
        "The backend is of release {of_backend}, and the dashboard of release {of_dashboard}. A dashboard calls functions that the backend of its own release has. Give both images the same tag."
    );
    let summary = "Backend and dashboard are of different releases";
    let diagnostic = if official {
        Diagnostic::error(summary, detail)
    } else {
        Diagnostic::warning(summary, detail)
    };
    found.push(diagnostic.at("dashboard.image"));
    found
}

/// Looks at the images of a plan, and plans which ones running containers keep.
pub fn plan_images(plan: &mut Plan<'_>) {
    let planned = |plan: &Plan<'_>, path: &str| plan.planned::<Option<String>>(path);
    let prior = plan
        .prior::<Model>(Path::root())
        .filter(|_| !plan.changes("name"));
    let keeps =
        planned(plan, "upgrade.policy") == Known::Known(Some(UpgradeModel::KEEP.to_owned()));
    let runs = plan.planned::<Option<bool>>("running") == Known::Known(Some(true))
        && (!plan.config().has("network") || !plan.changes("network.container"));
    let backend = planned(plan, "backend.image").known().flatten();
    let dashboard = planned(plan, "dashboard.image").known().flatten();
    let mut kept = PerContainer::default();
    if let Some(prior) = prior.as_ref().filter(|_| keeps && runs) {
        let ids = prior.container_ids.clone().unwrap_or_default();
        let had = prior.images();
        let keep = |id: Option<String>, had: Option<String>, wanted: &Option<String>| {
            had.filter(|had| id.is_some() && wanted.as_ref() != Some(had))
        };
        kept.backend = keep(ids.backend, had.backend, &backend);
        kept.dashboard = keep(ids.dashboard, had.dashboard, &dashboard);
    }
    plan.set(
        "kept_images",
        &(kept != PerContainer::default()).then_some(&kept),
    );
    let kept_before = prior.as_ref().and_then(|it| it.kept_images.clone());
    if let Some(image) = kept
        .backend
        .as_ref()
        .filter(|_| kept_before.as_ref() != Some(&kept))
    {
        plan.report(
            Diagnostic::warning(
                "The running backend keeps its image",
                format!(
                    "upgrade.policy is \"keep\": the deployment goes on with {image} until it is stopped and started."
                ),
            )
            .at("backend.image"),
        );
    }
    let new = plan.creates() || plan.changes("backend.image") || plan.changes("dashboard.image");
    if let Some(backend) = backend.as_ref().filter(|_| new) {
        let enabled =
            plan.planned::<Option<bool>>("dashboard.enabled") != Known::Known(Some(false));
        for diagnostic in check_pair(backend, dashboard.as_deref().filter(|_| enabled)) {
            plan.report(diagnostic);
        }
    }
    let had = prior.as_ref().and_then(|it| it.images().backend);
    let wanted = kept.backend.clone().or(backend);
    let changes = had.is_some() && had != wanted;
    // Of data that is stopped it is asked once the backend runs again.
    if changes || plan.changes(Path::of("backend.env").key(RELEASE)) {
        plan.set_unknown("version");
    }
    if let (Some(prior), Some(had), Some(wanted)) = (&prior, &had, &wanted)
        && is_older(wanted, had)
    {
        let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
        plan.report(downgrade(had, wanted, &prior.name, allowed));
    }
    let ran = prior
        .and_then(|it| it.container_ids)
        .is_some_and(|it| it.backend.is_some());
    let snapshot = plan.planned::<Option<bool>>("upgrade.snapshot") != Known::Known(Some(false));
    // What has run on data that is stopped, only its volume knows.
    let has_network = match plan.planned::<Option<NetworkModel>>("network") {
        Known::Known(network) => Network::of(network.as_ref(), None).is_there(),
        Known::Unknown => true,
    };
    let runs = has_network && plan.planned::<Option<bool>>("running") != Known::Known(Some(false));
    if snapshot && runs && (!ran || changes) {
        plan.set_unknown("last_snapshot");
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, check_pair, downgrade, is_older, newer_than, remember};
    use crate::plugin::Severity;

    #[test]
    fn dates_and_numbers_are_compared_and_revisions_are_not() {
        for (now, was) in [
            ("a:2025-01-02", "a:2025-01-10"),
            ("a:v1.9.0", "a:v1.10.0"),
            ("a:7", "b:8"),
        ] {
            assert!(is_older(now, was) && !is_older(was, now), "{now} {was}");
        }
        let revision = "1".repeat(40);
        for (now, was) in [
            ("a:1.0", "a:1.0.1"),
            ("a:latest", "a:2"),
            ("a", "a:2"),
            ("a:1", &*format!("a:{revision}")),
        ] {
            assert!(!is_older(now, was) && !is_older(was, now), "{now} {was}");
        }
    }

    #[test]
    fn what_has_run_is_remembered_in_its_order() {
        let note = |all, image: &str| remember(all, image, None);
        let releases = note(note(note(Vec::new(), "a"), "b"), "a");
        assert_eq!(releases.len(), 2);
        assert_eq!(newer_than(&releases, "a", None), Some("b"));
        assert_eq!(newer_than(&releases, "b", None), None);
        assert_eq!(newer_than(&releases, "c", None), None);
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
        let noted = serde_json::from_str(noted).unwrap();
        let releases = remember(noted, "hub/a:2", Some("two"));
        assert_eq!(
            (releases.len(), releases[1].id.as_deref()),
            (2, Some("two"))
        );
        // Another name of what ran last, and of what ran before it.
        let newer = |image, id| newer_than(&releases, image, Some(id));
        assert_eq!(newer("mirror/a:1", "two"), None);
        assert_eq!(newer("mirror/a:1", "one"), Some("hub/a:2"));
        // A name that is another image by now is another release.
        let moved = remember(releases.clone(), "hub/a:2", Some("three"));
        assert_eq!(moved.len(), 3);
        assert_eq!(newer_than(&moved, "hub/a:2", Some("two")), Some("hub/a:2"));
    }

    #[test]
    fn official_images_are_of_one_release() {
        let image = |name: &str, tag: &str| format!("ghcr.io/get-convex/convex-{name}:{tag}");
        let check = |backend: &str, dashboard: &str| {
            let found = check_pair(backend, Some(dashboard));
            found.iter().map(Diagnostic::severity).collect::<Vec<_>>()
        };
        let (a, b) = (&"a".repeat(40), &"b".repeat(40));
        assert!(check(&image("backend", a), &image("dashboard", a)).is_empty());
        assert_eq!(
            check(&image("backend", a), &image("dashboard", b)),
            [Severity::Error]
        );
        assert_eq!(
            check(&format!("own/backend:{a}"), &image("dashboard", b)),
            [Severity::Warning]
        );
        assert_eq!(
            check("own/backend:1.2", "own/dashboard:1.3"),
            [Severity::Warning]
        );
        // Tags that name no release tell nothing.
        assert!(check("own/backend:blue", "own/dashboard:green").is_empty());
        assert!(check(&image("backend", &a[..9]), &image("dashboard", a)).is_empty());
        assert!(check("own/backend:1.2", &image("dashboard", a)).is_empty());
        let latest = check(&image("backend", "latest"), "own/dashboard");
        assert_eq!(latest, [Severity::Warning; 2]);
        assert!(check("own/backend@sha256:00", "own/dashboard@sha256:00").is_empty());
        assert!(check_pair("own/backend:a", None).is_empty());
    }
}
