//! Which release runs, and what a change of it must not do.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{
    history::{Image, downgrade, open_order, order},
    images::{BACKEND_IMAGE, DASHBOARD_IMAGE},
    model::{Model, NetworkModel, PerContainer},
    network::Network,
    settings::tag,
    whereabouts::is_another,
};
use crate::{
    convex::process_env::RELEASE,
    plugin::{
        Diagnostic, Known, Plan,
        schema::{Attr, Fields, Group, Planned, boolean, object, string},
        value::Path,
    },
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
        .filter(|_| !is_another(plan));
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
        && changes
    {
        let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
        match Image::named(wanted).compare(&Image::named(had)) {
            Some(Ordering::Less) => plan.report(downgrade(had, wanted, &prior.name, allowed)),
            Some(_) => {}
            None => plan.report(open_order(had, wanted, &prior.name)),
        }
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
    use super::{Diagnostic, check_pair};
    use crate::plugin::Severity;

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
