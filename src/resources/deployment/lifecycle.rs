//! Making, changing and removing a deployment.
//!
//! All three look first and then do what is missing, so that each also
//! finishes what an interrupted one has begun. A process can die at any await:
//! names and labels follow from the deployment's name, and the secret is in
//! the volume before the backend first starts, so the next run finds all.

use super::{
    guard, leftovers,
    model::{Model, VolumeModel},
    ownership::{self, Expected, Owner},
    record::Record,
    restore::{self, Source},
    secrets::Secrets,
    settings::Settings,
    whereabouts,
    work::Work,
};
use crate::{
    backend::{BackendError, api},
    convex::{AdminKey, InstanceSecret, env_var::Changes},
    plugin::{Cx, Diagnostic, Diagnostics, Timeouts},
    resources::{
        backend_error,
        imported::{is_fresh, settle},
    },
    runtime::{Renew, Role, docker::Patience},
    session::{Live, Session},
};

fn timeouts(model: &Model) -> Timeouts {
    model.timeouts.clone().unwrap_or_default()
}

/// Makes a deployment, or finishes one that was begun.
pub(super) async fn create(cx: &mut Cx<Session>, mut planned: Model) -> Result<Model, Diagnostics> {
    let patience = Patience::new(timeouts(&planned).create(), cx.cancellation());
    let owner = Owner::new(cx.session.place())?;
    let settings = Settings {
        owner: Some(owner.clone()),
        ..Settings::of(&planned)?
    };
    let mut work = Work::new(cx, settings, patience)?;
    let mut observed = work.observe(&[]).await?;
    whereabouts::note(&mut cx.private, &work.docker);
    let stored = work.stored_credentials(&observed).await?;
    // A volume on which no backend was ever about to start has no data: the
    // secret is there first. It was made by a run that ended right after.
    let adopted = stored.secret.is_some() || stored.name.is_some();
    let holder = ownership::holder(Record::owner(&stored), observed.volume.as_ref());
    if planned.on_conflict.as_deref() != Some(Model::ADOPT) {
        ownership::claim(&planned.name, &owner, holder.as_ref(), &observed, adopted)?;
    }
    if adopted {
        cx.warn(Diagnostic::warning(
            "Existing data taken over",
            format!(
                "The Docker host has a volume {} from an earlier deployment {:?}. The deployment goes on with its data.",
                work.settings.names().volume(),
                planned.name
            ),
        ));
    }
    guard::check_bonds(cx, &mut work, &planned, &Record::bonds(&stored), true)?;
    // Or the note in the volume would name whoever had it before.
    work.rebinds |= adopted;
    guard::check_release(cx, &mut work, &planned, &stored, true).await?;
    let mut desired = work.desired(&observed).await?;
    let source = restore::due(cx, &work, &planned, adopted, &stored)?;
    match &source {
        Some(Source::Volume(volume)) => work.check_volume(volume).await?,
        Some(Source::Snapshot(snapshot)) => work.check_snapshot(snapshot).await?,
        None => {}
    }
    let given = planned.instance_secret.as_ref();
    let secrets = Secrets::for_create(&work.settings, given, &stored).await?;
    // A container that runs with another secret than the one asked for.
    if stored.secret.is_some() && stored.secret != secrets.to_store().secret {
        desired.renew = desired.renew.max(Renew::Backend);
    }

    // From here on something exists, which must not be forgotten.
    planned.owner_id = Some(owner.id().to_owned());
    work.settings.fill(&mut planned);
    fill_keys(&work.settings, secrets.instance.as_ref(), &mut planned)?;
    planned.container_ids.get_or_insert_default();
    planned.image_digests.get_or_insert_default();
    cx.checkpoint(&unfinished(&planned, adopted));
    leftovers::remove(cx, &work, &[&planned]).await?;

    match &source {
        Some(Source::Volume(volume)) => {
            work.restore_volume(volume).await?;
            observed = work.observe(&[]).await?;
            let stored = work.stored_credentials(&observed).await?;
            guard::check_release(cx, &mut work, &planned, &stored, true).await?;
        }
        Some(Source::Snapshot(snapshot)) => {
            work.bring_snapshot(snapshot).await?;
            observed = work.observe(&[]).await?;
        }
        None => {}
    }
    work.carry_out_after_snapshot(cx, &mut planned, desired, &secrets, observed)
        .await?;
    if let Some(Source::Snapshot(snapshot)) = &source
        && let Some(secret) = &secrets.instance
    {
        let key = work.settings.admin_key(secret)?;
        work.import_snapshot(snapshot, key).await?;
    }
    refill(&work, &secrets, &mut planned)?;
    finish(cx, &work, &mut planned, &secrets, adopted).await?;
    Ok(planned)
}

