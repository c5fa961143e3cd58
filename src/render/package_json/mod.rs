//! Additions to a `package.json`, put into its text so that nothing else moves.

mod manager;
mod scan;

pub use manager::{LOCK_FILES, PackageManager, UnknownManager};

use scan::{Member, Object};

/// What a `package.json` should have. What it has under the same name already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// Commands by name.
    pub scripts: Vec<(String, String)>,
    /// Packages that the app runs with, with their versions.
    pub dependencies: Vec<(String, String)>,
    /// Packages that the app is built with, with their versions.
    pub dev_dependencies: Vec<(String, String)>,
}

/// Why a `package.json` cannot be added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageJsonError {
    /// It is not JSON.
    #[error("package.json is not JSON: see line {line}, column {column}. Correct it.")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("package.json holds no JSON object. Begin it with an opening brace.")]
    NotObject,
    /// One of the sections is no object.
    #[error("{section:?} in package.json is no JSON object. Write {{}} or remove it.")]
    Section {
        /// Its name.
        section: &'static str,
    },
}

const SCRIPTS: &str = "scripts";
const DEPENDENCIES: &str = "dependencies";
const DEV_DEPENDENCIES: &str = "devDependencies";

/// Where a package may be declared; one declaration is enough.
const DECLARATIONS: [&str; 4] = [
    DEPENDENCIES,
    DEV_DEPENDENCIES,
    "peerDependencies",
    "optionalDependencies",
];

impl Additions {
    /// A whole `package.json` for an app that has none.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        let mut text = format!(
            "{{\n  \"name\": {},\n  \"private\": true,\n  \"version\": \"0.0.0\",\n  \"type\": \"module\"\n}}\n",
            quoted(name)
        );
        for (section, pairs) in self.sections() {
            // What is written here is JSON, in which all sections are missing.
            text = add(&text, section, pairs).unwrap_or(text);
        }
        text
    }

    /// The text with what is missing; `None` when nothing is.
    pub fn merge(&self, text: &str) -> Result<Option<String>, PackageJsonError> {
        let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
        let object = parse(bare)?;
        let mut merged = bare.to_owned();
        for (section, pairs) in self.sections() {
            let missing: Vec<(String, String)> = pairs
                .iter()
                .filter(|(name, _)| !declares(&object, section, name))
                .cloned()
                .collect();
            if missing.is_empty() {
                continue;
            }
            merged = add(&merged, section, &missing)?;
        }
        let mark = &text[..text.len() - bare.len()];
        Ok((merged != bare).then(|| format!("{mark}{merged}")))
    }

    fn sections(&self) -> [(&'static str, &[(String, String)]); 3] {
        [
            (SCRIPTS, &self.scripts),
            (DEPENDENCIES, &self.dependencies),
            (DEV_DEPENDENCIES, &self.dev_dependencies),
        ]
    }
}

fn parse(text: &str) -> Result<Object<'_>, PackageJsonError> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        PackageJsonError::NotJson {
            line: error.line(),
            column: error.column(),
        }
    })?;
    let start = text.len() - text.trim_start().len();
    Object::at(text, start).ok_or(PackageJsonError::NotObject)
}

fn declares(object: &Object<'_>, section: &str, name: &str) -> bool {
    let sections: &[&str] = match section {
        SCRIPTS => &[SCRIPTS],
        _ => &DECLARATIONS,
    };
    sections.iter().any(|section| {
        object
            .object(section)
            .is_some_and(|it| it.member(name).is_some())
    })
}

/// How the members of an object are laid out.
struct Layout<'a> {
    /// Between two members, behind the comma.
    between: String,
    /// Behind the opening brace of an object, and before its closing one.
    inside: (String, String),
    colon: &'a str,
}

/// Puts members that are missing at the end of a section, which is made if there is none.
fn add(
    text: &str,
    section: &'static str,
    missing: &[(String, String)],
) -> Result<String, PackageJsonError> {
    let root = parse(text)?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let first = root.members.first();
    let step = first.and_then(|it| root.indent(it)).unwrap_or("  ");
    let one_line = !text.trim().contains('\n');
    let layout = |indent: &str| {
        if one_line {
            Layout {
                between: String::new(),
                inside: (String::new(), String::new()),
                colon: ":",
            }
        } else {
            Layout {
                between: format!("{end}{indent}{step}"),
                inside: (format!("{end}{indent}{step}"), format!("{end}{indent}")),
                colon: ": ",
            }
        }
    };
    if root.member(section).is_none() {
        let inner = layout(step);
        let pairs = join(missing, &inner);
        let value = format!("{{{}{pairs}{}}}", inner.inside.0, inner.inside.1);
        let outer = layout("");
        return Ok(append(text, &root, &outer, section, &value));
    }
    let object = root
        .object(section)
        .ok_or(PackageJsonError::Section { section })?;
    let own = root.member(section).and_then(|it| root.indent(it));
    let mut merged = text.to_owned();
    // From the end, so that the places before stay right.
    let layout = match (object.members.last(), own) {
        (Some(last), _) => like(text, &object, last, one_line),
        (None, own) => layout(own.unwrap_or_default()),
    };
    let pairs = join(missing, &layout);
    match object.members.last() {
        Some(last) => merged.insert_str(last.value.end, &format!(",{}{pairs}", layout.between)),
        None => merged.replace_range(
            object.place.clone(),
            &format!("{{{}{pairs}{}}}", layout.inside.0, layout.inside.1),
        ),
    }
    Ok(merged)
}

/// The layout of an object that has members.
fn like<'a>(text: &'a str, object: &Object<'_>, last: &Member, one_line: bool) -> Layout<'a> {
    let before = object
        .members
        .iter()
        .rev()
        .nth(1)
        .map_or(object.place.start + 1, |it| it.value.end);
    // All between the member before and the last one, without the comma.
    let between: String = text[before..last.key.start].replace(',', "");
    let between = match between.rfind('\n') {
        // A blank line between two members is no habit.
        Some(at) => {
            let start = if between[..at].ends_with('\r') {
                at - 1
            } else {
                at
            };
            between[start..].to_owned()
        }
        None if object.members.len() == 1 && !one_line => " ".to_owned(),
        None => between,
    };
    let colon = text[last.key.end..last.value.start].trim_matches(['\r', '\n']);
    Layout {
        between,
        inside: (String::new(), String::new()),
        colon,
    }
}

/// Puts a member at the end of an object.
fn append(text: &str, object: &Object<'_>, layout: &Layout<'_>, name: &str, value: &str) -> String {
    let mut merged = text.to_owned();
    let member = format!("{}{}{value}", quoted(name), layout.colon);
    match object.members.last() {
        Some(last) => merged.insert_str(last.value.end, &format!(",{}{member}", layout.between)),
        None => merged.replace_range(
            object.place.clone(),
            &format!("{{{}{member}{}}}", layout.inside.0, layout.inside.1),
        ),
    }
    merged
}

fn join(pairs: &[(String, String)], layout: &Layout<'_>) -> String {
    let members: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}{}{}", quoted(name), layout.colon, quoted(value)))
        .collect();
    members.join(&format!(",{}", layout.between))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
