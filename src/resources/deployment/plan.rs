//! What a plan says of a deployment.
//!
//! Everything that can be known is worked out here, without I/O: a reviewer
//! sees images, addresses and which containers are made anew.

use serde::de::IgnoredAny;

use super::{
    guard,
    images::{default_backend_image, default_dashboard_image},
    model::{Model, NetworkModel, PerContainer},
    moves::Moves,
    network::{AUTOMATIC, Container, Network},
    release, review,
    settings::Settings,
    whereabouts::{self, is_another},
};
use crate::{
    convex::{AdminKey, InstanceName, InstanceSecret, Secret, process_env},
    plugin::{Cx, Diagnostic, Known, Plan, value::Path},
    resources::imported,
    runtime::{ContainerSpec, Program, Role},
    session::{Planned, Session},
};

/// Finishes the plan of a deployment.
pub fn finish(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    if plan.deletes() {
        review::deletion(plan);
        return;
    }
    defaults(plan);
    existing(cx, plan);
    whereabouts::plan(cx, plan);
    origins(plan);
    release::plan_images(plan);
    guard::keep_bonds(plan);
    let moves = Moves::of(plan);
    warn_of_new_secret(plan, &moves);
    check_secrecy(plan);
    let outlook = outlook(plan);
    let settings = outlook.as_ref().map(|outlook| &outlook.settings);
    review::changes(plan, settings, &moves);
    match &outlook {
        Some(outlook) => derived(plan, outlook),
        None => nothing_known(plan),
    }
    containers(plan, outlook.as_ref(), &moves);
    note(cx, plan, settings, &moves);
}

/// Says what becomes of a deployment that this run has seen and that is planned as new, and refuses
/// two resources with one name.
///
/// Where a replacement is asked for, Terraform plans twice, and shows nothing of the second plan but
/// its errors (hashicorp/terraform `node_resource_abstract_instance.go`). So what cannot be said
/// as a warning has to be allowed.
fn existing(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    let Some(id) = whereabouts::planned_id(plan).map(|id| id.to_string()) else {
        return;
    };
    // Terraform plans a resource once more, as new, where it replaces it. It then gives the private
    // data along, which a new resource and a tainted one have none of.
    let again = plan.creates() && whereabouts::was_seen(&cx.private);
    if !again && (plan.creates() || !is_another(plan)) {
        cx.session.note(&id, |it| it.claims += 1);
    }
    let seen = cx.session.deployment(&id);
    if seen.claims > 1 {
        plan.report(
            Diagnostic::error(
                "Two deployments with one name",
                format!(
                    "Two resources of this configuration are deployment {id:?}. Each would undo what the other one does. Give each a name of its own; with count or for_each, make each.key or count.index part of it."
                ),
            )
            .at("name"),
        );
    } else if plan.creates()
        && let Some(standing) = seen.standing
    {
        let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
        plan.report(review::replacement(&standing, again && !allowed));
    }
}

/// Fills in what an absent attribute means for a new deployment.
fn defaults(plan: &mut Plan<'_>) {
    let missing = |plan: &Plan<'_>, path: &str| {
        !plan.config().has(path) && plan.prior::<String>(path).is_none()
    };
    if missing(plan, "backend.image") {
        plan.set("backend.image", &default_backend_image());
    }
    if missing(plan, "dashboard.image") {
        plan.set("dashboard.image", &default_dashboard_image());
    }
    if plan.creates() {
        plan.set("last_snapshot", &None::<String>);
    }
    if missing(plan, "instance_name")
        && let Known::Known(name) = plan.planned::<String>("name")
    {
        plan.set("instance_name", &name);
    }
}