/// The state of a deployment whose create has not come to its end. Terraform
/// will destroy it before it tries again, and data that is older than this
/// create must not go with it, whatever was configured.
fn unfinished(planned: &Model, adopted: bool) -> Model {
    let mut model = planned.clone();
    if adopted {
        model.volume = Some(VolumeModel {
            on_destroy: Some(VolumeModel::RETAIN.to_owned()),
        });
    }
    model
}

/// Changes a deployment in place.
pub(super) async fn update(
    cx: &mut Cx<Session>,
    prior: Model,
    mut planned: Model,
) -> Result<Model, Diagnostics> {
    let patience = Patience::new(timeouts(&planned).update(), cx.cancellation());
    let owner = Owner::of(&prior, cx.session.place());
    let settings = Settings {
        owner: owner.clone(),
        ..Settings::of(&planned)?
    };
    let mut work = Work::new(cx, settings, patience)?;
    // Those that stay. Whether another has a variable too many, only its image tells.
    let known = planned.container_ids.clone().unwrap_or_default();
    let known: Vec<_> = known.backend.into_iter().chain(known.dashboard).collect();
    let observed = work.observe(&known).await?;
    whereabouts::check(&cx.private, &work, &observed)?;
    let rotates = prior.rotate_trigger != planned.rotate_trigger && !is_fresh(&cx.private);
    let expected = Expected::of(owner, &prior, &planned, rotates);
    if observed.backend.is_some() {
        let stored = work.stored_credentials(&observed).await?;
        if work.settings.running {
            expected.check(&work.object, &stored)?;
        } else {
            // A stop writes nothing that the data could be lost for.
            expected.check_owner(&work.object, &stored)?;
            work.expected = Some(expected);
        }
    } else {
        work.expected = Some(expected);
    }
    whereabouts::note(&mut cx.private, &work.docker);
    let mut desired = work.desired(&observed).await?;
    guard::before_update(cx, &mut work, &prior, &planned, &observed).await?;
    let secrets = Secrets::for_update(&work, &prior, &planned, &observed, rotates).await?;
    let is_given = planned.instance_secret.is_some();
    let replaced = match (&prior.instance_secret, &secrets.instance) {
        (Some(prior), Some(new)) => prior.expose() != new.to_hex().expose(),
        // Only the volume knows which one it was.
        (None, Some(new)) if is_given && observed.backend.is_some() => {
            let stored = work.stored_credentials(&observed).await?;
            stored.secret != Some(new.to_hex())
        }
        _ => false,
    };
    if rotates || replaced {
        desired.renew = desired.renew.max(Renew::Backend);
    }
    let before = Settings::of(&prior)?;
    let keeps_limits = before
        .backend_limits
        .can_become(&work.settings.backend_limits)
        && before
            .dashboard_limits
            .can_become(&work.settings.dashboard_limits);
    if !keeps_limits {
        desired.renew = Renew::All;
    }
    work.settings.fill(&mut planned);
    fill_keys(&work.settings, secrets.instance.as_ref(), &mut planned)?;
    if !work.settings.running && !work.settings.keeps_secrets && secrets.instance.is_some() {
        // Nothing but the volume will know it.
        work.store_while_stopped(&secrets.to_store()).await?;
    }
    leftovers::remove(cx, &work, &[&prior, &planned]).await?;
    work.carry_out_after_snapshot(cx, &mut planned, desired, &secrets, observed)
        .await?;
    planned.last_snapshot = planned.last_snapshot.or(prior.last_snapshot.clone());
    refill(&work, &secrets, &mut planned)?;
    let was = before.reach();
    finish(cx, &work, &mut planned, &secrets, was.internal).await?;
    if work.settings.running
        && was.process() != work.settings.reach().process()
        && let Some(secret) = running_secret(cx, &work)
    {
        evaluate_auth_anew(cx, &work, work.settings.admin_key(&secret)?).await;
    }
    settle(&mut cx.private);
    Ok(planned)
}

