//! The files of a project, in directories as people have them.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use terraform_provider_convex::render::files::digest;

use super::{config, configure, deployment};
use crate::support::{
    apps::{self, Files, LayOut},
    backend::Backend,
    docker::{Name, port},
    on_each_core,
    terraform::{Core, Project},
};

const KEY: &str = "app|01hunter2";

/// A project of an app at a directory.
fn blocks(directory: &Path, attributes: &str) -> String {
    format!(
        "resource \"convex_project\" \"app\" {{\n  directory = \"{}\"\n  admin_key = {KEY:?}\n{attributes}\n}}\n",
        directory.display()
    )
}

fn keys() -> String {
    use terraform_provider_convex::convex::auth_keys::{AuthKeys, KeySize};
    let keys = AuthKeys::generate(KeySize::Rsa2048).expect("a key");
    format!("private_key = {:?}", keys.private_key_pem().expose())
}

/// Whether `whole` is `part` with something put in.
fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|it| whole.any(|other| other == it))
}

/// Demands that everything that was there is there still: in its file, or set aside beside it.
#[track_caller]
fn nothing_is_lost(before: &Files, after: &Files) {
    for (path, (content, _)) in before {
        let kept = after.iter().any(|(name, (now, _))| {
            (name == path || name.starts_with(&format!("{path}.set-aside-")))
                && is_within(content, now)
        });
        assert!(kept, "{path} has lost something");
    }
}