/// Plans the origins that are not given: they follow the published ports.
fn origins(plan: &mut Plan<'_>) {
    let network = plan.outline::<NetworkModel>("network");
    let network = Network::of(network.as_ref(), plan.outline("ports"));
    let (local, publish) = (network.local_origins(), network.publish());
    for (part, origin, port) in [
        ("api", local.api.as_str(), publish.api),
        ("site", local.site.as_str(), publish.site),
        ("dashboard", local.dashboard.as_str(), publish.dashboard),
    ] {
        let path = Path::of("origins").attribute(part);
        if plan.config().has(path.clone()) {
            continue;
        }
        let given = Path::of("network").attribute("publish").attribute(part);
        if port == Some(AUTOMATIC) || plan.planned::<IgnoredAny>(given).is_unknown() {
            plan.set_unknown(path);
        } else {
            plan.set(path, origin);
        }
    }
}

/// What a plan can tell.
struct Outlook {
    settings: Settings,
    /// Whether something that the containers depend on is not known yet.
    is_open: bool,
    /// Whether the database is not known yet.
    database_is_open: bool,
}

/// What nothing but the containers depends on.
const OF_CONTAINERS: [&str; 5] = ["backend", "dashboard", "labels", "hardening", "log"];

/// What can be told, where every attribute that more than the containers
/// depend on is known.
fn outlook(plan: &Plan<'_>) -> Option<Outlook> {
    let known = |path: &str| !plan.planned::<IgnoredAny>(path).is_unknown();
    let parts = [
        "name",
        "docker",
        "running",
        "internal_origins",
        "secrets_in_state",
        "instance_name",
        "dashboard.enabled",
        "network.networks",
        "network.publish",
    ];
    let given = |path: &str| !plan.config().get::<IgnoredAny>(path).is_unknown();
    if !parts.into_iter().all(known) || !given("origins") {
        return None;
    }
    let mut model = plan.outline::<Model>(Path::root())?;
    let database_is_open = !known("database");
    if database_is_open {
        model.database = None;
    }
    let storage_is_open = !known("storage");
    if storage_is_open {
        model.storage = None;
    }
    let runs = model.running != Some(false);
    let mut settings = Settings::of(&model).ok()?;
    let to_be_made = !known("network.container");
    if to_be_made {
        // A container whose ID is not known yet is one that will be there.
        settings.network = Network::Of(Container::ToBeMade);
        settings.running = runs;
    }
    Some(Outlook {
        is_open: !OF_CONTAINERS.into_iter().all(known)
            || to_be_made
            || database_is_open
            || storage_is_open
            || !known("network.extra_hosts")
            || settings.network.publish().is_open(),
        settings,
        database_is_open,
    })
}

fn nothing_known(plan: &mut Plan<'_>) {
    for path in [
        "database_name",
        "database_server",
        "urls",
        "ports",
        "admin_key",
        "env_local",
        "agent_env",
    ] {
        plan.set_unknown(path);
    }
    // What does follow from the little that is known.
    match whereabouts::planned_id(plan) {
        Some(id) => plan.set("id", &id.to_string()),
        None => plan.set_unknown("id"),
    }
    if let Known::Known(Some(name)) = plan.planned::<Option<String>>("instance_name")
        && let Ok(name) = InstanceName::parse(&name)
    {
        plan.set("database_name", &name.database_name());
    }
}

/// Everything that follows from the settings, and from the secret if there is
/// one yet.
fn derived(plan: &mut Plan<'_>, outlook: &Outlook) {
    let settings = &outlook.settings;
    plan.set("id", &settings.id().to_string());
    plan.set("database_name", &settings.instance_name.database_name());
    if outlook.database_is_open {
        plan.set_unknown("database_server");
    } else {
        plan.set("database_server", &settings.database_server());
    }
    match settings.urls() {
        Some(urls) => {
            plan.set("urls", &urls);
            plan.set("ports", &settings.network.publish());
        }
        // An automatic port is chosen when the others are known.
        None => {
            plan.set_unknown("urls");
            plan.set_unknown("ports");
        }
    }
    if !settings.keeps_secrets {
        for path in ["instance_secret", "admin_key"] {
            plan.set(path, &None::<String>);
        }
        tell_projects(plan, outlook, None);
        return;
    }
    let rotates = rotates(plan);
    let key = match plan.planned::<Option<Secret>>("instance_secret") {
        _ if rotates => {
            plan.set_unknown("instance_secret");
            None
        }
        Known::Known(Some(secret)) => InstanceSecret::parse(secret.expose())
            .ok()
            .and_then(|secret| settings.admin_key(&secret).ok()),
        Known::Known(None) => {
            // A deployment that was imported while it was stopped: its volume
            // has the secret.
            plan.set_unknown("instance_secret");
            None
        }
        Known::Unknown => None,
    };
    match key {
        Some(key) => {
            plan.set("admin_key", key.as_secret());
            tell_projects(plan, outlook, Some(&key));
        }
        None => {
            for path in ["admin_key", "env_local", "agent_env"] {
                plan.set_unknown(path);
            }
        }
    }
}