fn running_secret(cx: &Cx<Session>, work: &Work) -> Option<InstanceSecret> {
    let id = work.settings.id().to_string();
    cx.session.deployment(&id).live.and_then(|live| live.secret)
}

/// Removes a deployment. What is gone already, or was never made, is fine.
pub(super) async fn delete(cx: &mut Cx<Session>, prior: Model) -> Result<(), Diagnostics> {
    let patience = Patience::new(timeouts(&prior).delete(), cx.cancellation());
    let work = Work::new(cx, Settings::of(&prior)?, patience)?;
    let observed = work.observe(&[]).await?;
    whereabouts::check(&cx.private, &work, &observed)?;
    let names = work.settings.names();
    let delete_data = prior.deletes_data();
    // Whoever has it by now has its data, or runs it.
    if (observed.backend.is_some() || delete_data)
        && let Some(owner) = Owner::of(&prior, cx.session.place())
    {
        let stored = work.stored_credentials(&observed).await?;
        let holder = ownership::holder(Record::owner(&stored), observed.volume.as_ref());
        if let Some(holder) = holder.filter(|it| !it.is(&owner)) {
            cx.warn(ownership::left_alone(&work.object, &holder));
            return Ok(());
        }
    }
    let (docker, patience) = (&work.docker, &work.patience);
    for (role, container) in [
        (Role::Dashboard, &observed.dashboard),
        (Role::Backend, &observed.backend),
    ] {
        let own = container.as_ref().and_then(|it| it.own(&names, role));
        work.remove_own(Ok(own)).await?;
    }
    if observed.probe.is_some() {
        work.remove_own(docker.own_container(patience, &names, Role::Probe).await)
            .await?;
    }
    leftovers::remove(cx, &work, &[&prior]).await?;
    work.remove_own(Ok(observed.network)).await?;
    if delete_data {
        let volume = docker.own_volume(patience, &names).await;
        work.remove_own(volume.map(|it| it.map(|(own, _)| own)))
            .await?;
    }
    if !observed.strangers.is_empty() {
        cx.warn(ownership::strangers(&work.object, &observed.strangers));
    }
    cx.session
        .note(&work.settings.id().to_string(), |it| it.live = None);
    Ok(())
}

/// Fills in anew what follows from the ports, should others have been chosen.
fn refill(work: &Work, secrets: &Secrets, planned: &mut Model) -> Result<(), Diagnostic> {
    work.settings.fill(planned);
    fill_keys(&work.settings, secrets.instance.as_ref(), planned)
}

/// Fills in everything that follows from the secret and may be kept.
pub(super) fn fill_keys(
    settings: &Settings,
    secret: Option<&InstanceSecret>,
    model: &mut Model,
) -> Result<(), Diagnostic> {
    let secret = secret.filter(|_| settings.keeps_secrets);
    let admin_key = secret
        .map(|secret| settings.admin_key(secret))
        .transpose()?;
    let told = settings.for_projects(admin_key.as_ref())?;
    model.instance_secret = secret.map(InstanceSecret::to_hex);
    model.admin_key = admin_key.map(|key| key.as_secret().clone());
    model.env_local = Some(told.env_local);
    model.agent_env = Some(told.agent_env);
    Ok(())
}

