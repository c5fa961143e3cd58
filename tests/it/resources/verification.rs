//! The checklist, on a project and a deployment as they are when all is done, and with faults.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value as Json;
use tempfile::TempDir;
use terraform_provider_convex::convex::tested::{CONVEX, CONVEX_AUTH};

use super::{config, configure};
use crate::support::{
    apps, binaries,
    docker::{Name, docker, images, port},
    node, on_each_core,
    terraform::{Core, Project},
};

/// The names of the checks that fail, and the whole report.
fn verify(app: &Path) -> (Vec<String>, Json) {
    verify_in(app, &[])
}

/// The same, in this environment.
fn verify_in(app: &Path, environment: &[(&str, &str)]) -> (Vec<String>, Json) {
    let output = Command::new(binaries::provider())
        .args(["verify", "--json"])
        .arg(app)
        .env_clear()
        .envs(environment.iter().copied())
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

fn check<'a>(report: &'a Json, name: &str) -> &'a Json {
    let checks = report["checks"].as_array().expect("checks");
    checks
        .iter()
        .find(|it| it["name"] == name)
        .expect("the check")
}

/// The names of the checks that could not be made.
fn open(report: &Json) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["passed"].is_null())
        .map(|check| check["name"].as_str().expect("a name"))
        .collect()
}

/// Something done to a project, or to its deployment.
type Step = fn(&Quickstart);

struct Quickstart {
    terraform: Project,
    app: TempDir,
    ports: [u16; 2],
    name: Name,
    /// Another deployment of the same machine, whose functions are not deployed.
    other: Name,
    other_ports: [u16; 2],
}

/// What a configuration says that is usually right.
#[derive(Clone, Copy)]
struct Said {
    internal: bool,
    ports: [u16; 2],
}