fn tell_projects(plan: &mut Plan<'_>, outlook: &Outlook, key: Option<&AdminKey>) {
    if outlook.settings.urls().is_none() {
        plan.set_unknown("env_local");
        plan.set_unknown("agent_env");
        return;
    }
    match outlook.settings.for_projects(key) {
        Ok(told) => {
            plan.set("agent_env", &told.agent_env);
            if outlook.database_is_open {
                plan.set_unknown("env_local");
            } else {
                plan.set("env_local", &told.env_local);
            }
        }
        Err(problem) => plan.report(problem),
    }
}

/// Whether a trigger is given that differs from the one before.
fn is_triggered(plan: &Plan<'_>) -> bool {
    !plan.creates() && !is_another(plan) && plan.changes("rotate_trigger")
}

/// Whether the instance gets a new secret because that was asked for. What is
/// said for the first time after an import describes the secret that was
/// imported.
fn rotates(plan: &mut Plan<'_>) -> bool {
    is_triggered(plan) && !imported::is_fresh(plan.private())
}

/// Whether another secret is given than the state has, which has none where only
/// the volume knows it.
fn gives_another_secret(plan: &Plan<'_>) -> bool {
    !plan.creates()
        && !is_another(plan)
        && plan.config().has("instance_secret")
        && plan.changes("instance_secret")
}

/// Says in words what a new secret ends.
fn warn_of_new_secret(plan: &mut Plan<'_>, moves: &Moves) {
    let rotates = rotates(plan);
    if rotates && plan.config().has("instance_secret") {
        plan.report(
            Diagnostic::error(
                "A given secret is not rotated",
                "rotate_trigger replaces a secret that was generated, and instance_secret gives one. Remove one of the two; a given secret is replaced by giving another.",
            )
            .at("rotate_trigger"),
        );
        return;
    }
    if is_triggered(plan) && !rotates {
        plan.report(
            Diagnostic::warning(
                "The imported instance secret is kept",
                "rotate_trigger is set for the first time after the import, and describes the imported secret. To replace that secret, apply this plan, then change rotate_trigger again.",
            )
            .at("rotate_trigger"),
        );
    }
    let cause = if rotates {
        "rotate_trigger"
    } else if gives_another_secret(plan) {
        "instance_secret"
    } else {
        return;
    };
    let how = if plan.config().get::<IgnoredAny>(cause).is_unknown() {
        "is only known during apply. If it differs then,"
    } else if plan.prior::<IgnoredAny>(cause).is_none() && !rotates {
        "is given for the first time. If it differs from the secret in the volume,"
    } else {
        "has changed, so"
    };
    let yes = Known::Known(Some(true));
    let is_stopped = plan.planned("running") == Known::Known(Some(false));
    let prefills = plan.planned("dashboard.prefill_admin_key") == yes;
    let restarts = if is_stopped {
        ""
    } else if prefills && plan.planned("dashboard.enabled") == yes {
        ", and its backend restarts. Its dashboard is recreated with the new key"
    } else {
        ", and its backend restarts"
    };
    let name = plan.prior::<String>("name").unwrap_or_default();
    let kept = if moves.any() {
        ""
    } else {
        " Data, variables and the sessions of the app's users are kept."
    };
    plan.report(
        Diagnostic::warning(
            "All admin keys will be revoked",
            format!(
                "{cause} {how} the instance of deployment {name:?} gets another secret{restarts}. Every admin key made before is refused from then on: keys pasted into the dashboard, keys in .env files, and keys of the convex command line. Whatever takes the key from this resource gets the new one in the same apply.{kept}"
            ),
        )
        .at(cause),
    );
}

