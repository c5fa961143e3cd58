//! Provider functions, called by real Terraform.

mod container;

use terraform_provider_convex::convex::{AuthKeys, auth_keys::KeySize};

use crate::support::{on_each_core, on_every_core, terraform::Project};

/// A configuration whose output `x` is this expression.
fn config(expression: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    convex = {{ source = \"coder-convex/convex\" }}\n  }}\n}}\noutput \"x\" {{\n  value = {expression}\n}}\n"
    )
}

on_every_core! {
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
                    wildcard_from_access_url = true, workspace = "dev", owner = "ann"
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
                r#"provider::convex::coder_app_url({
                    access_url = "https://coder.example.com", wildcard = "t1---*.apps.example.com:8443",
                    workspace = "dev", owner = "ann", agent = "main", port = 5173
                })"#,
                "https://t1---5173--main--dev--ann.apps.example.com:8443",
            ),
            (
                r#"provider::convex::coder_app_url({
                    access_url = "https://a1b2c3.pit-1.try.coder.app", workspace = "dev",
                    owner = "ann", agent = "main", port = "7443s"
                })"#,
                "https://7443s--main--dev--ann--a1b2c3.pit-1.try.coder.app",
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
            ("provider::convex::coder_origins(\"https://c.example\")".to_owned(), vec!["The value is a string. Give an object"]),
            ("provider::convex::dotenv_encode({ A = null })".to_owned(), vec!["variables[\"A\"]: The value is null. Give a string"]),
            (format!("provider::convex::coder_origins({})", place("slugs = { api = \"a\", site = \"a\" }")), vec!["slugs.site", "that of `api` as well"]),
            (format!("provider::convex::coder_origins({})", place("agnet = \"x\"")), vec!["unknown field `agnet`"]),
            (format!("provider::convex::coder_origins({})", place("slugs = { api = \"12345\" }")), vec!["slugs.api", "12345"]),
            (format!("provider::convex::coder_app_url({})", place("agent = \"a\"")), vec!["slug is missing"]),
            (format!("provider::convex::coder_app_url({})", place("port = 5173")), vec!["the agent's name", "coder_agent"]),
            (format!("provider::convex::coder_app_url({})", place("port = 80, agent = \"a\"")), vec!["port:", "from 1000 to 65535"]),
            (format!("provider::convex::coder_app_url({})", place("port = 5173, slug = \"a\"")), vec!["Give one of them"]),
            (format!("provider::convex::coder_origins({})", place("port = 5173")), vec!["belong to coder_app_url"]),
            (format!("provider::convex::coder_app_url({{ access_url = \"https://c.example\", wildcard = \"*.c.example\", workspace = {long:?}, owner = \"ann\", slug = \"api\" }})"), vec!["63", "api--w"]),
            ("provider::convex::coder_origins({ access_url = \"https://c.example\", wildcard = \"apps.example.com\", workspace = \"dev\", owner = \"ann\" })".to_owned(), vec!["wildcard", "*"]),
            ("provider::convex::coder_origins({ access_url = \"https://c.example\", workspace = \"dev\", owner = \"ann\" })".to_owned(), vec!["CODER_WILDCARD_ACCESS_URL", "`wildcard_from_access_url` set to `true`"]),
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

on_each_core! {
    fn the_key_set_of_a_private_key_is_the_one_that_goes_with_it(core) {
        let keys = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
        let project = Project::new(core, &config("nonsensitive(provider::convex::jwks(sensitive(file(\"key.pem\"))))"));
        for spelling in [keys.private_key_pem(), keys.private_key_single_line()] {
            project.write("key.pem", spelling.expose());
            project.apply().ok();
            project.assert_no_changes();
            assert_eq!(project.output("x"), keys.jwks());
        }
    }
}

