//! What a plan warns of, once and with the plan that brings it about.

use std::path::Path;

use super::{CORE, text::Stable};
use crate::{
    resources::{config, configure, deployment},
    support::{docker::Name, golden, terraform::Project},
};

/// A new deployment with everything that a reviewer should ask about. Nothing
/// of it is made.
#[test]
fn what_to_ask_of_a_new_deployment_is_said_each_by_itself() {
    let blocks = r#"
resource "convex_deployment" "app" {
  name            = "my-app"
  allow_data_loss = true
  backend = {
    image = "registry.example.com/convex-backend"
    env   = { SQLITE_DB = "/tmp/db.sqlite3", JWT_ISSUER = "https://site.example.com" }
  }
  dashboard = { image = "registry.example.com/convex-dashboard:latest" }
}
resource "convex_deployment" "by_variables" {
  name    = "by-variables"
  backend = { env = { DO_NOT_REQUIRE_SSL = "true", POSTGRES_URL = "postgres://u:p@db.example.com" } }
}
resource "convex_credentials" "elsewhere" {
  instance_name = "my-app"
}
resource "convex_env" "elsewhere" {
  url       = "http://api.example.com"
  admin_key = convex_credentials.elsewhere.admin_key
  variables = { A = "1" }
}
resource "convex_deployment" "on_a_server" {
  name     = "on-a-server"
  database = { url = "postgres://u:p@localhost,db.example.com/app?sslmode=prefer&sslrootcert=ca.pem&target=x" }
}
"#;
    let project = Project::new(CORE, &config(blocks));
    let said = project.plan().ok().stdout;
    let text = Stable::default().of(&said);
    let warnings = &text[text.find("Plan: 5 to add").expect("a plan")..];
    golden::check(Path::new("tests/it/review/alarms.txt"), warnings);
    for summary in [
        "Warning: Data loss is allowed",
        "Warning: The admin key is sent without encryption",
        "Warning: Which release of the backend is that?",
        "Warning: Which release of the dashboard is that?",
        "Warning: Check the variable DO_NOT_REQUIRE_SSL",
        "Warning: Check the variable JWT_ISSUER",
        "Warning: Check the variable POSTGRES_URL",
        "Warning: Check the variable SQLITE_DB",
        "Warning: The database connection may not be encrypted",
        "Warning: The database in the URL is not used",
        "Warning: The database would be in the backend's container",
        "Warning: The database's authority is left out",
        "Warning: The database URL's target is left out",
    ] {
        assert!(warnings.contains(summary), "no {summary:?} in:\n{text}");
    }
    assert!(
        !text.contains("similar warning"),
        "one hides another:\n{text}"
    );
}

/// A deployment that is stopped, so that nothing but its volume is made.
#[test]
fn each_change_to_ask_about_is_said_once() {
    let name = Name::new();
    let server = |host: &str, mode: &str| {
        format!("database = {{ url = \"postgres://u:hunter2@{host}\", ssl_mode = {mode:?} }}")
    };
    let with = |attributes: &str| deployment(&name, &format!("running = false\n{attributes}"));
    let project = Project::new(CORE, &config(&with(&server("a.example.com", "require"))));
    project.apply().ok();
    project.assert_no_changes();
    let first = |more: &str| format!("{}\n{more}", server("a.example.com", "require"));
    let volume = name.volume();
    let cases: [(String, &[&str]); 5] = [
        (
            server("b.example.com:6543", "require"),
            &[
                "Another database server",
                "goes from a.example.com:5432 to b.example.com:6543",
                "stay behind on a.example.com:5432",
            ],
        ),
        (
            server("a.example.com", "disable"),
            &["The database connection is not encrypted"],
        ),
        (
            first("allow_data_loss = true"),
            &["Data loss is allowed", "This plan has none"],
        ),
        (
            first("backend = { image = \"registry.example.com/convex-backend:latest\" }"),
            &[
                "Which release of the backend is that?",
                "The backend image changes",
                "To export one, set upgrade = { snapshot = true }",
            ],
        ),
        (
            first(
                "upgrade = { snapshot = true }\nbackend = { image = \"registry.example.com/convex-backend:2\" }",
            ),
            &[
                "The backend image changes",
                "A snapshot is exported before the new image starts",
            ],
        ),
    ];
    for (attributes, texts) in cases {
        configure(&project, &with(&attributes));
        let said = project.plan().ok().says(texts).text();
        assert!(
            !said.contains("similar warning"),
            "one hides another:\n{said}"
        );
    }

    // Once it is made so, nobody is told again.
    let allowed = with(&first(
        "allow_data_loss = true\nvolume = { on_destroy = \"retain\" }",
    ));
    configure(&project, &allowed);
    let said = project.apply().ok().text();
    assert!(said.contains("Data loss is allowed"), "{said}");
    project.assert_no_changes();
    configure(&project, &(allowed.clone() + "# again\n"));
    let again = project.plan().ok().text();
    assert!(!again.contains("Warning"), "{again}");

    configure(
        &project,
        &with(&first("volume = { on_destroy = \"delete\" }")),
    );
    project.apply().ok().says(&[
        "The data will go with the deployment",
        &format!("deletes the volume {volume}"),
    ]);
    project.assert_no_changes();
    let said = project.run(&["plan", "-destroy", "-no-color", "-input=false"]);
    said.ok().says(&[
        "The data is deleted",
        &format!("removes the volume {volume}"),
        "stay in the database",
        "at a.example.com:5432",
    ]);
    project.destroy().ok();
}
