//! Checks of the deployment.

use super::{
    Answer, Facts, Keeper, Service, Source, Verdict,
    keeper::{APPLY, START},
    probe::moduli,
};
use crate::{
    convex::{AuthKeys, env_var::misfit},
    render::env_local::SELF_HOSTED_URL,
};

/// What was not asked stays open; why it was not is said.
pub(super) fn open<T>(answer: &Answer<T>) -> Option<Verdict> {
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
            match facts.keeper() {
                Keeper::Terraform => format!(
                    "With running = true, {APPLY}. If they stop again, read docker logs of the backend."
                ),
                Keeper::Hand => format!(
                    "Run ./{START}. If they stop again, read npm run convex:logs, see with docker ps who holds their ports, and recreate them: npm run convex:stop, then ./{START}."
                ),
            },
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
        Answer::Failed(why) => {
            let by_source = match facts.probes.sources[0] {
                Source::Configuration => {
                    "Check that the backend runs, and that url is its address.".to_owned()
                }
                Source::Environment => format!(
                    "Check that the backend runs, and that {SELF_HOSTED_URL} of the environment is its address: curl ${SELF_HOSTED_URL}/version"
                ),
                Source::File => format!(
                    "Check that the backend runs. If {SELF_HOSTED_URL} is not its address: {}",
                    facts.remove_lines(SELF_HOSTED_URL)
                ),
            };
            match &facts.probes.nowhere {
                Some(nowhere) => Verdict::failed(
                    format!("{why}: {}", nowhere.detail()),
                    format!("{} {by_source}", nowhere.remedy()),
                ),
                None => Verdict::failed(why.as_str(), by_source),
            }
        }
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn api_instance(facts: &Facts) -> Verdict {
    let instances = match &facts.probes.instance {
        Answer::Known(instances) => instances,
        Answer::Failed(why) | Answer::NotAsked(why) => return Verdict::open(why.as_str()),
    };
    let there = &instances.there;
    match &instances.of_key {
        Some(of_key) if !instances.agree() => Verdict::failed(
            format!(
                "the URL leads to the instance {there:?}, the admin key is for {of_key:?}: one of the two belongs to another deployment"
            ),
            facts.replace_access(),
        ),
        Some(_) => Verdict::passed(format!(
            "the URL leads to the instance {there:?}, as the admin key says"
        )),
        None => Verdict::open(format!(
            "the URL leads to the instance {there:?}; no admin key says whether that is right"
        )),
    }
}

pub(super) fn site_answers(facts: &Facts) -> Verdict {
    match &facts.probes.site {
        Answer::Known(()) => Verdict::passed("HTTP actions have an address that answers"),
        // A name that only browsers resolve, for example.
        Answer::Failed(why) if facts.probes.only_browsers_may_reach(Service::Site) => {
            Verdict::open(format!(
                "{why}; browsers may still reach it: see browser_site"
            ))
        }
        Answer::Failed(why) => Verdict::failed(
            why.as_str(),
            "Check that the port of the HTTP actions is published or their Coder app is there, and that VITE_CONVEX_SITE_URL is its address.",
        ),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn admin_key(facts: &Facts) -> Verdict {
    match &facts.probes.key {
        Answer::Known(()) => Verdict::passed("the backend accepts it"),
        // Another deployment can have an instance of the same name, so the URL is in doubt, too.
        Answer::Failed(why) => Verdict::failed(why.as_str(), facts.replace_access()),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn variables(facts: &Facts) -> Verdict {
    let variables = match &facts.probes.variables {
        Answer::Known(variables) => variables,
        Answer::Failed(why) => return Verdict::failed(why.as_str(), facts.set_variables()),
        Answer::NotAsked(why) => return Verdict::open(why.as_str()),
    };
    let missing: Vec<&str> = [
        "JWT_PRIVATE_KEY",
        "JWKS",
        "JWT_ISSUER",
        "CONVEX_SITE_ORIGIN",
    ]
    .into_iter()
    .filter(|name| facts.probes.variable(name).is_none())
    .collect();
    let then_deploy = || {
        format!(
            "{} Then deploy the functions: npm run deploy:functions",
            facts.set_variables()
        )
    };
    if !missing.is_empty() {
        return Verdict::failed(
            format!("{} not set in the deployment", missing.join(", ")),
            then_deploy(),
        );
    }
    let text = |name| facts.probes.variable(name).unwrap_or_default();
    if let Some(problem) = misfit("JWT_PRIVATE_KEY", text("JWT_PRIVATE_KEY")) {
        return Verdict::failed(format!("JWT_PRIVATE_KEY: {problem}"), then_deploy());
    }
    let own = AuthKeys::parse(text("JWT_PRIVATE_KEY"))
        .ok()
        .and_then(|keys| moduli(keys.jwks().as_bytes()))
        .unwrap_or_default();
    match moduli(text("JWKS").as_bytes()) {
        // Tokens do not say which key has signed them.
        Some(set) if set == own => Verdict::passed(format!("{} are set", variables.len())),
        Some(set) if set.is_superset(&own) => Verdict::failed(
            "JWKS has several keys, and tokens of @convex-dev/auth do not say which one has signed them, so the backend refuses all of them",
            facts.set_variables(),
        ),
        _ => Verdict::failed(
            "JWKS is not the public half of JWT_PRIVATE_KEY, as after a rotation of only one of them",
            facts.set_variables(),
        ),
    }
}