on_each_core! {
    fn env_files_are_written_and_read_in_a_plan(core) {
        let project = Project::new(core, &config(
            r#"provider::convex::dotenv_encode({
                PORT = 3000, RAG = true, EMPTY = "", NAME = "Ann's app", JSON = jsonencode({ a = "$b" }), LINES = "a\nb"
            })"#,
        ));
        project.apply().ok();
        project.assert_no_changes();
        let written = "EMPTY=''\nJSON='{\"a\":\"$b\"}'\nLINES='a\nb'\nNAME=\"Ann's app\"\nPORT=3000\nRAG=true\n";
        assert_eq!(project.output("x"), written);

        project.write(".env", "# comment\nexport A=1\nB = 'two # words' # comment\nA=\"x\\ny\"\nC=$HOME\n");
        project.write("main.tf", &config("provider::convex::dotenv_decode(file(\".env\"))"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(
            project.output("x"),
            serde_json::json!({ "A": "x\ny", "B": "two # words", "C": "$HOME" })
        );

        // There and back, and as secret as what goes in.
        project.write("main.tf", &config(
            "provider::convex::dotenv_decode(provider::convex::dotenv_encode({ A = sensitive(\"hunter2-hunter2\") }))"
        ));
        project.plan().fails_with(&["Output refers to sensitive values"]);
        project.write("main.tf", &config(
            "nonsensitive(provider::convex::dotenv_decode(provider::convex::dotenv_encode({ A = sensitive(\"it's\") }))).A"
        ));
        project.apply().ok();
        assert_eq!(project.output("x"), "it's");

        // What is yet to be known is waited for.
        project.write("main.tf", &format!(
            "resource \"terraform_data\" \"late\" {{\n  input = \"x y\"\n}}\n{}",
            config("provider::convex::dotenv_encode({ A = terraform_data.late.output })")
        ));
        project.run(&["init", "-no-color"]).ok();
        project.apply().ok();
        assert_eq!(project.output("x"), "A='x y'\n");
    }
}

on_each_core! {
    fn what_no_env_file_or_key_can_be_is_named_without_its_value(core) {
        let project = Project::new(core, "");
        project.write("bad.env", "A=1\nhunter2-hunter2\n");
        project.write("open.env", "A=1\n\nB='hunter2-hunter2\n");
        project.write("bad.pem", "-----BEGIN PRIVATE KEY-----\nhunter2-hunter2\n-----END PRIVATE KEY-----\n");
        let secret = "locals {\n  secret = sensitive(\"hunter2-hunter2\")\n}\n";
        let cases = [
            ("provider::convex::jwks(file(\"bad.pem\"))", vec!["private_key", "The private key is damaged"]),
            ("provider::convex::jwks(\"\")", vec!["private_key", "The private key is empty"]),
            ("provider::convex::jwks(null)", vec!["private_key", "must not be null"]),
            ("provider::convex::dotenv_encode({ VITE_KEY = \"$ ${local.secret}\" })", vec!["variables", "The value of VITE_KEY contains `$`"]),
            ("provider::convex::dotenv_encode({ A = \"${local.secret}\\\\\" })", vec!["variables", "The value of A ends with a backslash"]),
            ("provider::convex::dotenv_encode({ A = \"it's $ ${local.secret}\" })", vec!["variables", "The value of A contains an apostrophe"]),
            ("provider::convex::dotenv_encode({ A = \"${local.secret}\\r\" })", vec!["variables", "The value of A contains a carriage return"]),
            ("provider::convex::dotenv_encode({ \"A-B\" = local.secret })", vec!["variables", "\"A-B\" is no name that an env file can carry"]),
            ("provider::convex::dotenv_encode({ A = null })", vec!["variables", "[\"A\"]"]),
            ("provider::convex::dotenv_encode(\"A=1\")", vec!["variables", "map of string required"]),
            ("provider::convex::dotenv_decode(file(\"bad.env\"))", vec!["text", "Line 2 has no `=`"]),
            ("provider::convex::dotenv_decode(file(\"open.env\"))", vec!["text", "The value that begins in line 3 with `'` never ends"]),
        ];
        for (expression, texts) in cases {
            project.write("main.tf", &format!("{secret}{}", config(expression)));
            project.run(&["init", "-no-color"]).ok();
            let outcome = project.plan().fails_with(&texts);
            assert!(!outcome.text().contains("hunter2"), "{}", outcome.text());
        }
    }
}
