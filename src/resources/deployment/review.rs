//! What whoever reviews a plan should ask about, said in words.
//!
//! Terraform shows which attributes change. What that does to containers, to
//! data and to who can read it, it does not show. Each warning comes once, with
//! the plan that brings its cause about, and is gone from the next one.

use std::collections::BTreeSet;

use super::{
    bonds::Bonds,
    model::{Model, VolumeModel},
    moves::Moves,
    network::Network,
    settings::Settings,
    whereabouts::is_another,
};
use crate::{
    convex::{
        OriginWarning,
        database::{DatabaseKind, DatabaseWarning},
        process_env::{RELEASE, StorageKind},
    },
    plugin::{Diagnostic, Known, Plan, value::Path},
    runtime::{ContainerSpec, Program, Role, labels},
    session::Standing,
};

/// Looks at a plan that makes or changes a deployment.
pub fn changes(plan: &mut Plan<'_>, settings: Option<&Settings>, moves: &Moves) {
    new_volume(plan);
    fate(plan);
    image(plan, moves);
    elsewhere(plan, moves);
    if let Some(settings) = settings {
        origins(plan, settings);
        issuer(plan, settings, moves);
        variables(plan, settings);
        prefilled_key(plan, settings);
        database(plan, settings);
        permission(plan, settings, moves);
    }
}

fn new_volume(plan: &mut Plan<'_>) {
    if plan.creates() || !plan.changes("name") {
        return;
    }
    let fate = match on_destroy(plan).as_deref() {
        Some(VolumeModel::DELETE) => "is deleted with it",
        _ => "is kept, but not used by the new one",
    };
    let prior = plan.prior::<String>("name").unwrap_or_default();
    plan.report(
        Diagnostic::warning(
            "The new deployment starts without data",
            format!(
                "Another name is another deployment. The volume {prior}-data with the data of deployment {prior:?} {fate}."
            ),
        )
        .at("name"),
    );
}

/// Says which origins do not work together, when they are new.
fn origins(plan: &mut Plan<'_>, settings: &Settings) {
    if (!plan.creates() && !plan.changes("origins")) || settings.awaits_origin() {
        return;
    }
    for warning in settings.reach().public.warnings() {
        if warning == OriginWarning::MixedContent && settings.dashboard_image.is_none() {
            continue;
        }
        let summary = match warning {
            OriginWarning::MixedContent => "Browsers block the dashboard's requests",
            OriginWarning::SiteIsLocal => "HTTP actions are on localhost",
        };
        let path = Path::of("origins").attribute(warning.part());
        plan.report(Diagnostic::warning(summary, warning.to_string()).at(path));
    }
}

/// Says what a move between internal and public origins means for those who are
/// signed in, and for functions.
fn issuer(plan: &mut Plan<'_>, settings: &Settings, moves: &Moves) {
    let prior = plan.prior::<Model>(Path::root());
    let Some(was) = prior.and_then(|prior| Settings::of(&prior).ok()) else {
        return;
    };
    if is_another(plan) || was.origins.internal == settings.origins.internal {
        return;
    }
    let stay = if moves.documents {
        ""
    } else {
        " Users stay signed in: clients of @convex-dev/auth get tokens of the new issuer with their refresh tokens."
    };
    // No addresses: agent_env has them too, so they are struck out as secrets.
    let detail = if settings.origins.internal {
        format!(
            "moves to internal origins: the issuer of its tokens is then port 3211 of its own container, and not origins.site any more.{stay} Functions see the issuer as CONVEX_SITE_URL; code that builds public addresses, for webhooks or OAuth callbacks, must read CUSTOM_AUTH_SITE_URL instead. To keep the public issuer, set internal_origins to false."
        )
    } else {
        format!(
            "moves to public origins: the issuer of its tokens is then origins.site, and not port 3211 of its own container any more.{stay} The backend must reach origins.api and origins.site from inside its container without a login. If it does not, nobody can sign in and Node actions fail."
        )
    };
    plan.report(
        Diagnostic::warning(
            "The issuer of sign-in tokens changes",
            format!("Deployment {:?} {detail}", settings.name.as_str()),
        )
        .at("internal_origins"),
    );
}

/// Says what a variable for the backend's process does not do, when it is new.
fn variables(plan: &mut Plan<'_>, settings: &Settings) {
    if !plan.creates() && !plan.changes("backend.env") {
        return;
    }
    for warning in settings.backend_env.warnings() {
        plan.report(
            Diagnostic::warning(
                // Terraform folds warnings with the same summary into one.
                format!("Check the variable {}", warning.name()),
                warning.to_string(),
            )
            .at(Path::of("backend.env").key(warning.name())),
        );
    }
}

