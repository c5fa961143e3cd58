//! The checklist for a directory, with the deployment that it speaks of.

use std::{io, path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::{process::Command, time::timeout};

use super::{
    Addresses, Answer, Facts, Given, Probes, Report, Snapshot, Source,
    cloud::heeded,
    containers::{Containers, containers},
    env::is_internal,
    probe,
    probe::is_loopback,
    site_beside, snapshot, unasked, verify,
};
use crate::{
    convex::{AdminKey, ApiOrigin},
    render::{
        env_local::{ADMIN_KEY, SELF_HOSTED_URL},
        project::ENV_LOCAL,
    },
    runtime::docker::{Docker, FromInside, Surroundings},
};

/// Variables of the process that come before those of the files, as they do for the `convex`
/// command line and for Vite, beside those of [`heeded`].
const HEEDED: [&str; 2] = [SELF_HOSTED_URL, ADMIN_KEY];

/// How long Node.js may take to say its version.
const NODE_ANSWERS: Duration = Duration::from_secs(10);

impl Given {
    /// The same one, not to be sent for this reason.
    fn withhold(self, why: impl Into<String>) -> Self {
        match self {
            Self::Key(key) => Self::Withheld(key, why.into()),
            other => other,
        }
    }
}

/// Where the deployment is that a project speaks of, and who says so: of the URL and of the key.
pub fn addresses(snapshot: &Snapshot) -> Result<(Addresses, [Source; 2]), String> {
    let file = snapshot.variables().unwrap_or_default();
    let value = |name: &str| {
        let set = |it: &&String| !it.is_empty();
        let environment = snapshot.environment.get(name).filter(set);
        let file = || {
            file.get(name)
                .filter(set)
                .map(|it| (it.clone(), Source::File))
        };
        environment
            .map(|it| (it.clone(), Source::Environment))
            .or_else(file)
    };
    let (url, url_from) = value(SELF_HOSTED_URL)
        .ok_or_else(|| format!("{SELF_HOSTED_URL} is not set, so nothing was asked"))?;
    let api = ApiOrigin::parse(url.trim_end_matches('/'))
        .map_err(|error| format!("{SELF_HOSTED_URL}: {error}"))?;
    let (key, key_from) = value(ADMIN_KEY).unwrap_or_default();
    let key = match AdminKey::parse(&key) {
        _ if key.is_empty() => Given::Nothing,
        Ok(key) => Given::Key(key),
        Err(error) => Given::Broken(format!("{ADMIN_KEY}: {error}")),
    };
    // Whoever writes the file must not learn the key of whoever runs this.
    let key = if key_from == Source::Environment && url_from == Source::File {
        key.withhold(format!(
            "{ADMIN_KEY} is of the environment and the URL of {ENV_LOCAL}, so the key was not sent there: set {SELF_HOSTED_URL} in the environment, too"
        ))
    } else if api.is_in_the_open() && !is_near(&api) {
        key.withhold(format!(
            "{api} is another machine and not encrypted, so the admin key was not sent there: use https"
        ))
    } else {
        key
    };
    let texts = |names: &[&str]| -> Vec<String> {
        let texts = names.iter().filter_map(|name| value(name));
        texts.map(|(text, _)| text).collect()
    };
    let sites = texts(&["VITE_CONVEX_SITE_URL", "CONVEX_SITE_ORIGIN"]);
    let site = site_of(&api, &sites);
    let addresses = Addresses {
        api,
        site,
        key,
        browsers: browser_addresses(snapshot),
    };
    Ok((addresses, [url_from, key_from]))
}

/// What a project gives browsers for its API, and for its HTTP actions.
#[must_use]
pub fn browser_addresses(snapshot: &Snapshot) -> [Vec<String>; 2] {
    ["VITE_CONVEX_URL", "VITE_CONVEX_SITE_URL"].map(|name| {
        let found = snapshot.in_frontend(name);
        found.into_iter().map(|(url, _)| url).collect()
    })
}

/// Where HTTP actions can be asked from here. A public address may ask a program for a login, or
/// not be reached; one of this machine is that of the container only where ports are the same.
fn site_of(api: &ApiOrigin, sites: &[String]) -> Option<ApiOrigin> {
    let parsed = || sites.iter().filter_map(|it| ApiOrigin::parse(it).ok());
    parsed()
        .find(|it| is_loopback(it.as_str()) && !is_internal(it.as_str()))
        .or_else(|| site_beside(api))
        .or_else(|| parsed().find(|it| !is_internal(it.as_str())))
}

/// Whether a host is a name that only means something on this machine or in its container network.
fn is_near(origin: &ApiOrigin) -> bool {
    url::Url::parse(origin.as_str()).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => !name.contains('.') || name == "host.docker.internal",
        _ => false,
    })
}