impl Quickstart {
    fn blocks(&self, said: Said) -> String {
        let deployment = |label: &str, name: &Name, [api, site]: [u16; 2], more: &str| {
            format!(
                r#"
                resource "convex_deployment" "{label}" {{
                  name      = {name:?}
                  backend   = {{ image = {backend:?} }}
                  dashboard = {{ image = {dashboard:?} }}
                  volume    = {{ on_destroy = "delete" }}
                  network   = {{ publish = {{ api = {api}, site = {site} }} }}
                  {more}
                }}
                "#,
                name = name.as_str(),
                backend = images().backend,
                dashboard = images().dashboard,
            )
        };
        let Said { internal, ports } = said;
        let [api, site] = ports;
        let own = format!(
            r#"
            internal_origins = {internal}
            origins          = {{ api = "http://127.0.0.1:{api}", site = "http://127.0.0.1:{site}" }}
            "#
        );
        let project = format!(
            r#"
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              auth       = {{ site_url = "http://localhost:5173" }}
            }}
            resource "convex_project" "app" {{
              directory        = "{app}"
              origins          = convex_deployment.app.origins
              internal_origins = convex_deployment.app.internal_origins
              url              = "http://127.0.0.1:{url}"
              admin_key        = convex_deployment.app.admin_key
              private_key      = convex_env.app.auth.private_key
            }}
            "#,
            app = self.app.path().display(),
            url = self.ports[0],
        );
        deployment("app", &self.name, self.ports, &own)
            + &deployment("other", &self.other, self.other_ports, "")
            + &project
    }

    /// As everything should be.
    fn right(&self) -> Said {
        Said {
            internal: true,
            ports: self.ports,
        }
    }

    /// Applied, and with nothing installed or deployed yet.
    fn start(core: Core) -> Self {
        let mut it = Self {
            terraform: Project::new(core, &config("")),
            app: TempDir::new().expect("a directory"),
            ports: [port(), port()],
            name: Name::new(),
            other: Name::new(),
            other_ports: [port(), port()],
        };
        it.terraform = Project::new(core, &config(&it.blocks(it.right())));
        it.apply();
        it.terraform.assert_no_changes();
        it
    }

    /// Applies a configuration that is wrong in something.
    fn mistake(&self, change: fn(&Self, &mut Said)) {
        let mut said = self.right();
        change(self, &mut said);
        configure(&self.terraform, &self.blocks(said));
        self.apply();
    }

    /// Puts the configuration right.
    fn correct(&self) {
        self.mistake(|_, _| {});
    }

    /// Runs the install script, as a workspace does at its start.
    fn install(&self) {
        let script = self.terraform.state("convex_project.app")["install_script"].clone();
        let outside = TempDir::new().expect("a directory");
        let file = outside.path().join("install.sh");
        fs::write(&file, script.as_str().expect("a script")).expect("written");
        let said = self.run(Command::new("bash").arg(file));
        assert!(said.ends_with("convex: ready\n"), "{said}");
    }

    /// Deploys the functions, as the remedy says.
    fn deploy(&self) {
        self.run(Command::new("npm").args(["run", "deploy:functions"]));
    }

    /// Runs a command in the directory of the app, with nothing else in its environment, and
    /// returns what it printed.
    fn run(&self, command: &mut Command) -> String {
        let path = std::env::var_os("PATH").expect("a path");
        let home = std::env::var_os("HOME").expect("a home directory");
        let output = command
            .current_dir(self.app.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .output()
            .expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{command:?}: {said}");
        said
    }

    /// Deploys an app without functions in place of this one.
    fn forget_functions(&self) {
        let (functions, aside) = (self.path("convex"), self.path("aside"));
        fs::rename(&functions, &aside).expect("functions");
        fs::create_dir(&functions).expect("no functions");
        self.deploy();
        fs::remove_dir_all(&functions).expect("no functions");
        fs::rename(&aside, &functions).expect("functions");
    }

    /// Removes what of the env file may be of another deployment, and applies again.
    fn replace_access(&self) {
        let names = ["CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY"];
        self.remove_lines(".env.convex.local", &names);
        self.apply();
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
    it.install();
    // All that package.json declares can be had, and fits together.
    for program in ["convex", "vite", "tsc"] {
        assert!(
            it.path("node_modules/.bin").join(program).exists(),
            "{program}"
        );
    }
    let (failed, report) = verify(it.app.path());
    assert_eq!(failed, Vec::<String>::new(), "{report:#}");
    // Where the frontend is, no file says.
    assert_eq!(open(&report), ["site_url"], "{report:#}");
    // Within a workspace there is no Docker. What the backend says of a token is proof there.
    let nowhere = [("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    let (failed, report) = verify_in(it.app.path(), &nowhere);
    assert_eq!(failed, Vec::<String>::new(), "{report:#}");
    assert_eq!(open(&report), ["containers", "site_url"], "{report:#}");
    // What a person changed stays, and what is there is not installed again.
    it.install();
    it.terraform.assert_no_changes();

    // What breaks it; which check says so; words of its remedy; what they say to do.
    let faults: [(Step, &str, &str, Step); 27] = [
        (
            |it| fs::remove_file(it.path(".env.convex.local")).expect("it is there"),
            "env_file",
            "run terraform apply",
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
            "Remove VITE_CONVEX_URL from .env.convex.local",
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
                let [_, site] = it.ports;
                let public = format!("VITE_CONVEX_SITE_URL=http://127.0.0.1:{site}");
                it.edit(
                    ".env.convex.local",
                    &public,
                    "VITE_CONVEX_SITE_URL=http://127.0.0.1:3211",
                );
            },
            "env_site",
            "Remove VITE_CONVEX_SITE_URL from .env.convex.local",
            |it| {
                it.remove_lines(".env.convex.local", &["VITE_CONVEX_SITE_URL"]);
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
            "npm run deploy:functions",
            Quickstart::deploy,
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
            "containers",
            "With running = true, run terraform apply",
            Quickstart::apply,
        ),
        (
            |it| {
                it.edit(
                    ".env.convex.local",
                    "CONVEX_SELF_HOSTED_URL=http://127.0.0.1:",
                    "CONVEX_SELF_HOSTED_URL=http://127.0.0.1:1 #",
                );
            },
            "api_answers",
            "Remove CONVEX_SELF_HOSTED_URL from .env.convex.local",
            |it| {
                it.remove_lines(".env.convex.local", &["CONVEX_SELF_HOSTED_URL"]);
                it.apply();
            },
        ),
        (
            |it| {
                let url = |port: u16| format!("CONVEX_SELF_HOSTED_URL=http://127.0.0.1:{port}");
                it.edit(
                    ".env.convex.local",
                    &url(it.ports[0]),
                    &url(it.other_ports[0]),
                );
            },
            "api_instance",
            "Remove CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY from .env.convex.local",
            Quickstart::replace_access,
        ),
        (
            |it| {
                let key = |label: &str| {
                    let state = it.terraform.state(&format!("convex_deployment.{label}"));
                    state["admin_key"].as_str().expect("a key").to_owned()
                };
                it.edit(".env.convex.local", &key("app"), &key("other"));
            },
            "api_instance",
            "Remove CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY from .env.convex.local",
            Quickstart::replace_access,
        ),
        (
            |it| it.edit(".env.convex.local", "|0", "|1"),
            "admin_key",
            "Remove CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY from .env.convex.local",
            Quickstart::replace_access,
        ),
        (
            |it| {
                let key = format!("KEY='{}|", it.name.as_str());
                let of_cloud = key.replace("KEY='", "KEY='preview:");
                it.edit(".env.convex.local", &key, &of_cloud);
            },
            "admin_key",
            "Remove CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY from .env.convex.local",
            Quickstart::replace_access,
        ),
        (
            |it| it.set("CONVEX_SITE_ORIGIN", "null"),
            "variables",
            "Set it with convex_env",
            Quickstart::apply,
        ),
        (
            |it| {
                let other = r#""{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}""#;
                it.set("JWKS", other);
            },
            "variables",
            "Set it with convex_env",
            Quickstart::apply,
        ),
        (
            |it| it.set("JWT_ISSUER", "\"https://old.example\""),
            "issuer",
            "Set it with convex_env",
            Quickstart::apply,
        ),
        (
            |it| it.mistake(|_, said| said.internal = false),
            "issuer_reachable",
            "Set internal_origins = true on convex_deployment",
            Quickstart::correct,
        ),
        (
            |it| it.mistake(|it, said| said.ports[0] = it.other_ports[0]),
            "browser_api",
            "Correct origins.api of convex_deployment",
            Quickstart::correct,
        ),
        (
            |it| it.mistake(|it, said| said.ports[1] = it.other_ports[1]),
            "browser_site",
            "Correct origins.site of convex_deployment",
            Quickstart::correct,
        ),
        (
            |it| {
                let [api, _] = it.ports;
                it.set("SITE_URL", &format!("\"http://127.0.0.1:{api}\""));
            },
            "site_url",
            "Set auth.site_url of convex_env",
            Quickstart::apply,
        ),
        (
            Quickstart::forget_functions,
            "functions_deployed",
            "npm run deploy:functions",
            Quickstart::deploy,
        ),
    ];
    for (inject, name, words, follow) in faults {
        inject(&it);
        let (failed, report) = verify(it.app.path());
        assert_eq!(failed, [name], "{report:#}");
        let remedy = check(&report, name)["remedy"].as_str().expect("text");
        assert!(remedy.contains(words), "{name}: {remedy}");
        follow(&it);
        let (failed, report) = verify(it.app.path());
        assert_eq!(
            failed,
            Vec::<String>::new(),
            "after the remedy of {name}: {report:#}"
        );
    }
    // dev serves the page, and leaves the deployment to Terraform.
    apps::write(
        it.app.path(),
        "vite.config.ts",
        "console.log('served'); process.exit(0);\n",
    );
    let said = it.run(Command::new("npm").args(["run", "dev"]));
    assert!(said.contains("served"), "{said}");
    it.terraform.destroy().ok();
}

on_each_core! {
    fn a_check_block_sees_the_whole_list_and_looks_inside_the_containers(core) {
        let it = Quickstart::start(core);
        let packages = node::npm_install(&[
            ("convex", CONVEX),
            ("@convex-dev/auth", CONVEX_AUTH),
            ("@auth/core", "^0.41.1"),
        ]);
        symlink(packages.join("node_modules"), it.path("node_modules")).expect("a link");
        let blocks = it.blocks(it.right());
        let checked = format!(
            r#"{blocks}
            data "convex_verification" "app" {{
              directory    = convex_project.app.directory
              deployment   = convex_deployment.app.id
              frontend_url = convex_env.app.auth.site_url
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
        it.terraform.apply().ok().says(&["functions_deployed: Run: npm run deploy:functions"]);
        it.terraform.assert_no_changes();
        let seen = it.terraform.state("data.convex_verification.app");
        assert_eq!(seen["failed"], serde_json::json!(["generated_code", "functions_deployed"]), "{seen:#}");
        for name in ["containers", "api_answers", "site_answers", "admin_key", "variables", "issuer"] {
            assert_eq!(seen["checks"][name]["passed"], true, "{name}");
        }
        it.deploy();
        it.terraform.apply().ok();
        let seen = it.terraform.state("data.convex_verification.app");
        assert_eq!(seen["passed"], true, "{seen:#}");
        for (name, check) in seen["checks"].as_object().expect("an object") {
            // The Node.js of a workspace is not on the machine that plans.
            let expected = if name == "node" { Json::Null } else { Json::from(true) };
            assert_eq!(check["passed"], expected, "{name}");
        }
        // The issuer is asked from inside the container, which reaches no port of this machine.
        let asked = &seen["checks"]["issuer_reachable"]["detail"];
        assert!(asked.as_str().expect("text").contains("from inside the container"), "{asked}");
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

/// Serves a backend of this instance that notes what it is asked.
fn thief(instance: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).unwrap_or_default();
            noted
                .lock()
                .expect("no panic")
                .push_str(&String::from_utf8_lossy(&request[..length]));
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{instance}",
                instance.len()
            );
        }
    });
    (port, heard)
}

#[test]
fn the_key_of_the_environment_stays_with_the_url_of_the_environment() {
    let app = TempDir::new().expect("a directory");
    let (port, heard) = thief("app");
    let url = format!("http://127.0.0.1:{port}");
    let file = format!("CONVEX_SELF_HOSTED_URL={url}\n");
    fs::write(app.path().join(".env.convex.local"), file).expect("written");
    let key = ("CONVEX_SELF_HOSTED_ADMIN_KEY", "app|01ab");
    let (_, report) = verify_in(app.path(), &[key]);
    let why = check(&report, "admin_key")["detail"]
        .as_str()
        .expect("text");
    assert!(why.contains("the key was not sent there"), "{why}");
    assert!(
        heard
            .lock()
            .expect("no panic")
            .contains("GET /instance_name")
    );
    assert!(
        !heard.lock().expect("no panic").contains("01ab"),
        "the key was sent"
    );
    verify_in(app.path(), &[key, ("CONVEX_SELF_HOSTED_URL", &url)]);
    assert!(heard.lock().expect("no panic").contains("Convex app|01ab"));
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
    assert!(
        text.contains("-> To write it, run terraform apply"),
        "{text}"
    );
    assert!(
        text.contains("-     api_answers           CONVEX_SELF_HOSTED_URL is not set"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
    for help in ["--help", "-h"] {
        let (code, text) = run(&[help]);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.starts_with("Checks the app in DIR") && !text.contains("sweep"),
            "{text}"
        );
    }
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
