//! Checks of what is in the directory of a project.

use std::collections::BTreeMap;

use super::{Facts, Snapshot, Verdict};
use crate::render::{
    dotenv,
    env_local::{ADMIN_KEY, SELF_HOSTED_URL},
    gitignore,
    package_json::Additions,
    project::{ENV_DEPLOYMENT, ENV_LOCAL, PRIVATE_KEY},
};

const SETUP: &str = "Apply the configuration again, or run scripts/setup-convex.sh";

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

impl Snapshot {
    /// The text of a file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|it| it.text.expose())
    }

    /// The variables of `.env.convex.local`; `None` when there is none or it cannot be read.
    #[must_use]
    pub fn variables(&self) -> Option<BTreeMap<String, String>> {
        dotenv::decode(self.text(ENV_LOCAL)?).ok()
    }

    /// The directory of the functions: `convex`, unless `convex.json` names another one.
    pub(super) fn functions(&self) -> String {
        self.text("convex.json")
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|json| Some(json["functions"].as_str()?.trim_matches('/').to_owned()))
            .unwrap_or_else(|| "convex".to_owned())
    }

    /// The path and the code, without comments, of a module of the functions.
    fn module(&self, name: &str) -> Option<(String, String)> {
        let directory = self.functions();
        ["ts", "tsx", "js", "jsx", "mjs"]
            .into_iter()
            .find_map(|end| {
                let path = format!("{directory}/{name}.{end}");
                let code = code(self.text(&path)?);
                Some((path, code))
            })
    }
}

/// A program without its comments, and with one blank for all between two words.
pub(super) fn code(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                result.push(c);
                result.extend(chars.next());
                continue;
            }
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '/') if chars.peek() == Some(&'/') => {
                chars.by_ref().find(|c| *c == '\n');
                result.push('\n');
                continue;
            }
            (None, '/') if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                chars.next();
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                result.push(' ');
                continue;
            }
            _ => {}
        }
        result.push(c);
    }
    result.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a check of a directory, where there is one.
fn with(facts: &Facts, check: impl FnOnce(&Snapshot) -> Verdict) -> Verdict {
    match &facts.snapshot {
        Some(snapshot) => check(snapshot),
        None => Verdict::open("no directory was given"),
    }
}

/// Runs a check of the variables in `.env.convex.local`, where they can be read.
fn with_variables(
    facts: &Facts,
    check: impl FnOnce(&BTreeMap<String, String>) -> Verdict,
) -> Verdict {
    with(facts, |snapshot| match snapshot.variables() {
        Some(variables) => check(&variables),
        None => Verdict::open(format!("{ENV_LOCAL} cannot be read: see env_file")),
    })
}

pub(super) fn env_file(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let Some(text) = snapshot.text(ENV_LOCAL) else {
            return Verdict::failed(format!("there is no {ENV_LOCAL}"), format!("{SETUP}."));
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
            .collect();
        if missing.is_empty() {
            Verdict::passed(format!("{} variables", variables.len()))
        } else {
            Verdict::failed(
                format!("{} not set in {ENV_LOCAL}", missing.join(", ")),
                format!("{SETUP}: what is missing is added."),
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

pub(super) fn env_urls(facts: &Facts) -> Verdict {
    with_variables(facts, |variables| {
        let names = [
            "CONVEX_CLOUD_ORIGIN",
            "CONVEX_DEPLOYMENT_URL",
            "VITE_CONVEX_URL",
        ];
        let seen = match same(variables, &names) {
            Ok(seen) => seen,
            Err(seen) => {
                return Verdict::failed(
                    seen,
                    format!(
                        "All three are the origin of the API. Remove those that are wrong from {ENV_LOCAL}; then: {SETUP}."
                    ),
                );
            }
        };
        match facts.probes.urls.known() {
            Some(urls) if urls.convex_cloud_url != seen && variables.contains_key(names[0]) => {
                Verdict::failed(
                    format!(
                        "{ENV_LOCAL} says {seen}, the deployment says {}",
                        urls.convex_cloud_url
                    ),
                    format!(
                        "Remove {} from {ENV_LOCAL}; then: {SETUP}. If it is the deployment that is wrong, correct its origins.",
                        names.join(", ")
                    ),
                )
            }
            _ => Verdict::passed(seen),
        }
    })
}

pub(super) fn env_issuer(facts: &Facts) -> Verdict {
    with_variables(facts, |variables| {
        match same(
            variables,
            &["CONVEX_SITE_ORIGIN", "CONVEX_SITE_URL", "JWT_ISSUER"],
        ) {
            Ok(seen) if variables.get("CONVEX_CLOUD_ORIGIN") == Some(&seen) => Verdict::failed(
                format!("CONVEX_SITE_ORIGIN is {seen}, which is the origin of the API"),
                format!(
                    "Give CONVEX_SITE_ORIGIN, CONVEX_SITE_URL and JWT_ISSUER in {ENV_LOCAL} the origin of HTTP actions (port 3211)."
                ),
            ),
            Ok(seen) => Verdict::passed(seen),
            Err(seen) => Verdict::failed(
                seen,
                format!(
                    "All three are the site origin, which issues sign-in tokens; authentication fails where they differ. Remove those that are wrong from {ENV_LOCAL}; then: {SETUP}."
                ),
            ),
        }
    })
}

pub(super) fn secrets_private(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let open: Vec<String> = [ENV_LOCAL, ENV_DEPLOYMENT, PRIVATE_KEY]
            .into_iter()
            .filter_map(|path| Some((path, snapshot.files.get(path)?)))
            .filter(|(_, file)| file.bits & 0o077 != 0)
            .map(|(path, file)| format!("{path} ({:o})", file.bits))
            .collect();
        if open.is_empty() {
            Verdict::passed("only their owner can read them")
        } else {
            let paths: Vec<&str> = open.iter().filter_map(|it| it.split(' ').next()).collect();
            Verdict::failed(
                format!("others can read {}", open.join(", ")),
                format!("Run: chmod 600 {}", paths.join(" ")),
            )
        }
    })
}

pub(super) fn secrets_ignored(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let text = snapshot.text(".gitignore").unwrap_or_default();
        let missing: Vec<&str> = gitignore::LINES[..3]
            .iter()
            .copied()
            .filter(|line| !text.lines().any(|it| it.trim() == *line))
            .collect();
        if missing.is_empty() {
            Verdict::passed("git ignores them")
        } else {
            Verdict::failed(
                format!("no line {} in .gitignore", missing.join(", ")),
                "Add one line for each to .gitignore, and see with `git log` whether they were committed: then make new keys.",
            )
        }
    })
}

