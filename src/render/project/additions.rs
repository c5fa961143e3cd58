//! What a `package.json` needs.

use super::Project;
use crate::{
    convex::tested::{CONVEX, CONVEX_AUTH, NPM_RUN_ALL},
    render::package_json::Additions,
};

const DEPENDENCIES: &[(&str, &str)] = &[
    ("@auth/core", "^0.41.1"),
    ("@convex-dev/auth", CONVEX_AUTH),
    ("convex", CONVEX),
];
const FRONTEND_DEPENDENCIES: &[(&str, &str)] = &[("react", "^19.2.0"), ("react-dom", "^19.2.0")];

const DEV_DEPENDENCIES: &[(&str, &str)] = &[("@types/node", "^24.0.0"), ("typescript", "^7.0.2")];
const FRONTEND_DEV_DEPENDENCIES: &[(&str, &str)] = &[
    ("@types/react", "^19.2.0"),
    ("@types/react-dom", "^19.2.0"),
    ("@vitejs/plugin-react", "^6.0.0"),
    ("vite", "^8.0.0"),
];

const COMPOSE_DEV_DEPENDENCIES: &[(&str, &str)] = &[("npm-run-all2", NPM_RUN_ALL)];

/// In this mode Vite reads `.env.convex.local`.
const FRONTEND: &str = "vite --mode convex";

/// All packages that a new app may have, and the versions that it takes.
#[must_use]
pub fn packages() -> Vec<(&'static str, &'static str)> {
    [
        DEPENDENCIES,
        FRONTEND_DEPENDENCIES,
        DEV_DEPENDENCIES,
        FRONTEND_DEV_DEPENDENCIES,
        COMPOSE_DEV_DEPENDENCIES,
    ]
    .concat()
}

/// What a project needs in its `package.json`.
pub(super) fn additions(project: &Project) -> Additions {
    let file = project.env_file_option();
    let (frontend, app) = (project.has_frontend(), project.has_functions());
    // The first thing that everybody types must leave alone what is somebody else's.
    let dev = match (project.compose, frontend) {
        (true, true) => "npm-run-all --parallel dev:frontend convex:start".to_owned(),
        (true, false) => "npm run convex:start".to_owned(),
        (false, true) => FRONTEND.to_owned(),
        (false, false) => format!("convex dev{file}"),
    };
    let compose = "docker compose --env-file .env.convex.local -f docker-compose.convex.yml";
    let scripts = [
        (app, "dev", dev),
        (frontend, "dev:frontend", FRONTEND.to_owned()),
        (app, "dev:backend", format!("convex dev --once{file}")),
        (frontend, "build", "vite build --mode convex".to_owned()),
        (frontend, "preview", "vite preview".to_owned()),
        (
            project.compose,
            "convex:start",
            "./scripts/setup-convex.sh".to_owned(),
        ),
        (project.compose, "convex:stop", format!("{compose} down")),
        (project.compose, "convex:logs", format!("{compose} logs -f")),
        (project.compose, "convex:status", format!("{compose} ps")),
        (
            app,
            "deploy:functions",
            format!("npx convex deploy --yes{file}"),
        ),
    ];
    let owned = |lists: &[(bool, &[(&str, &str)])]| {
        let mut all: Vec<(String, String)> = lists
            .iter()
            .filter(|(wanted, _)| *wanted)
            .flat_map(|(_, list)| *list)
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect();
        all.sort();
        all
    };
    Additions {
        scripts: scripts
            .into_iter()
            .filter(|(wanted, _, _)| *wanted)
            .map(|(_, name, command)| (name.to_owned(), command))
            .collect(),
        dependencies: owned(&[(app, DEPENDENCIES), (frontend, FRONTEND_DEPENDENCIES)]),
        dev_dependencies: owned(&[
            (app, DEV_DEPENDENCIES),
            (frontend, FRONTEND_DEV_DEPENDENCIES),
            (app && project.compose, COMPOSE_DEV_DEPENDENCIES),
        ]),
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