/// Goes through the checklist for a directory. Changes nothing.
pub async fn verify_directory(
    directory: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> io::Result<Report> {
    let mut snapshot = snapshot(directory.to_owned()).await?;
    snapshot.environment = HEEDED
        .into_iter()
        .map(str::to_owned)
        .chain(heeded())
        .filter_map(|name| environment(&name).map(|value| (name, value)))
        .collect();
    snapshot.node = node_version(directory).await;
    let probes = match addresses(&snapshot) {
        Ok((addresses, sources)) => {
            let around = Surroundings::read(|name| environment(name).map(Into::into));
            Probes {
                sources,
                ..ask(&addresses, &around).await
            }
        }
        Err(why) => unasked(&why),
    };
    Ok(verify(&Facts {
        snapshot: Some(snapshot),
        probes,
        frontend_url: None,
    }))
}

/// What Node.js says of itself in a directory, if it is there.
async fn node_version(directory: &Path) -> Option<String> {
    let mut node = Command::new("node");
    node.arg("--version").current_dir(directory);
    node.stdin(Stdio::null()).kill_on_drop(true);
    let said = timeout(NODE_ANSWERS, node.output()).await.ok()?.ok()?;
    String::from_utf8(said.stdout).ok()
}

/// Looks at the containers of a deployment on this machine, and asks it if they run.
async fn ask(addresses: &Addresses, docker: &Surroundings) -> Probes {
    let api = addresses.api.as_str();
    let found = if is_loopback(api) {
        let port = url::Url::parse(api)
            .ok()
            .and_then(|url| url.port_or_known_default());
        containers(docker, port, addresses.key.instance()).await
    } else {
        Containers::unknown("the deployment is not on this machine")
    };
    let probes = match found.running {
        Answer::Known(false) => unasked("the containers do not run"),
        _ => probe(addresses, found.inside.as_ref()).await,
    };
    Probes {
        containers: found.running,
        keeper: found.keeper,
        ..probes
    }
}

/// Asks the deployment that a project speaks of, without a look at Docker.
pub async fn ask_from_here(snapshot: &Snapshot) -> Probes {
    match addresses(snapshot) {
        Ok((addresses, sources)) => Probes {
            sources,
            ..probe(&addresses, None::<&FromInside<Arc<Docker>>>).await
        },
        Err(why) => unasked(&why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::verify::SeenFile;

    fn snapshot(file: &str, environment: &[(&str, &str)]) -> Snapshot {
        let seen = SeenFile {
            text: file.into(),
            bits: 0o600,
        };
        Snapshot {
            files: [(ENV_LOCAL.to_owned(), seen)].into(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Snapshot::default()
        }
    }

    fn key(file: &str, environment: &[(&str, &str)]) -> (Given, [Source; 2]) {
        let (addresses, sources) = addresses(&snapshot(file, environment)).unwrap();
        (addresses.key, sources)
    }

    #[test]
    fn a_key_of_the_environment_never_goes_to_a_url_of_the_file() {
        let url = "CONVEX_SELF_HOSTED_URL=https://thief.example\n";
        let of_environment = (ADMIN_KEY, "app|01");
        let (given, sources) = key(url, &[of_environment]);
        assert!(matches!(given, Given::Withheld(..)), "{given:?}");
        assert_eq!(sources, [Source::File, Source::Environment]);
        // Where both are of one hand, they belong together; the environment comes first.
        let own = (SELF_HOSTED_URL, "https://own.example");
        let (given, sources) = key(url, &[of_environment, own]);
        assert!(matches!(given, Given::Key(_)));
        assert_eq!(sources, [Source::Environment; 2]);
        let (given, _) = key(&format!("{url}{ADMIN_KEY}='app|01'\n"), &[]);
        assert!(matches!(given, Given::Key(_)));
    }

    #[test]
    fn a_key_goes_to_no_other_machine_in_the_open() {
        for (url, sent) in [
            ("https://api.example", true),
            ("http://127.0.0.1:3210", true),
            ("http://localhost:3210", true),
            ("http://app-backend:3210", true),
            ("http://host.docker.internal:3210", true),
            ("http://api.example", false),
            ("http://10.0.0.7:3210", false),
        ] {
            let file = format!("{SELF_HOSTED_URL}={url}\n{ADMIN_KEY}='app|01'\n");
            let (given, _) = key(&file, &[]);
            assert_eq!(matches!(given, Given::Key(_)), sent, "{url}");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_not_sent() {
        let broken = |key: &str| {
            let file = format!("{SELF_HOSTED_URL}=http://127.0.0.1:3210\n{ADMIN_KEY}=\"{key}\"\n");
            match self::key(&file, &[]).0 {
                Given::Broken(why) => why,
                other => panic!("{other:?}"),
            }
        };
        assert!(broken("app|01 02").contains("blanks"));
        assert!(broken("preview:app|0102").contains("`preview:`"));
        assert!(broken("project:app|0102").contains("`project:`"));
    }

    #[test]
    fn http_actions_are_asked_where_they_are_those_of_the_deployment() {
        let site = |api: &str, sites: &[&str]| {
            let sites: Vec<String> = sites.iter().map(|it| (*it).to_owned()).collect();
            site_of(&ApiOrigin::parse(api).unwrap(), &sites).map(|it| it.to_string())
        };
        let internal = "http://127.0.0.1:3211";
        let (usual, other) = ("http://127.0.0.1:3210", "http://127.0.0.1:4210");
        assert_eq!(
            site(usual, &["https://a.example", internal]).as_deref(),
            Some(internal)
        );
        // At that port of this machine there may be another deployment.
        assert_eq!(site(other, &[internal]), None);
        assert_eq!(
            site(other, &["http://localhost:4211", internal]).as_deref(),
            Some("http://localhost:4211")
        );
        assert_eq!(
            site(other, &["https://a.example", internal]).as_deref(),
            Some("https://a.example")
        );
    }
}
