//! The source of a new app.

use super::{Pattern, Project, template::fill};
use crate::render::files::{Body, Desired, FilePath, Mode, Policy};

/// The functions of every pattern.
const FUNCTIONS: [(&str, &str); 7] = [
    ("convex/auth.ts", include_str!("templates/convex/auth.ts")),
    (
        "convex/auth.config.ts",
        include_str!("templates/convex/auth.config.ts"),
    ),
    (
        "convex/router.ts",
        include_str!("templates/convex/router.ts"),
    ),
    ("convex/http.ts", include_str!("templates/convex/http.ts")),
    ("convex/tasks.ts", include_str!("templates/convex/tasks.ts")),
    (
        "convex/lib/user.ts",
        include_str!("templates/convex/lib/user.ts"),
    ),
    (
        "convex/tsconfig.json",
        include_str!("templates/convex/tsconfig.json"),
    ),
];

const MINIMAL_AUTH: [(&str, &str); 1] = [(
    "convex/schema.ts",
    include_str!("templates/convex/schema.ts"),
)];

const AI_RAG: [(&str, &str); 3] = [
    ("convex/schema.ts", include_str!("templates/rag/schema.ts")),
    ("convex/rag.ts", include_str!("templates/rag/rag.ts")),
    (
        "scripts/generate-embeddings.mjs",
        include_str!("templates/scripts/generate-embeddings.mjs"),
    ),
];

const FRONTEND: [(&str, &str); 4] = [
    ("index.html", include_str!("templates/index.html")),
    ("tsconfig.json", include_str!("templates/tsconfig.json")),
    ("src/main.tsx", include_str!("templates/src/main.tsx")),
    ("src/App.tsx", include_str!("templates/src/App.tsx")),
];

/// The only source that depends on where browsers find the app.
pub const VITE_CONFIG: &str = "vite.config.ts";

impl Project {
    pub(super) fn scaffold(&self) -> Vec<Desired> {
        let pattern: &[(&str, &str)] = match self.pattern {
            Pattern::MinimalAuth => &MINIMAL_AUTH,
            Pattern::AiRag => &AI_RAG,
            Pattern::None => return Vec::new(),
        };
        let source = |path, text| Desired {
            path: FilePath::known(path),
            policy: Policy::Create,
            body: Body::Text(text),
            mode: Mode::Plain,
        };
        let frontend: &[(&str, &str)] = if self.frontend { &FRONTEND } else { &[] };
        let mut files: Vec<Desired> = [pattern, &FUNCTIONS, frontend]
            .concat()
            .into_iter()
            .map(|(path, text)| source(path, text.to_owned()))
            .collect();
        if self.frontend {
            files.push(source(VITE_CONFIG, self.vite_config()));
        }
        files
    }

    fn vite_config(&self) -> String {
        let hosts = self.allowed_hosts();
        let server = if hosts.is_empty() {
            String::new()
        } else {
            let hosts = serde_json::json!(hosts).to_string();
            fill(
                include_str!("templates/vite.config.server.ts"),
                &[("HOSTS", &hosts.replace("\",\"", "\", \""))],
            )
        };
        fill(
            include_str!("templates/vite.config.ts"),
            &[("SERVER", server.trim_end())],
        )
    }
}
