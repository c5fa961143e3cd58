//! The check of variables that lead tools to another deployment, such as one on Convex Cloud.

use super::{Facts, Snapshot, Verdict, files::with};
use crate::render::{
    dotenv,
    env_local::{ADMIN_KEY, SELF_HOSTED_URL},
    project::ENV_LOCAL,
};

/// Variables that choose a deployment for the `convex` command line. It heeds a key before
/// `CONVEX_SELF_HOSTED_URL`, and refuses to run with both that and `CONVEX_DEPLOYMENT`.
const CHOOSING: [&str; 3] = [
    "CONVEX_DEPLOY_KEY",
    "CONVEX_DEPLOYMENT_TOKEN",
    "CONVEX_DEPLOYMENT",
];

/// The files in which it looks for them, and the one that scripts name to it.
const CHOOSING_FILES: [&str; 3] = [ENV_LOCAL, ".env.local", ".env"];

/// What frameworks put before the name of a variable that pages may read.
const FRAMEWORKS: [&str; 7] = [
    "",
    "VITE_",
    "NEXT_PUBLIC_",
    "EXPO_PUBLIC_",
    "REACT_APP_",
    "PUBLIC_",
    "NUXT_PUBLIC_",
];

/// The files in which frameworks look for them.
pub(super) const FRAMEWORK_FILES: [&str; 8] = [
    ENV_LOCAL,
    ".env.convex",
    ".env.local",
    ".env",
    ".env.development.local",
    ".env.development",
    ".env.production.local",
    ".env.production",
];

/// The variables in which a page has an address of the deployment.
fn pages_read() -> impl Iterator<Item = String> {
    FRAMEWORKS
        .into_iter()
        .flat_map(|prefix| ["CONVEX_URL", "CONVEX_SITE_URL"].map(|name| format!("{prefix}{name}")))
}

/// All variables that this check looks at.
pub(super) fn heeded() -> impl Iterator<Item = String> {
    CHOOSING.into_iter().map(str::to_owned).chain(pages_read())
}

/// Whether an address is one of Convex Cloud.
fn is_cloud(url: &str) -> bool {
    let host = url::Url::parse(url.trim()).ok();
    let host = host.as_ref().and_then(url::Url::domain).unwrap_or_default();
    host.ends_with(".convex.cloud") || host.ends_with(".convex.site")
}

impl Facts {
    /// Whether an address is one of Convex Cloud, and the deployment is not there.
    pub(super) fn leads_to_cloud(&self, url: &str) -> bool {
        let own = self.probes.urls.known();
        is_cloud(url) && !own.is_some_and(|own| is_cloud(&own.convex_cloud_url))
    }
}

impl Snapshot {
    /// Whether the project's commands call `npx convex` with `--env-file`: the file has address and
    /// key, and the environment has no key.
    fn names_its_file(&self) -> bool {
        let file = self.text(ENV_LOCAL).and_then(|it| dotenv::decode(it).ok());
        let has = |name| {
            let value = file.as_ref().and_then(|file| file.get(name));
            value.is_some_and(|it| !it.is_empty())
        };
        has(SELF_HOSTED_URL) && has(ADMIN_KEY) && !self.environment.contains_key(ADMIN_KEY)
    }
}

/// A variable, and where it is set.
struct Found {
    name: String,
    place: &'static str,
    /// Its value, where that is an address.
    url: Option<String>,
}

impl Snapshot {
    /// Where a variable is set: in the environment and in these files.
    fn everywhere(&self, name: &str, files: &[&'static str]) -> Vec<(&'static str, String)> {
        let of_environment = self.environment.get(name).cloned();
        let of_environment = of_environment.map(|value| ("the environment", value));
        let of_files = files.iter().filter_map(|file| {
            let value = dotenv::decode(self.text(file)?).ok()?.remove(name)?;
            Some((*file, value))
        });
        of_environment
            .into_iter()
            .chain(of_files)
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

fn found(facts: &Facts, snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for name in CHOOSING {
        for (place, _) in snapshot.everywhere(name, &CHOOSING_FILES) {
            let name = name.to_owned();
            found.push(Found {
                name,
                place,
                url: None,
            });
        }
    }
    for name in pages_read() {
        // Vite reads some of the files, and takes the first value.
        let places = if name.starts_with("VITE_") {
            let first = snapshot.in_frontend(&name);
            first.map(|(url, place)| (place, url)).into_iter().collect()
        } else {
            snapshot.everywhere(&name, &FRAMEWORK_FILES)
        };
        for (place, url) in places {
            if facts.leads_to_cloud(&url) {
                let (name, url) = (name.clone(), Some(url));
                found.push(Found { name, place, url });
            }
        }
    }
    found
}

pub(super) fn other_deployment(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let mut found = found(facts, snapshot);
        // The project's own commands name the file with the key, and nothing else is read then.
        if snapshot.names_its_file() {
            found.retain(|it| it.url.is_some() || it.place == ENV_LOCAL);
        }
        if found.is_empty() {
            return Verdict::passed("no variable leads to another deployment");
        }
        let details: Vec<String> = found
            .iter()
            .map(|Found { name, place, url }| match url {
                Some(url) => format!("{name} of {place} is {url}, on Convex Cloud"),
                None if name == "CONVEX_DEPLOYMENT" => {
                    format!("{name} of {place} makes npx convex without --env-file refuse to run beside CONVEX_SELF_HOSTED_URL")
                }
                None => format!(
                    "{name} of {place} makes npx convex without --env-file deploy to another deployment, whatever CONVEX_SELF_HOSTED_URL is"
                ),
            })
            .collect();
        let mut remedies: Vec<String> = found
            .iter()
            .map(|Found { name, place, .. }| match *place {
                "the environment" => format!("Unset {name} in the environment."),
                file => format!("Remove {name} from {file}."),
            })
            .collect();
        remedies.push("To keep using the other deployment too, move its variables to a file of their own and name it: npx convex deploy --env-file FILE.".to_owned());
        Verdict::failed(details.join("; "), remedies.join(" "))
    })
}
