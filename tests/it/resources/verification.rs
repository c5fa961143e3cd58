//! The checklist, on a project and a deployment as they are when all is done, and with faults.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{config, configure};
use crate::support::{
    binaries,
    docker::{Name, docker, images, port},
    node, on_each_core,
    terraform::{Core, Project},
};

/// What stands for the HTTP actions of deployed functions, which the stand-in runs none of.
struct Site {
    origin: String,
    deployed: Arc<AtomicBool>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let deployed = Arc::new(AtomicBool::new(true));
        let (issuer, answers) = (origin.clone(), Arc::clone(&deployed));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut request = [0; 2048];
                let length = stream.read(&mut request).unwrap_or(0);
                let asked = String::from_utf8_lossy(&request[..length]).into_owned();
                let (status, body) = if asked.starts_with("GET /.well-known/openid-configuration ")
                    && answers.load(Ordering::Relaxed)
                {
                    ("200 OK", format!("{{\"issuer\":\"{issuer}\"}}"))
                } else {
                    ("404 Not Found", "No action here.".to_owned())
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { origin, deployed }
    }
}

/// The names of the checks that fail, and the whole report.
fn verify(app: &Path) -> (Vec<String>, Json) {
    let output = Command::new(binaries::provider())
        .args(["verify", "--json"])
        .arg(app)
        .env_clear()
        .output()
        .expect("the program starts");
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let failed: Vec<String> = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["passed"] == false)
        .map(|check| check["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(output.status.code(), Some(i32::from(!failed.is_empty())));
    assert_eq!(report["passed"], failed.is_empty());
    (failed, report)
}

fn remedy(report: &Json, name: &str) -> String {
    let checks = report["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|it| it["name"] == name)
        .expect("the check");
    check["remedy"].as_str().expect("text").to_owned()
}

/// Something done to a project, or to its deployment.
type Step = fn(&Quickstart);

struct Quickstart {
    terraform: Project,
    app: TempDir,
    site: Site,
    name: Name,
}

impl Quickstart {
    fn blocks(name: &Name, app: &Path, site: &Site, api: u16) -> String {
        format!(
            r#"
            resource "convex_deployment" "app" {{
              name      = {name:?}
              backend   = {{ image = {backend:?} }}
              dashboard = {{ image = {dashboard:?} }}
              volume    = {{ on_destroy = "delete" }}
              origins   = {{ api = "http://127.0.0.1:{api}", site = {site:?} }}
              network   = {{ publish = {{ api = {api} }} }}
            }}
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              auth       = {{ site_url = "http://localhost:5173" }}
            }}
            resource "convex_project" "app" {{
              directory   = "{app}"
              origins     = convex_deployment.app.origins
              url         = convex_deployment.app.urls.api
              admin_key   = convex_deployment.app.admin_key
              private_key = convex_env.app.auth.private_key
            }}
            "#,
            name = name.as_str(),
            app = app.display(),
            backend = images().backend,
            dashboard = images().dashboard,
            site = site.origin,
        )
    }

    fn start(core: Core) -> Self {
        let (name, app, site) = (
            Name::new(),
            TempDir::new().expect("a directory"),
            Site::start(),
        );
        let blocks = Self::blocks(&name, app.path(), &site, port());
        let terraform = Project::new(core, &config(&blocks));
        terraform.apply().ok();
        terraform.assert_no_changes();
        let packages = node::npm_install(&[
            ("convex", "1.48.0"),
            ("@convex-dev/auth", "0.0.95"),
            ("@auth/core", "^0.41.1"),
        ]);
        symlink(
            packages.join("node_modules"),
            app.path().join("node_modules"),
        )
        .expect("a link");
        let quickstart = Self {
            terraform,
            app,
            site,
            name,
        };
        quickstart.generate();
        quickstart
    }

    /// Generates code, as a first deploy does.
    fn generate(&self) {
        let status = Command::new(self.app.path().join("node_modules/.bin/convex"))
            .args(["codegen", "--system-udfs", "--typecheck", "disable"])
            .current_dir(self.app.path())
            .status()
            .expect("the command line starts");
        assert!(status.success());
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.app.path().join(path)
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).expect("text");
        assert!(text.contains(from), "{path} has no {from:?}: {text}");
        fs::write(self.path(path), text.replace(from, to)).expect("written");
    }

    fn remove_lines(&self, path: &str, with: &[&str]) {
        let text = fs::read_to_string(self.path(path)).expect("text");
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| !with.iter().any(|it| line.starts_with(&format!("{it}="))))
            .collect();
        fs::write(self.path(path), kept.join("\n") + "\n").expect("written");
    }

    fn apply(&self) {
        self.terraform.apply().ok();
    }

    /// Changes a variable of the deployment behind the provider's back.
    fn set(&self, name: &str, value: &str) {
        let state = self.terraform.state("convex_deployment.app");
        let url = state["urls"]["api"].as_str().expect("a URL");
        let key = state["admin_key"].as_str().expect("a key");
        let body = format!("{{\"changes\":[{{\"name\":\"{name}\",\"value\":{value}}}]}}");
        let output = Command::new("curl")
            .args(["-fsS", "-H", &format!("Authorization: Convex {key}")])
            .args(["-H", "Content-Type: application/json", "-d", &body])
            .arg(format!("{url}/api/update_environment_variables"))
            .output()
            .expect("curl is installed");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn each_fault_turns_its_check_red_and_its_remedy_turns_it_green() {
    let it = Quickstart::start(Core::Installed);
    let (failed, report) = verify(it.app.path());
    assert_eq!(failed, Vec::<String>::new(), "{report:#}");
    let open: Vec<&Json> = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["passed"].is_null())
        .map(|check| &check["name"])
        .collect();
    assert_eq!(open, ["containers"]);

    // What breaks it; which check says so; words of its remedy; what they say to do.
    let faults: [(Step, &str, &str, Step); 17] = [
        (
            |it| fs::remove_file(it.path(".env.convex.local")).expect("it is there"),
            "env_file",
            "Apply the configuration again",
            Quickstart::apply,
        ),
        (
            |it| {
                it.edit(
                    ".env.convex.local",
                    "VITE_CONVEX_URL=http",
                    "VITE_CONVEX_URL=https",
                );
            },
            "env_urls",
            "Remove those that are wrong",
            |it| {
                it.remove_lines(".env.convex.local", &["VITE_CONVEX_URL"]);
                it.apply();
            },
        ),
        (
            |it| {
                it.edit(
                    ".env.convex.local",
                    "JWT_ISSUER=",
                    "JWT_ISSUER=https://old.example#",
                );
            },
            "env_issuer",
            "Remove those that are wrong",
            |it| {
                it.remove_lines(".env.convex.local", &["JWT_ISSUER"]);
                it.apply();
            },
        ),
        (
            |it| {
                let open = fs::Permissions::from_mode(0o644);
                fs::set_permissions(it.path("jwt_private_key.pem"), open).expect("changed");
            },
            "secrets_private",
            "Run: chmod 600 jwt_private_key.pem",
            |it| {
                let private = fs::Permissions::from_mode(0o600);
                fs::set_permissions(it.path("jwt_private_key.pem"), private).expect("changed");
            },
        ),
        (
            |it| it.edit(".gitignore", ".env.convex.local\n", ""),
            "secrets_ignored",
            "Add one line for each",
            |it| {
                it.edit(
                    ".gitignore",
                    "jwt_private_key.pem",
                    "jwt_private_key.pem\n.env.convex.local",
                );
            },
        ),
        (
            |it| it.edit("package.json", "\"convex\"", "\"konvex\""),
            "packages",
            "npm install convex @convex-dev/auth",
            // As npm does to package.json.
            |it| it.edit("package.json", "\"konvex\"", "\"convex\""),
        ),
        (
            |it| fs::remove_dir_all(it.path("convex/_generated")).expect("it is there"),
            "generated_code",
            "npm run dev:backend",
            Quickstart::generate,
        ),
        (
            |it| it.edit("convex/schema.ts", "...authTables", "// ...authTables"),
            "schema_auth_tables",
            "Write `...authTables,`",
            |it| it.edit("convex/schema.ts", "// ...authTables", "...authTables"),
        ),
        (
            |it| it.edit("convex/auth.ts", "convexAuth({", "somethingElse({"),
            "auth_providers",
            "= convexAuth({",
            |it| it.edit("convex/auth.ts", "somethingElse({", "convexAuth({"),
        ),
        (
            |it| fs::remove_file(it.path("convex/auth.config.ts")).expect("it is there"),
            "auth_config",
            "Apply the configuration again",
            Quickstart::apply,
        ),
        (
            |it| it.edit("convex/http.ts", "auth.addHttpRoutes(http);", ""),
            "http_routes",
            "Write `auth.addHttpRoutes(http);`",
            |it| {
                it.edit(
                    "convex/http.ts",
                    "export default",
                    "auth.addHttpRoutes(http);\nexport default",
                );
            },
        ),
        (
            |it| {
                fs::write(it.path("src/App.tsx"), "export default () => null;\n").expect("written");
            },
            "frontend_imports",
            "move yours away and apply again",
            |it| {
                fs::rename(it.path("src/App.tsx"), it.path("App.mine")).expect("moved");
                it.apply();
            },
        ),
        (
            |it| {
                docker(&["stop", &it.name.container("backend")]);
            },
            "api_answers",
            "See that the backend runs",
            Quickstart::apply,
        ),
        (
            |it| it.edit(".env.convex.local", "|0", "|1"),
            "admin_key",
            "Remove CONVEX_SELF_HOSTED_ADMIN_KEY",
            |it| {
                it.remove_lines(".env.convex.local", &["CONVEX_SELF_HOSTED_ADMIN_KEY"]);
                it.apply();
            },
        ),
        (
            |it| it.set("CONVEX_SITE_ORIGIN", "null"),
            "variables",
            "Set it with convex_env",
            Quickstart::apply,
        ),
        (
            |it| it.set("JWT_ISSUER", "\"https://old.example\""),
            "issuer",
            "Set them with convex_env",
            Quickstart::apply,
        ),
        (
            |it| it.site.deployed.store(false, Ordering::Relaxed),
            "functions_deployed",
            "npm run deploy:functions",
            |it| it.site.deployed.store(true, Ordering::Relaxed),
        ),
    ];
    for (inject, name, words, follow) in faults {
        inject(&it);
        let (failed, report) = verify(it.app.path());
        assert_eq!(failed, [name], "{report:#}");
        let remedy = remedy(&report, name);
        assert!(remedy.contains(words), "{name}: {remedy}");
        follow(&it);
        let (failed, report) = verify(it.app.path());
        assert_eq!(
            failed,
            Vec::<String>::new(),
            "after the remedy of {name}: {report:#}"
        );
    }
    it.terraform.destroy().ok();
}

