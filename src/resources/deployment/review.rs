//! What whoever reviews a plan should ask about, said in words.
//!
//! Terraform shows which attributes change. What that does to containers, to
//! data and to who can read it, it does not show. Each warning comes once, with
//! the plan that brings its cause about, and is gone from the next one.

use std::collections::BTreeSet;

use super::{
    bonds::Bonds,
    model::{Model, VolumeModel},
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
    runtime::{ContainerSpec, Role, labels},
    session::Standing,
};

/// Looks at a plan that makes or changes a deployment.
pub fn changes(plan: &mut Plan<'_>, settings: Option<&Settings>) {
    new_volume(plan);
    fate(plan);
    image(plan);
    if let Some(settings) = settings {
        origins(plan, settings);
        issuer(plan, settings);
        variables(plan, settings);
        database(plan, settings);
        other_server(plan, settings);
        permission(plan, settings);
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
fn issuer(plan: &mut Plan<'_>, settings: &Settings) {
    let prior = plan.prior::<Model>(Path::root());
    let Some(was) = prior.and_then(|prior| Settings::of(&prior).ok()) else {
        return;
    };
    if is_another(plan) || was.origins.internal == settings.origins.internal {
        return;
    }
    // No addresses: agent_env has them too, so they are struck out as secrets.
    let detail = if settings.origins.internal {
        "moves to internal origins: the issuer of its tokens is then port 3211 of its own container, and not origins.site any more. Users stay signed in: clients of @convex-dev/auth get tokens of the new issuer with their refresh tokens. Functions see the issuer as CONVEX_SITE_URL; code that builds public addresses, for webhooks or OAuth callbacks, must read CUSTOM_AUTH_SITE_URL instead. To keep the public issuer, set internal_origins to false."
    } else {
        "moves to public origins: the issuer of its tokens is then origins.site, and not port 3211 of its own container any more. Users stay signed in: clients of @convex-dev/auth get tokens of the new issuer with their refresh tokens. The backend must reach origins.api and origins.site from inside its container without a login. If it does not, nobody can sign in and Node actions fail."
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
                "Deployment {name:?} exists, and is planned as new. Terraform destroys it first, and clients are disconnected until the new one is ready. The data stays in the volume {name}-data, and the new one goes on with it."
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
fn image(plan: &mut Plan<'_>) {
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
    plan.report(
        Diagnostic::warning(
            "The backend image changes",
            format!(
                "Deployment {name:?} goes from {was} to {now}. Its data stays where it is. If the new image is a newer release, it migrates the data when it starts: there is no way back to the older one. {way_back}"
            ),
        )
        .at("backend.image"),
    );
}

/// Says that data stays on the server it is on.
fn other_server(plan: &mut Plan<'_>, settings: &Settings) {
    let was = plan.prior::<String>("database_server");
    let (Some(was), Some(now)) = (was, settings.database_server()) else {
        return;
    };
    if was == now || plan.changes("name") {
        return;
    }
    let database = settings.instance_name.database_name();
    plan.report(
        Diagnostic::warning(
            "Another database server",
            format!(
                "Deployment {:?} goes from {was} to {now}, and takes what the database {database:?} has there. No data is moved: if it is another database and not another address of the same, all documents, variables and functions stay behind on {was}.",
                settings.name.as_str()
            ),
        )
        .at("database"),
    );
}

/// Says that a guard is off, when it is taken off and nothing is lost yet.
fn permission(plan: &mut Plan<'_>, settings: &Settings) {
    let allowed = plan.planned("allow_data_loss") == Known::Known(Some(true));
    if !allowed || !plan.changes("allow_data_loss") || breaks(plan, settings) {
        return;
    }
    plan.report(
        Diagnostic::warning(
            "Data loss is allowed",
            format!(
                "allow_data_loss is true: a change that leaves data of deployment {:?} behind is made and not refused, in this apply and in later ones. This plan has none. Set it back once the change that it is for is made.",
                settings.name.as_str()
            ),
        )
        .at("allow_data_loss"),
    );
}

/// Whether data is left behind.
fn breaks(plan: &Plan<'_>, settings: &Settings) -> bool {
    let prior = plan.prior::<Model>(Path::root());
    let was = prior.map(|it| it.bonds()).unwrap_or_default();
    !was.broken_by(&Bonds::of(settings)).is_empty()
}

/// Says which running containers start anew, and why.
pub fn restarts(plan: &mut Plan<'_>, settings: &Settings, restarts: &[(Role, Vec<String>)]) {
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
    let data = if breaks(plan, settings) {
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
    let volume = settings.names().volume();
    let kind = Bonds::of(settings).database;
    if settings.database.is_none() && kind == Some(DatabaseKind::Sqlite) {
        return format!("The data stays in the volume {volume}.");
    }
    let database = settings.instance_name.database_name();
    let server = settings.database_server();
    let server = server.map(|it| format!(" at {it}")).unwrap_or_default();
    format!("The data stays in the database {database:?}{server} and in the volume {volume}.")
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
    let names: BTreeSet<_> = was.env.keys().chain(now.env.keys()).collect();
    let changed: Vec<_> = names
        .into_iter()
        .filter(|name| was.env.get(*name) != now.env.get(*name))
        // It follows from the image, which is a reason of its own.
        .filter(|name| was.image == now.image || *name != RELEASE)
        .map(String::as_str)
        .collect();
    if !changed.is_empty() {
        reasons.push(format!("its environment ({})", changed.join(", ")));
    }
    reasons
}
