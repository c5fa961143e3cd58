//! Checks of the deployment.

use super::{Answer, Facts, Verdict};
use crate::convex::AuthKeys;

/// What was not asked stays open; why it was not is said.
fn open<T>(answer: &Answer<T>) -> Option<Verdict> {
    match answer {
        Answer::NotAsked(why) => Some(Verdict::open(why.as_str())),
        _ => None,
    }
}

pub(super) fn containers(facts: &Facts) -> Verdict {
    match &facts.probes.containers {
        Answer::Known(true) => Verdict::passed("they run"),
        Answer::Known(false) => Verdict::failed(
            "they do not all run",
            "Apply with running = true, or run ./start-convex-backend.sh. If they end by themselves, read docker logs of the backend, see who holds the ports 3210, 3211 and 6791, and make them anew: npm run convex:stop, then ./start-convex-backend.sh.",
        ),
        Answer::Failed(why) => Verdict::failed(
            why.as_str(),
            "See with docker ps whether Docker answers and the containers are there.",
        ),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn api_answers(facts: &Facts) -> Verdict {
    match &facts.probes.api {
        Answer::Known(release) => Verdict::passed(release.as_str()),
        Answer::Failed(why) => Verdict::failed(
            why.as_str(),
            "See that the backend runs (docker ps, docker logs), that CONVEX_SELF_HOSTED_URL in .env.convex.local is its address, and ask it: curl $CONVEX_SELF_HOSTED_URL/version",
        ),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn site_answers(facts: &Facts) -> Verdict {
    match &facts.probes.site {
        Answer::Known(()) => Verdict::passed("HTTP actions have an address that answers"),
        Answer::Failed(why) => Verdict::failed(
            why.as_str(),
            "See that port 3211 of the backend is published or its Coder app is there, that CONVEX_SITE_ORIGIN is its address, and ask it: curl -i $CONVEX_SITE_ORIGIN/",
        ),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn admin_key(facts: &Facts) -> Verdict {
    match &facts.probes.key {
        Answer::Known(()) => Verdict::passed("the backend accepts it"),
        Answer::Failed(why) => Verdict::failed(
            why.as_str(),
            "Remove CONVEX_SELF_HOSTED_ADMIN_KEY from .env.convex.local, and apply again or run ./start-convex-backend.sh, which put the right one there.",
        ),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn variables(facts: &Facts) -> Verdict {
    if let Some(open) = open(&facts.probes.variables) {
        return open;
    }
    let variables = match &facts.probes.variables {
        Answer::Known(variables) => variables,
        Answer::Failed(why) | Answer::NotAsked(why) => {
            return Verdict::failed(
                why.as_str(),
                "Apply again, or run scripts/init-convex-env.sh.",
            );
        }
    };
    let missing: Vec<&str> = [
        "JWT_PRIVATE_KEY",
        "JWKS",
        "JWT_ISSUER",
        "CONVEX_SITE_ORIGIN",
    ]
    .into_iter()
    .filter(|name| {
        variables
            .get(*name)
            .is_none_or(crate::convex::Secret::is_empty)
    })
    .collect();
    let remedy = "Set it with convex_env (its `auth`), or run scripts/init-convex-env.sh; then deploy the functions again: npm run deploy:functions";
    if !missing.is_empty() {
        return Verdict::failed(
            format!("{} not set in the deployment", missing.join(", ")),
            remedy,
        );
    }
    let text = |name: &str| {
        variables
            .get(name)
            .map_or("", crate::convex::Secret::expose)
    };
    match AuthKeys::parse(text("JWT_PRIVATE_KEY")) {
        Err(error) => Verdict::failed(format!("JWT_PRIVATE_KEY: {error}"), remedy),
        Ok(keys) if !same_key(&keys.jwks(), text("JWKS")) => Verdict::failed(
            "JWKS is not the public half of JWT_PRIVATE_KEY",
            "Set both in one step: with convex_env (its `auth`), or with scripts/init-convex-env.sh.",
        ),
        Ok(_) => Verdict::passed(format!("{} are set", variables.len())),
    }
}

/// Whether the first key of a set is this one, whatever else it says.
fn same_key(ours: &str, theirs: &str) -> bool {
    let modulus = |text: &str| -> Option<String> {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(json["keys"][0]["n"].as_str()?.to_owned())
    };
    modulus(ours).is_some() && modulus(ours) == modulus(theirs)
}

pub(super) fn issuer(facts: &Facts) -> Verdict {
    if let Some(open) = open(&facts.probes.variables) {
        return open;
    }
    let Some(variables) = facts.probes.variables.known() else {
        return Verdict::open("the variables cannot be read: see variables");
    };
    let text = |name: &str| variables.get(name).map(crate::convex::Secret::expose);
    let (Some(issuer), Some(origin)) = (text("JWT_ISSUER"), text("CONVEX_SITE_ORIGIN")) else {
        return Verdict::open("one of the variables is not set: see variables");
    };
    let remedy = "Both must be the site origin, byte for byte: the backend refuses tokens of any other issuer. Set them with convex_env (its `auth`), or correct CONVEX_SITE_ORIGIN in .env.convex.local and run scripts/init-convex-env.sh.";
    if issuer != origin {
        return Verdict::failed(
            format!("JWT_ISSUER is {issuer}, CONVEX_SITE_ORIGIN is {origin}"),
            remedy,
        );
    }
    match facts.probes.urls.known() {
        Some(urls) if urls.convex_site_url != issuer => Verdict::failed(
            format!(
                "JWT_ISSUER is {issuer}, but the deployment's site origin is {}",
                urls.convex_site_url
            ),
            remedy,
        ),
        _ => Verdict::passed(issuer),
    }
}

pub(super) fn functions_deployed(facts: &Facts) -> Verdict {
    let remedy = "Run: npm run deploy:functions. If it fails because a variable is not set, run scripts/init-convex-env.sh first.";
    match &facts.probes.issuer {
        Answer::Known(issuer) => match facts.probes.urls.known() {
            Some(urls) if urls.convex_site_url != *issuer => Verdict::failed(
                format!(
                    "the functions name the issuer {issuer}, the deployment's site origin is {}",
                    urls.convex_site_url
                ),
                remedy,
            ),
            _ => Verdict::passed(format!("they name the issuer {issuer}")),
        },
        Answer::Failed(why) => Verdict::failed(why.as_str(), remedy),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}
