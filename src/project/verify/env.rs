//! Checks of the addresses in a project's env files.

use std::collections::BTreeMap;

use super::{
    Facts, Leads, Service, Snapshot, Verdict, files::with, keeper::APPLY, probe::is_loopback,
};
use crate::{
    convex::Origins,
    render::{
        dotenv,
        env_local::{ADMIN_KEY, SELF_HOSTED_URL},
        project::ENV_LOCAL,
    },
};

/// The variables without which nothing works.
const NEEDED: [&str; 8] = [
    "CONVEX_CLOUD_ORIGIN",
    "CONVEX_SITE_ORIGIN",
    "CONVEX_SITE_URL",
    "CONVEX_DEPLOYMENT_URL",
    "VITE_CONVEX_URL",
    "JWT_ISSUER",
    SELF_HOSTED_URL,
    ADMIN_KEY,
];

/// The files that Vite reads in the mode of the project's scripts. The first that has a variable
/// counts.
const VITE_FILES: [&str; 4] = [ENV_LOCAL, ".env.convex", ".env.local", ".env"];

impl Snapshot {
    /// What a Vite frontend takes for a variable, and where it is said.
    pub(super) fn in_frontend(&self, name: &str) -> Option<(String, &'static str)> {
        let of_file = |file: &'static str| {
            let value = dotenv::decode(self.text(file)?).ok()?.remove(name)?;
            Some((value, file))
        };
        self.environment
            .get(name)
            .map(|value| (value.clone(), "the environment"))
            .or_else(|| VITE_FILES.into_iter().find_map(of_file))
            .filter(|(value, _)| !value.is_empty())
    }
}

/// Whether an address is one of the backend's own, which mean something in its container only.
pub(super) fn is_internal(url: &str) -> bool {
    let own = Origins::internal(Origins::default().dashboard);
    url == own.site.as_str() || url == own.api.as_str()
}

/// Runs a check of the variables in `.env.convex.local`, where they can be read.
fn with_variables(
    facts: &Facts,
    check: impl FnOnce(&Snapshot, &BTreeMap<String, String>) -> Verdict,
) -> Verdict {
    with(facts, |snapshot| match snapshot.variables() {
        Some(variables) => check(snapshot, &variables),
        None => Verdict::open(format!("{ENV_LOCAL} cannot be read: see env_file")),
    })
}

pub(super) fn env_file(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let rewrite = facts.rewrite();
        let Some(text) = snapshot.text(ENV_LOCAL) else {
            return Verdict::failed(
                format!("there is no {ENV_LOCAL}"),
                format!("To write it, {rewrite}."),
            );
        };
        let variables = match dotenv::decode(text) {
            Ok(variables) => variables,
            Err(error) => {
                return Verdict::failed(format!("{ENV_LOCAL} cannot be read"), error.to_string());
            }
        };
        let missing: Vec<&str> = NEEDED
            .into_iter()
            .filter(|name| variables.get(*name).is_none_or(String::is_empty))
            .filter(|name| !snapshot.environment.contains_key(*name))
            .collect();
        if missing.is_empty() {
            Verdict::passed(format!("{} variables", variables.len()))
        } else {
            Verdict::failed(
                format!("{} not set in {ENV_LOCAL}", missing.join(", ")),
                format!("To add what is missing, {rewrite}."),
            )
        }
    })
}

/// Whether all that are set have one value; what was seen.
fn same(variables: &BTreeMap<String, String>, names: &[&str]) -> Result<String, String> {
    let set: Vec<(&str, &str)> = names
        .iter()
        .filter_map(|name| Some((*name, variables.get(*name)?.as_str())))
        .collect();
    match set.split_first() {
        None => Ok("none is set".to_owned()),
        Some(((_, first), rest)) if rest.iter().all(|(_, value)| value == first) => {
            Ok((*first).to_owned())
        }
        Some(_) => Err(set
            .iter()
            .map(|(name, value)| format!("{name} is {value}"))
            .collect::<Vec<_>>()
            .join(", ")),
    }
}

/// Whether an address was seen to lead to the deployment.
fn leads_home(facts: &Facts, service: Service, url: &str) -> bool {
    let url = url.trim_end_matches('/');
    facts
        .probes
        .places
        .iter()
        .any(|it| it.service == service && it.url == url && matches!(it.leads, Leads::Home(_)))
}

