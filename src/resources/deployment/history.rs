//! Which releases have run on a volume, and whether an image is older than they are.
//!
//! A newer backend migrates the data, and an older one does not know what to do with it. Official
//! images are tagged with revisions of Git, which have no order of their own. What tells is, in
//! this order: what has run on the volume, tags that are numbers or dates, the table of known
//! releases, and when the images were built. If none of them does, the order is unknown, and a
//! warning says so.

use std::{
    cmp::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::settings::tag;
use crate::{
    convex::{Secret, tested::RELEASES},
    plugin::Diagnostic,
    runtime::docker::{Credentials, ImageFacts, same_repository},
};

/// A release that has run on a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The image it was made from, as it was called.
    pub image: String,
    /// Docker's ID of that image, where it was noted.
    pub id: Option<String>,
    /// When it first ran, in seconds since 1970.
    pub since: u64,
    /// When that image was built, where it was noted and the image tells.
    #[serde(default)]
    pub built: Option<String>,
    /// Whether that is what its label says.
    #[serde(default)]
    pub labelled: bool,
    /// The revision that image was built from, the same.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether it is the one that ran last, which after an allowed downgrade is not the newest.
    #[serde(default)]
    pub is_last: bool,
}

impl Release {
    fn as_image(&self) -> Image<'_> {
        Image {
            name: &self.image,
            id: self.id.as_deref(),
            built: self.built.as_deref(),
            labelled: self.labelled,
            revision: self.revision.as_deref(),
        }
    }
}

/// An image, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    name: &'a str,
    id: Option<&'a str>,
    built: Option<&'a str>,
    /// Whether that is what its label says.
    labelled: bool,
    revision: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// One of which only the name is known.
    pub fn named(name: &'a str) -> Self {
        Self {
            name,
            id: None,
            built: None,
            labelled: false,
            revision: None,
        }
    }

    /// One that the host has.
    pub fn of(name: &'a str, facts: Option<&'a ImageFacts>) -> Self {
        Self {
            name,
            id: facts.map(|it| it.id.as_str()),
            built: facts.and_then(|it| it.built.as_deref()),
            labelled: facts.is_some_and(|it| it.labelled),
            revision: facts.and_then(|it| it.revision.as_deref()),
        }
    }

    /// Whether both are one image: by their IDs, or where one is unknown, by their names.
    fn is(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(own), Some(other)) => own == other,
            _ => self.name == other.name,
        }
    }

    /// The label of a rebuild can be the revision of the files it was built with.
    fn revision(&self) -> Option<&'a str> {
        tag(self.name).filter(is_revision).or(self.revision)
    }

    /// The day of its release, if that is a known one.
    fn released(&self) -> Option<&'static str> {
        let revision = self.revision();
        let known = RELEASES.iter().find(|it| Some(it.revision) == revision);
        known.map(|it| it.day)
    }

    /// The day of its release, or on which it was built.
    fn day(&self) -> Option<&'a str> {
        self.released().or_else(|| self.built?.get(..10))
    }

    /// Whether both have one name, or differ in nothing but tag and digest.
    fn shares_repository(&self, other: &Self) -> bool {
        // An ID in the place of a name says nothing of where the image is from.
        !self.name.starts_with("sha256:") && same_repository(self.name, other.name)
    }

    /// How the age of one image compares to that of another; `None` where nothing tells.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let number = |it: &Self| tag(it.name).and_then(order);
        // A name that is another image by now is another release.
        let has_moved = self.name == other.name && !self.is(other);
        if let (Some(own), Some(other)) = (number(self), number(other))
            && own.len() == other.len()
            && !has_moved
        {
            return Some(own.cmp(&other));
        }
        if self.is(other) || self.revision().is_some() && self.revision() == other.revision() {
            return Some(Ordering::Equal);
        }
        // Two releases of one moment can be in either order.
        let by_date = |own: &str, other: &str| Some(own.cmp(other)).filter(|it| it.is_ne());
        if let (Some(own), Some(other)) = (self.released(), other.released()) {
            return by_date(own, other);
        }
        // A rebuild of an old release is as new as its build, so the builds of one place cannot be
        // compared with the releases of another.
        let is_one_place = self.shares_repository(other);
        let are_labelled = self.labelled && other.labelled;
        if let (Some(own), Some(other)) = (self.built, other.built)
            && (is_one_place || are_labelled)
        {
            return by_date(own, other);
        }
        by_date(self.day()?, other.day()?).filter(|_| is_one_place)
    }
}

fn is_revision(tag: &&str) -> bool {
    tag.len() == 40 && tag.bytes().all(|it| it.is_ascii_hexdigit())
}

/// A tag that is a date or a number, as what orders as it does. A revision of
/// Git is neither, even if it should have no letter.
pub fn order(tag: &str) -> Option<Vec<u64>> {
    if tag.len() > 24 {
        return None;
    }
    let digits = tag.strip_prefix('v').unwrap_or(tag);
    digits
        .split(['.', '-'])
        .map(|part| part.parse().ok())
        .collect()
}

/// The most releases that are remembered.
const REMEMBERED: usize = 16;

