//! Apps as people have them before a deployment comes to them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools;

/// Files by path, with their permission bits.
pub type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Lays out an app in a directory.
pub type LayOut = fn(&Path);

/// Nothing at all.
pub fn empty(_: &Path) {}

/// What `npm create vite` makes, for React and TypeScript.
pub fn vite_react(at: &Path) {
    let made = tools::installed("create-vite-9.3.0", |directory| {
        tools::run(
            Command::new("npm")
                .args(["create", "--yes", "vite@9.3.0", "app", "--"])
                .args(["--template", "react-ts", "--no-interactive"])
                .current_dir(directory),
        );
    });
    copy(&made.join("app"), at);
}

/// An app that uses Convex already, with a schema and routes of its own.
pub fn existing_convex(at: &Path) {
    for (path, text) in [
        (
            "package.json",
            "{\n\t\"name\": \"shop\",\n\t\"scripts\": { \"dev\": \"next dev\", \"deploy:functions\": \"mine\" },\n\t\"dependencies\": {\n\t\t\"convex\": \"^1.17.0\",\n\t\t\"next\": \"15\"\n\t}\n}",
        ),
        ("yarn.lock", "# yarn lockfile v1\n"),
        (".gitignore", "node_modules\r\n.env.convex.local"),
        (
            "convex/schema.ts",
            "import { defineSchema } from \"convex/server\";\nexport default defineSchema({}); // mine\n",
        ),
        (
            "convex/http.ts",
            "import { httpRouter } from \"convex/server\";\nexport default httpRouter(); // mine\n",
        ),
        (
            ".env.convex.local",
            "# mine\nexport VITE_CONVEX_URL = 'https://mine.example'  # mine\nSTRIPE=\"a\nb\"",
        ),
        (
            ".env.convex.deployment",
            "JWT_ISSUER=https://old.example\n\n# === USER VARIABLES ===\r\nSTRIPE_KEY=sk_1 # mine\n\nEMPTY=\n",
        ),
    ] {
        write(at, path, text);
    }
}

/// A monorepo of pnpm, in which the app is one of several.
pub fn pnpm_monorepo(at: &Path) {
    for (path, text) in [
        (".git/HEAD", "ref: refs/heads/main\n"),
        (
            "package.json",
            "{\"name\":\"root\",\"private\":true,\"packageManager\":\"pnpm@9.0.0\"}\n",
        ),
        ("pnpm-workspace.yaml", "packages:\n  - apps/*\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        (
            "apps/web/package.json",
            "{\r\n    \"name\": \"web\",\r\n    \"dependencies\": {\r\n        \"react\": \"catalog:\"\r\n    }\r\n}\r\n",
        ),
        ("apps/web/src/main.tsx", "// mine\n"),
    ] {
        write(at, path, text);
    }
}

/// Writes a file and the directories it is in.
pub fn write(at: &Path, path: &str, text: &str) {
    let file = at.join(path);
    fs::create_dir_all(file.parent().expect("a directory")).expect("the directory");
    fs::write(file, text).expect("the file can be written");
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    for (path, (content, _)) in files(from) {
        let file = to.join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("the directory");
        fs::write(file, content).expect("the file can be written");
    }
}

/// All files below a directory, apart from installed packages.
pub fn files(root: &Path) -> Files {
    fn walk(root: &Path, directory: &Path, found: &mut Files) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.ends_with("node_modules") {
                continue;
            }
            let found_here = fs::symlink_metadata(&path).expect("it is there");
            if found_here.is_dir() {
                walk(root, &path, found);
            } else if found_here.is_file() {
                let relative = path
                    .strip_prefix(root)
                    .expect("below")
                    .display()
                    .to_string();
                let bits = found_here.permissions().mode() & 0o7777;
                found.insert(relative, (fs::read(&path).expect("a file"), bits));
            }
        }
    }
    let mut found = Files::new();
    walk(root, root, &mut found);
    found
}
