//! Checks of what is in the directory of a project.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use super::{Facts, Snapshot, Verdict};
use crate::{
    convex::tested::NODE_IN_WORDS,
    render::{
        dotenv, gitignore,
        package_json::Additions,
        project::{self, ENV_DEPLOYMENT, ENV_LOCAL, PRIVATE_KEY, node::is_supported},
    },
};

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

    /// The directory of the functions: `convex`, unless `convex.json` names another one. An error
    /// is one that is not in the project.
    pub(super) fn functions(&self) -> Result<String, String> {
        let named = self
            .text("convex.json")
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|json| Some(json["functions"].as_str()?.to_owned()));
        let named = named.unwrap_or_else(|| "convex".to_owned());
        if self.functions_lead_out {
            return Err(named);
        }
        let mut inside = Vec::new();
        for component in Path::new(&named).components() {
            match component {
                Component::Normal(name) => inside.push(name.to_string_lossy()),
                Component::CurDir => {}
                _ => return Err(named),
            }
        }
        if inside.is_empty() {
            return Err(named);
        }
        Ok(inside.join("/"))
    }

    /// Whether `package.json` takes a package in the versions that a new app has.
    fn has_our_packages(&self) -> bool {
        let text = self.text("package.json").unwrap_or_default();
        let json = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        project::packages().into_iter().any(|(name, range)| {
            let sections = ["dependencies", "devDependencies"];
            sections.iter().any(|section| json[section][name] == range)
        })
    }

    /// The path and the code, without comments, of a module of the functions.
    fn module(&self, directory: &str, name: &str) -> Option<(String, String)> {
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
pub(super) fn with(facts: &Facts, check: impl FnOnce(&Snapshot) -> Verdict) -> Verdict {
    match &facts.snapshot {
        Some(snapshot) => check(snapshot),
        None => Verdict::open("no directory was given"),
    }
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

pub(super) fn node(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let version = snapshot.node.as_deref().unwrap_or_default().trim();
        match is_supported(version) {
            None => Verdict::open("there is no Node.js here"),
            Some(false) if !snapshot.has_our_packages() => Verdict::open(format!(
                "Node.js {version}, and the packages are this project's own"
            )),
            Some(true) => Verdict::passed(format!("Node.js {version}")),
            Some(false) => Verdict::failed(
                format!("Node.js {version} is too old for the packages of a new app"),
                format!("Install Node.js {NODE_IN_WORDS}"),
            ),
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
                "Add one line for each to .gitignore. If git log shows that one of them was committed, replace the keys: change rotate_trigger of convex_env and the instance secret.",
            )
        }
    })
}

/// Runs a check of the functions, which are in the directory of this path.
fn with_functions(facts: &Facts, check: impl FnOnce(&Snapshot, &str) -> Verdict) -> Verdict {
    with(facts, |snapshot| match snapshot.functions() {
        Ok(directory) => check(snapshot, &directory),
        Err(named) => Verdict::failed(
            format!(
                "the directory of the functions, {named:?}, is not in this project; nothing there was read"
            ),
            "Move the functions into the project, and write their path below it as \"functions\" into convex.json, such as \"convex/\".",
        ),
    })
}

pub(super) fn packages(facts: &Facts) -> Verdict {
    with(facts, |snapshot| {
        let Some(text) = snapshot.text("package.json") else {
            return Verdict::failed(
                "there is no package.json",
                "Run `npm init` if this is a project, or name the directory of one.",
            );
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
    with_functions(facts, |snapshot, functions| {
        let directory = format!("{functions}/_generated");
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
    with_functions(facts, |snapshot, functions| {
        match snapshot.module(functions, name) {
            Some((path, code)) if has(&code) => Verdict::passed(path),
            Some((path, _)) => Verdict::failed(format!("{path} {lacks}"), remedy),
            None => Verdict::failed(
                format!("there is no {functions}/{name}.ts"),
                format!("Apply the configuration again, which writes it for a new app. {remedy}"),
            ),
        }
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
    with_functions(facts, |snapshot, functions| {
        let functions = format!("{functions}/");
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
