//! Plans as whoever has to approve them reads them: `terraform plan -no-color`,
//! kept as golden files.
//!
//! Each must answer without any secret which containers, images, addresses and
//! which database it is about, which variables change, what restarts, and
//! whether data is at risk. `UPDATE_GOLDEN=1` writes them anew, to be read.

mod alarms;
mod text;

use std::{path::Path, process::Command};

use serde_json::{Value as Json, json};

use self::text::Stable;
use crate::{
    resources::{config, database::Reachable},
    support::{
        docker::{Name, docker, images},
        golden,
        terraform::{Core, Project},
    },
};

/// The one core whose version is pinned, and so whose words are.
const CORE: Core = Core::V1_15;

const OPENAI_KEY: &str = "sk-hunter2-openai";
const OTHER_KEY: &str = "sk-hunter2-other";

/// What a configuration says that these plans are about.
struct Reviewed {
    running: bool,
    owner: &'static str,
    rotate_trigger: &'static str,
    tag: &'static str,
    rag: &'static str,
    openai_key: &'static str,
    database: bool,
    more: &'static str,
}

const FIRST: Reviewed = Reviewed {
    running: true,
    owner: "ann",
    rotate_trigger: "2026-11",
    tag: "1",
    rag: "true",
    openai_key: OPENAI_KEY,
    database: true,
    more: "",
};

/// A deployment with variables and a database, and its plans.
struct Case {
    project: Project,
    name: Name,
    server: Reachable,
    images: [String; 2],
}

impl Case {
    fn new() -> Self {
        let name = Name::new();
        let server = Reachable::start(&name, "off");
        let stand_in = images();
        let images = ["backend", "dashboard"].map(|it| format!("review-{}-{it}", name.as_str()));
        for (image, of) in images.iter().zip([&stand_in.backend, &stand_in.dashboard]) {
            for tag in ["1", "2"] {
                docker(&["tag", of, &format!("{image}:{tag}")]);
            }
        }
        let case = Self {
            project: Project::new(CORE, &config("")),
            name,
            server,
            images,
        };
        case.configure(&FIRST);
        case
    }

    fn configure(&self, reviewed: &Reviewed) {
        let [backend, dashboard] = &self.images;
        let name = self.name.as_str();
        let Reviewed {
            running,
            owner,
            rotate_trigger,
            tag,
            rag,
            openai_key,
            more,
            ..
        } = reviewed;
        let database = if reviewed.database {
            "database = { url = var.database_url, create = true, max_connections = 8, ssl_mode = \"disable\" }"
        } else {
            ""
        };
        let secrets = json!({ "database_url": self.server.url(""), "openai_key": openai_key });
        self.project
            .write("terraform.tfvars.json", &secrets.to_string());
        let blocks = format!(
            r#"
variable "database_url" {{
  type      = string
  sensitive = true
}}
variable "openai_key" {{
  type      = string
  sensitive = true
}}
resource "convex_deployment" "app" {{
  name           = {name:?}
  running        = {running}
  rotate_trigger = {rotate_trigger:?}
  backend        = {{ image = "{backend}:{tag}", env = {{ RUST_LOG = "info" }} }}
  dashboard      = {{ image = "{dashboard}:{tag}" }}
  {database}
  origins = provider::convex::coder_origins({{
    access_url = "https://coder.example.com"
    wildcard   = "*.apps.example.com"
    workspace  = "dev"
    owner      = "{owner}"
  }})
  {more}
}}
resource "convex_env" "app" {{
  deployment = convex_deployment.app.id
  variables  = {{ ENABLE_RAG = {rag:?} }}
  secrets    = {{ OPENAI_API_KEY = {{ value = var.openai_key }} }}
  auth       = {{ site_url = "https://frontend--dev--{owner}.apps.example.com" }}
}}
"#
        );
        self.project.write("main.tf", &config(&blocks));
    }

    /// The plan from here to `reviewed`, held against a golden file. Returns it.
    #[track_caller]
    fn plan(&self, golden: &str, reviewed: &Reviewed) -> String {
        self.configure(reviewed);
        self.check(golden, &["plan", "-no-color", "-input=false"])
    }

    #[track_caller]
    fn check(&self, golden: &str, arguments: &[&str]) -> String {
        let said = self.project.run(arguments).ok().text();
        for secret in self.secrets() {
            assert!(!said.contains(&secret), "a secret is in {golden}: {said}");
        }
        let stable = Stable::default()
            .replace(self.name.as_str(), "my-app")
            .replace(&self.name.as_str().replace('-', "_"), "my_app")
            .replace(
                &format!("{}:{}", self.server.host, self.server.port()),
                "db.example.com:5432",
            )
            .replace("review-my-app-", "registry.example.com/convex-");
        let text = stable.of(&said);
        golden::check(
            &Path::new("tests/it/review").join(format!("{golden}.txt")),
            &text,
        );
        text
    }

