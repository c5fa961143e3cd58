//! The program behind `data "external"`.

mod alone;
mod called;
mod hostile;

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value as Json, json};
use terraform_provider_convex::convex::{AuthKeys, auth_keys::KeySize};

/// What a query came to.
pub struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Answer {
    /// What `data "external"` takes from it: one JSON object of strings.
    #[track_caller]
    pub fn result(&self) -> BTreeMap<String, String> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
        serde_json::from_slice(&self.stdout).expect("one JSON object of strings")
    }

    /// What it says when there is none, on one line.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        let printed = String::from_utf8_lossy(&self.stdout);
        assert_eq!((self.code, printed.as_ref()), (Some(1), ""));
        let said = self.stderr.strip_suffix('\n').expect("a line");
        assert!(!said.contains('\n'), "{said}");
        said.strip_prefix("terraform-provider-convex external: ")
            .expect("who says it")
    }
}

/// Starts a command with this on its standard input, which is closed behind it.
#[track_caller]
pub fn ask(command: &mut Command, input: &[u8]) -> Answer {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // What has read enough may end before the rest is written.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Answer {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A query for each operation, and the same as an expression with the provider's functions, whose
/// value is an object with the keys of the result.
pub struct Case {
    pub operation: &'static str,
    pub query: Json,
    pub expression: String,
}

/// The cases, and the private key that they use as a file of the configuration.
pub fn cases() -> (Vec<Case>, String) {
    let keys = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
    let pem = keys.private_key_pem().expose().to_owned();
    let secret = "0123456789abcdef".repeat(4);
    let place = json!({
        "access_url": "https://coder.example.com:8443", "wildcard": "*--apps.example.com",
        "workspace": "Dev", "owner": "ann", "agent": "main",
    });
    let with = |more: Json| {
        let mut query = place.clone();
        let query_map = query.as_object_mut().expect("an object");
        query_map.extend(more.as_object().expect("an object").clone());
        query
    };
    let hcl = |json: &Json| format!("jsondecode({})", json!(json.to_string()));
    let url = "postgres://u:p%40ss!@db.example:5433/app?sslmode=require";
    let local = with(json!({ "access_url": "http://localhost:3000", "wildcard": "", "agent": "" }));
    let cases = vec![
        Case {
            operation: "origins",
            query: with(json!({ "slug_api": "api", "slug_dashboard": "db" })),
            expression: format!(
                "provider::convex::coder_origins({})",
                hcl(&with(json!({ "slugs": { "api": "api", "dashboard": "db" } })))
            ),
        },
        Case {
            operation: "origins",
            expression: format!("provider::convex::coder_origins({})", hcl(&local)),
            query: local,
        },
        Case {
            operation: "app_url",
            query: with(json!({ "slug": "web" })),
            expression: format!(
                "{{ app_url = provider::convex::coder_app_url({}) }}",
                hcl(&with(json!({ "slug": "web" })))
            ),
        },
        Case {
            operation: "app_url",
            query: with(json!({ "port": "5173" })),
            expression: format!(
                "{{ app_url = provider::convex::coder_app_url({}) }}",
                hcl(&with(json!({ "port": 5173 })))
            ),
        },
        Case {
            operation: "postgres_url",
            query: json!({ "url": url }),
            expression: format!("{{ postgres_url = provider::convex::postgres_url({url:?}) }}"),
        },
        Case {
            operation: "jwks",
            query: json!({ "private_key": pem }),
            expression: "{ jwks = provider::convex::jwks(file(\"key.pem\")) }".to_owned(),
        },
        Case {
            operation: "admin_key",
            query: json!({ "instance_name": "app", "instance_secret": secret }),
            expression: format!("{{ admin_key = provider::convex::admin_key(\"app\", {secret:?}) }}"),
        },
        Case {
            operation: "admin_key",
            query: json!({ "instance_name": "app", "instance_secret": secret, "access": "read_only" }),
            expression: format!(
                "{{ admin_key = provider::convex::admin_key(\"app\", {secret:?}, \"read_only\") }}"
            ),
        },
        Case {
            operation: "env_files",
            query: json!({
                "api": "https://api.example", "site": "https://site.example",
                "dashboard": "https://dashboard.example", "admin_key": "app|01ab",
                "database_url": url, "private_key": pem,
            }),
            // The files hold the same variables as those that the provider renders.
            expression: "{ for name, file in { env_local = \".env.convex.local\", env_deployment = \".env.convex.deployment\" } : name => nonsensitive(provider::convex::dotenv_decode(data.convex_project.app.secret_files[file])) }".to_owned(),
        },
    ];
    (cases, pem)
}

/// The files of a project, for the case of `env_files`.
pub const PROJECT: &str = r#"
data "convex_project" "app" {
  directory    = "/app"
  origins      = { api = "https://api.example", site = "https://site.example", dashboard = "https://dashboard.example" }
  admin_key    = "app|01ab"
  database_url = "postgres://u:p%40ss!@db.example:5433/app?sslmode=require"
  private_key  = file("key.pem")
}
"#;