on_each_core! {
    fn a_check_block_sees_the_whole_list_and_looks_inside_the_containers(core) {
        let it = Quickstart::start(core);
        let blocks = Quickstart::blocks(
            &it.name,
            it.app.path(),
            &it.site,
            it.terraform.state("convex_deployment.app")["urls"]["api"]
                .as_str()
                .and_then(|url| url.rsplit(':').next()?.parse().ok())
                .expect("a port"),
        );
        let checked = format!(
            r#"{blocks}
            data "convex_verification" "app" {{
              directory  = convex_project.app.directory
              deployment = convex_deployment.app.id
            }}
            check "convex" {{
              assert {{
                condition     = data.convex_verification.app.passed
                error_message = join("\n", [for name in data.convex_verification.app.failed : "${{name}}: ${{data.convex_verification.app.checks[name].remedy}}"])
              }}
            }}
            "#
        );
        configure(&it.terraform, &checked);
        // The stand-in runs no functions, and says so.
        it.terraform.apply().ok().says(&["functions_deployed: Run: npm run deploy:functions"]);
        it.terraform.assert_no_changes();
        let seen = it.terraform.state("data.convex_verification.app");
        assert_eq!(seen["failed"], serde_json::json!(["functions_deployed"]), "{seen:#}");
        for name in ["containers", "api_answers", "site_answers", "admin_key", "variables", "issuer"] {
            assert_eq!(seen["checks"][name]["passed"], true, "{name}");
        }
        docker(&["stop", &it.name.container("backend")]);
        let plan = it.terraform.plan_json();
        assert_eq!(plan["errored"], Json::from(false));
        configure(&it.terraform, &blocks);
        it.terraform.destroy().ok();
    }
}

