//! What a change must not do to data that is there.

use super::{
    bonds::Bonds,
    history::{self, Image, Release, Unreadable, Verdict},
    model::Model,
    record::Record,
    secrets::stored_secret,
    settings::Settings,
    storage::S3Model,
    whereabouts::is_another,
    work::Work,
};
use crate::{
    backend::{BackendError, api},
    convex::{Secret, database::DatabaseKind, process_env::StorageKind},
    plugin::{Cx, Diagnostic, Known, Plan, Severity, value::Path},
    runtime::{Observed, docker::Credentials},
    session::Session,
};

/// Plans what the data is bound to, and refuses what it is not.
pub fn keep_bonds(plan: &mut Plan<'_>) {
    let now = planned_bonds(plan);
    let set = |plan: &mut Plan<'_>, path: &str, word: Option<&str>| match word {
        Some(word) => plan.set(path, word),
        None => plan.set_unknown(path),
    };
    set(
        plan,
        "database_kind",
        now.database.map(DatabaseKind::as_str),
    );
    set(plan, "storage_kind", now.storage.map(StorageKind::as_str));
    if plan.creates() || is_another(plan) {
        return;
    }
    let Some(prior) = plan.prior::<Model>(Path::root()) else {
        return;
    };
    let was = prior.bonds();
    let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
    for diagnostic in was.diagnose(&now, &prior.name, allowed) {
        plan.report(diagnostic);
    }
}

/// What is known of them: everything, unless a value is made in the same run.
pub fn planned_bonds(plan: &Plan<'_>) -> Bonds {
    let instance = plan.planned::<Option<String>>("instance_name");
    let known = |path: &str| !plan.planned::<serde::de::IgnoredAny>(path).is_unknown();
    let mut bonds = Bonds {
        instance: instance.known().flatten(),
        ..Bonds::default()
    };
    if let Some(mut model) = plan.outline::<Model>(Path::root()) {
        let is_s3 = plan.outline::<S3Model>("storage.s3").is_some();
        if !known("storage") {
            model.storage = None;
        }
        if let Ok(settings) = Settings::of(&model) {
            let found = Bonds::of(&settings);
            bonds.database = found.database.filter(|_| known("backend.env"));
            bonds.storage = if known("storage") && known("backend.env") {
                found.storage
            } else {
                // Which bucket it is makes no difference.
                is_s3.then_some(StorageKind::S3)
            };
        }
    }
    // What is never in a plan is in the configuration.
    if plan.config().has("database") {
        let url = ["database.url", "database.url_wo"]
            .into_iter()
            .find_map(|path| plan.config().get::<Option<Secret>>(path).known().flatten());
        bonds.database = url.and_then(|url| DatabaseKind::of_url(url.expose()));
    }
    bonds
}

/// Refuses, before anything is done, to go on with data that is bound
/// otherwise, and says what is left behind where that is allowed.
pub fn check_bonds(
    cx: &mut Cx<Session>,
    work: &mut Work,
    planned: &Model,
    was: &Bonds,
    says_so: bool,
) -> Result<(), Diagnostic> {
    let now = Bonds::of(&work.settings);
    let allowed = planned.allow_data_loss == Some(true);
    for diagnostic in was.diagnose(&now, &planned.name, allowed) {
        match diagnostic.severity() {
            Severity::Error => return Err(diagnostic),
            Severity::Warning if says_so => cx.warn(diagnostic),
            Severity::Warning => {}
        }
    }
    work.puts_file_aside = was.puts_file_aside(&now);
    Ok(())
}

/// Refuses a backend that is older than one that has run on the volume. The
/// image that ran last is not, whatever it is called. An order that is unknown
/// is said, unless the plan has done so.
pub async fn check_release(
    cx: &mut Cx<Session>,
    work: &mut Work,
    planned: &Model,
    stored: &Credentials,
    says_so: bool,
) -> Result<(), Diagnostic> {
    let image = work.settings.backend_image.clone();
    let allowed = planned.allow_data_loss == Some(true);
    let found = match history::read(stored) {
        Ok(releases) => judge(work, &releases, &image, planned).await?,
        Err(reason) => {
            if allowed {
                work.unreadable_history = Unreadable::Replaced;
            }
            Some(history::unreadable(&planned.name, &reason, allowed))
        }
    };
    let is_foreign = stored.releases.is_none() && stored.record.is_none();
    let has_data = stored.secret.is_some() || stored.name.is_some();
    let found = match found {
        None if is_foreign && has_data => Some(history::no_history(&image, &planned.name)),
        found => found,
    };
    match found {
        Some(found) if found.severity() == Severity::Error => Err(found),
        Some(found) => {
            if says_so || allowed {
                cx.warn(found);
            }
            Ok(())
        }
        None => Ok(()),
    }
}

