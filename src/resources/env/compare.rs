//! Comparing what is declared with what a backend has, while planning.
//!
//! Terraform plans twice. Before the first plan of a run it lets the resource
//! be read; before the second, during apply, it does not. What the first plan
//! showed as known must then not move, whatever happened to the backend in
//! between. So only the first plan shows which secrets differ; the second one
//! says no more than that something does, and only where it did so before or
//! where Terraform would not plan again at all.

use std::{collections::BTreeMap, time::Duration};

use super::{
    backend::{Backend, Target, find, list},
    batch::{Before, work_out},
    declared::{Declared, Stamp, declarations},
    limits,
    model::{Model, OnConflict},
    plan::{planned_model, planned_names},
    seen::{self, Seen},
};
use crate::{
    convex::{Secret, env_var::seal},
    plugin::{Cx, Diagnostic, Known, Plan, Timeouts, value::Path},
    runtime::docker::Patience,
    session::{Listing, Session},
};

/// How long a plan waits for a backend at most.
const LIMIT: Duration = Duration::from_secs(20);

/// How long this one waits.
fn limit(plan: &Plan<'_>) -> Duration {
    let timeouts = plan.planned::<Option<Timeouts>>("timeouts").known();
    timeouts.flatten().unwrap_or_default().read().min(LIMIT)
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Whether something has to be set that no attribute shows.
    pub differs: bool,
    /// Names of write-only secrets that are, or may be, another value than the backend has.
    pub differing: Vec<String>,
    /// Whether this plan may show them as changing.
    pub shows: bool,
    /// Names that exist with another value and must not be touched.
    pub conflicts: Vec<(String, Path)>,
    /// Names that are not declared and go, where no attribute shows them.
    pub removes: Vec<String>,
    /// Names that others changed, where no attribute shows them.
    pub changed_outside: Vec<String>,
    /// Whether it is known what the backend would hold.
    pub is_counted: bool,
    /// A warning if it would hold more than by default.
    pub overflow: Option<Diagnostic>,
}

/// Compares, with at most one request.
pub async fn look(
    cx: &Cx<Session>,
    plan: &mut Plan<'_>,
    target: &Target,
    seen: &Seen,
) -> Comparison {
    let mut comparison = Comparison::default();
    let Some(id) = target.id() else {
        return comparison;
    };
    let model = planned_model(plan);
    let prior = plan.prior::<Model>(Path::root());
    let mut before = prior
        .as_ref()
        .map(|prior| Before::of(prior, plan.private()))
        .unwrap_or_default();
    before.allow(OnConflict::of(&model));
    before.spare(model.unmanaged.iter().flatten());
    let compared = compared_secrets(plan, prior.as_ref(), &model);
    if seen.running == Known::Known(false) || (seen.other_data && prior.is_some()) {
        return comparison;
    }
    let read = cx.session.listing(id);
    let first = read.is_some();
    let by_url = target.url.is_some();
    let ran = by_url || seen::was_running(plan.private());
    let waits = prior.as_ref().and_then(|it| it.pending) == Some(true);
    // What was not running cannot have been compared, neither now nor in the
    // plan before; it is when it is started.
    if prior.is_some() && (!ran || waits) {
        if !waits && seen.running == Known::Known(true) {
            comparison.differs = !compared.is_empty();
            comparison.differing = compared;
        }
        return comparison;
    }
    let unseen = by_url && !plan.config().has("admin_key");
    let seals = seen::seals(plan.private());
    let needed = prior.is_none() || unseen || (!compared.is_empty() && seals.is_none());
    let listing = match read.flatten() {
        Some(listing) => Some(listing),
        None if needed && !seen.other_data && !target.lacks_key() => {
            fetch(cx, target, limit(plan)).await
        }
        None => None,
    };
    let unknown = |name: &&String| {
        let path = Path::of("secrets").key(name.as_str()).attribute("value_wo");
        plan.config().get::<Option<Secret>>(path).is_unknown()
    };
    let open: Vec<String> = compared.iter().filter(unknown).cloned().collect();
    let different: Vec<String> = match (&listing, seals) {
        (Some(live), _) => {
            let all = declarations(&model, None);
            let ours = all.iter().filter(|(name, _)| compared.contains(name));
            ours.filter(|(name, it)| it.value.is_some() && live.get(*name) != it.value.as_ref())
                .map(|(name, _)| name.clone())
                .collect()
        }
        (None, Some(seals)) => {
            let patience = Patience::new(limit(plan), cx.cancellation());
            unsealed(cx, target, &patience, &model, &compared, &seals).await
        }
        // An apply finds out, and says why this could not.
        (None, None) => compared.clone(),
    };
    comparison.differing = open.into_iter().chain(different).collect();
    comparison.differs = !comparison.differing.is_empty();
    comparison.shows = first;
    if let Some(live) = listing {
        weigh(
            plan,
            &model,
            prior.as_ref(),
            &before,
            &live,
            unseen,
            &mut comparison,
        );
    }
    comparison
}

