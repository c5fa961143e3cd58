//! The HTTP routes of a push, as far as the text of its modules tells them.

use std::collections::BTreeSet;

use super::{HTTP, Pushed};

/// The two documents of a token issuer.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The keys that verify its tokens.
pub const KEYS: &str = "/.well-known/jwks.json";

impl Pushed {
    /// Whether there is an HTTP router.
    #[must_use]
    pub fn has_router(&self) -> bool {
        self.modules.contains_key(HTTP)
    }

    /// Whether the router has the documents of a token issuer: it lets something add routes to it, and the code that it
    /// imports knows these paths.
    #[must_use]
    pub fn serves_issuer(&self) -> bool {
        let Some(http) = self.modules.get(HTTP) else {
            return false;
        };
        let code: Vec<&str> = self
            .imported_by(HTTP)
            .into_iter()
            .map(|path| self.modules[path].source.as_str())
            .collect();
        http.source.contains(".addHttpRoutes(")
            && [DISCOVERY, KEYS]
                .iter()
                .all(|path| code.iter().any(|code| code.contains(path)))
    }

    /// A module and all that it imports, directly or not.
    fn imported_by<'a>(&'a self, start: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::from([start]);
        let mut waiting = vec![start];
        while let Some(path) = waiting.pop() {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            // Every text in quotation marks may be the path of an import; those that are none name no module.
            for text in self.modules[path].source.split(['"', '\'']) {
                let Some(target) = resolve(directory, text) else {
                    continue;
                };
                if let Some((target, _)) = self.modules.get_key_value(&target)
                    && found.insert(target)
                {
                    waiting.push(target);
                }
            }
        }
        found
    }
}

/// The path that a relative import means.
fn resolve(directory: &str, import: &str) -> Option<String> {
    if !import.starts_with("./") && !import.starts_with("../") {
        return None;
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|it| !it.is_empty()).collect();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