/// Says who can read the admin key, when a dashboard is first given it.
fn prefilled_key(plan: &mut Plan<'_>, settings: &Settings) {
    let path = "dashboard.prefill_admin_key";
    let is_new = plan.creates() || plan.changes(path) || plan.changes("dashboard.enabled");
    if settings.prefills_key() && is_new {
        plan.report(
            Diagnostic::warning(
                "The dashboard's page contains the admin key",
                format!(
                    "Everyone who can open the dashboard of deployment {:?} can read the admin key from its page: full control over the deployment, and the values of all variables. So can everyone who can inspect its container on the Docker host. Keep the page behind a login, such as that of a Coder app with share = \"owner\". Whoever has read the key keeps it when {path} is set to false again; rotate_trigger revokes it.",
                    settings.name.as_str()
                ),
            )
            .at(path),
        );
    }
}

/// Says what a database setting does not do, when it is new.
fn database(plan: &mut Plan<'_>, settings: &Settings) {
    if !plan.creates() && !plan.changes("database") {
        return;
    }
    let Some(database) = settings.database() else {
        return;
    };
    let shares = matches!(settings.network, Network::Of(_));
    for warning in database.warnings(&settings.instance_name) {
        // There it is another container that is meant.
        if shares && matches!(warning, DatabaseWarning::Loopback { .. }) {
            continue;
        }
        let summary = match &warning {
            DatabaseWarning::LeftOut { name } => {
                format!("The database URL's {name} is left out")
            }
            DatabaseWarning::OtherName { .. } => "The database in the URL is not used".to_owned(),
            DatabaseWarning::RootCertificate => "The database's authority is left out".to_owned(),
            DatabaseWarning::Loopback { .. } => {
                "The database would be in the backend's container".to_owned()
            }
            DatabaseWarning::NoTls => "The database connection is not encrypted".to_owned(),
            DatabaseWarning::PerhapsNoTls => {
                "The database connection may not be encrypted".to_owned()
            }
        };
        let is_common = matches!(warning, DatabaseWarning::OtherName { .. });
        let warning = Diagnostic::warning(summary, warning.to_string());
        // Terraform would show the line with the URL and its password, in the
        // plan of whoever has a server that gives such URLs.
        plan.report(if is_common {
            warning
        } else {
            warning.at("database")
        });
    }
}

/// Says what a destruction does to data.
pub fn deletion(plan: &mut Plan<'_>) {
    let Some(prior) = plan.prior::<Model>(Path::root()) else {
        return;
    };
    if !prior.deletes_data() {
        return;
    }
    let name = &prior.name;
    let left = left_behind(&prior);
    plan.report(Diagnostic::warning(
        "The data is deleted",
        format!(
            "Destroying deployment {name:?} removes the volume {name}-data and all data in it, because volume.on_destroy is \"delete\".{left}"
        ),
    ));
}

/// What would become of a deployment's data.
pub fn standing(model: &Model) -> Standing {
    Standing {
        name: model.name.clone(),
        deletes_data: model.deletes_data(),
        left_behind: left_behind(model),
    }
}

/// What a plan says that makes anew what a state has: by `-replace`, `replace_triggered_by` or a
/// taint. `refused` says whether that may not delete data.
pub fn replacement(standing: &Standing, refused: bool) -> Diagnostic {
    let Standing {
        name,
        deletes_data,
        left_behind,
    } = standing;
    if !deletes_data {
        return Diagnostic::warning(
            format!("Deployment {name:?} is made anew"),
            format!(
                "Deployment {name:?} exists, and is planned as new. Terraform destroys it first, and clients are disconnected until the new one is ready. The data stays in the volume {name}-data, and the new one goes on with it.{left_behind}"
            ),
        );
    }
    let fate = format!(
        "Terraform destroys it first, and with it the volume {name}-data and all data in it, because volume.on_destroy is \"delete\".{left_behind} To keep the data, set volume.on_destroy to \"retain\" and apply that before."
    );
    if refused {
        return Diagnostic::error(
            format!("Replacing deployment {name:?} deletes its data"),
            format!(
                "Deployment {name:?} exists, and this plan replaces it, because of -replace or replace_triggered_by. {fate} To delete the data on purpose, set allow_data_loss to true."
            ),
        )
        .at("volume.on_destroy");
    }
    Diagnostic::warning(
        format!("The data of deployment {name:?} is deleted"),
        format!("Deployment {name:?} exists, and is planned as new. {fate}"),
    )
}

