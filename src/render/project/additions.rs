//! What a `package.json` needs.

use super::Project;
use crate::render::package_json::Additions;

const DEPENDENCIES: &[(&str, &str)] = &[
    ("@auth/core", "^0.41.1"),
    ("@convex-dev/auth", "^0.0.95"),
    ("convex", "^1.48.0"),
];
const FRONTEND_DEPENDENCIES: &[(&str, &str)] = &[("react", "^19.2.0"), ("react-dom", "^19.2.0")];

const DEV_DEPENDENCIES: &[(&str, &str)] = &[
    ("@types/node", "^24.0.0"),
    // The maintained successor of npm-run-all, with the same commands.
    ("npm-run-all2", "^9.0.0"),
    ("typescript", "^7.0.2"),
];
const FRONTEND_DEV_DEPENDENCIES: &[(&str, &str)] = &[
    ("@types/react", "^19.2.0"),
    ("@types/react-dom", "^19.2.0"),
    ("@vitejs/plugin-react", "^6.0.0"),
    ("vite", "^8.0.0"),
];

/// What a project needs in its `package.json`.
pub(super) fn additions(project: &Project) -> Additions {
    // What the command line looks for is in a file it does not read by itself.
    let file = if project.file_suffices() {
        " --env-file .env.convex.local"
    } else {
        ""
    };
    let compose = "docker compose --env-file .env.convex.local -f docker-compose.convex.yml";
    let dev = if project.frontend {
        "npm-run-all --parallel dev:frontend convex:start"
    } else {
        "npm run convex:start"
    };
    let mut scripts = vec![
        ("dev", dev.to_owned()),
        // In this mode Vite reads .env.convex.local.
        ("dev:frontend", "vite --mode convex".to_owned()),
        ("dev:backend", format!("convex dev --once{file}")),
        ("convex:start", "./scripts/setup-convex.sh".to_owned()),
        ("convex:stop", format!("{compose} down")),
        ("convex:logs", format!("{compose} logs -f")),
        ("convex:status", format!("{compose} ps")),
        ("deploy:functions", format!("npx convex deploy --yes{file}")),
    ];
    scripts.retain(|(name, _)| project.frontend || *name != "dev:frontend");
    let owned = |lists: [&[(&str, &str)]; 2]| {
        let frontend = if project.frontend { lists[1] } else { &[] };
        let mut all: Vec<(String, String)> = lists[0]
            .iter()
            .chain(frontend)
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect();
        all.sort();
        all
    };
    Additions {
        scripts: scripts
            .into_iter()
            .map(|(name, command)| (name.to_owned(), command))
            .collect(),
        dependencies: owned([DEPENDENCIES, FRONTEND_DEPENDENCIES]),
        dev_dependencies: owned([DEV_DEPENDENCIES, FRONTEND_DEV_DEPENDENCIES]),
    }
}

/// A name as npm takes it.
pub(super) fn package_name(name: &str) -> String {
    let name: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app" } else { name }.to_owned()
}