fn text(files: &Files, path: &str) -> String {
    let (content, _) = files.get(path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(content.clone()).expect("text")
}

on_each_core! {
    fn no_byte_of_a_person_is_lost_wherever_the_app_starts(core) {
        let keys = format!("{}\ncompose = true", keys());
        let starts: [(&str, LayOut, &str, Option<&str>); 4] = [
            ("nothing", apps::empty, "", None),
            ("a fresh Vite app", apps::vite_react, "", None),
            ("an existing Convex app", apps::existing_convex, "", Some("yarn")),
            ("a monorepo", apps::pnpm_monorepo, "apps/web", Some("pnpm")),
        ];
        for (start, lay_out, below, manager) in starts {
            let root = TempDir::new().expect("a directory");
            lay_out(root.path());
            let before = apps::files(root.path());
            let app = root.path().join(below);
            let project = Project::new(core, &config(&blocks(&app, &keys)));
            project.apply().ok();
            project.assert_no_changes();
            nothing_is_lost(&before, &apps::files(root.path()));
            let detected = project.state("convex_project.app")["detected_package_manager"].clone();
            assert_eq!(detected.as_str(), manager, "{start}");

            // A person edits every file, and takes one away.
            let written = apps::files(&app);
            for (path, (content, _)) in &written {
                let json = Path::new(path).extension().is_some_and(|it| it == "json");
                let line = if json { "\n" } else { "\n# by hand\n" };
                let edited = [&content[..], line.as_bytes()].concat();
                fs::write(app.join(path), edited).expect("the file can be written");
            }
            fs::remove_file(app.join("scripts/setup-convex.sh")).expect("it is there");
            let mut edited = apps::files(root.path());
            let plan = project.plan().ok();
            plan.says(&["scripts/setup-convex.sh", "start-convex-backend.sh", "drifted"]);
            project.apply().ok().says(&["start-convex-backend.sh was changed, and set aside"]);
            project.assert_no_changes();
            let now = apps::files(root.path());
            nothing_is_lost(&edited, &now);
            assert_eq!(
                text(&apps::files(&app), "scripts/setup-convex.sh"),
                text(&written, "scripts/setup-convex.sh"),
                "{start}"
            );
            edited = now;
            // What depends on other values follows, and still nothing is lost.
            let origins = "origins = { api = \"https://a.example\", site = \"https://s.example\", dashboard = \"https://d.example\" }";
            configure(&project, &blocks(&app, &format!("{keys}\n{origins}")));
            project.apply().ok();
            project.assert_no_changes();
            let now = apps::files(&app);
            assert!(text(&now, ".env.convex.local").contains("CONVEX_CLOUD_ORIGIN=https://a.example"), "{start}");
            for (path, (content, _)) in &edited {
                // The script tells where the dashboard is.
                if !path.contains(".env.convex.") && !path.ends_with("setup-convex.sh") {
                    let same = apps::files(root.path()).get(path).is_some_and(|(now, _)| now == content);
                    assert!(same, "{path} of {start} changed");
                }
            }
            project.destroy().ok();
            nothing_is_lost(&before, &apps::files(root.path()));
        }
    }
}

on_each_core! {
    fn what_is_ours_goes_and_what_is_the_persons_stays(core) {
        let root = TempDir::new().expect("a directory");
        let app = root.path().join("new/app");
        let attributes = format!("{}\ncompose = true", keys());
        let project = Project::new(core, &config(&blocks(&app, &attributes)));
        project.plan().ok().says(&["convex/schema.ts", "will be created"]);
        assert!(!app.exists(), "a plan writes nothing");
        project.apply().ok();
        let files = apps::files(&app);
        for path in [".env.convex.local", ".env.convex.deployment", "jwt_private_key.pem"] {
            assert_eq!(files[path].1, 0o600, "{path}");
        }
        for path in ["start-convex-backend.sh", "scripts/setup-convex.sh", "scripts/init-convex-env.sh"] {
            assert_eq!(files[path].1, 0o755, "{path}");
        }
        // Changed bits are drift too.
        fs::set_permissions(
            app.join(".env.convex.local"),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .expect("its bits can be changed");
        project.plan().ok().says(&[".env.convex.local"]);
        project.apply().ok();
        assert_eq!(apps::files(&app), files);
        project.destroy().ok();
        let left = apps::files(&app);
        assert!(left.keys().all(|path| path.starts_with("convex/") || path.starts_with("src/") || !path.contains('/')), "{left:?}");
        for gone in ["start-convex-backend.sh", ".env.convex.local", "jwt_private_key.pem"] {
            assert!(!left.contains_key(gone), "{gone} is left");
        }
        for stays in ["convex/schema.ts", "src/App.tsx"] {
            assert_eq!(left[stays], files[stays]);
        }
        assert!(!app.join("scripts").exists(), "an empty directory is left");
        project.apply().ok();
        assert_eq!(apps::files(&app).len(), files.len());
        // Where they are not wanted any more they go with their directory, and with nobody else's.
        fs::create_dir(app.join("empty")).expect("a directory");
        configure(&project, &blocks(&app, &keys()));
        project.apply().ok();
        project.assert_no_changes();
        assert!(!app.join("scripts").exists() && !app.join("docker-compose.convex.yml").exists());
        assert!(app.join("empty").exists());
    }
}

on_each_core! {
    fn policies_decide_for_each_file(core) {
        let root = TempDir::new().expect("a directory");
        let app = root.path();
        apps::vite_react(app);
        let before = apps::files(app);
        let attributes = "policies = {\n  \"src/main.tsx\" = \"managed\"\n  \"src/App.tsx\" = \"managed\"\n  \"package.json\" = \"skip\"\n}";
        let project = Project::new(core, &config(&blocks(app, attributes)));
        project.apply().ok().says(&["src/App.tsx was changed, and set aside"]);
        project.assert_no_changes();
        let after = apps::files(app);
        nothing_is_lost(&before, &after);
        assert_eq!(after["package.json"], before["package.json"]);
        assert!(text(&after, "src/App.tsx").contains("useAuthActions"));
        configure(&project, &blocks(app, "policies = { \"src/App.tsx\" = \"merge\" }"));
        project.plan().fails_with(&["src/App.tsx is of one piece", "policies"]);
        configure(&project, &blocks(app, "policies = { \"src/Ap.tsx\" = \"skip\" }"));
        project.plan().fails_with(&["src/Ap.tsx is none of the project's files"]);
        configure(&project, &blocks(app, "policies = { \"../x\" = \"skip\", a = \"b\" }"));
        project.validate().fails_with(&["no path below the project's directory", "is no policy"]);
    }
}

on_each_core! {
    fn what_cannot_be_written_is_told_and_nothing_is(core) {
        let root = TempDir::new().expect("a directory");
        let outside = TempDir::new().expect("a directory");
        let app = root.path();
        apps::write(app, "package.json", "{ broken");
        apps::write(app, ".env.convex.local", "hunter2\n");
        let before = apps::files(app);
        let project = Project::new(core, &config(&blocks(app, "")));
        project.apply().fails_with(&["package.json cannot be added to", "line 1, column 3", ".env.convex.local cannot be added to", "Line 1 has no", "Nothing was written"]);
        assert_eq!(apps::files(app), before);
        fs::remove_file(app.join("package.json")).expect("it is there");
        fs::remove_file(app.join(".env.convex.local")).expect("it is there");
        std::os::unix::fs::symlink(outside.path(), app.join("convex")).expect("a link");
        project.apply().fails_with(&["leads out of the project's directory"]);
        assert_eq!(fs::read_dir(outside.path()).expect("a directory").count(), 0);
        fs::remove_file(app.join("convex")).expect("it is there");
        project.apply().ok();
        // A file that is broken later does not stop a destroy.
        apps::write(app, "package.json", "{ broken");
        project.plan().ok().says(&["package.json cannot be added to"]);
        project.destroy().ok();
        assert_eq!(text(&apps::files(app), "package.json"), "{ broken");
    }
}

on_each_core! {
    fn no_secret_is_shown_and_a_directory_can_be_imported(core) {
        let root = TempDir::new().expect("a directory");
        let app = root.path();
        let mut project = Project::new(core, &config(&blocks(app, &keys())));
        project.set_env("TF_LOG", "TRACE");
        let outcome = project.run(&["apply", "-no-color", "-input=false", "-auto-approve"]).ok();
        for line in outcome.text().lines() {
            assert!(!line.contains("hunter2") && !line.contains("MII"), "{line}");
        }
        let state = project.state("convex_project.app");
        assert!(state["install_script"].as_str().is_some_and(|it| !it.contains("hunter2")));
        assert!(state["secret_files"][".env.convex.local"].as_str().is_some_and(|it| it.contains("hunter2")));
        assert!(state["files"][".env.convex.local"]["sha256"].is_null());
        project.set_env("TF_LOG", "");
        project.run(&["state", "rm", "convex_project.app"]).ok();
        let directory = app.display().to_string();
        project.run(&["import", "-no-color", "convex_project.app", &directory]).ok();
        let before = apps::files(app);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(apps::files(app), before);
    }
}

on_each_core! {
    fn a_data_source_renders_without_writing(core) {
        let project = Project::new(core, &config(r#"
            resource "terraform_data" "late" {}
            data "convex_project" "app" {
              directory       = "~/shop"
              package_manager = "pnpm"
              pattern         = "ai-rag"
              frontend        = false
            }
            output "paths" {
              value = keys(data.convex_project.app.files)
            }
            output "script" {
              value = data.convex_project.app.install_script
            }
            output "secret_script" {
              value     = data.convex_project.app.secret_install_script
              sensitive = true
            }
        "#));
        project.apply().ok();
        project.assert_no_changes();
        assert!(project.output("secret_script").as_str().is_some_and(|it| it.contains("write_missing")));
        let paths = project.output("paths").to_string();
        assert!(paths.contains("convex/rag.ts") && !paths.contains("src/App.tsx"), "{paths}");
        let script = project.output("script");
        let script = script.as_str().expect("text");
        assert!(script.contains("directory=\"$HOME\"/'shop'") && script.contains("manager='pnpm'"));
    }
}

on_each_core! {
    fn a_repository_with_an_app_of_its_own_gets_its_env_file(core) {
        let root = TempDir::new().expect("a directory");
        apps::existing_convex(root.path());
        fs::remove_file(root.path().join(".env.convex.local")).expect("it is there");
        let before = apps::files(root.path());
        let project = Project::new(core, &config(&blocks(root.path(), "pattern = \"none\"")));
        let output = "output \"next\" {\n  value = convex_project.app.next_steps\n}";
        project.write("next.tf", output);
        project.apply().ok().says(&["npx convex deploy --env-file .env.convex.local"]);
        project.assert_no_changes();
        let mut after = apps::files(root.path());
        let env = text(&after, ".env.convex.local");
        assert!(env.contains("CONVEX_SELF_HOSTED_ADMIN_KEY='app|01hunter2'"));
        after.remove(".env.convex.local");
        let ignored = after.remove(".gitignore").expect("it is there");
        assert!(ignored.0.starts_with(&before[".gitignore"].0));
        for (path, file) in &after {
            assert_eq!(before.get(path), Some(file), "{path}");
        }
        assert_eq!(after.len() + 1, before.len());
        project.destroy().ok();
        assert!(!root.path().join(".env.convex.local").exists());
    }
}

on_each_core! {
    fn a_plan_names_files_and_the_output_says_what_to_run(core) {
        let root = TempDir::new().expect("a directory");
        let app = root.path().join("app");
        let attributes = r#"
            origins = {
              api       = "https://convex-api--dev--ann.apps.example.com"
              site      = "https://convex-site--dev--ann.apps.example.com"
              dashboard = "https://convex--dev--ann.apps.example.com"
            }
            site_url = "https://frontend--dev--ann.apps.example.com"
        "#;
        let project = Project::new(core, &config(&blocks(&app, attributes)));
        project.write("next.tf", "output \"next\" {\n  value = convex_project.app.next_steps\n}\n");
        let plan = project.plan().ok();
        let lines = plan.text().lines().count();
        assert!(lines < 350, "{lines} lines: {}", plan.text());
        plan.says(&["convex/schema.ts", "sha256", "size", "0600"]);
        project.apply().ok().says(&[
            "npm install",
            "npm run dev",
            "serves the page at https://frontend--dev--ann.apps.example.com",
        ]);
        project.assert_no_changes();
        let state = project.state("convex_project.app");
        assert_eq!(
            state["agent_env"],
            serde_json::json!({ "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS": ".apps.example.com" })
        );
        for (path, (content, bits)) in apps::files(&app) {
            let told = &state["files"][&path];
            assert_eq!(told["mode"], format!("{bits:04o}"), "{path}");
            if path != ".env.convex.local" {
                assert_eq!(told["size"], content.len(), "{path}");
                assert_eq!(told["sha256"], digest(&content), "{path}");
            }
        }
        // Another package manager is found with the directory.
        fs::write(app.join("pnpm-lock.yaml"), "").expect("written");
        project.apply().ok().says(&["pnpm install"]);
        project.assert_no_changes();
    }
}

/// A key that is only made during apply leaves all in the plan that does not hold it.
#[test]
fn a_plan_shows_what_does_not_depend_on_what_is_not_known_yet() {
    let root = TempDir::new().expect("a directory");
    let project = Project::new(
        Core::Installed,
        &config(&format!(
            "resource \"terraform_data\" \"key\" {{\n  input = {KEY:?}\n}}\nresource \"convex_project\" \"app\" {{\n  directory = {:?}\n  admin_key = terraform_data.key.output\n}}\n",
            root.path().join("app")
        )),
    );
    let plan = project.plan_json();
    let change = plan["resource_changes"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["type"] == "convex_project"))
        .expect("the project")["change"]
        .clone();
    let mut files = change["after"]["files"].clone();
    assert!(files["src/App.tsx"]["sha256"].is_string(), "{files}");
    assert_eq!(change["after_unknown"]["secret_files"], true);
    // Its scripts name the file with the key, and the key could turn out to be none.
    let open = &change["after_unknown"]["files"]["package.json"];
    assert_eq!(open["sha256"], true, "{open}");
    project.apply().ok();
    project.assert_no_changes();
    let mut written = project.state("convex_project.app")["files"].clone();
    for all in [&mut files, &mut written] {
        all.as_object_mut().expect("files").remove("package.json");
    }
    assert_eq!(written, files);
}

/// A program in the directory of an app, with nothing of this process in its environment.
fn program(app: &Path, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    command
        .args(arguments)
        .current_dir(app)
        .env_clear()
        .envs(kept);
    command
}

#[test]
fn what_everybody_types_first_changes_nothing_that_terraform_manages() {
    let (name, root) = (Name::new(), TempDir::new().expect("a directory"));
    let (app, [api, site]) = (root.path().join("app"), [port(), port()]);
    let attributes = format!(
        "network = {{ publish = {{ api = {api}, site = {site} }} }}\norigins = {{ api = \"http://127.0.0.1:{api}\", site = \"http://127.0.0.1:{site}\" }}"
    );
    let project = Project::new(
        Core::Installed,
        &config(&format!(
            r#"{}
            resource "convex_env" "app" {{
              deployment = convex_deployment.app.id
              auth       = {{ site_url = "http://localhost:5173" }}
            }}
            resource "convex_project" "app" {{
              directory = {app:?}
              origins   = convex_deployment.app.origins
              url       = convex_deployment.app.urls.api
              admin_key = convex_deployment.app.admin_key
            }}"#,
            deployment(&name, &attributes)
        )),
    );
    project.apply().ok();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    let before = backend.variables();
    let succeeds = |arguments: &[&str]| {
        let output = program(&app, "npm", arguments)
            .output()
            .expect("npm starts");
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    };
    succeeds(&["install", "--no-audit", "--no-fund"]);
    let mut dev = program(&app, "npm", &["run", "dev", "--", "--host", "127.0.0.1"])
        .args(["--port", "0"])
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("npm starts");
    let url = BufReader::new(dev.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line[line.find("http://127.0.0.1:")?..].trim().to_owned()));
    // For whatever else it may have started.
    std::thread::sleep(Duration::from_secs(5));
    let group = format!("-{}", dev.id());
    let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
    let _ = dev.wait();
    assert!(url.is_some(), "the page is served");
    assert_eq!(backend.variables(), before);
    project.assert_no_changes();
    // A build knows where the deployment is.
    let generates = [
        "exec",
        "convex",
        "--",
        "codegen",
        "--system-udfs",
        "--typecheck",
        "disable",
    ];
    succeeds(&generates);
    succeeds(&["run", "build"]);
    let address = format!("http://127.0.0.1:{api}");
    let built = apps::files(&app.join("dist"));
    assert!(
        built
            .values()
            .any(|(content, _)| String::from_utf8_lossy(content).contains(&address))
    );
    // Nothing of what the tools have written gets into git.
    let git = |arguments: &[&str]| {
        let output = program(&app, "git", arguments)
            .output()
            .expect("git starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["init", "--quiet"]);
    let listed = git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(listed.contains("package.json"), "{listed}");
    for ignored in ["node_modules", "dist", ".env"] {
        assert!(!listed.contains(ignored), "{ignored} in {listed}");
    }
    project.destroy().ok();
}