    /// Every secret of the configuration and of the state.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![OPENAI_KEY.to_owned(), OTHER_KEY.to_owned()];
        // The password of the database's user, as it stands in the URL.
        secrets.push("convex:secret@".to_owned());
        let mut add = |json: &Json| {
            let text = json.as_str().expect("text");
            secrets.push(text.to_owned());
        };
        if let Some(deployment) = self.project.find_state("convex_deployment.app") {
            add(&deployment["admin_key"]);
            add(&deployment["instance_secret"]);
        }
        if let Some(env) = self.project.find_state("convex_env.app") {
            add(&env["auth"]["private_key"]);
        }
        secrets
    }

    fn apply(&self) {
        self.project.apply().ok();
        self.project.assert_no_changes();
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = self.project.destroy();
        for image in &self.images {
            for tag in ["1", "2"] {
                let _ = Command::new("docker")
                    .args(["rmi", &format!("{image}:{tag}")])
                    .output();
            }
        }
    }
}

/// Demands that a plan says each of these, so that no golden file is renewed
/// without its answers.
#[track_caller]
fn answers(plan: &str, texts: &[&str]) {
    for text in texts {
        assert!(plan.contains(text), "no {text:?} in:\n{plan}");
    }
}

#[test]
fn a_plan_answers_what_a_reviewer_asks() {
    let case = Case::new();
    let plan = case.plan("create", &FIRST);
    answers(
        &plan,
        &[
            r#"image          = "registry.example.com/convex-backend:1""#,
            r#"image   = "registry.example.com/convex-dashboard:1""#,
            r#"api       = "https://convex-api--dev--ann.apps.example.com""#,
            r#"database_server  = "db.example.com:5432""#,
            r#"database_name    = "my_app""#,
            r#"on_destroy = "retain""#,
            r#"+ "ENABLE_RAG" = "true""#,
            r#"+ "OPENAI_API_KEY" = {"#,
            "Warning: The database connection is not encrypted",
        ],
    );
    case.apply();

    let plan = case.plan(
        "claim",
        &Reviewed {
            owner: "bob",
            ..FIRST
        },
    );
    answers(
        &plan,
        &[
            r#""https://convex-api--dev--ann.apps.example.com" -> "https://convex-api--dev--bob.apps.example.com""#,
            "Warning: The dashboard of deployment \"my-app\" is interrupted",
            "Its container is recreated because of its environment (NEXT_PUBLIC_DEPLOYMENT_URL).",
            "Plan: 0 to add, 2 to change, 0 to destroy.",
        ],
    );

    let plan = case.plan(
        "rotation",
        &Reviewed {
            rotate_trigger: "2026-12",
            ..FIRST
        },
    );
    answers(
        &plan,
        &[
            r#"~ rotate_trigger   = "2026-11" -> "2026-12""#,
            "Warning: All admin keys will be revoked",
            "Data, variables and the sessions of the app's users are kept.",
            "0 to destroy.",
        ],
    );

    let plan = case.plan(
        "secret",
        &Reviewed {
            openai_key: OTHER_KEY,
            rag: "false",
            ..FIRST
        },
    );
    answers(
        &plan,
        &[
            r#"~ "ENABLE_RAG" = "true" -> "false""#,
            r#"~ "OPENAI_API_KEY" = {"#,
            "~ value    = (sensitive value)",
            "Plan: 0 to add, 1 to change, 0 to destroy.",
        ],
    );
    assert!(!plan.contains("Warning"), "{plan}");
    assert!(!plan.contains("convex_deployment.app"), "{plan}");

    let plan = case.plan("upgrade", &Reviewed { tag: "2", ..FIRST });
    answers(
        &plan,
        &[
            r#""registry.example.com/convex-backend:1" -> "registry.example.com/convex-backend:2""#,
            "Warning: The backend image changes",
            "there is no way back to the older one. No snapshot is exported first",
            "the backend because of its image",
            "the dashboard because of its image",
            "The data stays in the database \"my_app\" at db.example.com:5432 and in the volume my-app-data.",
        ],
    );

    let plan = case.plan(
        "database_given_up",
        &Reviewed {
            database: false,
            more: "allow_data_loss = true",
            ..FIRST
        },
    );
    answers(
        &plan,
        &[
            r#"~ database_kind    = "postgresql" -> "sqlite""#,
            "Warning: Documents are left behind",
            "stay behind in the database \"my_app\" on the server; nothing deletes them there.",
        ],
    );
    assert!(!plan.contains("The data stays"), "{plan}");

    let destroy = ["plan", "-destroy", "-no-color", "-input=false"];
    case.configure(&FIRST);
    let plan = case.check("destroy", &destroy);
    answers(
        &plan,
        &[
            r#"- on_destroy = "retain" -> null"#,
            "0 to add, 0 to change, 2 to destroy.",
        ],
    );

    let stopped = Reviewed {
        running: false,
        ..FIRST
    };
    let plan = case.plan("stop", &stopped);
    answers(
        &plan,
        &[
            "~ running          = true -> false",
            "-> null",
            "0 to destroy.",
        ],
    );
    assert!(!plan.contains("Warning"), "{plan}");
    case.apply();

    let plan = case.plan("start", &FIRST);
    answers(
        &plan,
        &[
            "~ running          = false -> true",
            "+ backend   = (known after apply)",
            "0 to destroy.",
        ],
    );
    assert!(!plan.contains("Warning"), "{plan}");
}