/// Fills in what is only known at the end, and tells the rest of this run.
/// What the plan has promised stays as it is, even if something else was
/// made meanwhile: the next look puts it right.
///
/// `was_published` says whether an API origin may have been published before.
async fn finish(
    cx: &Cx<Session>,
    work: &Work,
    model: &mut Model,
    secrets: &Secrets,
    was_published: bool,
) -> Result<(), Diagnostic> {
    let settings = &work.settings;
    let mut ids = model.container_ids.take().unwrap_or_default();
    let mut digests = model.image_digests.take().unwrap_or_default();
    let mut secret = secrets.instance.clone();
    if settings.running {
        let in_use = match secret {
            Some(secret) => secret,
            None => work.secret_in_use().await?,
        };
        let key = settings.admin_key(&in_use)?;
        secret = Some(in_use);
        if ids.backend.is_none() {
            work.check_key(key.clone()).await?;
        }
        publish(work, key.clone(), was_published).await?;
        let backend = Some(settings.backend_image.as_str());
        work.identify(
            Role::Backend,
            backend,
            &mut ids.backend,
            &mut digests.backend,
        )
        .await?;
        let dashboard = settings.dashboard_image.as_deref();
        work.identify(
            Role::Dashboard,
            dashboard,
            &mut ids.dashboard,
            &mut digests.dashboard,
        )
        .await?;
        if model.version.is_none() {
            let version = work.client(key).call(&api::version()).await;
            let version =
                version.map_err(|error| backend_error(&work.object, "read the version", &error))?;
            model.version = Some(version);
        }
    }
    model.container_ids = Some(ids);
    model.image_digests = Some(digests);
    let live = Live {
        instance_name: settings.instance_name.clone(),
        secret,
        reach: settings.reach(),
        keeps_secrets: settings.keeps_secrets,
        running: settings.running,
        backend: None,
    };
    cx.session.note(&settings.id().to_string(), |deployment| {
        deployment.live = Some(live);
        deployment.applied = true;
    });
    Ok(())
}

/// Publishes the API's public origin where the backend runs on another one, and
/// takes back one that was published before.
async fn publish(work: &Work, key: AdminKey, was_published: bool) -> Result<(), Diagnostic> {
    let reach = work.settings.reach();
    let wanted = reach.canonical_api();
    if wanted.is_none() && !was_published {
        return Ok(());
    }
    let client = work.client(key);
    let in_force = match client.call(&api::canonical_urls()).await {
        Ok(urls) => urls.convex_cloud_url,
        // Too old to have published anything.
        Err(BackendError::NotFound) if wanted.is_none() => return Ok(()),
        Err(BackendError::NotFound) => return Err(guard::too_old_to_publish(&work.object)),
        Err(error) => {
            return Err(backend_error(
                &work.object,
                "read the published origins",
                &error,
            ));
        }
    };
    let process = reach.process().api;
    let target = wanted.unwrap_or(&process);
    if in_force == target.as_str() {
        return Ok(());
    }
    let call = api::update_canonical_api(wanted);
    let outcome = client.call(&call).await;
    outcome.map_err(|error| backend_error(&work.object, "publish the API origin", &error))
}

/// A backend evaluates the app's auth config when variables change, but not
/// when it starts with another issuer. An empty batch makes it do so.
async fn evaluate_auth_anew(cx: &mut Cx<Session>, work: &Work, key: AdminKey) {
    let client = work.client(key);
    let call = api::update_variables(&Changes::default());
    if let Err(error) = client.call(&call).await {
        cx.warn(Diagnostic::warning(
            "Sign-in may fail until the next deploy of functions",
            format!(
                "The origins of {} have changed, but its backend did not evaluate the auth config anew: {error}. Deploy the functions again, or apply a change of a variable.",
                work.object
            ),
        ));
    }
}