on_each_core! {
    fn nothing_to_ask_is_no_error(core) {
        let mut project = Project::new(core, &config("data \"convex_verification\" \"it\" {\n  deployment = \"nowhere\"\n}\n"));
        project.set_env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        project.apply().ok();
        let seen = project.state("data.convex_verification.it");
        assert_eq!(seen["passed"], true);
        assert_eq!(seen["checks"]["containers"]["passed"], Json::Null);
        configure(&project, "data \"convex_verification\" \"it\" {}\n");
        project.validate().fails_with(&["Nothing to check"]);
        configure(&project, "data \"convex_verification\" \"it\" {\n  deployment = \"a\"\n  url = \"http://localhost:3210\"\n}\n");
        project.validate().fails_with(&["Both deployment and url are given"]);
        configure(&project, "data \"convex_verification\" \"it\" {\n  directory = \"/nowhere\"\n}\n");
        project.plan().fails_with(&["The directory cannot be read"]);
    }
}

#[test]
fn a_person_sees_a_table_and_wrong_arguments_are_refused() {
    let app = TempDir::new().expect("a directory");
    let run = |arguments: &[&str]| {
        let output = Command::new(binaries::provider())
            .arg("verify")
            .args(arguments)
            .current_dir(app.path())
            .env_clear()
            .output()
            .expect("the program starts");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code(), text)
    };
    let (code, text) = run(&[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("FAIL  env_file              there is no .env.convex.local\n"),
        "{text}"
    );
    assert!(text.contains("-> Apply the configuration again"), "{text}");
    assert!(
        text.contains("-     api_answers           CONVEX_SELF_HOSTED_URL is not set"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
    for arguments in [&["--yaml"][..], &[".", "."], &["/nowhere"]] {
        let (code, text) = run(arguments);
        assert_eq!(code, Some(2), "{text}");
    }
    // On a terminal there are colours.
    let output = Command::new("script")
        .args([
            "-qec",
            &format!("{} verify", binaries::provider().display()),
            "/dev/null",
        ])
        .current_dir(app.path())
        .env_remove("NO_COLOR")
        .output()
        .expect("script is installed (util-linux)");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\u{1b}[31;1mFAIL"));
}
