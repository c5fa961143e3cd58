//! The checklist for a directory, with the deployment that it speaks of.

use std::{io, path::Path};

use super::{
    Addresses, Answer, Facts, Probes, Report, Snapshot, containers::containers, probe, site_beside,
    snapshot, unasked, verify,
};
use crate::{
    convex::{AdminKey, ApiOrigin},
    render::env_local::{ADMIN_KEY, SELF_HOSTED_URL},
    runtime::docker::Surroundings,
};

/// Whether an address is one of this very machine.
fn is_local(origin: &ApiOrigin) -> bool {
    ["http://localhost", "http://127.", "http://[::1]"]
        .iter()
        .any(|start| origin.as_str().starts_with(start))
}

/// Where the deployment is that a project speaks of. What `environment` says comes before what
/// its file says, as it does for the `convex` command line.
pub fn addresses(
    snapshot: Option<&Snapshot>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Addresses, String> {
    let file = snapshot.and_then(Snapshot::variables).unwrap_or_default();
    let value = |name: &str| {
        environment(name)
            .or_else(|| file.get(name).cloned())
            .filter(|value| !value.is_empty())
    };
    let url = value(SELF_HOSTED_URL)
        .ok_or_else(|| format!("{SELF_HOSTED_URL} is not set, so nothing was asked"))?;
    let api = ApiOrigin::parse(url.trim_end_matches('/'))
        .map_err(|error| format!("{SELF_HOSTED_URL}: {error}"))?;
    let origin = value("CONVEX_SITE_ORIGIN").and_then(|it| ApiOrigin::parse(&it).ok());
    // A public address may ask a program for a login, or not be reached from here.
    let site = match origin {
        Some(origin) if is_local(&origin) => Some(origin),
        origin => site_beside(&api).or(origin),
    };
    let key = value(ADMIN_KEY).and_then(|key| AdminKey::parse(&key).ok());
    Ok(Addresses { api, site, key })
}

/// Goes through the checklist for a directory. Changes nothing.
pub async fn verify_directory(
    directory: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> io::Result<Report> {
    let snapshot = snapshot(directory)?;
    let probes = match addresses(Some(&snapshot), &environment) {
        Ok(addresses) => {
            let around = Surroundings::read(|name| environment(name).map(Into::into));
            ask(&addresses, &around).await
        }
        Err(why) => unasked(&why),
    };
    Ok(verify(&Facts {
        snapshot: Some(snapshot),
        probes,
    }))
}

/// Looks at the containers of a deployment on this machine, and asks it if they run.
async fn ask(addresses: &Addresses, docker: &Surroundings) -> Probes {
    let instance = addresses.key.as_ref().and_then(AdminKey::instance_name);
    let containers = match instance {
        _ if !is_local(&addresses.api) => {
            Answer::NotAsked("the deployment is not on this machine".to_owned())
        }
        None => Answer::NotAsked("there is no admin key that names the deployment".to_owned()),
        Some(instance) => containers(docker, instance).await,
    };
    let probes = match containers {
        Answer::Known(false) => unasked("the containers do not run"),
        _ => probe(addresses).await,
    };
    Probes {
        containers,
        ..probes
    }
}