/// Adds the release that is about to run. The list is in the order of their first runs, except
/// that of several images of the last release the one that runs now is the last.
pub fn remember(
    mut releases: Vec<Release>,
    image: &str,
    facts: Option<&ImageFacts>,
) -> Vec<Release> {
    let now = Image::of(image, facts);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let same = |it: &Release| it.image == image && it.as_image().is(&now);
    for release in &mut releases {
        release.is_last = false;
    }
    if let Some(at) = releases.iter().rposition(same) {
        let mut known = releases.remove(at);
        known.id = owned(now.id).or(known.id);
        if now.built.is_some() {
            known.built = owned(now.built);
            known.labelled = now.labelled;
        }
        known.revision = owned(now.revision).or(known.revision);
        known.is_last = true;
        let last = releases.last().map(Release::as_image);
        let is_last = last.and_then(|it| known.as_image().compare(&it)) == Some(Ordering::Equal);
        releases.insert(if is_last { releases.len() } else { at }, known);
    } else {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        releases.push(Release {
            image: image.to_owned(),
            id: owned(now.id),
            since: since.map_or(0, |it| it.as_secs()),
            built: owned(now.built),
            labelled: now.labelled,
            revision: owned(now.revision),
            is_last: true,
        });
    }
    releases.split_off(releases.len().saturating_sub(REMEMBERED))
}

/// The release that ran last.
pub fn last(mut releases: Vec<Release>) -> Option<Release> {
    let at = releases.iter().position(|it| it.is_last);
    at.map(|at| releases.swap_remove(at))
        .or_else(|| releases.pop())
}

/// The releases that have run, as the volume has them; none where it has no list. The error says
/// why a list cannot be read.
pub fn read(stored: &Credentials) -> Result<Vec<Release>, String> {
    let text = stored.releases.as_ref().map_or("[]", Secret::expose);
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// What becomes of a list that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It stays, and so does the refusal of other images.
    Kept,
    /// A new one takes its place.
    Replaced,
}

/// What the history of a volume says of an image.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is not older than anything that has run.
    Newest,
    /// It is older than this one.
    Older(&'a str),
    /// Whether it is older than this one, nothing tells.
    Unknown(&'a str),
}

/// Judges an image by what has run. The release that ran last is older than none, whatever its
/// image is called now.
pub fn judge<'a>(releases: &'a [Release], image: &Image<'_>) -> Verdict<'a> {
    let Some(last) = releases.last() else {
        return Verdict::Newest;
    };
    let compare = |it: &Release| image.compare(&it.as_image());
    let is = |it: &Release| {
        let is_same = image.id.is_some() && it.id.as_deref() == image.id;
        is_same || compare(it) == Some(Ordering::Equal)
    };
    // After an allowed downgrade, what ran last may run again, and so may what was newest.
    if is(last) || releases.iter().any(|it| it.is_last && is(it)) {
        return Verdict::Newest;
    }
    if releases.iter().any(|it| it.as_image().is(image)) {
        return Verdict::Older(&last.image);
    }
    let is_newer = |it: &&Release| compare(it) == Some(Ordering::Less);
    if let Some(newer) = releases.iter().rev().find(is_newer) {
        return Verdict::Older(&newer.image);
    }
    match compare(last) {
        Some(_) => Verdict::Newest,
        None => Verdict::Unknown(&last.image),
    }
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

const CHECK: &str = "An older backend cannot read data that a newer one has migrated. Find out which of the two was released first, for example with `docker image inspect`, and keep the newer one.";

/// What a plan says of two images whose names tell no order.
pub fn open_order(was: &str, now: &str, deployment: &str) -> Diagnostic {
    Diagnostic::warning(
        "The order of two images is open",
        format!(
            "Deployment {deployment:?} has run {was}. Their names do not tell whether {now} is older. The apply compares the images themselves: it refuses an older one before it changes anything, and goes on if their dates do not tell either. {CHECK}"
        ),
    )
    .at("backend.image")
}

/// What an apply says of two images of which nothing tells the order.
pub fn unknown_order(was: &str, now: &str, deployment: &str) -> Diagnostic {
    Diagnostic::warning(
        "The order of two images is unknown",
        format!(
            "Deployment {deployment:?} has run {was}, and neither the names nor the dates of the images tell whether {now} is older. {CHECK}"
        ),
    )
    .at("backend.image")
}

/// What an apply says of data that another program than this provider has used.
pub fn no_history(now: &str, deployment: &str) -> Diagnostic {
    Diagnostic::warning(
        "The last release of the data is unknown",
        format!(
            "The volume of deployment {deployment:?} does not say which backend ran on its data last, so nothing tells whether {now} is older. An older backend cannot read data that a newer one has migrated. If you know the last one, set backend.image to it or to a newer one."
        ),
    )
    .at("backend.image")
}

/// The refusal of a list that cannot be read.
pub fn unreadable(deployment: &str, reason: &str, allowed: bool) -> Diagnostic {
    let what = format!(
        "/convex/data/credentials/releases.json in the volume of deployment {deployment:?} says which releases have run on its data, and it cannot be read: {reason}."
    );
    let summary = "The list of past releases is unreadable";
    let found = if allowed {
        Diagnostic::warning(
            summary,
            format!("{what} allow_data_loss is true, so the list begins anew."),
        )
    } else {
        Diagnostic::error(
            summary,
            format!(
                "{what} Without it, a downgrade cannot be told. Restore the file. If backend.image is surely not older than what ran last, set allow_data_loss to true for one apply, and the list begins anew."
            ),
        )
    };
    found.at("backend.image")
}

#[cfg(test)]
mod tests;