async fn judge(
    work: &Work,
    releases: &[Release],
    image: &str,
    planned: &Model,
) -> Result<Option<Diagnostic>, Diagnostic> {
    if history::judge(releases, &Image::named(image)) == Verdict::Newest {
        return Ok(None);
    }
    // Without the image at hand, its name has to do.
    let fetched = work.docker.fetch_image(&work.patience, image).await;
    let facts = match fetched {
        Ok(()) => work.docker.image_facts(&work.patience, image).await,
        Err(_) => Ok(None),
    };
    let facts = facts.map_err(|error| work.failed(error))?;
    let allowed = planned.allow_data_loss == Some(true);
    let name = &planned.name;
    Ok(
        match history::judge(releases, &Image::of(image, facts.as_ref())) {
            Verdict::Newest => None,
            Verdict::Older(was) => Some(history::downgrade(was, image, name, allowed)),
            Verdict::Unknown(was) => Some(history::unknown_order(was, image, name)),
        },
    )
}

/// What comes before a change: a look at what it does to the data, and at the
/// release. Nothing is ended before.
pub async fn before_update(
    cx: &mut Cx<Session>,
    work: &mut Work,
    prior: &Model,
    planned: &Model,
    observed: &Observed,
) -> Result<(), Diagnostic> {
    check_change(cx, work, prior, planned, observed).await?;
    check_publishing(work, prior, observed).await?;
    let had = prior.images().backend;
    if had.is_some_and(|had| had != work.settings.backend_image) {
        let stored = work.stored_credentials(observed).await?;
        check_release(cx, work, planned, &stored, false).await?;
    }
    Ok(())
}

/// Looks at what a change does to the data. The volume is asked where the state
/// does not know what the data is bound to, or says that the bond changes: what
/// an interrupted change has done is only known there.
async fn check_change(
    cx: &mut Cx<Session>,
    work: &mut Work,
    prior: &Model,
    planned: &Model,
    observed: &Observed,
) -> Result<(), Diagnostic> {
    let now = Bonds::of(&work.settings);
    let was = prior.bonds();
    let is_open = was.database.is_none() || was.storage.is_none();
    if !is_open && was.broken_by(&now).is_empty() {
        return Ok(());
    }
    let stored = work.stored_credentials(observed).await?;
    let was = Record::bonds(&stored).or(was);
    check_bonds(cx, work, planned, &was, is_open)?;
    work.rebinds = !was.broken_by(&now).is_empty();
    Ok(())
}

/// Refuses a move to internal origins where the backend that runs, and goes on
/// with its image, cannot publish the public ones.
async fn check_publishing(
    work: &Work,
    prior: &Model,
    observed: &Observed,
) -> Result<(), Diagnostic> {
    let before = Settings::of(prior)?;
    let settings = &work.settings;
    if !settings.running || before.origins.internal || !settings.origins.internal {
        return Ok(());
    }
    let running = observed.backend.as_ref().filter(|it| it.is_running());
    if running.is_none_or(|it| it.image != settings.backend_image) {
        return Ok(());
    }
    let stored = work.stored_credentials(observed).await?;
    let Some(secret) = stored_secret(&stored)? else {
        return Ok(());
    };
    let key = before.admin_key(&secret)?;
    // Any other answer is for the change itself to judge.
    match work.client(key).call(&api::canonical_urls()).await {
        Err(BackendError::NotFound) => Err(too_old_to_publish(&work.object)),
        _ => Ok(()),
    }
}

/// The diagnostic of a backend that has only the origins it was started with.
pub fn too_old_to_publish(object: &str) -> Diagnostic {
    Diagnostic::error(
        "The backend is too old for internal origins",
        format!(
            "The backend of {object} cannot publish its API origin. Backends of October 2025 and newer can. Use a newer backend.image, or set internal_origins to false."
        ),
    )
    .at("internal_origins")
}