/// What a destruction leaves outside the volume.
fn left_behind(prior: &Model) -> String {
    let mut left = String::new();
    if prior
        .bonds()
        .database
        .is_some_and(|it| it != DatabaseKind::Sqlite)
    {
        let database = prior.database_name.as_deref().unwrap_or_default();
        let server = prior.database_server.as_ref().map(|it| format!(" at {it}"));
        left += &format!(
            " Documents, variables and functions stay in the database {database:?}{}.",
            server.unwrap_or_default()
        );
    }
    if prior.storage_kind.as_deref() == Some(StorageKind::S3.as_str()) {
        left += " Files stay in the buckets.";
    }
    left
}

/// What happens to the data, by the state: that is what a deletion goes by.
fn on_destroy(plan: &Plan<'_>) -> Option<String> {
    plan.prior::<String>("volume.on_destroy")
}

/// Says what a later destruction will do to data that a destruction has kept so
/// far.
fn fate(plan: &mut Plan<'_>) {
    let deletes = Known::Known(Some(VolumeModel::DELETE.to_owned()));
    if plan.creates() || !plan.changes("volume.on_destroy") {
        return;
    }
    if plan.planned::<Option<String>>("volume.on_destroy") == deletes {
        let name = plan.prior::<String>("name").unwrap_or_default();
        plan.report(
            Diagnostic::warning(
                "The data will go with the deployment",
                format!(
                    "From now on whatever destroys or replaces deployment {name:?} also deletes the volume {name}-data with all data in it."
                ),
            )
            .at("volume.on_destroy"),
        );
    }
}

/// Says what another image does to data, and whether there is a way back.
fn image(plan: &mut Plan<'_>, moves: &Moves) {
    let Some(prior) = plan.prior::<Model>(Path::root()) else {
        return;
    };
    let kept = plan.planned::<Option<String>>("kept_images.backend");
    let keeps = !matches!(kept, Known::Known(None));
    if keeps || plan.changes("name") || !plan.changes("backend.image") {
        return;
    }
    let Known::Known(Some(now)) = plan.planned::<Option<String>>("backend.image") else {
        return;
    };
    let was = prior.images().backend.unwrap_or_default();
    let name = &prior.name;
    let wanted = plan.planned::<Option<bool>>("upgrade.snapshot") == Known::Known(Some(true));
    let way_back = if wanted {
        "A snapshot is exported before the new image starts; last_snapshot will say where."
    } else {
        "No snapshot is exported first. To export one, set upgrade = { snapshot = true }."
    };
    let stays = if moves.any() {
        ""
    } else {
        " Its data stays where it is."
    };
    plan.report(
        Diagnostic::warning(
            "The backend image changes",
            format!(
                "Deployment {name:?} goes from {was} to {now}.{stays} If the new image is a newer release, it migrates the data when it starts: there is no way back to the older one. {way_back}"
            ),
        )
        .at("backend.image"),
    );
}

/// Says what stays behind where the backend is told to look for it elsewhere.
fn elsewhere(plan: &mut Plan<'_>, moves: &Moves) {
    let name = plan.prior::<String>("name").unwrap_or_default();
    if let Some((was, now)) = &moves.server {
        let database = plan.planned::<Option<String>>("instance_name").known();
        let database = database.flatten().unwrap_or_default().replace('-', "_");
        plan.report(
            Diagnostic::warning(
                "Another database server",
                format!(
                    "Deployment {name:?} goes from {was} to {now}, and takes what the database {database:?} has there. No data is moved: if it is another database and not another address of the same, all documents, variables and functions stay behind on {was}."
                ),
            )
            .at("database"),
        );
    }
    if !moves.buckets.is_empty() {
        let each = moves.buckets.iter();
        let each = each.map(|(what, was, now)| format!("- {what}: from {was} to {now}"));
        plan.report(
            Diagnostic::warning(
                "Another file store",
                format!(
                    "Deployment {name:?} looks for these in other buckets:\n{}\n\nNothing is copied: unless the new buckets have the same objects, they stay behind in the old ones, and the backend does not find them. Stop the deployment and copy the objects before this is applied.",
                    each.collect::<Vec<_>>().join("\n")
                ),
            )
            .at(if plan.config().has("storage") {
                "storage"
            } else {
                "backend.env"
            }),
        );
    }
}