/// What may not be given when secrets are to stay out of the state, and what
/// older states still have.
fn check_secrecy(plan: &mut Plan<'_>) {
    if plan.planned::<Option<bool>>("secrets_in_state") != Known::Known(Some(false)) {
        return;
    }
    for (path, instead) in [
        (
            "instance_secret",
            "Leave it out: the secret is made in the volume",
        ),
        (
            "backend.jwt_private_key",
            "Leave it out: the key is made in the volume",
        ),
        (
            "database.url",
            "Give url_wo, which is never stored, in its place",
        ),
        (
            "storage.s3.secret_access_key",
            "Give secret_access_key_wo, which is never stored, in its place",
        ),
        (
            "storage.s3.session_token",
            "Give session_token_wo, which is never stored, in its place",
        ),
    ] {
        if plan.config().has(path) {
            plan.report(
                Diagnostic::error(
                    "A secret that would be in the state",
                    format!(
                        "{path} is kept in the state, and secrets_in_state is false. {instead}."
                    ),
                )
                .at(path),
            );
        }
    }
    let rotates = rotates(plan);
    if plan.prior::<Secret>("instance_secret").is_some() && !rotates {
        plan.report(
            Diagnostic::warning(
                "Earlier states still have the secret",
                "From now on the state has no secret of the deployment, but its earlier versions and their backups do, and the secret stays the same. Change rotate_trigger in the same apply to end the keys in them.",
            )
            .at("secrets_in_state"),
        );
    }
}

/// Says which containers are made anew.
fn containers(plan: &mut Plan<'_>, outlook: Option<&Outlook>, moves: &Moves) {
    let Some(Outlook {
        settings, is_open, ..
    }) = outlook
    else {
        for path in ["container_ids", "image_digests", "version"] {
            plan.set_unknown(path);
        }
        return;
    };
    let ids = plan
        .prior::<PerContainer>("container_ids")
        .unwrap_or_default();
    let digests = plan
        .prior::<PerContainer>("image_digests")
        .unwrap_or_default();
    plan.set("container_ids", &ids);
    plan.set("image_digests", &digests);
    let new_secret = rotates(plan) || gives_another_secret(plan);
    let was = plan
        .prior::<Model>(Path::root())
        .and_then(|model| Settings::of(&model).ok());
    let other_name = was
        .as_ref()
        .is_some_and(|was| was.instance_name != settings.instance_name);
    let mut restarts = Vec::new();
    for role in [Role::Backend, Role::Dashboard] {
        let spec = |settings: &Settings| {
            let desired = settings.desired();
            match role {
                Role::Dashboard => desired.dashboard_container(),
                Role::Backend | Role::Probe => Some(desired.backend_container()),
            }
        };
        let (id, base) = match role {
            Role::Dashboard => (&ids.dashboard, "dashboard"),
            Role::Backend | Role::Probe => (&ids.backend, "backend"),
        };
        let id_path = Path::of("container_ids").attribute(base);
        let digest_path = Path::of("image_digests").attribute(base);
        let wanted = spec(settings).filter(|_| settings.running);
        let before = was.as_ref().filter(|was| was.running).and_then(spec);
        let program = |settings: &Settings| spec(settings).map(|spec| spec.program);
        let (program_before, program_now) = (was.as_ref().and_then(program), program(settings));
        let differs = |part: fn(&Program) -> Option<&String>| {
            program_before.as_ref().and_then(part) != program_now.as_ref().and_then(part)
        };
        let is_open_at = |part: &str| {
            let path = Path::of(base).attribute(part);
            plan.planned::<IgnoredAny>(path).is_unknown()
        };
        let other_image = is_open_at("image") || differs(|program| Some(&program.image));
        let other_release = differs(|program| program.env.get(process_env::RELEASE));
        let other_version =
            role == Role::Backend && (other_image || other_release || is_open_at("env"));
        let version = Path::of("version");
        let Some(wanted) = wanted else {
            plan.set(id_path, &None::<String>);
            // Of what ran last, neither tells anything of what is started next.
            if other_image || plan.creates() {
                plan.set(digest_path, &None::<String>);
            }
            if other_version {
                plan.set(version, &None::<String>);
            }
            continue;
        };
        // The key follows from both.
        let other_key =
            role == Role::Dashboard && settings.prefills_key() && (new_secret || other_name);
        let renewed = role == Role::Backend && new_secret || other_key;
        let stays = !renewed
            && !is_open
            && id.is_some()
            && before
                .as_ref()
                .is_some_and(|before| same_container(before, &wanted));
        if !stays {
            plan.set_unknown(id_path);
        }
        if let Some(before) = before.filter(|_| !stays && id.is_some()) {
            let mut reasons = review::reasons(&before, &wanted);
            if renewed {
                let what = if other_key {
                    "its admin key"
                } else {
                    "its secret"
                };
                reasons.push(what.to_owned());
            }
            restarts.push((role, reasons));
        }
        // What an image is does not change with the container made from it.
        let missing = |path: &Path| plan.prior::<String>(path.clone()).is_none();
        let new_digest = !stays && (other_image || missing(&digest_path));
        let new_version = !stays && role == Role::Backend && (other_version || missing(&version));
        if new_digest {
            plan.set_unknown(digest_path);
        }
        if new_version {
            plan.set_unknown(version);
        }
    }
    // It goes with the container whose network it shares, of which the plan
    // tells: that of a Coder workspace is replaced at each start.
    let shares = |settings: &Settings| matches!(settings.network, Network::Of(_));
    let only_follows = shares(settings)
        && was.as_ref().is_some_and(shares)
        && restarts
            .iter()
            .all(|(_, reasons)| *reasons == [review::NETWORK]);
    if !new_secret && !is_another(plan) && !only_follows {
        review::restarts(plan, settings, &restarts, moves);
    }
}

