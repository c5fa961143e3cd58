//! The architecture, as far as a program can check it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules of `src`, from the ground up. Each may import those before it.
const LAYERS: [&str; 15] = [
    "local_file",
    "plugin",
    "convex",
    "backend",
    "database",
    "runtime",
    "render",
    "project",
    "session",
    "resources",
    "data_sources",
    "ephemeral_resources",
    "functions",
    "external",
    "provider",
];

/// Modules that import nothing of ours at all.
const GROUND: [&str; 3] = ["local_file", "plugin", "convex"];

struct Source {
    path: PathBuf,
    layer: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).expect("below src");
            let first = relative.components().next().expect("a name");
            let layer = first.as_os_str().to_string_lossy();
            Source {
                layer: layer.trim_end_matches(".rs").to_owned(),
                text: fs::read_to_string(&path).expect("text"),
                path: relative.to_owned(),
            }
        })
        .collect()
}

/// The modules of ours that a source names, by `crate::` or `super::super::…`.
fn imports(source: &Source) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for (start, _) in source.text.match_indices("crate::") {
        let rest = source.text[start + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            // A tree of imports: the names at its first level.
            Some(tree) => {
                let mut depth = 0;
                let mut name = String::new();
                for character in tree.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 && (character.is_ascii_lowercase() || character == '_') {
                        name.push(character);
                    } else if depth == 0 && character == ',' {
                        name.clear();
                    } else if !name.is_empty() && depth == 0 {
                        found.push(std::mem::take(&mut name));
                    }
                }
                found.push(name);
            }
        }
    }
    found.retain(|name| LAYERS.contains(&name.as_str()));
    found
}

#[test]
fn imports_only_point_down() {
    let place = |layer: &str| LAYERS.iter().position(|it| *it == layer);
    for source in sources() {
        if ["lib", "main"].contains(&source.layer.as_str()) {
            continue;
        }
        let own = place(&source.layer)
            .unwrap_or_else(|| panic!("{} is in no layer", source.path.display()));
        for import in imports(&source) {
            let imported = place(&import).expect("a layer");
            assert!(
                imported <= own,
                "{} imports {import}, which is above it",
                source.path.display()
            );
            assert!(
                imported == own || !GROUND.contains(&source.layer.as_str()),
                "{} imports {import}, and should import nothing of ours",
                source.path.display()
            );
        }
    }
}

#[test]
fn each_vocabulary_stays_in_its_room() {
    for source in sources() {
        let has = |word: &str| source.text.to_ascii_lowercase().contains(word);
        let path = source.path.display();
        if source.layer == "plugin" {
            assert!(
                !has("convex") && !has("docker"),
                "{path} knows what the provider is about"
            );
        }
        if source.layer == "convex" {
            // One word is part of the derivation of keys, which must not move.
            let text = source
                .text
                .replace("terraform-provider-convex/admin-key-nonce", "");
            assert!(
                !text.to_ascii_lowercase().contains("terraform"),
                "{path} knows Terraform"
            );
        }
        if has("bollard") {
            assert!(
                source.path.starts_with("runtime/docker"),
                "{path} speaks to Docker"
            );
        }
        for reader in ["env::var", "env::args", "std::env::"] {
            assert!(
                source.layer == "main" || !source.text.contains(reader),
                "{path} reads the environment"
            );
        }
    }
}

#[test]
fn files_are_of_one_noun() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", source.path.display());
    }
}