/// Says that a guard is off, when it is taken off and nothing is lost yet.
fn permission(plan: &mut Plan<'_>, settings: &Settings, moves: &Moves) {
    let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
    if !allowed || !plan.changes("allow_data_loss") || moves.breaks {
        return;
    }
    let none = if moves.any() {
        ""
    } else {
        " This plan has none."
    };
    plan.report(
        Diagnostic::warning(
            "Data loss is allowed",
            format!(
                "allow_data_loss is true: a change that leaves data of deployment {:?} behind is made and not refused, in this apply and in later ones.{none} Set it back once the change that it is for is made.",
                settings.name.as_str()
            ),
        )
        .at("allow_data_loss"),
    );
}

/// Says which running containers start anew, and why.
pub fn restarts(
    plan: &mut Plan<'_>,
    settings: &Settings,
    restarts: &[(Role, Vec<String>)],
    moves: &Moves,
) {
    if restarts.is_empty() {
        return;
    }
    let why = |reasons: &[String]| match reasons {
        [] => "of what is only known during apply".to_owned(),
        some => format!("of {}", some.join(", ")),
    };
    let name = settings.name.as_str();
    if let [(Role::Dashboard, reasons)] = restarts {
        plan.report(Diagnostic::warning(
            // Terraform folds warnings with the same summary into one.
            format!("The dashboard of deployment {name:?} is interrupted"),
            format!(
                "Its container is recreated because {}. API, HTTP actions and data are not affected.",
                why(reasons)
            ),
        ));
        return;
    }
    let each = restarts
        .iter()
        .map(|(role, reasons)| format!("the {role} because {}", why(reasons)));
    let each = each.collect::<Vec<_>>().join("; ");
    let data = if moves.any() {
        String::new()
    } else {
        format!(" {}", where_data_stays(settings))
    };
    plan.report(Diagnostic::warning(
        format!("Deployment {name:?} is interrupted"),
        format!(
            "Running containers are recreated: {each}. Clients are disconnected until the new containers are ready.{data}"
        ),
    ));
}

fn where_data_stays(settings: &Settings) -> String {
    let bonds = Bonds::of(settings);
    let mut places = Vec::new();
    if settings.database.is_some() || bonds.database != Some(DatabaseKind::Sqlite) {
        let database = settings.instance_name.database_name();
        let server = settings.database_server();
        let server = server.map(|it| format!(" at {it}")).unwrap_or_default();
        places.push(format!("in the database {database:?}{server}"));
    }
    if bonds.storage == Some(StorageKind::S3) {
        places.push("in the buckets".to_owned());
    }
    places.push(format!("in the volume {}", settings.names().volume()));
    let last = places.pop().unwrap_or_default();
    let places = match places.as_slice() {
        [] => last,
        some => format!("{} and {last}", some.join(", ")),
    };
    format!("The data stays {places}.")
}

/// The reason of a container that joins another network.
pub const NETWORK: &str = "its network";

/// Why a container cannot go on as it is. Names only: values can be secrets.
pub fn reasons(before: &ContainerSpec, wanted: &ContainerSpec) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut differs = |is: bool, what: &str| {
        if is {
            reasons.push(what.to_owned());
        }
    };
    let (was, now) = (&before.program, &wanted.program);
    differs(was.image != now.image, "its image");
    differs(before.network != wanted.network, NETWORK);
    differs(before.hosts != wanted.hosts, "its extra hosts");
    differs(
        before.confinement != wanted.confinement,
        "its hardening or log",
    );
    differs(before.entrypoint != wanted.entrypoint, "its start script");
    differs(
        !was.limits.can_become(&now.limits),
        "a limit that is taken away",
    );
    differs(
        was.hidden_version != now.hidden_version,
        "the version of a write-only value",
    );
    let own = |spec: &ContainerSpec| {
        let mut own = spec.labels.clone();
        own.retain(|name, _| !name.starts_with(labels::PREFIX));
        own
    };
    differs(own(before) != own(wanted), "its labels");
    let names = was.env.keys().chain(&was.hidden_env);
    let names = names.chain(now.env.keys()).chain(&now.hidden_env);
    let is_hidden = |program: &Program, name| program.hidden_env.contains(name);
    let changed: Vec<_> = names
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|name| {
            was.env.get(*name) != now.env.get(*name) || is_hidden(was, name) != is_hidden(now, name)
        })
        // It follows from the image, which is a reason of its own.
        .filter(|name| was.image == now.image || *name != RELEASE)
        .map(String::as_str)
        .collect();
    if !changed.is_empty() {
        reasons.push(format!("its environment ({})", changed.join(", ")));
    }
    reasons
}