/// Whether a container that was made for one serves for the other. Its limits
/// are changed while it runs.
fn same_container(one: &ContainerSpec, other: &ContainerSpec) -> bool {
    let mut same_limits = one.clone();
    same_limits.program.limits = other.program.limits;
    same_limits == *other && one.program.limits.can_become(&other.program.limits)
}

/// Tells the rest of this run what is planned. A deployment that stays as it is
/// says nothing: while the plan is applied Terraform will not mention it again,
/// and what depends on it must then come to the same plan.
fn note(cx: &Cx<Session>, plan: &mut Plan<'_>, settings: Option<&Settings>, moves: &Moves) {
    let Some(id) = whereabouts::planned_id(plan) else {
        return;
    };
    if !plan.changes_anything() {
        return;
    }
    let reach = match settings.filter(|settings| !settings.awaits_origin()) {
        Some(settings) => Known::Known(settings.reach()),
        None => Known::Unknown,
    };
    let urls = settings.and_then(Settings::urls).and_then(|urls| urls.api);
    let origin = match &reach {
        Known::Known(reach) => Some(reach.public.api.to_string()),
        Known::Unknown => None,
    };
    let planned = Planned {
        creates: plan.creates(),
        renews_keys: plan.prior::<Secret>("instance_secret").is_some()
            && plan.changes("instance_secret")
            || gives_another_secret(plan)
            || rotates(plan)
            || !plan.creates() && plan.changes("instance_name"),
        other_documents: moves.documents,
        addresses: [urls, origin].into_iter().flatten().collect(),
        reach,
        keeps_secrets: match plan.planned::<Option<bool>>("secrets_in_state") {
            Known::Known(keeps) => Known::Known(keeps != Some(false)),
            Known::Unknown => Known::Unknown,
        },
        running: settings.map_or(Known::Unknown, |settings| Known::Known(settings.running)),
    };
    cx.session.note(&id.to_string(), |deployment| {
        deployment.planned = Some(planned);
    });
}
