//! Provider functions, called by real Terraform.

use crate::support::{on_each_core, terraform::Project};

/// A configuration whose output `x` is this expression.
fn config(expression: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    convex = {{ source = \"coder-convex/convex\" }}\n  }}\n}}\noutput \"x\" {{\n  value = {expression}\n}}\n"
    )
}

on_each_core! {
    fn functions_work_in_a_plan(core) {
        let project = Project::new(core, "");
        let cases = [
            (
                r#"provider::convex::coder_origins({
                    access_url = "https://coder.example.com", wildcard = "*.apps.example.com",
                    workspace = "Dev", owner = "ann"
                }).api"#,
                "https://convex-api--dev--ann.apps.example.com",
            ),
            (
                r#"provider::convex::coder_origins({
                    access_url = "https://coder.example.com:8443", wildcard = "*.apps.example.com",
                    workspace = "dev", owner = "ann", agent = "main",
                    slugs = { api = "api", site = "site", dashboard = "db" }
                }).site"#,
                "https://site--main--dev--ann.apps.example.com:8443",
            ),
            (
                r#"provider::convex::coder_origins({
                    access_url = "https://coder.example.com", wildcard = null,
                    workspace = "dev", owner = "ann"
                }).dashboard"#,
                "https://convex--dev--ann.coder.example.com",
            ),
            (
                r#"provider::convex::coder_origins({
                    access_url = "http://localhost:3000", wildcard = "",
                    workspace = "dev", owner = "ann"
                }).api"#,
                "http://localhost:3210",
            ),
            (
                r#"provider::convex::coder_app_url({
                    access_url = "https://coder.example.com", wildcard = "*-apps.example.com",
                    workspace = "dev", owner = "ann", slug = "api"
                })"#,
                "https://api--dev--ann-apps.example.com",
            ),
            (
                r#"provider::convex::postgres_url("postgres://u:p%40ss@h:5433/db?sslmode=require")"#,
                "postgres://u:p%40ss@h:5433?sslmode=require",
            ),
        ];
        for (expression, expected) in cases {
            project.write("main.tf", &config(expression));
            project.run(&["init", "-no-color"]).ok();
            project.apply().ok();
            assert_eq!(project.output("x"), expected);
        }
    }
}

on_each_core! {
    fn an_admin_key_is_the_same_in_every_plan(core) {
        let secret = "0".repeat(63) + "1";
        let full = format!("provider::convex::admin_key(\"app\", {secret:?})");
        let read_only = format!("provider::convex::admin_key(\"app\", {secret:?}, \"read_only\")");
        let project = Project::new(core, &config(&format!("[{full}, {full}, {read_only}]")));
        project.apply().ok();
        project.assert_no_changes();
        let keys = project.output("x");
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        assert!(keys[0].as_str().expect("text").starts_with("app|01"));
    }
}

on_each_core! {
    fn a_wrong_argument_is_named_with_what_to_do(core) {
        let project = Project::new(core, "");
        let place = |more: &str| format!(
            "{{ access_url = \"https://coder.example.com\", wildcard = \"*.apps.example.com\", workspace = \"dev\", owner = \"ann\", {more} }}"
        );
        let long = "w".repeat(60);
        let cases = [
            ("provider::convex::coder_origins({ access_url = \"https://c.example\" })".to_owned(), vec!["missing field `workspace`"]),
            (format!("provider::convex::coder_origins({})", place("agnet = \"x\"")), vec!["unknown field `agnet`"]),
            (format!("provider::convex::coder_origins({})", place("slugs = { api = \"12345\" }")), vec!["slugs.api", "12345"]),
            (format!("provider::convex::coder_app_url({})", place("agent = \"a\"")), vec!["slug is missing"]),
            (format!("provider::convex::coder_app_url({{ access_url = \"https://c.example\", workspace = {long:?}, owner = \"ann\", slug = \"api\" }})"), vec!["63", "api--w"]),
            ("provider::convex::coder_origins({ access_url = \"https://c.example\", wildcard = \"apps.example.com\", workspace = \"dev\", owner = \"ann\" })".to_owned(), vec!["wildcard", "*"]),
            ("provider::convex::postgres_url(\"mysql://u@h\")".to_owned(), vec!["mysql"]),
            ("provider::convex::admin_key(\"App\", \"00\")".to_owned(), vec!["App"]),
            (format!("provider::convex::admin_key(\"app\", {:?}, \"admin\")", "0".repeat(64)), vec!["read_only"]),
        ];
        for (expression, texts) in cases {
            project.write("main.tf", &config(&expression));
            project.run(&["init", "-no-color"]).ok();
            project.plan().fails_with(&texts);
        }
        let outcome = {
            project.write("main.tf", &config("provider::convex::postgres_url(\"postgres://u:hunter22@/db\")"));
            project.plan().fails_with(&["host"])
        };
        // Terraform itself shows the line of the configuration; we add nothing.
        let ours = outcome.text().lines().filter(|line| !line.contains("postgres_url(")).collect::<String>();
        assert!(!ours.contains("hunter22"), "{ours}");
    }
}