/// How an address that the frontend has from somewhere is put right.
fn correct(facts: &Facts, name: &str, from: &str) -> String {
    match from {
        ENV_LOCAL => facts.remove_lines(name),
        "the environment" => format!(
            "Unset {name} in the environment. In Coder the template gives it to the agent (coder_env): correct it there."
        ),
        file => format!("Remove {name} from {file}: the one of {ENV_LOCAL} is kept up to date."),
    }
}

pub(super) fn env_urls(facts: &Facts) -> Verdict {
    with_variables(facts, |snapshot, variables| {
        let names = ["CONVEX_CLOUD_ORIGIN", "CONVEX_DEPLOYMENT_URL"];
        let seen = match same(variables, &names) {
            Ok(seen) => seen,
            Err(seen) => {
                return Verdict::failed(
                    format!("{seen}; both are the origin of the API"),
                    facts.remove_lines("those that are wrong"),
                );
            }
        };
        let deployment = facts
            .probes
            .urls
            .known()
            .map(|it| it.convex_cloud_url.as_str());
        if let Some((url, from)) = snapshot.in_frontend("VITE_CONVEX_URL")
            && url != seen
            && deployment.is_none_or(|it| it != url)
            && !facts.leads_to_cloud(&url)
            && !leads_home(facts, Service::Api, &url)
        {
            return Verdict::failed(
                format!(
                    "VITE_CONVEX_URL of {from} is {url}, the origin of the API is {}",
                    deployment.unwrap_or(&seen)
                ),
                correct(facts, "VITE_CONVEX_URL", from),
            );
        }
        match deployment {
            Some(url) if url != seen && variables.contains_key(names[0]) => Verdict::failed(
                format!("{ENV_LOCAL} says {seen}, the deployment says {url}"),
                format!(
                    "{} If it is the deployment that is wrong, correct its origins.",
                    facts.remove_lines(&format!("{} and VITE_CONVEX_URL", names.join(", ")))
                ),
            ),
            _ => Verdict::passed(seen),
        }
    })
}

pub(super) fn env_issuer(facts: &Facts) -> Verdict {
    with_variables(facts, |_, variables| {
        let names = ["CONVEX_SITE_ORIGIN", "CONVEX_SITE_URL", "JWT_ISSUER"];
        let seen = match same(variables, &names) {
            Ok(seen) if variables.get("CONVEX_CLOUD_ORIGIN") == Some(&seen) => {
                return Verdict::failed(
                    format!("CONVEX_SITE_ORIGIN is {seen}, which is the origin of the API"),
                    facts.remove_lines(&names.join(", ")),
                );
            }
            Ok(seen) => seen,
            Err(seen) => {
                return Verdict::failed(
                    format!("{seen}; all three are the issuer of sign-in tokens"),
                    facts.remove_lines("those that are wrong"),
                );
            }
        };
        match facts.probes.urls.known() {
            Some(urls) if urls.convex_site_url != seen && variables.contains_key(names[0]) => {
                Verdict::failed(
                    format!(
                        "{ENV_LOCAL} says {seen}, the issuer of the deployment is {}",
                        urls.convex_site_url
                    ),
                    facts.remove_lines(&names.join(", ")),
                )
            }
            _ => Verdict::passed(seen),
        }
    })
}

pub(super) fn env_site(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let name = "VITE_CONVEX_SITE_URL";
        let found = snapshot.in_frontend(name);
        // That is other_deployment's to say.
        let Some((url, from)) = found.filter(|(url, _)| !facts.leads_to_cloud(url)) else {
            return Verdict::passed(format!(
                "{name} is not set to an address of this deployment"
            ));
        };
        let public = facts.probes.public_site();
        let api = snapshot.in_frontend("VITE_CONVEX_URL");
        // One machine may be the browser's, the backend's and the container's.
        let only_inside = is_internal(&url)
            && public.is_none_or(|public| public != url)
            && api.is_none_or(|(api, _)| !is_loopback(&api) || public.is_some());
        if only_inside {
            return Verdict::failed(
                format!(
                    "{name} of {from} is {url}, which only the container of the backend reaches; browsers do not"
                ),
                correct(facts, name, from),
            );
        }
        match public {
            Some(public) if public != url && !leads_home(facts, Service::Site, &url) => {
                Verdict::failed(
                    format!(
                        "{name} of {from} is {url}, browsers reach the HTTP actions at {public}"
                    ),
                    format!(
                        "{} If {public} is wrong, correct the origins of the deployment, and {APPLY}.",
                        correct(facts, name, from)
                    ),
                )
            }
            _ => Verdict::passed(url),
        }
    })
}