/// The names of secrets that only a comparison can tell of: write-only ones,
/// unless they are pinned or keep the value they had.
fn compared_secrets(plan: &Plan<'_>, prior: Option<&Model>, model: &Model) -> Vec<String> {
    let adopted = prior.map(super::declared::adopted).unwrap_or_default();
    let secrets = model.secrets.iter().flatten();
    secrets
        .filter(|(name, secret)| {
            let path = Path::of("secrets").key(name.as_str()).attribute("value_wo");
            plan.config().has(path)
                && secret.value_wo_version.is_none()
                && !adopted.contains(name.as_str())
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The names whose value is not the sealed one; all of them where the key that
/// they were sealed with cannot be had.
async fn unsealed(
    cx: &Cx<Session>,
    target: &Target,
    patience: &Patience,
    model: &Model,
    compared: &[String],
    seals: &BTreeMap<String, String>,
) -> Vec<String> {
    let key = match find(cx, target, patience).await {
        Ok(Backend::Running { client, .. }) => Some(client.key().clone()),
        _ => None,
    };
    let same = |name: &String| {
        let value = model.secrets.as_ref()?.get(name)?.value_wo.as_ref()?;
        let seal = seal(key.as_ref()?, name, value.expose());
        Some(seals.get(name) == Some(&seal))
    };
    let differs = |name: &&String| !same(name).unwrap_or(false);
    compared.iter().filter(differs).cloned().collect()
}

/// Asks the backend. What is wrong if it does not answer, the apply will say.
async fn fetch(cx: &Cx<Session>, target: &Target, limit: Duration) -> Option<Listing> {
    let patience = Patience::new(limit, cx.cancellation());
    let asked = async {
        match find(cx, target, &patience).await {
            Ok(Backend::Running { client, .. }) => list(&client).await.ok().flatten(),
            _ => None,
        }
    };
    tokio::time::timeout(limit, asked).await.ok().flatten()
}

/// Finds conflicts, doomed variables, and what a read could not see.
fn weigh(
    plan: &Plan<'_>,
    model: &Model,
    prior: Option<&Model>,
    before: &Before,
    live: &Listing,
    unseen: bool,
    comparison: &mut Comparison,
) {
    let declared = declarations(model, None);
    let on_conflict = OnConflict::of(model);
    let known: BTreeMap<String, Declared> = declared
        .iter()
        .filter(|(_, it)| it.value.is_some())
        .map(|(name, it)| (name.clone(), it.clone()))
        .collect();
    if let Ok(batch) = work_out(live, &known, before, on_conflict, false) {
        comparison.is_counted = true;
        comparison.overflow = limits::after(live, &batch.changes, &known);
        if model.on_conflict.is_some() {
            comparison.conflicts = batch.conflicts;
        }
        if unseen {
            let unsets = batch.changes.unsets().next().is_some();
            let sets = batch.changes.sets().map(|name| name.as_str().to_owned());
            // What is declared differently than before is shown by its
            // attribute; of what is written only nothing is.
            let shown = prior
                .map(|prior| declarations(prior, None))
                .unwrap_or_default();
            comparison.changed_outside = sets
                .filter(|name| prior.is_some() && same_stamp(&shown, &declared, name))
                .collect();
            comparison.differs |= !comparison.changed_outside.is_empty() || unsets;
        }
    }
    if model.is_exclusive() {
        let names: Vec<_> = planned_names(plan)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let shown = prior
            .and_then(|it| it.undeclared.clone())
            .unwrap_or_default();
        comparison.removes = live
            .keys()
            .filter(|name| {
                !names.contains(name) && !shown.contains(name) && !model.leaves_alone(name)
            })
            .cloned()
            .collect();
        comparison.differs |= !comparison.removes.is_empty();
    }
}

fn same_stamp(
    one: &BTreeMap<String, Declared>,
    other: &BTreeMap<String, Declared>,
    name: &str,
) -> bool {
    match (one.get(name), other.get(name)) {
        (Some(one), Some(other)) => one.stamp == other.stamp && one.stamp != Stamp::Version(None),
        _ => false,
    }
}