pub(super) fn packages(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let Some(text) = snapshot.text("package.json") else {
            return Verdict::failed("there is no package.json", format!("{SETUP}."));
        };
        let needed = Additions {
            dependencies: ["convex", "@convex-dev/auth"]
                .map(|name| (name.to_owned(), "*".to_owned()))
                .to_vec(),
            ..Additions::default()
        };
        match needed.merge(text) {
            Ok(None) => Verdict::passed("convex and @convex-dev/auth are there"),
            Ok(Some(_)) => Verdict::failed(
                "convex or @convex-dev/auth is not in package.json",
                "Run: npm install convex @convex-dev/auth @auth/core (or the same with pnpm, yarn or bun)",
            ),
            Err(error) => Verdict::failed("package.json cannot be read", error.to_string()),
        }
    })
}

pub(super) fn generated_code(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let directory = format!("{}/_generated", snapshot.functions());
        let has = |name: &str| {
            ["d.ts", "ts", "js"].iter().any(|end| {
                snapshot
                    .files
                    .contains_key(&format!("{directory}/{name}.{end}"))
            })
        };
        let missing: Vec<&str> = ["api", "server", "dataModel"]
            .into_iter()
            .filter(|name| !has(name))
            .collect();
        if missing.is_empty() {
            Verdict::passed(directory)
        } else {
            Verdict::failed(
                format!("{directory} lacks {}", missing.join(", ")),
                format!(
                    "Remove {directory}, and run: npm run dev:backend (or npm run deploy:functions)"
                ),
            )
        }
    })
}

fn module(
    facts: &Facts,
    name: &str,
    has: impl FnOnce(&str) -> bool,
    lacks: &str,
    remedy: &str,
) -> Verdict {
    with(facts, |snapshot| match snapshot.module(name) {
        Some((path, code)) if has(&code) => Verdict::passed(path),
        Some((path, _)) => Verdict::failed(format!("{path} {lacks}"), remedy),
        None => Verdict::failed(
            format!("there is no {}/{name}.ts", snapshot.functions()),
            format!("Apply the configuration again, which writes it. {remedy}"),
        ),
    })
}

pub(super) fn schema_auth_tables(facts: &Facts) -> Verdict {
    module(
        facts,
        "schema",
        |code| code.contains("...authTables"),
        "does not have the tables of @convex-dev/auth",
        "Write `...authTables,` first in defineSchema({ … }), imported from \"@convex-dev/auth/server\".",
    )
}

pub(super) fn auth_providers(facts: &Facts) -> Verdict {
    module(
        facts,
        "auth",
        |code| code.contains("convexAuth("),
        "does not call convexAuth",
        "Write: export const { auth, signIn, signOut, store, isAuthenticated } = convexAuth({ providers: [Password] });",
    )
}

pub(super) fn auth_config(facts: &Facts) -> Verdict {
    module(
        facts,
        "auth.config",
        |code| code.contains("CONVEX_SITE_URL") && code.contains("applicationID"),
        "does not name CONVEX_SITE_URL as a domain",
        "It must have: providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: \"convex\" }]. Without it the backend accepts no token.",
    )
}

pub(super) fn http_routes(facts: &Facts) -> Verdict {
    module(
        facts,
        "http",
        |code| code.contains(".addHttpRoutes("),
        "does not add the routes of authentication",
        "Write `auth.addHttpRoutes(http);` before `export default http;`. Without it no sign-in endpoint answers.",
    )
}

pub(super) fn frontend_imports(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let functions = format!("{}/", snapshot.functions());
        let mut sources = snapshot
            .files
            .iter()
            .filter(|(path, _)| {
                !path.starts_with(&functions)
                    && [".ts", ".tsx", ".js", ".jsx", ".mjs", ".vue", ".svelte"]
                        .iter()
                        .any(|end| path.ends_with(end))
            })
            .peekable();
        if sources.peek().is_none() {
            return Verdict::open("no source of a frontend was found");
        }
        let found = sources.find(|(_, file)| code(file.text.expose()).contains("_generated/api"));
        match found {
            Some((path, _)) => Verdict::passed(path),
            None => Verdict::failed(
                "no source of the frontend imports the generated API",
                "Write: import { api } from \"../convex/_generated/api\"; and wrap the app in ConvexAuthProvider from \"@convex-dev/auth/react\". To get App.tsx and main.tsx that do so, move yours away and apply again.",
            ),
        }
    })
}
